"""The broker's commission as accounting has it → a ``NetSuite_Order__c`` row: what is owed, when, and is it paid.

Read from the custom record, or from the vendor bill where a site prefers that. The bridge never writes the payable
state: it is accounting's. A custom record without one is open.

Source: NetSuite Help, "Vendor Bill" and "Approval Routing": a bill waits for approval, is then open, then paid in full.
A record that is inactive is found by a search like any other (not verified).
"""

from collections.abc import Callable, Mapping
from typing import Any

from bridge.mapping import Pull, Rule, compute, const, date, instant, linked, money, text
from bridge.ports import Fields, Ref
from bridge.records.order_mirror import blanked, name_of

KIND = "Broker Commission"
OPEN, APPROVED, PAID, CANCELLED = "Open", "Approved", "Paid", "Cancelled"
STATE_LENGTH = 40
RECORD_STATES = {it.casefold(): it for it in (OPEN, APPROVED, PAID, CANCELLED)}
BILL_STATES = {"pending approval": OPEN, "open": APPROVED, "paid in full": PAID, "voided": CANCELLED}


def _word(got: Any) -> str:
    return str((got.name if isinstance(got, Ref) else got) or "").strip()


def state_of_record(source: Fields, site: Fields) -> str:
    """Return the payable state of a custom record; a word of the account's own list is shown as it is."""
    if source.get("isInactive"):
        return CANCELLED
    word = _word(source.get("custrecord_bc_state"))
    return RECORD_STATES.get(word.casefold(), word[:STATE_LENGTH]) or OPEN


def state_of_bill(source: Fields, site: Fields) -> str:
    """Return the payable state of a vendor bill; a status that is none of ours is shown as it is."""
    word = _word(source.get("status"))
    return BILL_STATES.get(word.casefold(), word[:STATE_LENGTH]) or OPEN


STATE_OF_RECORD = compute(
    state_of_record, ("isInactive", "custrecord_bc_state"), "name of custrecord_bc_state, Open without one"
)


def _mirror(
    source: str,
    state: Callable[[Fields, Fields], str],
    reads: tuple[str, ...],
    fields: Mapping[str, Rule],
    blanks: tuple[str, ...],
) -> Pull:
    return Pull(
        name="commission_mirror",
        label="Commission mirror",
        source=source,
        target="NetSuite_Order__c",
        key=text(f"{source}-{{internalId}}"),
        mirrors="broker_commission",
        expand=blanked(*blanks),
        # Not by the broker's Account: accounting pays brokers for other things too.
        anchors=("Application__c",),
        deleted={"Status__c": "Deleted in NetSuite", "Payable_State__c": CANCELLED, "NetSuite_Url__c": None},
        fields={
            "Record_Type__c": const(KIND),
            "NetSuite_Id__c": text("internalId"),
            "Payable_State__c": compute(state, reads, f"payable state by {' and '.join(reads)}"),
            "Application__c": linked("internalId", via="broker_commission"),
            **fields,
            "NetSuite_Url__c": text("url"),
        },
    )


COMMISSION_MIRROR = _mirror(
    "customrecord_broker_commission",
    state_of_record,
    ("isInactive", "custrecord_bc_state"),
    {
        "Name": text("Commission {internalId}", limit=80),
        "Status__c": STATE_OF_RECORD,
        "Total__c": money("custrecord_bc_amount"),
        "Currency__c": name_of("custrecord_bc_currency"),
        "Due_Date__c": date("custrecord_bc_due"),
        "Account__c": linked("custrecord_bc_broker", via="vendor"),
        "Memo__c": text("name", limit=255, cut=True),
        "NetSuite_Modified_At__c": instant("lastModified"),
    },
    ("custrecord_bc_amount", "custrecord_bc_due", "custrecord_bc_currency", "custrecord_bc_broker"),
)

COMMISSION_BILL_MIRROR = _mirror(
    "vendorBill",
    state_of_bill,
    ("status",),
    {
        "Name": text("tranId", limit=80, cut=True),
        "Status__c": text("status", limit=80, cut=True),
        "Total__c": money("userTotal"),
        "Currency__c": name_of("currency"),
        "Order_Date__c": date("tranDate"),
        "Due_Date__c": date("dueDate"),
        "Account__c": linked("entity", via="vendor"),
        "Memo__c": text("memo", limit=255, cut=True),
        "NetSuite_Modified_At__c": instant("lastModifiedDate"),
    },
    ("dueDate", "memo"),
)
