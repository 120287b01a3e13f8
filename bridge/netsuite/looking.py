"""Looked up beside the syncs: accounting periods, who has a name already, who must approve; and giving an external id.

``Looking`` is the part of ``SoapNetSuite`` that does so.

Must not know: when to try again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from typing import Any

from bridge.errors import BridgeError, Misconfigured, Rejected
from bridge.netsuite import envelopes
from bridge.netsuite.codec import PACIFIC, clean
from bridge.netsuite.kinds import KINDS, NAMED
from bridge.netsuite.rates import NOT_PERMITTED
from bridge.netsuite.reading import Reader, child
from bridge.netsuite.wire import SearchPage, Wire
from bridge.netsuite.wsdl import Bindings
from bridge.ports import Period, Record, Ref, Written

KEPT = timedelta(minutes=5)  # a period that was closed meanwhile refuses by itself; one that was opened is seen then
PAGE = 1000
SHUT = {  # which lock of a period concerns which transactions: receivables, payables
    "arLocked": frozenset(("salesOrder", "estimate", "invoice", "creditMemo", "customerRefund", "customerPayment")),
    "apLocked": frozenset(("purchaseOrder", "vendorBill")),
}


class Looking:
    """What is looked up; see `bridge.ports.Bookkeeping`."""

    _bindings: Bindings
    _wire: Wire
    _reader: Reader
    _clock: Callable[[], datetime]
    _periods: tuple[datetime, list[Period]] | None = None

    def periods(self, *, fresh: bool = False) -> list[Period]:
        """Return the accounting periods, remembered for five minutes where not *fresh*; see the port.

        Source: 2025_2 ``AccountingPeriod``: years and quarters are of the same record type, and a period is shut by
        ``closed``, ``allLocked``, or for one side by ``arLocked`` and ``apLocked``.
        """
        kept = self._periods
        if kept is not None and kept[0] > self._clock() and not fresh:
            return kept[1]
        no = {"searchValue": False}
        try:
            found = [it for it in map(_period, self._search("accountingPeriod", isYear=no, isQuarter=no)) if it]
        except Misconfigured as error:
            if error.code not in NOT_PERMITTED:
                raise
            raise Rejected(
                "The bridge's role may not read NetSuite's accounting periods.",
                code="PERIODS_NOT_PERMITTED", who="administrator", detail=error.detail,
            ) from error  # fmt: skip
        found.sort(key=lambda it: (it.first, it.last))
        self._periods = (self._clock() + KEPT, found)
        return found

    def namesakes(self, record: Record) -> list[Record]:
        """Return who has the name of *record* already; see the port."""
        kind, fields = record.ref.kind, record.fields
        person = " ".join(str(fields[it]) for it in ("firstName", "lastName") if fields.get(it))
        name = str(fields.get("entityId") or fields.get("companyName") or person).strip()
        if kind not in NAMED or not name:
            return []
        asked = {"operator": "is", "searchValue": clean(name)}
        found = list(self._search(kind, entityId=asked))
        if kind == "customer" and not found:
            found = list(self._search(kind, companyName=asked))  # where its entity id is a number
        company = fields.get("company")
        if isinstance(company, Ref) and company.id:
            found = [it for it in found if _is(it.fields.get("company"), company)]
        return found

    def give_external_id(self, ref: Ref, external_id: str) -> Written:
        """Give the record *ref* an external id; see the port.

        An update by internal id, for an upsert would make another record. Repeating it changes nothing.
        Source: NetSuite Help section_N3432681 (update), N3433806 (external ids).
        """
        kind = KINDS[ref.kind]
        made = self._bindings.type(kind.namespace, kind.type)(internalId=ref.id, externalId=external_id)
        answer = self._wire.exchange("update", write=True, interactive=True, record=made)
        response = child(answer, "writeResponse")
        if response is None:
            response = answer
        outcome = envelopes.settled(response, Record(Ref(ref.kind, external_id=external_id), {}))
        if isinstance(outcome, BridgeError):
            raise outcome
        return outcome

    def _search(self, kind: str, **criteria: Any) -> Iterator[Record]:
        """Yield the records of *kind* that meet all *criteria*, without their lists."""
        basic = KINDS[kind].search or ""
        wanted: dict[str, Any] = {"searchRecord": self._bindings.type("common", basic)(**criteria)}
        operation, index = "search", 1
        while True:
            with closing(SearchPage(self._wire, self._reader, kind, PAGE, operation, bare=True, **wanted)) as page:
                yield from page
                head = page.head
            if index >= head.total_pages or head.search_id is None:
                return
            index += 1
            operation, wanted = "searchMoreWithId", {"searchId": head.search_id, "pageIndex": index}


def _is(found: Any, wanted: Ref) -> bool:
    return isinstance(found, Ref) and found.id == wanted.id


def _day(value: Any) -> date | None:
    return value.astimezone(PACIFIC).date() if isinstance(value, datetime) else None


def _period(record: Record) -> Period | None:
    fields = record.fields
    first, last = _day(fields.get("startDate")), _day(fields.get("endDate"))
    # An adjustment period takes what a person puts there, and overlaps with the others.
    if first is None or last is None or fields.get("isAdjust"):
        return None
    shut = [kinds for lock, kinds in SHUT.items() if fields.get(lock)]
    is_closed = bool(fields.get("closed") or fields.get("allLocked"))
    return Period(str(fields.get("periodName") or first), first, last, is_closed, frozenset().union(*shut))
