"""Mending: put right what a comparison found, by the same way that any save takes.

What NetSuite holds under our external ids is linked again. What is missing or older in NetSuite is received again and
looked up there before it is sent. Foreign records are left alone, and an amount is written over only where a person
asks for it.

Must not know: SOAP, HTTP.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select, update

from bridge.delivery import Delivery
from bridge.ledger import Writing, differences, links, messages, plain
from bridge.ledger.differences import AMOUNT, BROKEN, MISSING, OLDER, UNLINKED, Difference
from bridge.ledger.links import Link
from bridge.ledger.models import OPEN, UNCERTAIN, message
from bridge.mapping import Push
from bridge.merging import BEFORE_ALL
from bridge.ports import Record, Ref
from bridge.receiving import accept, as_received
from bridge.surviving import ORDERS, tell_deleted

STEP = 200  # records put right in one transaction, so that saves do not wait for a long one
REPAIRABLE = (UNLINKED, BROKEN, MISSING, OLDER)
CODE, ORIGIN = "RECONCILED", "reconcile"


@dataclass(slots=True)
class Mended:
    """How many records were linked again, received again, and left to a person."""

    linked: int = 0
    received: int = 0
    left: int = 0


def mend(engine: Delivery, *, actor: str, amounts: bool = False) -> Mended:
    """Put right what was found: links first, so that what refers to a record finds it. Raises as the systems do.

    With *amounts* also what NetSuite says otherwise is sent again. What is foreign stays as it is.
    """
    kinds, done = (*REPAIRABLE, *((AMOUNT,) if amounts else ())), Mended()
    for step in (_link_again, _receive_again):
        after = ("", "")
        while True:
            with engine.ledger.read() as connection:
                chosen = differences.page(connection, kinds, after, STEP)
            if not chosen:
                break
            after = (chosen[-1].sync, chosen[-1].external_id)
            for sync in dict.fromkeys(it.sync for it in chosen):
                if sync in engine.syncs.pushes:
                    step(engine, engine.syncs.pushes[sync], [it for it in chosen if it.sync == sync], actor, done)
    return done


def _link_again(engine: Delivery, push: Push, chosen: Sequence[Difference], actor: str, done: Mended) -> None:
    """Link what NetSuite holds under our external id. What it says is looked at when the record is received again."""
    wanted = [it for it in chosen if it.what in (UNLINKED, BROKEN) and it.target_id]

    def link(writing: Writing) -> int:
        known = links.find(writing.connection, [(push.name, it.source_id) for it in wanted])
        new = []
        for it in wanted:
            before = known.get((push.name, it.source_id))
            if before is not None and (it.what == UNLINKED or before.target_id == it.target_id):
                continue
            made = before or Link(push.name, it.source_id, push.target, "", 0, BEFORE_ALL, "", it.external_id)
            new.append(replace(made, target_id=str(it.target_id), fingerprint="", parts={}))
            writing.say(
                "relinked", actor, sync=push.name, source_id=it.source_id, target=f"{push.target}/{it.target_id}",
                detail=f"{before.target_id} before" if before else None,
            )  # fmt: skip
        links.save(writing, new)
        return len(new)

    done.linked += engine.ledger.commit(link)


def _receive_again(engine: Delivery, push: Push, chosen: Sequence[Difference], actor: str, done: Mended) -> None:
    ids = [it.source_id for it in chosen]
    found = engine.salesforce.get([Ref(push.source, id=it) for it in ids], engine.syncs.reads(push.source))
    with engine.ledger.read() as connection:
        known = links.find(connection, [(push.name, it) for it in ids])
    deleted = [it for it in chosen if it.what == MISSING and push.name in ORDERS and (push.name, it.source_id) in known]
    for it in deleted:
        tell_deleted(engine, push, known[push.name, it.source_id])  # making it anew is for a person to decide
    done.left += len(deleted)
    again = [
        (it, source)
        for it, source in zip(chosen, found, strict=True)
        if it not in deleted and source is not None and not (it.what == BROKEN and it.who == "accounting")
    ]
    done.left += len(chosen) - len(deleted) - len(again)

    def receive(writing: Writing) -> None:
        for it, source in again:
            _again(writing, engine, push, source, known.get((push.name, it.source_id)))
        differences.drop(writing, [it for it, _ in again])

    engine.ledger.commit(receive)
    done.received += len(again)


def _again(writing: Writing, engine: Delivery, push: Push, source: Record, known: Link | None) -> None:
    """Receive a record as it is, and have it looked up in NetSuite before it is sent."""
    received = as_received(source)
    if known is not None and received.version <= known.version:
        received = replace(received, modified_at=max(received.modified_at, known.modified_at))
    new = accept(writing, engine.syncs, [received], origin=ORIGIN, correlation=uuid.uuid4().hex, only=push.name)
    row = writing.connection.execute(
        select(message).where(
            message.c.sync == push.name,
            message.c.source_id == received.id,
            message.c.version == received.version,
            message.c.modified_at == received.modified_at,
        )
    ).first()
    if row is None or (row.state in OPEN and row.id not in new):
        return  # it is on its way
    payload = plain.dumps({**received.fields, "Id": received.id})
    writing.connection.execute(
        update(message).where(message.c.id == row.id).values(payload=payload, write_back=True, crashes=0)
    )
    changes = messages.Changes(writing)
    changes.set(row, UNCERTAIN, action=ORIGIN, due_at=writing.now, code=CODE, who="nobody", attempts=0, crashes=0)
    changes.flush()
    messages.wake(writing, {row.lane: (writing.now, messages.BULK)})
