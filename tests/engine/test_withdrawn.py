"""An Application that leaves the approved stage once its orders exist: flagged, put on a desk, or closed there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.test_configuring import apply

BASE = (Path(__file__).parents[2] / "bridge" / "demo.toml").read_text(encoding="utf-8")


def rule(word: str) -> str:
    return BASE + f'[sync.purchase_order]\nwithdrawn = "{word}"\n[sync.sales_order]\nwithdrawn = "{word}"\n'


@pytest.fixture
def funded(house):
    def make(word: str) -> str:
        apply(house, rule(word))
        application = house.application(house.account(), ("Wire Fee", "25.00"), ("Origination Fee", "800.00"))
        house.push(application)
        assert house.states("sales_order") == ["delivered"]
        return application

    return make


def closed_lines(house, kind: str, short: str, application: str) -> list[bool]:
    return [row.get("isClosed", False) for row in house.there(kind, f"sf-{short}-{application}").fields["itemList"]]


def withdraw(house, application: str) -> None:
    house.sf.update(application, StageName="Declined")
    house.push(application)


def test_flag_tells_accounting_and_leaves_the_order(house, funded):
    application = funded("flag")
    withdraw(house, application)

    row = house.message("sales_order", application)
    assert (row.state, row.code, row.who) == ("held", "GATE_CLOSED_AFTER", "accounting")
    assert "stays in NetSuite" in row.reason
    assert closed_lines(house, "salesOrder", "so", application) == [False, False]


def test_block_puts_it_on_accountings_desk(house, funded):
    application = funded("block")
    withdraw(house, application)

    row = house.message("purchase_order", application)
    assert (row.state, row.code, row.who) == ("rejected", "GATE_CLOSED_AFTER", "accounting")
    assert closed_lines(house, "purchaseOrder", "po", application) == [False] * 3


def test_close_closes_every_line_and_opens_them_again(house, funded):
    application = funded("close")
    withdraw(house, application)

    assert house.message("sales_order", application).state == "delivered"
    assert closed_lines(house, "salesOrder", "so", application) == [True, True]
    assert closed_lines(house, "purchaseOrder", "po", application) == [True] * 3
    assert house.there("salesOrder", f"sf-so-{application}").fields["status"] == "Closed"
    writes = house.writes()
    house.sf.update(application, Funded_Amount__c="50001.00")
    house.push(application)
    assert closed_lines(house, "salesOrder", "so", application) == [True, True], "still closed"
    house.sf.update(application, StageName="Approved")
    house.push(application)

    assert house.writes() > writes
    assert closed_lines(house, "salesOrder", "so", application) == [False, False]
    assert closed_lines(house, "purchaseOrder", "po", application) == [False] * 3
    assert len(house.made("salesOrder")) == 1


def test_a_stage_that_was_not_sent_closes_nothing(house, funded):
    application = funded("close")
    found = house.read(application)
    fields = {name: it for name, it in found.fields.items() if name != "StageName"}
    received = house.received(found, {**fields, "Bridge_Version__c": 99})
    house.engine.receive([received], origin="callout", correlation="test")
    house.drain()

    assert house.message("sales_order", application).state == "held"
    assert closed_lines(house, "salesOrder", "so", application) == [False, False]


def test_an_approval_that_comes_after_the_withdrawal_makes_no_order(house):
    """Callouts overtake each other; that nothing is linked yet does not make the older one the newest."""
    account = house.account()
    house.push_one(account)
    application = house.application(account)
    late = house.received(house.read(application))
    house.sf.update(application, StageName="Declined", Funding_Accepted__c=False)
    house.push_one(application)

    house.engine.receive([late], origin="callout", correlation="late")
    house.drain()

    assert house.made("salesOrder") == house.made("purchaseOrder") == []
