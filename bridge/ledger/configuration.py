"""Configurations that were made live, the newest last: what ``bridge.toml`` said, who applied it and why.

Nothing is changed or deleted here; going back is one more row.

Must not know: what a configuration means.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, inspect, select

from bridge.ledger import Ledger, Writing
from bridge.ledger.models import configuration


@dataclass(frozen=True, slots=True)
class Applied:
    """One configuration. *mapping* is the version of the rules that came of it."""

    id: int
    at: datetime
    author: str
    reason: str
    text: str
    mapping: str


def newest(connection: Connection) -> Applied | None:
    """Return the one that is live; None where none was ever applied, and the file itself holds."""
    return next(iter(history(connection, 1)), None)


def if_any(ledger: Ledger) -> Applied | None:
    """Return the one that is live; None too in a database that has no tables yet."""
    with ledger.read() as connection:
        return newest(connection) if inspect(connection).has_table(configuration.name) else None


def history(connection: Connection, most: int) -> list[Applied]:
    """Return the newest ones, the live one first."""
    rows = connection.execute(select(configuration).order_by(configuration.c.id.desc()).limit(most))
    return [Applied(row.id, row.at, row.author, row.reason, row.text, row.mapping) for row in rows]


def newest_id(connection: Connection) -> int:
    """Return the number of the live one, 0 for none: asked often, by every instance."""
    query = select(configuration.c.id).order_by(configuration.c.id.desc()).limit(1)
    return connection.execute(query).scalar() or 0


def add(writing: Writing, *, author: str, reason: str, text: str, mapping: str, before: str | None, what: str) -> int:
    """Make *text* the live configuration. *what* is ``applied``, ``reverted`` or ``kept``, for the audit.

    *before* is the version of the rules where none was applied yet.
    """
    found = newest(writing.connection)
    before = found.mapping if found else before
    values = {"at": writing.now, "author": author, "reason": reason, "text": text, "mapping": mapping}
    made = writing.connection.execute(insert(configuration).values(values).returning(configuration.c.id)).scalar_one()
    writing.say(f"mapping_{what}", author, before=before, after=mapping, detail=f"number {made}: {reason}"[:400])
    return int(made)
