"""The sweep: receive every save in Salesforce that the ledger has not seen. Callouts are not relied on alone.

Must not know: HTTP.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select

from bridge.delivery import Delivery
from bridge.errors import Misconfigured
from bridge.ledger import links, marks, messages, plain
from bridge.ledger.models import message
from bridge.ports import Deleted, Received, Record, Ref
from bridge.preparing import write_back
from bridge.pulling import FIRST, pages
from bridge.receiving import as_received
from bridge.records.status import shown_state
from bridge.standing import is_open

OBJECTS = ("Account", "Contact", "Opportunity", "Credit_Request__c")
LATER = "Credit_Request__c"  # came with a later package: an organisation that has not deployed it is swept all the same
OVERLAP = timedelta(minutes=15)  # a stamp is taken in the transaction, a row is visible only at its commit
PAGE = 200
LINE = "OpportunityLineItem"
STATUS = "NetSuite_Status__c"
DONE = ("delivered", "unchanged", "superseded")  # for Salesforce these say the same: NetSuite has it


@dataclass(frozen=True, slots=True)
class SweepReport:
    """How many records were looked at, and how many of them no callout had brought."""

    looked_at: int
    late: int
    deleted: int

    def sentence(self) -> str:
        return f"{self.looked_at} looked at, {self.late} came late, {self.deleted} deleted"


def sweep(engine: Delivery, *, since: datetime | None = None) -> SweepReport:
    """Receive what changed in Salesforce since the last sweep and was not seen. Raises Deferred or Misconfigured."""
    end = engine.salesforce.now()
    looked_at = late = deleted = 0
    for kind in _there(engine):
        job = f"sweep:{kind}"
        with engine.ledger.read() as connection:
            mark = marks.read_watermark(connection, job)
        start = since or (min(mark, end) - OVERLAP if mark else end - FIRST)
        # Deletions first: a merge must be known before the winner is sent, or NetSuite gets a second customer.
        for gone in engine.salesforce.deleted(kind, start, end):
            deleted += _receive_deleted(engine, gone)
        for page in pages(engine.salesforce.changed(kind, start, end, (*engine.syncs.reads(kind), STATUS)), PAGE):
            looked_at += len(page)
            late += _receive_unseen(engine, page)
            _tell_again(engine, page)
        if kind == "Opportunity":
            for page in _with_changed_lines(engine, start, end):
                late += _receive_unseen(engine, page)
        if mark is None or start <= mark:  # else what lies between the mark and *since* has not been read
            with engine.ledger.write() as writing:
                marks.move_watermark(writing, job, end, actor="sweep")
    return SweepReport(looked_at, late, deleted)


def _there(engine: Delivery) -> Iterator[str]:
    for kind in OBJECTS:
        if kind == LATER:
            if not engine.syncs.of_source(kind):
                continue
            try:
                engine.salesforce.rows_under(kind, "Account__c", [], ())
            except Misconfigured:
                continue
        yield kind


def _receive_unseen(engine: Delivery, page: list[Record]) -> int:
    received = [_without_status(as_received(it)) for it in page]
    ids = [it.id for it in received]
    place = func.row_number().over(
        partition_by=message.c.source_id,
        order_by=(message.c.version.desc(), message.c.modified_at.desc(), message.c.id.desc()),
    )
    newest = select(message.c.source_id, message.c.source_hash, place.label("place")).where(
        message.c.source_id.in_(ids), message.c.sync.in_(list(engine.syncs.pushes))
    )
    inner = newest.subquery()
    with engine.ledger.read() as connection:
        rows = connection.execute(select(inner.c.source_id, inner.c.source_hash).where(inner.c.place == 1))
        seen = {row.source_id: row.source_hash for row in rows}
    # A write-back moves the stamp and nothing that is mapped: what was last received already says the same.
    reads = engine.syncs.reads(page[0].ref.kind)
    unseen = [it for it in received if seen.get(it.id) != plain.source_mark({**it.fields, "Id": it.id}, reads)]
    if not unseen:
        return 0
    new = engine.receive([replace(it, user=None) for it in unseen], origin="sweep", correlation=uuid.uuid4().hex)
    with engine.ledger.read() as connection:
        return len({row.source_id for row in messages.by_ids(connection, new)})


def _with_changed_lines(engine: Delivery, start: datetime, end: datetime) -> Iterator[list[Record]]:
    """Yield the Applications whose line items were changed or deleted: that does not move the parent's own stamp."""
    touched: dict[str, datetime] = {}
    for line in engine.salesforce.changed(LINE, start, end, ("OpportunityId",)):
        parent, at = str(line.fields.get("OpportunityId")), line.modified_at or end
        touched[parent] = max(at, touched.get(parent, at))
    gone = {str(it.ref.id): it.deleted_at for it in engine.salesforce.deleted(LINE, start, end)}
    with engine.ledger.read() as connection:
        for parent, line_id in links.holding_lines(connection, list(gone)):
            touched[parent] = max(gone[line_id], touched.get(parent, gone[line_id]))
    ids = sorted(touched)
    for first in range(0, len(ids), PAGE):
        refs = [Ref("Opportunity", id=it) for it in ids[first : first + PAGE]]
        found = [it for it in engine.salesforce.get(refs, engine.syncs.reads("Opportunity")) if it is not None]
        page = [replace(it, modified_at=max(touched[str(it.ref.id)], it.modified_at or end)) for it in found]
        if page:
            yield page


def _without_status(it: Received) -> Received:
    return replace(it, fields={name: value for name, value in it.fields.items() if name != STATUS})


def _tell_again(engine: Delivery, page: list[Record]) -> None:
    """Write back where Salesforce says something else than the ledger: an answer to Apex was lost on its way."""
    said = {str(it.ref.id): it.fields.get(STATUS) for it in page}
    wrong = []
    for it in engine.standing(list(said)).values():
        shown = shown_state(it.state)
        is_same = shown == said[it.id] or (shown in DONE and said[it.id] in DONE)
        if not is_same and not is_open(part.state for part in it.parts):
            wrong.append((it.kind, it.id))
    if wrong:
        with engine.ledger.write() as writing:
            write_back(writing, wrong)


def _receive_deleted(engine: Delivery, gone: Deleted) -> bool:
    """Receive a deletion, if the record was ever ours. True if no callout had brought it."""
    salesforce_id = str(gone.ref.id)
    with engine.ledger.read() as connection:
        known = connection.execute(
            select(message.c.payload)
            .where(message.c.source_id == salesforce_id, message.c.sync.in_(list(engine.syncs.pushes)))
            .order_by(message.c.version.desc(), message.c.modified_at.desc(), message.c.id.desc())
        ).first()
    if known is None or plain.loads(known.payload).get("@deleted"):
        return False
    it = Received(gone.ref.kind, salesforce_id, 0, gone.deleted_at, {}, deleted=True, merged_into=gone.merged_into)
    return bool(engine.receive([it], origin="sweep", correlation=uuid.uuid4().hex))
