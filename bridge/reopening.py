"""Send again what waited for an accounting period, once accounting has reopened it.

`look` asks NetSuite for its periods only while something waits for one, and they are remembered for five minutes. A
message is opened again at most once an hour, should NetSuite refuse it all the same.

Must not know: any system's protocol, HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Row, select, text

from bridge import periods
from bridge.delivery import Delivery
from bridge.errors import BridgeError, Rejected
from bridge.ledger import Writing, lateness, messages, plain
from bridge.ledger.models import NEEDS, REJECTED, message
from bridge.mapping import PACIFIC
from bridge.operating import reopen
from bridge.ports import Period

AGAIN = timedelta(hours=1)
PAGE = 1_000  # messages looked at together
STEP = 200  # in one transaction


def look(engine: Delivery) -> int:
    """Open again what waits for a period that is open now, and return how many messages that are.

    Where the role may not read periods, everything that waits for one is tried once an hour.
    """
    after, count = 0, 0
    known: list[Period] | None = None
    while rows := _waiting(engine, after):
        if not after:
            try:
                known = engine.netsuite.periods()
            except Rejected:
                known = None
            except BridgeError:
                return 0  # it is away; the next time will do
        ready = {row.id: name for row in rows if (name := _open(engine, row, known)) is not None}
        ids = list(ready)
        for start in range(0, len(ids), STEP):
            count += engine.ledger.commit(partial(_reopen, ids[start : start + STEP], ready))
        after = rows[-1].id
    return count


def _waiting(engine: Delivery, after: int) -> Sequence[Row[Any]]:
    """Return what waits for a period and was not tried lately, the oldest beyond message *after* first."""
    with engine.ledger.read() as connection:
        since = engine.ledger.now(connection) - AGAIN
        query = select(message).where(
            text(NEEDS), message.c.code.in_(periods.CODES), message.c.state == REJECTED, message.c.settled_at <= since,
            message.c.id > after,
        )  # fmt: skip
        return connection.execute(query.order_by(message.c.id).limit(PAGE)).all()


def _open(engine: Delivery, row: Row[Any], known: Sequence[Period] | None) -> str | None:
    """Return the name of the period that takes message *row* now; None where none does."""
    push = engine.syncs.pushes.get(row.sync)
    if push is None:
        return None
    if known is None:
        return "unknown"
    try:
        day = push.record(row.source_id, plain.loads(row.payload), engine.syncs.context).fields.get("tranDate")
    except Rejected:
        return None
    own = periods.of_day(known, day or row.modified_at.astimezone(PACIFIC).date())
    return own.name if own is not None and own.takes(push.target) else None


def _reopen(ids: Sequence[int], names: dict[int, str], writing: Writing) -> int:
    rows = [
        it for it in messages.by_ids(writing.connection, ids) if it.state == REJECTED and it.code in periods.CODES
    ]  # fmt: skip
    said = lateness.ended(writing.connection, rows)
    rows = [it for it in rows if not lateness.outdone_by(it, said)]  # nobody has asked for an older save
    reopen(writing, rows)
    for row in rows:
        detail = "tried again" if names[row.id] == "unknown" else f"the period {names[row.id]} is open"
        writing.say(
            "replay", "periods", sync=row.sync, source_id=row.source_id, message_id=row.id,
            correlation=row.correlation, code=row.code, detail=detail,
        )  # fmt: skip
    return len(rows)
