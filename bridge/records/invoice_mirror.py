"""Invoice → ``NetSuite_Document__c``: what was billed, what is paid, what is open and since when it is due.

Whether it is overdue is worked out by Salesforce from the due date and what is open: it becomes so by itself, with no
change in NetSuite that a pull could bring.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from bridge.mapping import date
from bridge.ports import Fields
from bridge.records.document_mirror import ITEMS, amounts, cents, mirror


def left(invoice: Fields) -> Decimal | None:
    """Return what is still to be paid."""
    rest = cents(invoice.get("amountRemaining"))
    if rest is not None:
        return rest
    total, paid = cents(invoice.get("total")), cents(invoice.get("amountPaid"))
    return None if total is None or paid is None else total - paid


def origin(invoice: Fields, related: Mapping[str, Fields]) -> Iterable[Any]:
    """Return the sales order that was billed."""
    return [invoice.get("createdFrom")]


INVOICE_MIRROR = mirror(
    "invoice",
    "Invoice",
    name="invoice_mirror",
    owner="entity",
    values=amounts("total", left),
    orders=origin,
    children=(ITEMS,),
    more={"Due_Date__c": date("dueDate")},
)
