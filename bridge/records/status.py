"""What the bridge says back on the Salesforce record: ids, numbers, state and the plain error.

The same fields that Apex stamps from an answer; written by the bridge itself when the answer came too late for that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.ports import Record, Ref


@dataclass(frozen=True, slots=True)
class Made:
    """One NetSuite record made of a Salesforce record: its kind, id, number and page."""

    record: str
    id: str
    number: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """An error as a person sees it."""

    code: str
    message: str
    who: str
    field: str | None = None


ID_FIELDS: Mapping[str, tuple[str, str | None]] = {
    "customer": ("NetSuite_Customer_Id__c", None),
    "vendor": ("NetSuite_Vendor_Id__c", None),
    "contact": ("NetSuite_Contact_Id__c", None),
    "salesOrder": ("NetSuite_Sales_Order_Id__c", "NetSuite_Sales_Order_Number__c"),
    "purchaseOrder": ("NetSuite_Purchase_Order_Id__c", "NetSuite_Purchase_Order_Number__c"),
    "customrecord_broker_commission": ("NetSuite_Commission_Id__c", None),
    "vendorBill": ("NetSuite_Commission_Id__c", None),
    "creditMemo": ("NetSuite_Credit_Memo_Id__c", "NetSuite_Credit_Memo_Number__c"),
    "customerRefund": ("NetSuite_Refund_Id__c", "NetSuite_Refund_Number__c"),
}

SYNC = "status"
IN_FLIGHT = ("pending", "sending", "deferred", "uncertain")
# What is worst comes first: one rejected order must show although the other was delivered.
SEVERITY = (
    "dead", "rejected", "uncertain", "sending", "deferred", "pending", "orphaned", "delivered", "unchanged",
    "superseded",
)  # fmt: skip


def overall(states: Iterable[str]) -> str:
    """Return the one state that stands for all messages of a record, the worst first.

    Held only if nothing was sent, or if a record stays in NetSuite that should not be there (``orphaned``).
    """
    found = set(states)
    worst = next((state for state in SEVERITY if state in found), "held")
    return "held" if worst == "orphaned" else worst


def shown_state(state: str) -> str:
    """Return the word people see: everything on its way is ``queued``."""
    return "queued" if state in IN_FLIGHT else state


def stamp(kind: str, salesforce_id: str, state: str, made: Iterable[Made], error: Shown | None, at: datetime) -> Record:
    """Return the write-back of one Salesforce record."""
    fields: dict[str, Any] = {
        "NetSuite_Status__c": shown_state(state),
        "NetSuite_Error__c": error.message[:255] if error else None,
        "NetSuite_Error_Code__c": error.code[:80] if error else None,
        "NetSuite_Error_Owner__c": error.who if error else None,
        "NetSuite_Synced_At__c": at,
    }
    known = list(ID_FIELDS)
    # The page that is shown is always the same one: of the customer, of the sales order.
    for one in sorted((it for it in made if it.record in ID_FIELDS), key=lambda it: known.index(it.record)):
        id_field, number_field = ID_FIELDS[one.record]
        fields[id_field] = one.id
        if number_field and one.number:
            fields[number_field] = one.number
        if one.url and "NetSuite_Url__c" not in fields:
            fields["NetSuite_Url__c"] = one.url
    return Record(Ref(kind, id=salesforce_id), fields)
