"""Writes that may land late: NetSuite goes on with a request whose caller has left, for up to a quarter of an hour.

Where such a request was repeated, or its sender was overtaken, a newer save may be delivered before it lands, and be
undone by it. `later` promises to look once more when nothing can land any more; `look` then has the save that was
delivered last looked up, and sent again where NetSuite holds something else.

Must not know: any system, HTTP.

Source: NetSuite Help section_1540364662: what was received is processed even when the client is gone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select, update

from bridge.ledger import Writing, links, messages, plain
from bridge.ledger.links import Link
from bridge.ledger.models import DELIVERED, OPEN, UNCERTAIN, UNCHANGED, message
from bridge.standing import CONFIRM

LATE = timedelta(minutes=16)  # a synchronous request ends after 15 minutes at the latest
CODE = "LATE_WRITE_POSSIBLE"


def later(writing: Writing, row: Row[Any], due_at: datetime) -> None:
    """Promise to look at the record of message *row*, whose write may still land until *due_at*."""
    doubtful = plain.dumps({"version": row.version, "modified_at": row.modified_at})
    version = int(writing.now.timestamp() * 1_000_000)
    new = messages.New(
        CONFIRM + row.sync, row.source_kind, row.source_id, version, writing.now, row.lane, doubtful, "bridge",
        write_back=False,
    )  # fmt: skip
    ids = messages.accept(writing, [new], row.correlation)
    writing.connection.execute(update(message).where(message.c.id.in_(ids)).values(due_at=due_at))


def look(writing: Writing, changes: messages.Changes, row: Row[Any]) -> dict[tuple[str, str], Link]:
    """Keep the promise *row*: have the last delivered save looked up if it is newer than the doubtful one.

    Returns the link that now stands for the record, where it is another.
    """
    doubtful, sync = plain.loads(row.payload), row.sync.removeprefix(CONFIRM)
    known = links.find(writing.connection, [(sync, row.source_id)]).get((sync, row.source_id))
    if known is None or (known.version, known.modified_at) <= (doubtful["version"], doubtful["modified_at"]):
        changes.set(row, UNCHANGED)  # what may land is what was delivered
        return {}
    rows = writing.connection.execute(
        select(message).where(message.c.sync == sync, message.c.source_id == row.source_id)
    ).all()
    changes.set(row, DELIVERED)
    if any(it.state in OPEN for it in rows):
        # The one on its way must be sent even if it says the same.
        unsure = replace(known, fingerprint="")
        links.save(writing, [unsure])
        return {(sync, row.source_id): unsure}
    for it in rows:
        if (it.version, it.modified_at) == (known.version, known.modified_at) and it.state in (DELIVERED, UNCHANGED):
            changes.set(it, UNCERTAIN, action="confirming", due_at=writing.now, code=CODE, who="nobody", attempts=0)
            messages.wake(writing, {it.lane: (writing.now, messages.BULK)})
    return {}
