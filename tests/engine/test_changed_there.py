"""Somebody has the record open in NetSuite, or a workflow has locked it: what goes again, and what a person does."""

from __future__ import annotations

import pytest

OFTEN = 10**6


def approved(house):
    account = house.account()
    application = house.application(account)
    house.push_one(account)
    return application


def reads(house):
    return house.calls()["get"] + house.calls()["getList"]


def later(house, tries):
    for _ in range(tries):
        house.clock.advance(minutes=15)
        house.drain()


@pytest.mark.parametrize("code", ["RCRD_HAS_BEEN_CHANGED", "RCRD_EDITED_SINCE_RETRIEVED"])
def test_what_was_changed_at_the_same_moment_is_read_anew_and_sent_again(house, code):
    account = house.account()
    house.push_one(account)
    house.sf.update(account, Phone="1")
    house.ns.faults.add("reject", record="customer", code=code, message="Record has been changed.")
    house.receive(account)
    house.drain()
    before = reads(house)
    waiting = house.message("customer", account)

    later(house, 1)

    assert (waiting.state, waiting.code, waiting.who) == ("deferred", code, "nobody")
    assert reads(house) == before + 1
    assert house.message("customer", account).state == "delivered"
    assert house.made("customer")[0].fields["phone"] == "1"


def test_lines_that_accounting_numbered_anew_meanwhile_are_not_doubled(house):
    application = approved(house)
    house.push_one(application)
    house.sf.update(application, Funded_Amount__c="51000.00", Name="Acme stove")
    house.ns.faults.add("reject", record="salesOrder", code="RCRD_HAS_BEEN_CHANGED", message="Changed.")
    house.receive(application)
    house.drain()
    order = house.made("salesOrder")[0]
    for line in order.lists["itemList"]:
        line["line"] = str(int(line["line"]) + 40)
    house.ns.store.changed(order)
    keys = [it["line"] for it in order.lists["itemList"]]

    later(house, 1)

    assert house.message("sales_order", application).state == "delivered"
    assert [it["line"] for it in house.made("salesOrder")[0].lists["itemList"]] == keys


def test_after_five_more_tries_it_is_a_persons_and_goes_again_when_they_say_so(house):
    from bridge import operating

    account = house.account()
    house.ns.faults.add("reject", record="customer", count=OFTEN, code="RCRD_HAS_BEEN_CHANGED", message="Changed.")
    house.receive(account)
    house.drain()
    later(house, 4)
    almost = house.message("customer", account)
    later(house, 1)
    over = house.message("customer", account)
    writes = house.writes()
    later(house, 3)
    assert (almost.state, almost.attempts) == ("deferred", 5)
    assert (over.state, over.code, over.who) == ("rejected", "EDITED_IN_NETSUITE", "accounting")
    assert house.writes() == writes == 6

    house.ns.faults.clear()
    operating.replay(house.engine, [over.id], actor="pat")
    house.drain()

    assert house.message("customer", account).state == "delivered"


def test_a_save_that_is_sent_again_by_hand_has_all_its_tries_again(house):
    from bridge import operating

    account = house.account()
    house.ns.faults.add("reject", record="customer", count=OFTEN, code="RCRD_HAS_BEEN_CHANGED", message="Changed.")
    house.receive(account)
    house.drain()
    later(house, 5)
    operating.replay(house.engine, [house.message("customer", account).id], actor="pat")
    house.drain()

    again = house.message("customer", account)

    assert (again.state, again.attempts) == ("deferred", 1)


def test_a_change_that_says_the_same_is_adopted_and_not_sent_again(house):
    account = house.account()
    house.push_one(account)
    house.sf.update(account, Phone="555")
    house.ns.faults.add("reject", record="customer", code="RCRD_HAS_BEEN_CHANGED", message="Changed.")
    house.receive(account)
    house.drain()
    house.ns.admin.edit({"phone": "555"}, kind="customer", id=house.made("customer")[0].id)
    writes = house.writes()

    house.clock.advance(minutes=2)
    house.drain()

    assert house.message("customer", account).state == "delivered"
    assert house.writes() == writes


def test_a_record_that_a_workflow_locks_is_a_persons_with_the_name_of_who_approves(house):
    application = approved(house)
    house.push_one(application)
    (order,) = house.made("purchaseOrder")
    house.ns.admin.workflow("31", kind="purchaseOrder", id=order.id)
    house.sf.update(application, Funded_Amount__c="51000.00")
    house.receive(application)
    house.drain()
    writes = house.writes()
    later(house, 5)

    told = house.message("purchase_order", application)

    assert (told.state, told.code, told.who) == ("rejected", "RCRD_LOCKED_BY_WF", "accounting")
    assert told.reason == "A workflow in NetSuite has locked the record until Dana Approver approves it."
    assert house.writes() == writes


def test_a_locked_record_without_an_approver_is_accountings(house):
    account = house.account()
    house.push_one(account)
    house.ns.admin.workflow("31", kind="customer", id=house.made("customer")[0].id)
    house.sf.update(account, Phone="1")

    told = house.push_one(account).parts[0]

    assert (told.state, told.error.code, told.error.who) == ("rejected", "RCRD_LOCKED_BY_WF", "accounting")
