"""Pulls stop anywhere and lose nothing."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from bridge import failpoints, operating
from bridge.ledger import marks
from bridge.pulling import pull


def mark_of(house, job):
    with house.ledger.read() as connection:
        return marks.read_watermark(connection, job)


def orders(house, count=3):
    """Save and push Applications, so that NetSuite has orders of ours."""
    acme = house.account()
    made = [house.application(acme, ("Wire Fee", f"{n + 1}.00")) for n in range(count)]
    house.push(*made)
    house.clock.advance(minutes=5)
    return made


@pytest.mark.parametrize("name", ["after_pull_store", "before_watermark"])
def test_a_pull_that_stops_anywhere_costs_only_a_second_reading(house, monkeypatch, name):
    """Fault 40: rows are stored before the watermark moves."""
    orders(house)
    monkeypatch.setitem(failpoints._visits, name, 0)
    monkeypatch.setenv(failpoints.VARIABLE, f"{name}:raise")
    with pytest.raises(failpoints.Failpoint):
        pull(house.engine, "sales_order_mirror")
    stored, mark = len(house.messages("sales_order_mirror")), mark_of(house, "sales_order_mirror")
    monkeypatch.delenv(failpoints.VARIABLE)

    house.pull("sales_order_mirror")

    assert (stored, mark) == (3, None)
    assert len(house.messages("sales_order_mirror")) == 3
    assert len(house.sf.rows("NetSuite_Order__c")) == 3


def test_salesforce_away_loses_no_row(house):
    """What was pulled is stored, and written when Salesforce is back."""
    orders(house, 2)
    house.sf.faults.add(kind="unavailable", times=50)
    pull(house.engine, "sales_order_mirror")
    house.engine.deliver(most=50)
    there = len(house.sf.rows("NetSuite_Order__c"))
    house.sf.faults._faults.clear()
    with house.ledger.read() as connection:
        scopes = [it.scope for it in marks.pauses(connection)]
    for scope in scopes:
        operating.resume(house.engine, scope, actor="pat")
    house.clock.advance(minutes=10)

    house.drain()

    assert there == 0
    assert len(house.sf.rows("NetSuite_Order__c")) == 2


def test_an_older_window_does_not_rewind_the_mark(house):
    house.pull("sales_order_mirror")
    before = mark_of(house, "sales_order_mirror")

    pull(house.engine, "sales_order_mirror", since=before - timedelta(days=9), until=before - timedelta(days=8))

    assert mark_of(house, "sales_order_mirror") == before


def test_two_pulls_at_once_store_each_row_once(house):
    """Fault 49."""
    orders(house, 4)
    threads = [threading.Thread(target=pull, args=(house.engine, "sales_order_mirror")) for _ in range(3)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()

    house.drain()

    assert house.states("sales_order_mirror") == ["delivered"] * 4
    assert len(house.sf.rows("NetSuite_Order__c")) == 4


def test_an_order_whose_number_could_not_be_read_gets_it_from_its_mirror(house):
    """And the Application shows it then."""
    oven = house.application(house.account())
    house.ns.faults.add("throttle", operation="getList", count=50)
    house.push_one(oven)
    house.ns.faults.clear()
    blank = house.links()["sales_order", oven].number
    house.clock.advance(minutes=5)

    house.pull("sales_order_mirror")

    number = house.there("salesOrder", f"sf-so-{oven}").fields["tranId"]
    assert blank is None
    assert house.links()["sales_order", oven].number == number
    assert house.sf.row(oven)["NetSuite_Sales_Order_Number__c"] == number
