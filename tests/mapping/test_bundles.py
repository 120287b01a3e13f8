"""A bundle becomes its parts, and their amounts add up to its price, to the cent."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.configuring import read
from bridge.errors import Rejected
from bridge.records.sales_order import parts

SITE = """
[site]
subsidiary = "Parent Company"
[fees."Wire Fee"]
sale_item = "Wire Fee"
purchase_item = "Wire Fee Withheld"
[products."SKU-1"]
sale_item = "Terminal"
[bundles."Starter"]
parts = [
    { sale_item = "Origination Fee", share = 2 },
    { sale_item = "Legal Fee", purchase_item = "Legal Fee Withheld", share = 1, description = "Legal part" },
]
"""


def line(**values):
    fixed = {"Id": "00k000000000001AAA", "Quantity": Decimal(1), "UnitPrice": Decimal("100.00"),
             "TotalPrice": Decimal("100.00"), "Description": None}  # fmt: skip
    return {**fixed, **values}


def items(sync: str, *lines):
    _, syncs = read(SITE)
    source = {
        "Name": "Oven",
        "AccountId": "001000000000001AAA",
        "Funded_Amount__c": Decimal(1000),
        "Lines": list(lines),
    }
    record = syncs.pushes[sync].record("006000000000001AAA", source, syncs.context)
    return [(row["@id"], row["item"].name, row["amount"]) for row in record.fields["itemList"]]


def test_a_bundle_is_sold_part_by_part():
    found = items("sales_order", line(Fee_Type__c="Starter"), line(Id="00k000000000002AAA", Fee_Type__c="Wire Fee"))

    assert found == [
        ("00k000000000001AAA", "Origination Fee", Decimal("66.67")),
        ("00k000000000001AAA#2", "Legal Fee", Decimal("33.33")),
        ("00k000000000002AAA", "Wire Fee", Decimal("100.00")),
    ]


def test_the_purchase_order_has_the_parts_that_are_withheld():
    assert items("purchase_order", line(Fee_Type__c="Starter"))[1:] == [
        ("00k000000000001AAA#2", "Legal Fee Withheld", Decimal("-33.33"))
    ]


def test_a_product_is_found_by_its_code():
    assert items("sales_order", line(Fee_Type__c=None, ProductCode="SKU-1"))[0][1] == "Terminal"
    with pytest.raises(Rejected) as caught:
        items("sales_order", line(Fee_Type__c=None, ProductCode="SKU-2"))
    assert (caught.value.code, caught.value.message) == ("ITEM_UNKNOWN", "Product 'SKU-2' has no NetSuite item.")
    with pytest.raises(Rejected) as caught:
        items("sales_order", line(Fee_Type__c="Courier"))
    assert caught.value.message == "Fee 'Courier' has no NetSuite item."
    assert "Lines.ProductCode" in read(SITE)[1].reads("Opportunity")
    assert "Lines.ProductCode" not in read(SITE.replace("[products", "[fees"))[1].reads("Opportunity")


@given(
    cents=st.integers(-(10**9), 10**9),
    shares=st.lists(st.decimals("0.01", "1000", places=2), min_size=1, max_size=12),
)
def test_the_parts_add_up_to_the_price(cents, shares):
    price = Decimal(cents) / 100
    bundle = {"parts": [{"sale_item": f"Item {n}", "share": it} for n, it in enumerate(shares)]}

    found = list(parts(line(Fee_Type__c="B", TotalPrice=price), {"bundles": {"B": bundle}}))

    assert sum((it["TotalPrice"] for it in found), Decimal(0)) == price
    assert all(it["TotalPrice"] == it["TotalPrice"].quantize(Decimal("0.01")) for it in found)
    assert len({it["Id"] for it in found}) == len(shares)
    ideal = [price * it / sum(shares) for it in shares]
    assert all(abs(got["TotalPrice"] - want) < Decimal("0.01") for got, want in zip(found, ideal, strict=True))
