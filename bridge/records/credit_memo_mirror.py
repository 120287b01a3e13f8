"""Credit memo → ``NetSuite_Document__c``: what a customer was credited, and which invoices it reduces.

It belongs to the Application behind the invoices it is applied to, or was made from.
"""

from decimal import Decimal

from bridge.mapping import Follow
from bridge.ports import Fields
from bridge.records.document_mirror import (
    APPLIED,
    ITEMS,
    amounts,
    cents,
    documents,
    mirror,
    through_invoices,
    unapplied,
)


def left(credit: Fields) -> Decimal | None:
    """Return what of the credit is neither applied nor paid back."""
    rest = cents(credit.get("amountRemaining"))
    return cents(credit.get("unapplied")) if rest is None else rest


def rest(credit: Fields) -> Decimal | None:
    """Return what is left of it, by the lines where the body does not say."""
    found = left(credit)
    return unapplied("total")(credit) if found is None else found


INVOICES = Follow(documents, kind="invoice", fields=("createdFrom", "tranId"))

CREDIT_MEMO_MIRROR = mirror(
    "creditMemo",
    "Credit Memo",
    name="credit_memo_mirror",
    owner="entity",
    values=amounts("total", rest),
    orders=through_invoices,
    follow=(INVOICES,),
    children=(ITEMS, APPLIED),
    request="credit_memo",
)
