"""Is a message older than what is known of its record? What was sent is in the link; what was held or refused is not.

Must not know: any system.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from bridge.ledger import many
from bridge.ledger.direct import Direct
from bridge.ledger.links import Link
from bridge.ledger.models import DEAD, DISMISSED, HELD, REJECTED, SUPERSEDED, UNCERTAIN, message

Place = tuple[int, datetime]
Ended = Mapping[tuple[str, str], Mapping[str, Place]]  # by sync and record, then by state: the newest that ended so
_ENDED = Direct(
    select(message.c.sync, message.c.source_id, message.c.state, message.c.version, message.c.modified_at)
    .where(many.among(message.c.source_id, "ids"))
    .where(message.c.queue.is_(None), many.among(message.c.state, "states"))
)


def ended(connection: Connection, rows: Iterable[Row[Any]]) -> Ended:
    """Return where the newest saves stand that were held or refused, of the records that *rows* are about."""
    ids = sorted({it.source_id for it in rows})
    found: dict[tuple[str, str], dict[str, Place]] = {}
    for it in _ENDED.rows(connection, ids=ids, states=(HELD, REJECTED, DEAD, DISMISSED)) if ids else ():
        own, place = found.setdefault((it.sync, it.source_id), {}), (it.version, it.modified_at)
        own[it.state] = max(own.get(it.state, place), place)
    return found


def is_late(row: Row[Any], known: Link | None, said: Ended) -> bool:
    """Say whether a newer save than *row* was sent, or decided about: an application may have been withdrawn since.

    A person may send an older save than one that was refused; what may have arrived already is looked up all the same.
    """
    place = (row.version, row.modified_at)
    if known and place < (known.version, known.modified_at):
        return True
    newer = outdone_by(row, said)
    return row.state != UNCERTAIN and bool(newer & {HELD} if row.forced else newer)


def outdone_by(row: Row[Any], said: Ended) -> set[str]:
    """Return the states in which newer saves of the record ended."""
    own = said.get((row.sync, row.source_id), {})
    return {state for state, place in own.items() if (row.version, row.modified_at) < place}


def has_left(connection: Connection, row: Row[Any], code: str) -> bool:
    """Say whether the save before *row*, a deletion, was held with *code*."""
    same = (message.c.sync == row.sync, message.c.source_id == row.source_id, message.c.id != row.id)
    newest = select(message.c.code).where(*same, message.c.state != SUPERSEDED).order_by(message.c.id.desc()).limit(1)
    return bool(connection.execute(newest).scalar() == code)
