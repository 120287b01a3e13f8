"""What accounting edits on an order that Salesforce is the master of is listed, and nothing else is."""

from __future__ import annotations

import pytest

from bridge.drift import drifts

SYNCS = ("sales_order_mirror", "purchase_order_mirror")


@pytest.fixture
def oven(house):
    made = house.application(house.account("Acme"), ("Wire Fee", "25.00"), ("Legal Fee", "10.00"))
    house.push_one(made)
    return made


def listed(house):
    house.clock.advance(minutes=5)
    for name in SYNCS:
        house.pull(name)
    with house.ledger.read() as connection:
        return [(it.sync, it.source_id, it.field, it.sent, it.found) for it in drifts(connection, house.syncs)]


def test_an_order_as_it_was_sent_has_not_drifted(house, oven):
    """Also when accounting approved and billed it: that is theirs to do."""
    before = listed(house)
    house.ns.admin.approve(kind="salesOrder", externalId=f"sf-so-{oven}")
    house.ns.admin.bill(kind="salesOrder", externalId=f"sf-so-{oven}")

    assert (before, listed(house)) == ([], [])


def test_an_edited_field_is_listed_with_both_values(house, oven):
    order = house.made("salesOrder")[0]
    house.ns.admin.edit({"tranDate": "2026-12-24"}, kind="salesOrder", id=order.id)

    assert listed(house) == [("sales_order", oven, "tranDate", "2026-11-20", "2026-12-24 08:00:00+00:00")]


def test_an_edited_line_is_listed(house, oven):
    order = house.made("salesOrder")[0]
    order.lists["itemList"][0]["amount"] = "26.0"
    house.ns.store.changed(order)

    assert [it[1:3] for it in listed(house)] == [(oven, "line 1 amount")]


def test_a_line_that_accounting_added_is_listed(house, oven):
    order = house.made("purchaseOrder")[0]
    order.lists["itemList"].append(dict(order.lists["itemList"][0]) | {"line": "9"})
    house.ns.store.changed(order)

    assert [(it[0], it[2:]) for it in listed(house)] == [("purchase_order", ("itemList", "3 lines", "4 lines"))]


def test_drift_is_over_when_the_order_is_as_sent_again(house, oven):
    order = house.made("salesOrder")[0]
    house.ns.admin.edit({"tranDate": "2026-12-24"}, kind="salesOrder", id=order.id)
    before = len(listed(house))
    house.sf.update(oven, Funding_Date__c="2026-11-21")
    house.push_one(oven)

    assert (before, listed(house)) == (1, [])
