"""Links: which NetSuite record belongs to which Salesforce record, and what was last sent or written there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bridge.ledger import Writing, many, plain
from bridge.ledger.direct import Asked, Direct
from bridge.ledger.models import link, message

_BY_SOURCE = Direct(select(link).where(link.c.sync == bindparam("s"), many.among(link.c.source_id, "ids")))
_BY_TARGET = Direct(select(link).where(link.c.sync == bindparam("s"), many.among(link.c.target_id, "ids")))
_OF_SOURCES = Direct(select(link).where(many.among(link.c.source_id, "ids")))


@dataclass(frozen=True, slots=True)
class Link:
    """A pair of records. *source_id* is the id in the system the sync reads, *target_id* in the one it writes.

    *parts*: for a push ``{"lines": {Salesforce line id: NetSuite line}}``, for a pull ``{"keys": [row keys]}``.
    *kept_at*: when it was stored last.
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
    kept_at: datetime | None = None


def _link(row: Any) -> Link:
    return Link(
        row.sync, row.source_id, row.target_kind, row.target_id, row.version, row.modified_at, row.fingerprint,
        row.external_id, row.number, plain.loads(row.parts) if row.parts else {}, row.updated_at,
    )  # fmt: skip


def find(connection: Connection, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Link]:
    """Return the links of ``(sync, source id)`` pairs that exist."""
    found = _select(connection, _BY_SOURCE, pairs)
    return {(it.sync, it.source_id): it for it in found}


def led_on(connection: Connection, found: Mapping[tuple[str, str], Link]) -> dict[tuple[str, str], Link]:
    """Return, for links of records that were merged away, the link of the record that is there instead."""
    gone = {pair: (pair[0], str(it.parts["merged_into"])) for pair, it in found.items() if "merged_into" in it.parts}
    if not gone:
        return {}
    there = find(connection, gone.values())
    return {pair: there[other] for pair, other in gone.items() if other in there}


def holding_lines(connection: Connection, line_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Return (source id, line id) of the links whose order has a line made of one of *line_ids*."""
    found = []
    for line_id in line_ids:
        query = select(link.c.source_id).where(link.c.parts.contains(f'"{line_id}"', autoescape=True))
        found += [(source_id, line_id) for source_id in connection.execute(query.distinct()).scalars()]
    return found


def of_lanes(connection: Connection, lanes: Sequence[str], syncs: Sequence[str]) -> dict[str, list[Link]]:
    """Return, by lane, the links of *syncs* made of what lay there. Looks through all messages of these syncs."""
    asked = select(message.c.lane, message.c.sync, message.c.source_id).distinct()
    rows = connection.execute(asked.where(message.c.sync.in_(syncs), message.c.lane.in_(lanes)))
    return _gathered(connection, ((row.lane, row.sync, row.source_id) for row in rows))


def naming(connection: Connection, ids: Sequence[str], syncs: Mapping[str, str]) -> dict[str, list[Link]]:
    """Return, by record, the links of *syncs* (name → field) whose source names it there. Looks through all of them."""
    found: list[tuple[str, str, str]] = []
    for sync, word in syncs.items():
        said = {f'"{word}":"{one}"': one for one in ids}
        asked = select(message.c.source_id, message.c.payload).where(message.c.sync == sync)
        for row in connection.execute(asked.where(or_(*(message.c.payload.contains(it) for it in said)))):
            found += [(one, sync, row.source_id) for it, one in said.items() if it in row.payload]
    return _gathered(connection, found)


def _gathered(connection: Connection, found: Iterable[tuple[str, str, str]]) -> dict[str, list[Link]]:
    pairs: dict[str, set[tuple[str, str]]] = {}
    for key, *pair in found:
        pairs.setdefault(key, set()).add((pair[0], pair[1]))
    known = find(connection, {pair for own in pairs.values() for pair in own})
    return {key: [known[pair] for pair in sorted(own) if pair in known] for key, own in pairs.items()}


def by_target(connection: Connection, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Link]:
    """Return, for ``(sync, target id)`` pairs, the links that lead there."""
    found = _select(connection, _BY_TARGET, pairs)
    return {(it.sync, it.target_id): it for it in found}


def _select(connection: Connection, statement: Direct, pairs: Iterable[tuple[str, str]]) -> list[Link]:
    wanted: dict[str, set[str]] = {}
    for sync, one in pairs:
        wanted.setdefault(sync, set()).add(one)
    return [_link(row) for sync, ids in wanted.items() for row in statement.rows(connection, s=sync, ids=ids)]


def of_source(connection: Connection, source_ids: Sequence[str]) -> list[Link]:
    """Return every link of the Salesforce records *source_ids*, whatever the sync."""
    return [_link(row) for row in asking_of_source(connection, source_ids).alone(connection)]


def asking_of_source(connection: Connection, source_ids: Sequence[str]) -> Asked:
    """Ask for the rows of what `of_source` returns."""
    return _OF_SOURCES.of(connection, ids=list(source_ids))


_NEW = (
    "target_kind",
    "target_id",
    "external_id",
    "number",
    "version",
    "modified_at",
    "fingerprint",
    "parts",
    "updated_at",
)


@cache
def _save(dialect: str) -> Any:
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(link)
    fresh = {name: statement.excluded[name] for name in _NEW}
    return statement.on_conflict_do_update(index_elements=["sync", "source_id"], set_=fresh)


def learn(writing: Writing, known: Link, parts: Mapping[str, Any]) -> None:
    """Keep other *parts* of a link, if nobody has stored it since it was read as *known*."""
    mine = (link.c.sync == known.sync, link.c.source_id == known.source_id, link.c.updated_at == known.kept_at)
    writing.connection.execute(update(link).where(*mine).values(parts=plain.dumps(parts)))


def add_number(writing: Writing, known: Link, number: str) -> None:
    """Keep the *number* of what a link leads to, where none is kept; what a push stores meanwhile stays as it is."""
    mine = (link.c.sync == known.sync, link.c.source_id == known.source_id, link.c.target_id == known.target_id)
    blank = or_(link.c.number.is_(None), link.c.number == "")
    writing.connection.execute(update(link).where(*mine, blank).values(number=number))


def remove(writing: Writing, sync: str, source_id: str) -> None:
    """Forget the link of a record, which then gets a record of its own."""
    writing.connection.execute(delete(link).where(link.c.sync == sync, link.c.source_id == source_id))


def save(writing: Writing, new: Sequence[Link]) -> None:
    """Store links, replacing what was known of the same (sync, source)."""
    if not new:
        return
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
    writing.connection.execute(_save(writing.connection.dialect.name), rows)
