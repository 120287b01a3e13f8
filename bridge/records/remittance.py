"""Customer payment → ``Remittance__c``: one row for each document it is applied to, one for what is not applied yet.

A payment finds its Application through the invoice it is applied to and the sales order that invoice came from.
Rows are never deleted: one that a payment no longer has becomes zero and says so.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from bridge.mapping import Follow, Pull, Totals, const, date, instant, linked, money, of_field, text
from bridge.ports import Fields, Ref
from bridge.records.order_mirror import name_of


def applications(payment: Fields) -> Iterator[Fields]:
    """Yield the lines of a payment that are applied; NetSuite also lists documents it could be applied to."""
    return (line for line in payment.get("applyList") or () if line.get("apply"))


def invoices(payment: Fields) -> Iterable[str]:
    """Name the documents whose origin decides which Application was paid."""
    return [str(line["doc"]) for line in applications(payment) if line.get("doc") is not None]


def rows(payment: Fields, related: Mapping[str, Fields]) -> Iterator[Fields]:
    """Yield one row for each applied document, then the unapplied remainder, if any."""
    for line in applications(payment):
        origin = related.get(str(line["doc"]), {}).get("createdFrom")
        order = {"order": origin} if isinstance(origin, Ref) else {}
        part = f"invoice-{line['doc']}"
        yield {**payment, **order, "part": part, "amount": line.get("amount"), "applied_to": line.get("refNum")}
    remainder = payment.get("unapplied") or Decimal(0)
    if remainder:
        yield {**payment, "part": "unapplied", "amount": remainder, "applied_to": None}


REMITTANCE = Pull(
    name="remittance",
    label="Remittance",
    source="customerPayment",
    target="Remittance__c",
    key=text("customerPayment-{internalId}-{part}"),
    expand=rows,
    follow=(Follow(invoices, kind="invoice", fields=("createdFrom", "tranId")),),
    anchors=("Application__c", "Account__c"),
    worth=of_field("payment", "total"),
    fields={
        "NetSuite_Payment_Id__c": text("internalId"),
        "Payment_Number__c": text("tranId", limit=80, cut=True),
        "Application__c": linked("order", via="sales_order"),
        "Order__c": linked("order", via="sales_order_mirror"),
        "Account__c": linked("customer", via="customer"),
        "Applied_To__c": text("applied_to", limit=80, cut=True),
        "Amount__c": money("amount"),
        "Currency__c": name_of("currency"),
        "Payment_Date__c": date("tranDate"),
        "Status__c": text("status", limit=40, cut=True),
        "Reversed__c": const(False),
        "NetSuite_Modified_At__c": instant("lastModifiedDate"),
        "NetSuite_Url__c": text("url"),
    },
    gone={"Amount__c": Decimal(0), "Reversed__c": True, "Status__c": "No longer applied here"},
    deleted={
        "Amount__c": Decimal(0),
        "Reversed__c": True,
        "Status__c": "Deleted in NetSuite",
        "NetSuite_Url__c": None,
    },
    totals=Totals(
        parent="Application__c",
        parent_kind="Opportunity",
        amount="Amount__c",
        order=("Payment_Date__c", "NetSuite_Key__c"),
        start="Purchased_Amount__c",
        running="Running_Balance__c",
        total="Remitted_Amount__c",
        remaining="Remaining_Balance__c",
        currency="Currency__c",
        converted=("Converted_Amount__c", "Conversion_Rate__c", "Conversion_Date__c"),
        posted="Payment_Date__c",
        agreed="Funding_Date__c",
    ),
)
