"""Rare orders of events in which a record could be lost, doubled or changed in the wrong place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bridge import operating
from bridge.ledger import marks
from bridge.sweep import sweep


def amounts(house: Any, application: str) -> dict[int, Decimal]:
    order = house.there("salesOrder", f"sf-so-{application}")
    return {line["line"]: line["amount"] for line in order.fields["itemList"]}


def test_a_fee_removed_after_a_lost_reading_back_takes_its_own_line_along(house):
    """The keys of the lines could not be read when the order was made; they belong to the lines as sent then."""
    account = house.account()
    house.push(account)
    made = house.application(account, ("Wire Fee", "25.00"), ("Legal Fee", "300.00"), ("UCC Filing Fee", "40.00"))
    for name in ("get", "getList"):
        house.ns.faults.add("drop", operation=name, count=5)
    house.push(made)
    house.ns.faults.clear()
    before = amounts(house, made)
    wire = next(it for it in house.sf.rows("OpportunityLineItem") if it["Fee_Type__c"] == "Wire Fee")

    house.sf.delete(wire["Id"])
    house.clock.advance(minutes=1)
    house.push(made)

    first, *rest = before
    assert amounts(house, made) == {key: before[key] for key in rest}
    assert before[first] == Decimal("25.00")


def test_a_record_that_comes_back_after_its_deletion_is_sent_and_then_rests(house):
    """A deletion counts no version of its own: whatever restores the record is newer."""
    account = house.account("Acme")
    house.push(account)
    house.engine.promise_write_back([account])
    house.drain()
    house.clock.advance(minutes=1)
    gone = house.received(house.read(account))
    house.engine.receive([_deleted(gone, house)], origin="callout", correlation="gone")
    house.drain()
    house.clock.advance(minutes=1)

    house.sf.update(account, Name="Acme again", user=house.sf.integration_user)
    house.sf.update(account, Phone="555-0199")
    standing = house.push_one(account)

    assert standing.state == "delivered"
    assert house.there("customer", f"sf-cus-{account}").fields["companyName"] == "Acme again"
    house.clock.advance(minutes=20)
    house.drain()
    assert [sweep(house.engine).late, sweep(house.engine).late] == [0, 0]


def _deleted(received: Any, house: Any) -> Any:
    from dataclasses import replace

    return replace(received, fields={}, deleted=True, version=2**62, modified_at=house.clock())


def test_a_record_type_that_is_not_made_yet_stops_its_own_sync_alone(house):
    house.ns.store.records["customRecordType"].clear()
    broker, account = house.account("Broker"), house.account("Acme")
    house.push(broker, account)
    made = house.application(account, Broker__c=broker, Commission_Amount__c="100.00")

    house.push(made, budget_s=2)
    other = house.push_one(house.account("Other"))

    with house.ledger.read() as connection:
        assert [it.scope for it in marks.pauses(connection)] == ["broker_commission"]
    assert other.state == "delivered"
    assert house.states("sales_order", made) == ["delivered"]


def test_what_waits_in_a_sync_that_was_switched_off_is_held_and_says_so(house, other_site):
    account = house.account()
    house.push(account)
    contact = house.sf.insert("Contact", LastName="Holt", AccountId=account)
    house.receive(contact)
    fewer = {name: push for name, push in house.syncs.pushes.items() if name != "contact"}
    house.engine.syncs = type(house.syncs)(fewer, house.syncs.pulls, house.syncs.context)

    house.drain()

    waiting = house.message("contact", contact)
    assert (waiting.state, waiting.code) == ("held", "SYNC_SWITCHED_OFF")


def test_a_persons_pause_outlasts_the_bridges_own(house):
    with house.ledger.write() as writing:
        marks.start_pause(writing, "*netsuite", "MAINTENANCE", "NetSuite is closed.")

    taken = operating.pause(house.engine, "*netsuite", actor="accountant", reason="year end")
    house.clock.advance(minutes=10)
    operating.probe(house.engine)

    assert taken
    with house.ledger.read() as connection:
        assert [it.code for it in marks.pauses(connection)] == ["PAUSED_BY_PERSON"]
