"""What invoices, credit memos, refunds and deposits have in common as ``NetSuite_Document__c`` with lines.

One object for the four, as orders are one object for two: they answer one question, what a customer was billed, has
paid and still owes, and stand in one list on the Account and on the Application.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from bridge.mapping import (
    Belongs,
    Child,
    Follow,
    Pull,
    Rule,
    compute,
    const,
    date,
    instant,
    linked,
    money,
    number,
    text,
)
from bridge.ports import Fields, Ref
from bridge.records.order_mirror import name_of, plain_rate

ZERO = Decimal(0)
LINE = "NetSuite_Document_Line__c"
DOCUMENT = "NetSuite_Document__c"
GONE = {"Quantity__c": ZERO, "Amount__c": ZERO, "Description__c": "No longer on the document"}


def applied(document: Fields, *lists: str) -> list[Fields]:
    """Return where *document* is applied; NetSuite also lists documents it could be applied to."""
    lines = [line for name in lists or ("applyList", "depositList") for line in document.get(name) or ()]
    return [line for line in lines if line.get("apply") and line.get("doc") is not None]


def documents(document: Fields) -> Iterable[str]:
    """Name the documents that this one is applied to, and the one it was made from."""
    origin = document.get("createdFrom")
    return [
        *(str(line["doc"]) for line in applied(document, "applyList")),
        *([str(origin.id)] if isinstance(origin, Ref) else ()),
    ]


def one_order(orders: Iterable[Any]) -> Ref | None:
    """Return the sales order that all of *orders* are; None where one is unknown, or where they differ."""
    found = list(orders)
    if not found or not all(isinstance(it, Ref) for it in found) or len({it.id for it in found}) > 1:
        return None
    return Ref(found[0].kind, id=found[0].id)


def through_invoices(document: Fields, related: Mapping[str, Fields]) -> list[Any]:
    """Return the sales orders behind the invoices that *document* is applied to, or was made from."""
    return [related.get(doc, {}).get("createdFrom") for doc in documents(document)]


def amounts(total: str, left: Callable[[Fields], Decimal | None]) -> dict[str, Rule]:
    """Return the rules for what a document is worth, what of it is paid or applied, and what is open."""

    def open_amount(source: Fields, site: Fields) -> Decimal | None:
        return left(source)

    def used(source: Fields, site: Fields) -> Decimal | None:
        whole, rest = source.get(total), left(source)
        return None if whole is None or rest is None else whole - rest

    return {
        "Total__c": money(total),
        "Paid_Amount__c": compute(used, (total,), f"{total} less what is open"),
        "Open_Amount__c": compute(open_amount, (total,), "what is open of it"),
    }


def cents(value: Any) -> Decimal | None:
    """Return an amount to the cent; None where there is none."""
    return None if value is None else Decimal(value).quantize(Decimal("0.01"))


def unapplied(total: str) -> Callable[[Fields], Decimal | None]:
    """Return how to work out what is left of *total* after what it is applied to."""

    def left(document: Fields) -> Decimal | None:
        whole = cents(document.get(total))
        return None if whole is None else whole - sum((line.get("amount") or ZERO for line in applied(document)), ZERO)

    return left


ITEMS = Child(
    source="itemList",
    target=LINE,
    key=text("{key}-{line}"),
    parent="Document__c",
    fields={
        "Line_Type__c": const("Item"),
        "Line__c": number("line"),
        "Item__c": name_of("item"),
        "Description__c": text("description", limit=255, cut=True),
        "Quantity__c": number("quantity"),
        "Rate__c": compute(plain_rate, ("rate",), "number rate, where it is an amount"),
        "Amount__c": money("amount"),
    },
    gone=GONE,
)
APPLIED = Child(
    source="applied",
    target=LINE,
    key=text("{key}-applied-{doc}"),
    parent="Document__c",
    fields={
        "Line_Type__c": const("Applied"),
        "Applied_To__c": text("refNum", limit=80, cut=True),
        "Description__c": text("type", limit=255, cut=True),
        "Amount__c": money("amount"),
    },
    gone=GONE,
)


def mirror(
    kind: str,
    words: str,
    *,
    name: str,
    owner: str,
    values: Mapping[str, Rule],
    orders: Callable[[Fields, Mapping[str, Fields]], Iterable[Any]],
    follow: tuple[Follow, ...] = (),
    children: tuple[Child, ...] = (),
    more: Mapping[str, Rule] | None = None,
    request: str | None = None,
) -> Pull:
    """Declare one kind. *owner* is its customer's field; *orders* gives the sales orders it leads to.

    *request* is the push that makes such documents of requests in Salesforce.
    """

    def rows(document: Fields, related: Mapping[str, Fields]) -> Iterator[Fields]:
        to = applied(document)
        numbers = ", ".join(str(line["refNum"]) for line in to if line.get("refNum"))
        yield {
            **document,
            "customer": document.get(owner),
            "applied": to,
            "applied_to": numbers or None,
            "order": one_order(orders(document, related)),
        }

    return Pull(
        name=name,
        label=words,
        source=kind,
        target=DOCUMENT,
        key=text(f"{kind}-{{internalId}}"),
        expand=rows,
        follow=follow,
        anchors=("Application__c", "Account__c"),
        belongs=Belongs("Application__c", "Opportunity", "Total__c"),
        fields={
            "Name": text("tranId", limit=80, cut=True),
            "Record_Type__c": const(words),
            "NetSuite_Id__c": text("internalId"),
            "Status__c": text("status", limit=80, cut=True),
            **values,
            "Currency__c": name_of("currency"),
            "Document_Date__c": date("tranDate"),
            "Application__c": linked("order", via="sales_order"),
            "Account__c": linked("customer", via="customer"),
            "Order__c": linked("order", via="sales_order_mirror"),
            "Applied_To__c": text("applied_to", limit=255, cut=True),
            "Memo__c": text("memo", limit=255, cut=True),
            "NetSuite_Modified_At__c": instant("lastModifiedDate"),
            "NetSuite_Url__c": text("url"),
            **({"Credit_Request__c": linked("internalId", via=request)} if request else {}),
            **(more or {}),
        },
        children=children,
        deleted={
            "Status__c": "Deleted in NetSuite",
            "Total__c": ZERO,
            "Paid_Amount__c": ZERO,
            "Open_Amount__c": ZERO,
            "NetSuite_Url__c": None,
        },
    )
