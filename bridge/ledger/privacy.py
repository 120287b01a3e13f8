"""Erase personal data: what was stored of one record goes, what happened to it stays.

Payloads, reasons and details hold what people typed. The audit holds ids, codes and fingerprints only, so its chain
still verifies after an erasure, which is a row of it too.

Must not know: any system, HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from bridge.ledger import Writing, exchanges, triage
from bridge.ledger.desk_models import named
from bridge.ledger.models import OPEN, attempt, link, message
from bridge.ledger.plain import ERASED, dumps, loads

BATCH = 500  # messages in one transaction, so that saves do not wait for a long one
SPAN = 20_000  # messages that one statement looks through


@dataclass(frozen=True, slots=True)
class Erased:
    """How many messages were emptied; *still_open* are on their way and must settle first."""

    count: int
    still_open: int


def erase(writing: Writing, source_id: str, *, actor: str, reason: str) -> Erased:
    """Empty every settled message of the record *source_id*, and forget what was last sent of it.

    Its next save is then sent anew, whatever it holds. What is still on its way is left: erase again when it is done.
    """
    rows = writing.connection.execute(
        select(message.c.id, message.c.state, message.c.source_hash).where(message.c.source_id == source_id)
    ).all()
    settled = [row.id for row in rows if row.state not in OPEN and row.source_hash != ERASED]
    _empty(writing, settled)
    # Where fields are shared the link keeps what both sides held; without that the next difference is a person's.
    for row in writing.connection.execute(select(link.c.sync, link.c.parts).where(link.c.source_id == source_id)).all():
        parts = {name: it for name, it in loads(row.parts or "{}").items() if name != "shared"}
        mine = update(link).where(link.c.source_id == source_id, link.c.sync == row.sync)
        writing.connection.execute(mine.values(fingerprint="", parts=dumps(parts)))
    triage.forget_decisions(writing, [row.id for row in rows])
    writing.connection.execute(delete(named).where(named.c.source_id == source_id))
    if settled:
        writing.say("erased", actor, source_id=source_id, detail=f"{len(settled)} messages; {reason}"[:400])
    return Erased(len(settled), sum(row.state in OPEN for row in rows))


def newest(connection: Connection) -> int:
    """Return the number of the newest message, 0 where there is none."""
    return int(connection.execute(select(func.max(message.c.id))).scalar() or 0)


def aged(connection: Connection, kind: str, before: datetime, after: int) -> list[int]:
    """Return up to `BATCH` messages of *kind* (a Salesforce object) to empty, of the `SPAN` beyond *after*."""
    query = (
        select(message.c.id)
        .where(message.c.id > after, message.c.id <= after + SPAN)
        .where(message.c.source_kind == kind, message.c.settled_at < before, message.c.source_hash != ERASED)
        .order_by(message.c.id)
        .limit(BATCH)
    )
    return list(connection.execute(query).scalars())


def expire(writing: Writing, kind: str, before: datetime, found: list[int]) -> None:
    """Empty the messages that `aged` found; a settled message stays one."""
    _empty(writing, found)
    writing.say("expired", "retention", detail=f"{kind}: {len(found)} messages settled before {before.isoformat()}")


def _empty(writing: Writing, ids: list[int]) -> None:
    if not ids:
        return
    if writing.connection.dialect.name == "sqlite":
        writing.connection.exec_driver_sql("PRAGMA secure_delete = ON")  # else the bytes stay in the file until reused
    gone = {"payload": dumps({ERASED: True}), "source_hash": ERASED, "reason": None, "detail": None}
    writing.connection.execute(update(message).where(message.c.id.in_(ids)).values(gone))
    exchanges.forget(writing, ids)
    triage.forget_edits(writing, ids)
    writing.connection.execute(update(attempt).where(attempt.c.message_id.in_(ids)).values(detail=None))
