"""Messages that wait for a record: whether one is waited for, and what goes on once it is there.

Must not know: any system, HTTP, mapping.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select, union, update

from bridge.ledger import Writing, many, messages
from bridge.ledger.direct import Asked, Direct
from bridge.ledger.models import PENDING, link, message

_WAITING = Direct(
    select(
        message.c.id, message.c.lane, message.c.priority, message.c.sync, message.c.source_id, message.c.correlation,
        message.c.waits_for,
    ).where(many.among(message.c.waits_for, "names"))
)  # fmt: skip
_WANTED = Direct(
    union(
        select(message.c.waits_for.label("name")).where(many.among(message.c.waits_for, "names")),
        select((link.c.sync + ":" + link.c.source_id).label("name")).where(
            many.among(link.c.sync, "syncs"), many.among(link.c.source_id, "ids")
        ),
    )
)


def wanted(connection: Connection, pairs: Sequence[tuple[str, str]]) -> Asked:
    """Ask which of the ``(sync, record id)`` *pairs* are linked already or waited for: rows of ``sync:record id``."""
    names = [f"{sync}:{source_id}" for sync, source_id in pairs]
    return _WANTED.of(connection, names=names, syncs={sync for sync, _ in pairs}, ids=[it for _, it in pairs])


def free(writing: Writing, made: Iterable[str]) -> None:
    """Wake what waited for records that exist now. *made* holds ``sync:record id``."""
    names = list(made)
    if not names:
        return
    waiting = _WAITING.rows(writing.connection, names=names)
    if not waiting:
        return
    writing.connection.execute(
        update(message)
        .where(message.c.id.in_([row.id for row in waiting]))
        .values(state=PENDING, queue=message.c.lane, due_at=None, waits_for=None, settled_at=None)
    )
    for row in waiting:
        writing.say(
            PENDING, "bridge", sync=row.sync, source_id=row.source_id, message_id=row.id,
            correlation=row.correlation, detail=f"{row.waits_for} is there",
        )  # fmt: skip
    messages.wake(writing, {row.lane: (writing.now, row.priority) for row in waiting})
