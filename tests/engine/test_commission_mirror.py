"""What a broker is owed comes back to Salesforce: amount, due day and whether accounting has approved and paid it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from bridge.pulling import pull
from bridge.records import syncs

MIRROR = "commission_mirror"
RECORD, BILL = "customrecord_broker_commission", "vendorBill"


@pytest.fixture(params=["custom_record", "vendor_bill"])
def owed(request, other_site):
    """A house whose broker is owed 1,250.00, and how accounting names that."""
    house = other_site(commission=request.param)
    broker = house.account("Bridge Brokers")
    oven = house.application(
        house.account(), Broker__c=broker, Commission_Percent__c="2.5", Commission_Due__c="2026-12-15"
    )
    house.push_one(oven)
    kind = "customRecord" if request.param == "custom_record" else BILL
    (made,) = house.made(kind)
    house.clock.advance(minutes=5)
    return house, oven, broker, {"kind": kind, "id": made.id}


def rows(house):
    return [it for it in house.sf.rows("NetSuite_Order__c") if it["Record_Type__c"] == "Broker Commission"]


def test_a_commission_is_mirrored_with_what_is_owed_to_whom_and_when(owed):
    house, oven, broker, named = owed

    house.pull(MIRROR)

    (row,) = rows(house)
    assert (row["Application__c"], row["Account__c"]) == (oven, broker)
    assert (row["Total__c"], row["Currency__c"]) == (Decimal("1250.00"), "USD")
    assert str(row["Due_Date__c"]) == str(date(2026, 12, 15))
    assert row["NetSuite_Id__c"] == named["id"]
    assert row["Name"] == (f"Commission {named['id']}" if named["kind"] == "customRecord" else f"SF-{oven}")
    assert row["NetSuite_Url__c"]


def test_its_payable_state_follows_accounting(owed):
    house, _, _, named = owed
    seen = []

    for state in ("Open", "Approved", "Paid"):
        house.ns.admin.payable(state, **named)
        house.clock.advance(minutes=5)
        house.pull(MIRROR)
        seen += [it["Payable_State__c"] for it in rows(house)]

    assert seen == ["Open", "Approved", "Paid"]


def test_the_bridge_leaves_the_payable_state_to_accounting(owed):
    house, oven, _, named = owed
    house.ns.admin.payable("Approved", **named)

    house.sf.update(oven, Commission_Percent__c="3")
    house.push_one(oven)
    house.clock.advance(minutes=5)
    house.pull(MIRROR)

    (row,) = rows(house)
    assert (row["Payable_State__c"], row["Total__c"]) == ("Approved", Decimal("1500.00"))


def test_a_commission_deleted_in_netsuite_is_no_longer_owed(owed):
    house, _, _, named = owed
    house.pull(MIRROR)

    house.ns.admin.delete(**named)
    house.clock.advance(minutes=5)
    report = house.pull(MIRROR)

    (row,) = rows(house)
    assert report.deleted == 1
    assert (row["Payable_State__c"], row["Status__c"], row.get("NetSuite_Url__c")) == (
        "Cancelled", "Deleted in NetSuite", None,
    )  # fmt: skip


def test_a_due_day_that_accounting_takes_away_is_taken_away_here_too(owed):
    house, _, _, named = owed
    house.pull(MIRROR)

    house.ns.admin.edit({"custrecord_bc_due" if named["kind"] == "customRecord" else "dueDate": None}, **named)
    house.clock.advance(minutes=5)
    house.pull(MIRROR)

    assert [it.get("Due_Date__c") for it in rows(house)] == [None]


def test_a_second_pull_brings_nothing(owed):
    house, *_ = owed
    house.pull(MIRROR)

    assert house.pull(MIRROR).stored == 0


def test_a_record_without_a_state_is_open_and_an_inactive_one_is_cancelled(house):
    oven = house.application(house.account(), Broker__c=house.account("Brokers"), Commission_Amount__c="10")
    house.push_one(oven)
    house.clock.advance(minutes=5)
    house.pull(MIRROR)
    before = [it["Payable_State__c"] for it in rows(house)]

    house.sf.update(oven, Broker__c=None)
    house.push_one(oven)
    house.clock.advance(minutes=5)
    house.pull(MIRROR)

    assert (before, [it["Payable_State__c"] for it in rows(house)]) == (["Open"], ["Cancelled"])


def test_a_bill_to_a_broker_for_something_else_is_none_of_ours(other_site):
    house = other_site(commission="vendor_bill")
    oven = house.application(house.account(), Broker__c=house.account("Brokers"), Commission_Amount__c="10")
    house.push_one(oven)
    (ours,) = house.made(BILL)
    with house.ns.lock:
        other = house.ns.store.new(BILL)
        other.fields, other.lists = dict(ours.fields) | {"tranId": "RENT-1"}, ours.lists
        house.ns.store.add(other)
    house.clock.advance(minutes=5)

    house.pull(MIRROR)

    assert [it["NetSuite_Id__c"] for it in rows(house)] == [ours.id]
    assert house.message(MIRROR, other.id).code == "NOT_OURS"


def test_a_commission_read_before_its_answer_was_adopted_is_mirrored_once_it_is(house):
    """NetSuite made it and the answer was lost: a pull may find the record before the bridge knows it as its own."""
    oven = house.application(house.account(), Broker__c=house.account("Brokers"), Commission_Amount__c="10")
    house.ns.faults.add("drop", operation="upsert*", record="customRecord", count=99)
    house.push_one(oven)
    assert house.states("broker_commission") == ["uncertain"]
    house.clock.advance(seconds=125)
    pull(house.engine, MIRROR)
    house.engine.deliver([MIRROR])
    held = house.states(MIRROR)

    house.clock.advance(minutes=30)
    house.drain()

    assert (held, house.states("broker_commission")) == (["held"], ["delivered"])
    assert [it["Application__c"] for it in rows(house)] == [oven]


def test_a_site_without_commissions_reads_none():
    declared = syncs({}, lambda push: None if push.name == "broker_commission" else push)

    assert MIRROR not in declared.pulls
