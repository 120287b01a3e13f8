"""Application → sales order with its fee lines, when it is approved and the funding is accepted."""

from decimal import Decimal

from bridge.mapping import (
    Push,
    const,
    currency,
    date,
    is_in,
    is_true,
    lines,
    link,
    lookup,
    money,
    number,
    of_lines,
    site,
    text,
)
from bridge.ports import Fields, Ref

APPROVED = (is_in("StageName", "site:approval_stages"), is_true("Funding_Accepted__c"))

TERMS_IN_WORDS = text(
    "{Name} | funded {Funded_Amount__c} | purchased {Purchased_Amount__c} | {Receivables_Percent__c} % of receivables",
    limit=999,
    cut=True,
)


def sold(line: Fields, site: Fields) -> bool:
    """Say whether a fee stands on the sales order; an unknown fee does, so that it is refused by name."""
    row = site["fees"].get(line.get("Fee_Type__c"))
    return row is None or bool(row.get("sale_item")) or not row.get("purchase_item")


SALES_ORDER = Push(
    name="sales_order",
    label="Sales order",
    source="Opportunity",
    target="salesOrder",
    external_id="so",
    when=APPROVED,
    numbered=True,
    worth=of_lines("Lines", "TotalPrice"),
    fields={
        "entity": link("AccountId", to="customer", required=True),
        "tranDate": date("Funding_Date__c"),
        "currency": currency(),
        "memo": TERMS_IN_WORDS,
        "itemList": lines(
            "Lines",
            where=sold,
            uses=("Fee_Type__c",),
            fields={
                "item": lookup("Fee_Type__c", table="fees", column="sale_item", ref="item"),
                "quantity": number("Quantity"),
                "price": const(Ref("priceLevel", id="-1")),
                "rate": money("UnitPrice", required=True),
                "amount": money("TotalPrice", required=True),
                "description": text("Description", limit=999, cut=True),
            },
        ),
        "subsidiary": site("subsidiary", ref="subsidiary"),
    },
)

ONE = const(Decimal(1))
