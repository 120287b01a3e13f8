"""Customer deposit → ``NetSuite_Document__c``: money taken in advance, for a sales order or for none."""

from collections.abc import Iterable, Mapping
from typing import Any

from bridge.ports import Fields
from bridge.records.document_mirror import APPLIED, amounts, mirror, unapplied


def order(deposit: Fields, related: Mapping[str, Fields]) -> Iterable[Any]:
    """Return the sales order that it was made for."""
    return [deposit.get("salesOrder")]


CUSTOMER_DEPOSIT_MIRROR = mirror(
    "customerDeposit",
    "Customer Deposit",
    name="customer_deposit_mirror",
    owner="customer",
    values=amounts("payment", unapplied("payment")),
    orders=order,
    children=(APPLIED,),
)
