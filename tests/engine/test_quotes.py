"""An Application is a quote in the stages that a site chooses; the order is made from it later."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.test_configuring import apply

BASE = (Path(__file__).parents[2] / "bridge" / "demo.toml").read_text(encoding="utf-8")
QUOTES = BASE + '\n[quotes]\nstages = ["Underwriting"]\n'


@pytest.fixture
def quoted(house):
    apply(house, QUOTES)
    application = house.application(house.account(), ("Wire Fee", "25.00"), StageName="Underwriting")
    house.push(application)
    return application


def test_a_quote_is_made_and_no_order(house, quoted):
    assert house.states("estimate", quoted) == ["delivered"]
    assert house.made("salesOrder") == []
    there = house.there("estimate", f"sf-est-{quoted}")
    assert [row["amount"] for row in there.fields["itemList"]] == [25]
    row = house.message("sales_order", quoted)
    assert (row.state, row.code) == ("held", "GATE_CLOSED")


def test_the_order_is_made_from_the_quote_which_stays(house, quoted):
    estimate = house.there("estimate", f"sf-est-{quoted}").ref.id
    house.sf.update(quoted, StageName="Approved")
    house.push(quoted)

    order = house.there("salesOrder", f"sf-so-{quoted}")
    assert order.fields["createdFrom"].id == estimate
    row = house.message("estimate", quoted)
    assert (row.state, row.code, row.who) == ("held", "GATE_CLOSED", "sales"), "nobody is told of what is meant"
    writes = house.writes()
    house.sf.update(quoted, NextStep="call again", Funding_Accepted__c=True)
    house.push(quoted)
    assert house.writes() == writes, "a quote that became an order does not look like a change"


def test_an_application_that_was_never_a_quote_is_an_order_of_its_own(house):
    apply(house, QUOTES)
    application = house.application(house.account())
    house.push(application)

    assert house.there("salesOrder", f"sf-so-{application}").fields.get("createdFrom") is None
    assert house.made("estimate") == []


def test_a_site_without_quotes_knows_none(house):
    apply(house, BASE)

    assert "estimate" not in house.engine.syncs.pushes


def test_framework_agreements_make_a_customer_only(house):
    """F-67, F-66: a gate keeps the orders back and says why."""
    gates = "".join(
        f'[[sync.{name}.gates]]\nfield = "Type"\noperator = "is not in"\nvalues = ["Framework"]\n'
        for name in ("sales_order", "purchase_order", "broker_commission")
    )
    apply(house, BASE + gates)
    application = house.application(house.account(), Type="Framework")
    house.push(application)

    assert house.made("salesOrder") == house.made("purchaseOrder") == []
    row = house.message("sales_order", application)
    assert (row.state, row.reason) == ("held", "Not sent: Type is Framework, which is not sent.")
