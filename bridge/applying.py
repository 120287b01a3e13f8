"""What a credit or a refund may be applied to: never more than is open in NetSuite at the moment of sending.

`refused` reads the documents and finds the records that would go beyond; those of one call are counted together, and
what a record already applies counts as free for it, so that sending it twice is the same as sending it once.

Must not know: SQL, SOAP, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bridge.errors import Rejected
from bridge.ports import Record, Ref, System

LIST = "applyList"
CENT = Decimal("0.01")


def applies(record: Record) -> bool:
    """Say whether *record* takes something away from other documents."""
    return bool(record.fields.get(LIST))


def refused(records: Sequence[Record], netsuite: System) -> dict[int, Rejected]:
    """Return, by place in *records*, what would apply more than is open. Raises as NetSuite does."""
    places = [place for place, it in enumerate(records) if applies(it)]
    if not places:
        return {}
    refs = dict.fromkeys(ref for n in places for ref in (records[n].ref, *(doc for doc, _ in _parts(records[n]))))
    found = dict(zip(refs, netsuite.get(list(refs)), strict=True))
    left: dict[str | None, Any] = {ref.id: _open(it.fields) for ref, it in found.items() if it is not None}
    names = {ref.id: str(it.fields.get("tranId") or ref.id) for ref, it in found.items() if it is not None}
    for place in places:
        before = found[records[place].ref]
        for number, part in _already(before.fields if before else {}):
            if left.get(number) is not None:
                left[number] += part
    wrong: dict[int, Rejected] = {}
    for place in places:
        for doc, part in _parts(records[place]):
            if found[doc] is None:
                sentence = "What it is to be applied to is no longer in NetSuite."
                wrong[place] = Rejected(sentence, code="DOCUMENT_GONE", who="accounting", detail=f"{doc.kind} {doc.id}")
                break
            rest = left[doc.id]
            if rest is not None and part > rest:
                sentence = f"{names[doc.id]} has only {rest:,.2f} left, and {part:,.2f} were to be applied to it."
                wrong[place] = Rejected(sentence, code="MORE_THAN_OPEN", who="sales", field="Amount__c")
                break
        else:
            for doc, part in _parts(records[place]):
                if left[doc.id] is not None:
                    left[doc.id] -= part
    return wrong


def _parts(record: Record) -> Iterator[tuple[Ref, Decimal]]:
    """Yield each document that *record* is to be applied to, and how much."""
    for line in record.fields.get(LIST) or ():
        if isinstance(line.get("doc"), Ref) and line["doc"].id is not None:
            yield Ref(line["doc"].kind, id=line["doc"].id), line["amount"]


def _already(fields: Mapping[str, Any]) -> Iterator[tuple[str, Decimal]]:
    for line in fields.get(LIST) or ():
        if line.get("apply") and line.get("doc") is not None:
            yield str(line["doc"]), line.get("amount") or Decimal(0)


def _open(fields: Mapping[str, Any]) -> Any:
    """Return what is left of a document; None where NetSuite does not say, and then it decides."""
    for name in ("amountRemaining", "unapplied"):
        if fields.get(name) is not None:
            return Decimal(fields[name]).quantize(CENT)
    total, paid = fields.get("total"), fields.get("amountPaid")
    return None if total is None or paid is None else (total - paid).quantize(CENT)
