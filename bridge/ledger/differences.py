"""Differences: what the last reconciliation found, with since when, until a later one does not find it any more.

Must not know: any system, HTTP, mapping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from bridge.ledger import Writing, many
from bridge.ledger.models import difference, message

MISSING, OLDER, AMOUNT, UNLINKED, BROKEN, EXTRA = "missing", "older", "amount", "unlinked", "broken", "extra"
KINDS = (MISSING, OLDER, AMOUNT, UNLINKED, BROKEN, EXTRA)

_PLACE = func.row_number().over(
    partition_by=(message.c.sync, message.c.source_id),
    order_by=(message.c.version.desc(), message.c.modified_at.desc(), message.c.id.desc()),
)
_SHOWN = ("id", "sync", "source_id", "state", "code", "version", "modified_at", "source_hash")
_RANKED = (
    select(*(message.c[name] for name in _SHOWN), _PLACE.label("place"))
    .where(many.among(message.c.source_id, "ids"), many.among(message.c.sync, "syncs"))
    .subquery()
)
_STANDING = select(_RANKED).where(_RANKED.c.place == 1)


@dataclass(frozen=True, slots=True)
class Difference:
    """One record that is not the same on both sides and in the ledger. *source_id* is its Salesforce id.

    *ours* is the amount that Salesforce says, *theirs* what NetSuite says; *who* can do something about it.
    """

    sync: str
    external_id: str
    source_id: str
    what: str
    sentence: str
    who: str
    target_id: str | None = None
    currency: str | None = None
    ours: Decimal | None = None
    theirs: Decimal | None = None
    since: datetime | None = None


def standing(
    connection: Connection, source_ids: Sequence[str], syncs: Sequence[str]
) -> dict[tuple[str, str], Row[Any]]:
    """Return the newest message of each record and sync: (sync, record) → its state, version and source hash."""
    found = connection.execute(_STANDING, {"ids": list(source_ids), "syncs": list(syncs)})
    return {(row.sync, row.source_id): row for row in found}


def keep(writing: Writing, found: Sequence[Difference]) -> None:
    """Keep what was found; what differed before has differed since then."""
    if not found:
        return
    rows = [
        {
            "sync": it.sync, "external_id": it.external_id, "source_id": it.source_id[:80], "what": it.what,
            "target_id": it.target_id, "currency": it.currency, "ours": _text(it.ours), "theirs": _text(it.theirs),
            "sentence": it.sentence, "who": it.who, "since": writing.now, "seen_at": writing.now,
        }
        for it in found
    ]  # fmt: skip
    writing.connection.execute(_keep(writing.connection.dialect.name), rows)


def forget(writing: Writing, syncs: Iterable[str], before: datetime) -> None:
    """Forget what was not seen any more since *before* in *syncs*, which were compared whole."""
    gone = delete(difference).where(difference.c.sync.in_(list(syncs)), difference.c.seen_at < before)
    writing.connection.execute(gone)


def drop(writing: Writing, done: Iterable[Difference]) -> None:
    """Forget what is being put right."""
    for it in done:
        writing.connection.execute(
            delete(difference).where(difference.c.sync == it.sync, difference.c.external_id == it.external_id)
        )


def page(
    connection: Connection, kinds: Iterable[str] = KINDS, after: tuple[str, str] = ("", ""), most: int = 200
) -> list[Difference]:
    """Return differences of *kinds* in the order of sync and external id, from beyond *after* on."""
    place = tuple_(difference.c.sync, difference.c.external_id)
    query = select(difference).where(difference.c.what.in_(list(kinds)), place > after)
    query = query.order_by(difference.c.sync, difference.c.external_id).limit(most)
    return [_read(row) for row in connection.execute(query)]


def every(connection: Connection, kinds: Iterable[str] = KINDS) -> Iterator[Difference]:
    """Yield all differences, a page in memory at a time."""
    after, chosen = ("", ""), list(kinds)
    while found := page(connection, chosen, after):
        yield from found
        after = (found[-1].sync, found[-1].external_id)


def _read(row: Any) -> Difference:
    return Difference(
        row.sync, row.external_id, row.source_id, row.what, row.sentence, row.who, row.target_id, row.currency,
        _number(row.ours), _number(row.theirs), row.since,
    )  # fmt: skip


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _number(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


@cache
def _keep(dialect: str) -> Any:
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(difference)
    fresh = {
        name: statement.excluded[name]
        for name in ("source_id", "what", "target_id", "currency", "ours", "theirs", "sentence", "who", "seen_at")
    }
    return statement.on_conflict_do_update(index_elements=["sync", "external_id"], set_=fresh)
