"""Links: which NetSuite record belongs to which Salesforce record, and what was last sent or written there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from bridge.ledger import Writing, plain
from bridge.ledger.models import link


@dataclass(frozen=True, slots=True)
class Link:
    """A pair of records. *source_id* is the id in the system the sync reads, *target_id* in the one it writes.

    *parts*: for a push ``{"lines": {Salesforce line id: NetSuite line}}``, for a pull ``{"keys": [row keys]}``.
    """

    sync: str
    source_id: str
    target_kind: str
    target_id: str
    version: int
    modified_at: datetime
    fingerprint: str
    external_id: str | None = None
    number: str | None = None
    parts: dict[str, Any] = field(default_factory=dict)


def _link(row: Any) -> Link:
    return Link(
        row.sync, row.source_id, row.target_kind, row.target_id, row.version, row.modified_at, row.fingerprint,
        row.external_id, row.number, plain.loads(row.parts) if row.parts else {},
    )  # fmt: skip


def find(connection: Connection, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Link]:
    """Return the links of ``(sync, source id)`` pairs that exist."""
    wanted = list(set(pairs))
    if not wanted:
        return {}
    found: dict[tuple[str, str], Link] = {}
    for start in range(0, len(wanted), 400):  # two bind values a pair, and SQLite takes few thousands
        rows = connection.execute(
            select(link).where(tuple_(link.c.sync, link.c.source_id).in_(wanted[start : start + 400]))
        )
        found.update({(row.sync, row.source_id): _link(row) for row in rows})
    return found


def of_source(connection: Connection, source_ids: Sequence[str]) -> list[Link]:
    """Return every link of the Salesforce records *source_ids*, whatever the sync."""
    return [_link(row) for row in connection.execute(select(link).where(link.c.source_id.in_(list(source_ids))))]


def by_target(connection: Connection, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Link]:
    """Return, for ``(sync, target id)`` pairs, the links that lead there."""
    wanted = list(set(pairs))
    found: dict[tuple[str, str], Link] = {}
    for start in range(0, len(wanted), 400):
        rows = connection.execute(
            select(link).where(tuple_(link.c.sync, link.c.target_id).in_(wanted[start : start + 400]))
        )
        found.update({(row.sync, row.target_id): _link(row) for row in rows})
    return found


def save(writing: Writing, new: Sequence[Link]) -> None:
    """Store links, replacing what was known of the same (sync, source)."""
    if not new:
        return
    dialect = postgresql if writing.connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(link)
    fresh = {
        name: statement.excluded[name]
        for name in ("target_kind", "target_id", "external_id", "number", "version", "modified_at", "fingerprint",
                     "parts", "updated_at")
    }  # fmt: skip
    statement = statement.on_conflict_do_update(index_elements=["sync", "source_id"], set_=fresh)
    rows = [
        {
            "sync": it.sync,
            "source_id": it.source_id,
            "target_kind": it.target_kind,
            "target_id": it.target_id,
            "external_id": it.external_id,
            "number": it.number,
            "version": it.version,
            "modified_at": it.modified_at,
            "fingerprint": it.fingerprint,
            "parts": plain.dumps(it.parts) if it.parts else None,
            "updated_at": writing.now,
        }
        for it in new
    ]
    writing.connection.execute(statement, rows)
