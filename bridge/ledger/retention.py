"""Remove messages whose work was done long ago; links, the audit, and what tells a repetition stay.

Of each record and sync the newest message stays: by it a save is known again, a sweep sees nothing new, and a page says
where the record stands. What needs a person, or waits, stays whatever its age.

Must not know: any system, HTTP.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, delete, exists, func, or_, select, text, tuple_

from bridge.ledger import Writing, exchanges, triage
from bridge.ledger.desk_models import triage as triage_table
from bridge.ledger.models import (
    DELIVERED,
    DISMISSED,
    HELD,
    SUPERSEDED,
    UNCHANGED,
    attempt,
    audit_head,
    call,
    message,
    occurrence,
)
from bridge.ledger.pulled import UNREAD
from bridge.ledger.unit import INNER

BATCH = 500  # rows in one transaction, so that saves do not wait for a long one
SPAN = 20_000  # messages that one statement looks through
DONE = (DELIVERED, UNCHANGED, SUPERSEDED, DISMISSED, HELD)  # held, and saved again since


def aged(connection: Connection, before: datetime, after: int) -> tuple[list[int], int | None]:
    """Return up to `BATCH` messages to remove, of the `SPAN` beyond *after*, and from where to look on.

    None where what follows is not that old: numbers grow with time.
    """
    inside = and_(message.c.id > after, message.c.id <= after + SPAN)
    later = message.alias("later")
    place = tuple_(message.c.version, message.c.modified_at, message.c.id)
    same = and_(later.c.source_id == message.c.source_id, later.c.sync == message.c.sync)
    # That a record could not be read once is no reading of it.
    read = later.c.source_hash != UNREAD
    is_newer = exists().where(same, read, tuple_(later.c.version, later.c.modified_at, later.c.id) > place)
    # The bridge's own write-backs and promises say nothing of a record once they are done.
    is_inner = or_(message.c.sync.in_(INNER), message.c.sync.like("confirm:%"))
    done = (message.c.state.in_(DONE), message.c.settled_at < before, message.c.waits_for.is_(None))
    query = select(message.c.id).where(inside, *done)
    found = list(connection.execute(query.where(or_(is_inner, is_newer)).order_by(message.c.id).limit(BATCH)).scalars())
    if len(found) == BATCH:
        return found, found[-1]
    first = connection.execute(select(func.min(message.c.id)).where(message.c.id > after + SPAN)).scalar()
    if first is None:
        return found, None
    # Of many, for what was sent again counts as made then.
    oldest = select(func.min(message.c.created_at)).where(message.c.id >= first, message.c.id < first + SPAN)
    return found, first - 1 if connection.execute(oldest).scalar_one() < before else None


def remove(writing: Writing, before: datetime, found: list[int]) -> int:
    """Remove the messages that `aged` found with what was kept of them, but not one that was sent again meanwhile."""
    connection = writing.connection
    query = select(message.c.id, message.c.state, message.c.settled_at).where(message.c.id.in_(found))
    rows = connection.execute(query.order_by(message.c.id).with_for_update()).all()
    found = [it.id for it in rows if it.state in DONE and it.settled_at < before]
    if not found:
        return 0
    connection.execute(delete(attempt).where(attempt.c.message_id.in_(found)))
    exchanges.forget(writing, found)
    triage.forget_edits(writing, found)
    connection.execute(delete(triage_table).where(triage_table.c.message_id.in_(found)))
    connection.execute(delete(message).where(message.c.id.in_(found)))
    words = f"{len(found)} messages settled before {before.isoformat()}, {found[0]} to {found[-1]}"
    writing.say("removed", "retention", detail=words)
    return len(found)


def remove_calls(writing: Writing, before: datetime) -> int:
    """Remove up to `BATCH` callouts' ids: older than a few minutes, a signature is refused before its id is asked."""
    old = select(call.c.org, call.c.id).where(call.c.received_at < before).limit(BATCH).subquery()
    return _removed(writing, call, tuple_(call.c.org, call.c.id).in_(select(old)))


def remove_occurrences(writing: Writing, before: datetime) -> int:
    """Remove up to `BATCH` scheduled times; of each job the newest stay, which say whether it runs."""
    later = occurrence.alias("later")
    newer = exists().where(later.c.job == occurrence.c.job, later.c.scheduled_at > occurrence.c.scheduled_at)
    asked = select(occurrence.c.job, occurrence.c.scheduled_at)
    old = asked.where(occurrence.c.scheduled_at < before, newer).limit(BATCH).subquery()
    return _removed(writing, occurrence, tuple_(occurrence.c.job, occurrence.c.scheduled_at).in_(select(old)))


def _removed(writing: Writing, table: Table, which: Any) -> int:
    return int(writing.connection.execute(delete(table).where(which)).rowcount)


def sizes(connection: Connection) -> dict[str, int]:
    """Return bytes of the ledger: ``database``, on SQLite what of it is ``free`` for reuse, on PostgreSQL by table.

    Cheap on purpose, for it is asked every few seconds: SQLite would have to read all pages to tell one table's.
    """
    if connection.dialect.name == "sqlite":
        page, pages, free = (
            int(connection.exec_driver_sql(f"PRAGMA {it}").scalar() or 0)
            for it in ("page_size", "page_count", "freelist_count")
        )
        return {"database": page * pages, "free": page * free}
    names = ("message", "attempt", "audit", "link", "exchange")
    sizes = {
        it: connection.execute(text("SELECT pg_total_relation_size(to_regclass(:it))"), {"it": it}) for it in names
    }
    whole = connection.execute(text("SELECT pg_database_size(current_database())")).scalar()
    return {"database": int(whole or 0), **{it: int(found.scalar() or 0) for it, found in sizes.items()}}


def audit_rows(connection: Connection) -> int:
    """Return how many rows the audit has, by the ends of its chains."""
    return sum(connection.execute(select(audit_head.c.seq)).scalars())
