"""Two versions side by side, a database out of reach, a lost watermark: what the bridge's own house may do to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import delete, event, update
from sqlalchemy.exc import OperationalError

from bridge.delivery import Delivery
from bridge.ledger import keeping
from bridge.ledger.models import message, watermark
from bridge.sweep import sweep


def test_work_of_an_unknown_kind_is_left_for_a_newer_version(house):
    """Fault 71."""
    account = house.account()
    house.receive(account)
    with house.ledger.write() as writing:
        writing.connection.execute(update(message).values(sync="customer_of_tomorrow"))
    tomorrow = dict(house.syncs.pushes) | {
        "customer_of_tomorrow": replace(house.syncs.pushes["customer"], name="customer_of_tomorrow")
    }
    newer = Delivery(
        ledger=house.ledger,
        syncs=type(house.syncs)(tomorrow, house.syncs.pulls, house.syncs.context),
        netsuite=house.netsuite,
        salesforce=house.salesforce,
    )
    house.drain()
    left = [row.state for row in house.messages()]
    house.clock.advance(minutes=2)

    newer.deliver(most=50)

    assert left == ["deferred"]
    assert house.states("customer_of_tomorrow") == ["delivered"]


def test_what_no_version_knows_is_held_in_the_end(house):
    house.receive(house.account())
    with house.ledger.write() as writing:
        writing.connection.execute(update(message).values(sync="customer_of_yesterday"))
    for _ in range(40):
        house.clock.advance(hours=2)
        house.drain()

    assert [(row.state, row.code) for row in house.messages()] == [("held", "SYNC_SWITCHED_OFF")]


def test_without_the_database_no_lease_can_be_renewed_and_nothing_is_sent(house, monkeypatch):
    """Fault 70: the database is gone between the decision and the call, NetSuite is not."""
    account = house.account()
    house.receive(account)
    monkeypatch.setattr(keeping, "LEASE", timedelta(0))  # so that the lease must be renewed before the call
    gone: list[bool] = []

    def refuse(connection):
        if gone:
            raise OperationalError("BEGIN", {}, ConnectionError("the database is away"))

    event.listen(house.ledger.engine, "begin", refuse)
    begin = house.engine._begin

    def and_then_it_is_gone(*args):
        found = begin(*args)
        event.listen(house.ledger.engine, "commit", lambda connection: gone.append(True), once=True)
        return found

    house.engine._begin = and_then_it_is_gone
    try:
        house.engine.deliver(most=50)
        failed = False
    except OperationalError:
        failed = True
    writes = house.writes()
    gone.clear()
    del house.engine._begin
    for _ in range(3):
        house.clock.advance(minutes=5)
        house.drain()

    assert failed
    assert writes == 0
    assert house.states("customer", account) == ["delivered"]
    assert len(house.made("customer")) == 1


def test_a_lost_watermark_costs_a_reading_and_no_change(house):
    """Fault 45: restored from an older copy, or gone."""
    accounts = [house.account(f"Acme {n}") for n in range(3)]
    house.push(*accounts)
    house.clock.advance(minutes=1)
    sweep(house.engine)
    with house.ledger.write() as writing:
        writing.connection.execute(delete(watermark))
    before = (len(house.messages()), len(house.ns.calls))

    first = sweep(house.engine)
    second = sweep(house.engine)
    house.drain()

    assert first.looked_at >= 3
    assert (first.late, second.late) == (0, 0)
    assert (len(house.messages("customer")), len(house.ns.calls)) == (3, before[1])


def test_half_an_order_stays_and_the_other_half_is_somebodys_task(house):
    """Fault 20: nothing is taken back in a system of accounts."""
    oven = house.application(house.account())
    house.ns.faults.add("reject", operation="upsert*", record="purchaseOrder", code="USER_ERROR", message="No.")

    standing = house.push_one(oven)
    parts = {part.sync: part.state for part in standing.parts}
    house.sf.update(oven, Purchased_Amount__c="66000.00")
    again = house.push_one(oven)

    assert (parts["sales_order"], parts["purchase_order"]) == ("delivered", "rejected")
    assert (standing.state, len(house.made("salesOrder"))) == ("rejected", 1)
    assert not {name for name in house.calls() if name.startswith("delete")}
    assert again.state == "delivered"
    assert len(house.made("purchaseOrder")) == 1
