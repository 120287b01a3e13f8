"""Sales and purchase orders → ``NetSuite_Order__c`` with lines: what salespeople see without a NetSuite login."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from bridge.mapping import Child, Pull, compute, const, date, instant, linked, money, number, text
from bridge.ports import Fields, Ref


def name_of(field: str) -> compute:
    """Return the display name of a reference."""

    def name(source: Fields, site: Fields) -> Any:
        got = source.get(field)
        return got.name if isinstance(got, Ref) else got

    return compute(name, (field,), f"name of {field}")


def blanked(*names: str) -> Callable[[Fields, Mapping[str, Fields]], Iterable[Fields]]:
    """Return an ``expand`` that says of *names* that they are blank where NetSuite leaves them out: so it tells it."""

    def whole(source: Fields, related: Mapping[str, Fields]) -> Iterable[Fields]:
        return ({**dict.fromkeys(names), **source},)

    return whole


def plain_rate(source: Fields, site: Fields) -> Decimal | None:
    """Return a line's rate when it is an amount; NetSuite's rate is text and may be a percentage."""
    try:
        return Decimal(str(source.get("rate")))
    except InvalidOperation:
        return None


def _mirror(name: str, kind: str, words: str, push: str, entity: str) -> Pull:
    return Pull(
        name=name,
        label=f"{words} mirror",
        source=kind,
        target="NetSuite_Order__c",
        key=text(f"{kind}-{{internalId}}"),
        mirrors=push,
        expand=blanked("memo"),
        anchors=("Application__c", "Account__c"),
        deleted={"Status__c": "Deleted in NetSuite", "NetSuite_Url__c": None},
        fields={
            "Name": text("tranId", limit=80, cut=True),
            "Record_Type__c": const(words),
            "NetSuite_Id__c": text("internalId"),
            "Status__c": text("status", limit=80, cut=True),
            "Total__c": money("total"),
            "Currency__c": name_of("currency"),
            "Order_Date__c": date("tranDate"),
            "Application__c": linked("internalId", via=push),
            "Account__c": linked("entity", via=entity),
            "Memo__c": text("memo", limit=255, cut=True),
            "NetSuite_Modified_At__c": instant("lastModifiedDate"),
            "NetSuite_Url__c": text("url"),
        },
        children=(
            Child(
                source="itemList",
                target="NetSuite_Order_Line__c",
                key=text("{key}-{line}"),
                parent="Order__c",
                fields={
                    "Line__c": number("line"),
                    "Item__c": name_of("item"),
                    "Description__c": text("description", limit=255, cut=True),
                    "Quantity__c": number("quantity"),
                    "Rate__c": compute(plain_rate, ("rate",), "number rate, where it is an amount"),
                    "Amount__c": money("amount"),
                },
                gone={
                    "Quantity__c": Decimal(0),
                    "Amount__c": Decimal(0),
                    "Description__c": "No longer on the order",
                },
            ),
        ),
    )


SALES_ORDER_MIRROR = _mirror("sales_order_mirror", "salesOrder", "Sales Order", "sales_order", "customer")
PURCHASE_ORDER_MIRROR = _mirror("purchase_order_mirror", "purchaseOrder", "Purchase Order", "purchase_order", "vendor")
