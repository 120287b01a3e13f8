"""Application → purchase order: the purchase of receivables, less the fees that are withheld from it."""

from decimal import Decimal
from typing import Any

from bridge.mapping import (
    Push,
    compute,
    const,
    crosswalk,
    currency,
    date,
    is_positive,
    lines,
    link,
    money,
    number,
    of_field,
    site,
    text,
)
from bridge.ports import Fields
from bridge.records.sales_order import APPROVED, ONE, PRODUCTS, TERMS_IN_WORDS, of_fee, parts


def withheld(line: Fields, site: Fields) -> bool:
    """Say whether a fee stands on the purchase order; an unknown fee does, so that it is refused by name."""
    row = PRODUCTS.row(line, site)
    return row is None or bool(row.get("purchase_item"))


def signed(name: str) -> compute:
    """Return the line's amount with the sign that the fee table gives it (withheld fees are negative by default)."""
    plain = money(name, required=True)

    def amount(line: Fields, site: Fields) -> Any:
        row = PRODUCTS.row(line, site) or {}
        got: Decimal = plain.value(line, None)  # type: ignore[arg-type]  # money looks at nothing but the line
        return got * row.get("purchase_sign", -1) + 0  # a fee of nothing is 0.00, not -0.00

    return compute(amount, (name, "Fee_Type__c"), f"money {name} with the fee's sign")


PURCHASE_ORDER = Push(
    name="purchase_order",
    label="Purchase order",
    source="Opportunity",
    target="purchaseOrder",
    external_id="po",
    when=(*APPROVED, is_positive("Funded_Amount__c")),
    numbered=True,
    closes_lines=True,
    withdrawn="flag",
    worth=of_field("Funded_Amount__c"),
    fields={
        "entity": link("AccountId", to="vendor", required=True),
        "subsidiary": site("subsidiary", ref="subsidiary"),
        "tranDate": date("Funding_Date__c"),
        "currency": currency(),
        "memo": TERMS_IN_WORDS,
        "itemList": lines(
            "Lines",
            where=withheld,
            expand=parts,
            uses=("Fee_Type__c",),
            first=[
                {
                    "item": site("purchase_item", ref="item"),
                    "quantity": ONE,
                    "rate": money("Funded_Amount__c", required=True),
                    "amount": money("Funded_Amount__c", required=True),
                    "description": const("Purchase of receivables"),
                    "taxCode": site("purchase_tax_code", ref="taxCode"),
                }
            ],
            fields={
                "item": crosswalk((("Fee_Type__c", "fees"),), column="purchase_item"),
                "quantity": number("Quantity"),
                "rate": signed("UnitPrice"),
                "amount": signed("TotalPrice"),
                "description": text("Description", limit=999, cut=True),
                "taxCode": of_fee("purchase_tax_code", "taxCode", "purchase_tax_code"),
            },
        ),
    },
)
