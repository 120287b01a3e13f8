"""Customer refund → ``NetSuite_Document__c``: money paid back, out of credit memos, payments or deposits.

It belongs to the Application behind the invoices of those credits, or behind the order a deposit was made for.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from bridge.mapping import Follow
from bridge.ports import Fields
from bridge.records.credit_memo_mirror import INVOICES
from bridge.records.document_mirror import APPLIED, amounts, applied, documents, mirror, through_invoices, unapplied


def deposits(refund: Fields) -> Iterable[str]:
    """Name the deposits that are paid back."""
    return [str(line["doc"]) for line in applied(refund, "depositList")]


def behind_credits(refund: Fields, related: Mapping[str, Fields]) -> Iterable[Any]:
    """Return the sales orders behind the credits and deposits that are paid back."""
    for doc in documents(refund):
        credit = related.get(doc, {})
        found = through_invoices(credit, related)
        yield from found or [credit.get("salesOrder")]
    for doc in deposits(refund):
        yield related.get(doc, {}).get("salesOrder")


CUSTOMER_REFUND_MIRROR = mirror(
    "customerRefund",
    "Customer Refund",
    name="customer_refund_mirror",
    owner="customer",
    values=amounts("total", unapplied("total")),
    orders=behind_credits,
    follow=(
        Follow(documents, kind="creditMemo", fields=("applyList", "createdFrom"), then=(INVOICES,)),
        Follow(documents, kind="customerPayment", fields=("applyList",), then=(INVOICES,)),
        Follow(deposits, kind="customerDeposit", fields=("salesOrder",)),
    ),
    children=(APPLIED,),
    request="customer_refund",
)
