"""Customers and vendors that accounting merged in NetSuite: the loser's id vanishes, its documents name the survivor.

`follow` learns of it by NetSuite's list of deletions and by the orders and documents of the Account, lets the links
lead to the survivor, tells it in the audit, and has the Account looked at again, so that it says what a person must
do. What was merely deleted has no survivor and is left to the next save, which makes it anew and says so.

Must not know: SOAP, HTTP.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from bridge.carrying import PAGE
from bridge.delivery import Delivery
from bridge.errors import BridgeError, Deferred
from bridge.ledger import Writing, differences, links, marks
from bridge.ledger.differences import MISSING, Difference
from bridge.ledger.links import Link
from bridge.ledger.models import link, message
from bridge.mapping import Push, external_id
from bridge.matching import payer
from bridge.merging import BEFORE_ALL
from bridge.ports import Record, Ref
from bridge.pulling import DEFAULT_OVERLAP, FIRST, pages
from bridge.receiving import as_received
from bridge.records.status import ID_FIELDS

ORDERS = {"customer": "sales_order", "vendor": "purchase_order"}  # the push whose orders name it
MIRRORS = ("NetSuite_Document__c", "Remittance__c", "NetSuite_Order__c")
MOST = 20  # documents of an Account that are asked whom they belong to; one is enough
MOMENT = timedelta(microseconds=1)
Heirs = dict[str, Difference]  # NetSuite id → the Account that shows it as its own


@dataclass(frozen=True, slots=True)
class Followed:
    """How many links lead to a survivor from now on."""

    moved: int = 0

    def sentence(self) -> str:
        return f"{self.moved} merged in NetSuite" if self.moved else ""


def follow(engine: Delivery, now: datetime, settle: timedelta) -> Followed:
    """Let links follow what was merged in NetSuite since the last time. Raises Deferred or Misconfigured."""
    end = (now - settle).replace(microsecond=0)
    moved = 0
    for name in ORDERS:
        push = engine.syncs.pushes.get(name)
        if push is None:
            continue
        job = f"gone:{name}"
        with engine.ledger.read() as connection:
            mark = marks.read_watermark(connection, job)
            unnamed = _linked(connection, name, link.c.parts.contains('"unnamed":'))
        start = min(mark, end) - DEFAULT_OVERLAP if mark else end - FIRST
        gone = [str(it.ref.id) for it in engine.netsuite.deleted(push.target, start, end)]
        if gone:
            with engine.ledger.read() as connection:
                lost = [it for it in _linked(connection, name, link.c.target_id.in_(gone)) if "gone" not in it.parts]
            moved += sum(_lead(engine, push, it) for it in lost)
        for it in unnamed:
            _named_since(engine, push, it)
        with engine.ledger.write() as writing:
            marks.move_watermark(writing, job, end)
    return Followed(moved)


def _linked(connection: Any, name: str, condition: Any) -> list[Link]:
    query = select(link.c.source_id).where(link.c.sync == name, condition)
    ids = list(connection.execute(query).scalars())
    return list(links.find(connection, [(name, it) for it in ids]).values())


def _lead(engine: Delivery, push: Push, lost: Link) -> bool:
    """Let the link of one Account lead to the survivor. False where there is none."""
    there = _survivor(engine, push, lost)
    if there is None:
        tell_deleted(engine, push, lost)
        return False
    parts = {**lost.parts, "gone": lost.target_id}

    def work(writing: Writing) -> None:
        others = _linked(writing.connection, push.name, link.c.target_id == there.ref.id)
        other = next((it for it in others if "merged_into" not in it.parts), None)
        if other is not None:
            # Two Accounts cannot both keep one customer up to date: the survivor's own goes on.
            new = replace(lost, parts={**parts, "merged_into": other.source_id, "survivor": there.ref.id})
        else:
            # Without an external id nothing can be written to it but a second one.
            name = there.ref.external_id or lost.external_id
            unnamed = {} if there.ref.external_id else {"unnamed": there.ref.id}
            new = replace(
                lost, target_id=str(there.ref.id), external_id=name, fingerprint="", parts={**parts, **unnamed}
            )
        links.save(writing, [new])
        writing.say(
            "merged", "netsuite", sync=push.name, source_id=lost.source_id, target=f"{push.target}/{there.ref.id}",
            detail=f"{lost.target_id} into {there.ref.id} in NetSuite",
        )  # fmt: skip

    engine.ledger.commit(work)
    _look_again(engine, push, lost.source_id)
    return True


def tell_deleted(engine: Delivery, push: Push, lost: Link) -> None:
    """Mark the link of a record that was deleted, and have its Account looked at, which tells a person."""

    def mark(writing: Writing) -> bool:
        known = links.find(writing.connection, [(push.name, lost.source_id)]).get((push.name, lost.source_id))
        if known is None or known.target_id != lost.target_id or known.parts.get("deleted") == known.target_id:
            return False  # it was made anew meanwhile, or it was told before
        links.save(writing, [replace(known, fingerprint="", parts={**known.parts, "deleted": known.target_id})])
        writing.say(
            "broken", "netsuite", sync=push.name, source_id=known.source_id, target=f"{push.target}/{known.target_id}",
            detail="deleted in NetSuite",
        )  # fmt: skip
        return True

    if engine.ledger.commit(mark):
        _look_again(engine, push, lost.source_id)


def _survivor(engine: Delivery, push: Push, lost: Link) -> Record | None:
    """Return the record to which what belonged to the lost one belongs now."""
    for refs in (_orders(engine, push, lost.source_id), _documents(engine, lost.source_id)):
        found = {
            str(owner.id)
            for it in _read(engine, refs[:MOST])
            if isinstance(owner := payer(it.fields), Ref) and owner.id != lost.target_id
        }
        if len(found) == 1:
            (there,) = engine.netsuite.get([Ref(push.target, id=found.pop())])
            return there
    return None


def _orders(engine: Delivery, push: Push, account: str) -> list[Ref]:
    name = ORDERS[push.name]
    query = select(message.c.source_id).where(message.c.sync == name, message.c.lane == account).distinct()
    with engine.ledger.read() as connection:
        ids = list(connection.execute(query).scalars())
        found = links.find(connection, [(name, it) for it in ids])
    return [Ref(it.target_kind, id=it.target_id) for it in found.values()]


def _documents(engine: Delivery, account: str) -> list[Ref]:
    kinds = {it.source for it in engine.syncs.pulls.values()}
    refs: list[Ref] = []
    for target in MIRRORS:
        for row in engine.salesforce.rows_under(target, "Account__c", [account], ("NetSuite_Key__c",)):
            kind, _, rest = str(row.fields.get("NetSuite_Key__c") or "").partition("-")
            if kind in kinds and rest:
                refs.append(Ref(kind, id=rest.partition("-")[0]))
    return list(dict.fromkeys(refs))


def _read(engine: Delivery, refs: list[Ref]) -> list[Record]:
    if not refs:
        return []
    try:
        return [it for it in engine.netsuite.get(refs) if it is not None]
    except Deferred:
        raise
    except BridgeError:
        return []  # one that may not be seen; others are asked, or nobody is


def _named_since(engine: Delivery, push: Push, one: Link) -> None:
    """Go on with a survivor that has been given our external id by now."""
    (found,) = engine.netsuite.get([Ref(push.target, external_id=one.external_id)])
    if found is None or found.ref.id != one.target_id:
        return
    parts = {name: value for name, value in one.parts.items() if name != "unnamed"}

    def work(writing: Writing) -> None:
        links.save(writing, [replace(one, parts=parts)])

    engine.ledger.commit(work)
    _look_again(engine, push, one.source_id)


def _look_again(engine: Delivery, push: Push, salesforce_id: str) -> None:
    """Receive the Account as it is: it goes to the survivor, or says why it does not."""
    (found,) = engine.salesforce.get([Ref(push.source, id=salesforce_id)], engine.syncs.reads(push.source))
    if found is None:
        return
    received = as_received(found)
    at = max(received.modified_at, _latest(engine, push, salesforce_id)) + MOMENT
    again = replace(received, modified_at=at)
    engine.receive([again], origin="merge", correlation=uuid.uuid4().hex)


def _latest(engine: Delivery, push: Push, salesforce_id: str) -> datetime:
    with engine.ledger.read() as connection:
        found = links.find(connection, [(push.name, salesforce_id)])
    known = found.get((push.name, salesforce_id))
    return known.modified_at if known else BEFORE_ALL


def heirs(engine: Delivery, push: Push) -> Heirs:
    """Return which Accounts that seem to be missing in NetSuite took a record over from one merged into them.

    It keeps the external id of the one that is gone, and the ledger that knew so is lost; Salesforce shows its id.
    """
    found: Heirs = {}
    if push.on_demand and push.source == "Account" and push.target in ID_FIELDS:
        return _heirs_of_all(engine, push, ID_FIELDS[push.target][0])
    after = (push.name, "")
    while push.source == "Account" and push.target in ID_FIELDS:
        with engine.ledger.read() as connection:
            listed = [it for it in differences.page(connection, (MISSING,), after) if it.sync == push.name]
        if not listed:
            break
        after = (push.name, listed[-1].external_id)
        name, never = ID_FIELDS[push.target][0], [it for it in listed if it.target_id is None]
        there = engine.salesforce.get([Ref(push.source, id=it.source_id) for it in never], (name,))
        found |= {str(it.fields[name]): one for one, it in zip(never, there, strict=True) if it and it.fields.get(name)}
    return found


def _heirs_of_all(engine: Delivery, push: Push, name: str) -> Heirs:
    """Return the same of a sync of which no record is missing until something needs it: all Accounts are looked at."""
    found: Heirs = {}
    until = engine.salesforce.now() + timedelta(seconds=1)
    for page in pages(engine.salesforce.changed(push.source, BEFORE_ALL, until, (name,)), PAGE):
        shown = {str(it.ref.id): str(it.fields[name]) for it in page if it.fields.get(name)}
        with engine.ledger.read() as connection:
            known = links.find(connection, [(push.name, it) for it in shown])
        for salesforce_id, netsuite_id in shown.items():
            if (push.name, salesforce_id) not in known:
                own = external_id(push.external_id, salesforce_id)
                found[netsuite_id] = Difference(push.name, own, salesforce_id, MISSING, "", "administrator")
    return found
