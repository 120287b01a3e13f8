"""What pulls left in the ledger: the newest reading of a record, and records that could not be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from bridge.ledger import Writing, many, messages
from bridge.ledger.models import REJECTED, SUPERSEDED, link, message

_ANY_OPEN = select(message.c.id).where(message.c.queue == bindparam("lane")).limit(1)
_OPEN_OF = select(message.c.source_id).where(
    message.c.queue == bindparam("lane"), many.among(message.c.source_id, "ids")
)
_STAMPS = select(link.c.source_id, link.c.modified_at).where(
    link.c.sync == bindparam("sync"), many.among(link.c.source_id, "ids")
)
UNREAD = "unread"  # instead of a hash, in a message about a record that could not be read
# After the stamp of such a message: the record itself, read later with that very stamp, must count as another version.
ASIDE = timedelta(milliseconds=500)
CHUNK = 400
_NEWEST = select(message.c.source_id, message.c.modified_at, message.c.source_hash).where(
    many.among(message.c.source_id, "ids"),
    message.c.sync == bindparam("sync"),
    message.c.source_hash != UNREAD,
)


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest reading of a record: its stamp, and the hash of what it said."""

    modified_at: datetime
    mark: str


def newest(connection: Connection, sync: str, source_ids: Sequence[str]) -> dict[str, Seen]:
    """Return the newest reading of each of the records *source_ids* that was ever stored for *sync*."""
    found: dict[str, Seen] = {}
    for source_id, modified_at, mark in connection.execute(_NEWEST, {"ids": source_ids, "sync": sync}):
        known = found.get(source_id)
        if known is None or known.modified_at < modified_at:
            found[source_id] = Seen(modified_at, mark)
    return found


def in_the_way(connection: Connection, lane: str, known: Mapping[str, datetime | None]) -> set[str]:
    """Return those of the records *known* (id → stamp of its link) that cannot be written past the queue of *lane*.

    An earlier reading of theirs is open there, or somebody else has written one since their links were looked at.
    """
    ids = list(known)
    found: set[str] = set()
    if connection.execute(_ANY_OPEN, {"lane": lane}).first() is not None:
        found.update(connection.execute(_OPEN_OF, {"lane": lane, "ids": ids}).scalars())
    stamps = {row.source_id: row.modified_at for row in connection.execute(_STAMPS, {"sync": lane, "ids": ids})}
    return found | {it for it in ids if stamps.get(it) != known[it]}


def latest(connection: Connection, sync: str, source_ids: Sequence[str]) -> dict[str, Row[Any]]:
    """Return the newest message of each of the records *source_ids*."""
    found: dict[str, Row[Any]] = {}
    for start in range(0, len(source_ids), CHUNK):
        query = select(message).where(
            message.c.source_id.in_(source_ids[start : start + CHUNK]),
            message.c.sync == sync,
            message.c.source_hash != UNREAD,
        )
        for row in connection.execute(query):
            known = found.get(row.source_id)
            if known is None or (known.modified_at, known.id) < (row.modified_at, row.id):
                found[row.source_id] = row
    return found


def unread(connection: Connection, sync: str) -> list[Row[Any]]:
    """Return the messages about records of *sync* that could not be read, and wait for a person or for better days."""
    query = select(message).where(message.c.state == REJECTED, message.c.sync == sync, message.c.source_hash == UNREAD)
    return list(connection.execute(query.order_by(message.c.id)))


def keep_unread(
    writing: Writing, new: Sequence[messages.New], why: Mapping[str, tuple[str, str]], correlation: str
) -> None:
    """Put *new* messages about records that could not be read on the error desk. *why*: code and sentence by record.

    They never wait in the lane's queue: there they would supersede an older reading that has not been written yet.
    """
    changes = messages.Changes(writing)
    for row in messages.by_ids(writing.connection, messages.accept(writing, new, correlation)):
        code, reason = why[row.source_id]
        changes.set(row, REJECTED, code=code, reason=reason, who="administrator")
    changes.flush()


def settle_unread(writing: Writing, rows: Sequence[Row[Any]]) -> None:
    """Say that these records have been read after all."""
    changes = messages.Changes(writing)
    for row in rows:
        changes.set(row, SUPERSEDED)
    changes.flush()


def between(
    connection: Connection, sync: str, since: datetime, until: datetime, after: str, most: int
) -> list[Row[Any]]:
    """Return the newest reading of up to *most* records read with a stamp in ``[since, until]``, ids after *after*."""
    stamped = (message.c.sync == sync, message.c.modified_at >= since, message.c.modified_at <= until)
    ids = (
        select(message.c.source_id)
        .where(*stamped, message.c.source_id > after, message.c.source_hash != UNREAD)
        .group_by(message.c.source_id)
        .order_by(message.c.source_id)
        .limit(most)
    )
    rows = latest(connection, sync, list(connection.execute(ids).scalars()))
    return [rows[key] for key in sorted(rows)]
