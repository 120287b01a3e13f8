"""What operators do to the engine: replay a message, pause and resume a sync, probe what is paused.

Must not know: any system's protocol, HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from bridge.delivery import Delivery
from bridge.errors import BridgeError
from bridge.ledger import Writing, audit, backlog, counting, lanes, marks, messages
from bridge.ledger.models import OPEN, PENDING, message
from bridge.recording import ONE_SYNC
from bridge.standing import covered

TRIAL_S = 1.0  # a trial is one call; what else lies in its lane is for the carrier
STARTED = "start"  # who changed the rules, as far as a start can know; the file's own history has the author


def note_mapping(engine: Delivery) -> bool:
    """Say in the audit that the rules are others than at the last start; False if they are the same."""
    with engine.ledger.write() as writing:
        last = audit.newest(writing.connection, STARTED)
        if last is not None and last.after == engine.ledger.mapping:
            return False
        writing.say("mapping", STARTED, before=last and last.after, after=engine.ledger.mapping)
        return True


def replay(engine: Delivery, message_ids: Sequence[int], *, actor: str, reason: str = "") -> int:
    """Send settled messages again as they were stored; a newer version of the record still wins."""

    def work(writing: Writing) -> int:
        found = messages.by_ids(writing.connection, message_ids)
        rows = [row for row in found if row.state not in OPEN]
        reopen(writing, rows)
        for row in rows:
            writing.say("replay", actor, sync=row.sync, source_id=row.source_id, message_id=row.id,
                        correlation=row.correlation, detail=reason or None)  # fmt: skip
        return len(rows)

    return engine.ledger.commit(work)


def reopen(writing: Writing, rows: Sequence[Row[Any]], payloads: Mapping[int, str] | None = None) -> None:
    """Open settled messages once more, with another payload where one is given."""
    for row in rows:
        given = (payloads or {}).get(row.id)
        values: dict[str, Any] = {
            "state": PENDING, "queue": row.lane, "due_at": None, "settled_at": None, "waits_for": None,
            "forced": True, "write_back": True, "attempts": 0, "crashes": 0, "created_at": writing.now,
            **({} if given is None else {"payload": given}),
        }  # fmt: skip
        writing.connection.execute(update(message).where(message.c.id == row.id).values(values))
    messages.wake(writing, {row.lane: (writing.now, messages.BULK) for row in rows})


def pause(engine: Delivery, scope: str, *, actor: str, reason: str) -> bool:
    """Stop sending for *scope* until a person resumes it; accepting goes on."""

    def work(writing: Writing) -> bool:
        return marks.start_pause(writing, scope, "PAUSED_BY_PERSON", reason, actor=actor, probe=False)

    return engine.ledger.commit(work)


def resume(engine: Delivery, scope: str, *, actor: str) -> bool:
    """Go on with *scope*: what waits drains in order."""

    def go_on(writing: Writing) -> bool:
        ended = marks.end_pause(writing, scope, actor=actor)
        lanes.reopen(writing.connection, covered(scope, engine.syncs), writing.now)
        writing.wakes.add("*")
        return ended

    return engine.ledger.commit(go_on)  # it takes many lanes, in no order: deliveries may be in its way


def tally(engine: Delivery) -> int:
    """Count ahead what pages and metrics show; return how many rows were taken in."""
    count = counting.fold(engine.ledger)
    with engine.ledger.read() as connection:
        found = backlog.reckon(connection, engine.ledger.now(connection), shut(engine, connection))
    with engine.ledger.write() as writing:
        backlog.keep(writing, found)
    return count


def shut(engine: Delivery, connection: Connection) -> set[str]:
    """Return the syncs that are paused, by themselves or with their system."""
    return {name for it in marks.pauses(connection) for name in covered(it.scope, engine.syncs)}


def probe(engine: Delivery) -> None:
    """Ask paused systems whether they are back, and resume what they stopped.

    A sync that was refused by itself is tried with one of its messages: the system's clock says nothing about a
    permission, and resuming on its word would tell of the same incident at every probe.
    """
    with engine.ledger.write() as writing:
        due = marks.claim_probe(writing)
    for it in due:
        system = (
            engine.salesforce
            if it.scope in covered("*salesforce", engine.syncs) or it.scope == "*salesforce"
            else engine.netsuite
        )
        try:
            system.now()
        except BridgeError:
            continue
        if it.code not in ONE_SYNC or not _tried(engine, it.scope):
            resume(engine, it.scope, actor="probe")


def _tried(engine: Delivery, sync: str) -> bool:
    """Send one waiting message of the paused *sync*, which resumes it if it arrives. False if none waits."""
    with engine.ledger.read() as connection:
        now = engine.ledger.now(connection)
        is_due = or_(message.c.due_at.is_(None), message.c.due_at <= now)
        waiting = select(message.c.queue).where(message.c.sync == sync, message.c.queue.is_not(None), is_due)
        key = connection.execute(waiting.order_by(message.c.id).limit(1)).scalar()
    if key is None:
        return False
    engine.trials.add(sync)
    try:
        engine.deliver([key], until=time.monotonic() + TRIAL_S)
    finally:
        engine.trials.discard(sync)
    return True
