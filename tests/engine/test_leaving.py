"""What leaves: a deleted Account, or a record out of a sync's scope. Links stay, and nothing is deleted in NetSuite."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge import operating
from bridge.ledger import lanes, marks
from bridge.mapping import Syncs, gates
from bridge.ports import Received
from bridge.sweep import sweep


def deleted(house, account, *, with_trigger=True):
    house.clock.advance(seconds=5)
    house.sf.delete(account)
    house.clock.advance(seconds=5)
    if with_trigger:
        gone = Received("Account", account, 0, house.clock(), {}, deleted=True)
        house.engine.receive([gone], origin="callout", correlation="deleted")
    else:
        sweep(house.engine)
    house.drain()


def is_inactive(house, kind):
    return [it.fields.get("isInactive") for it in house.made(kind)]


@pytest.fixture
def funded(house):
    """An Account with both orders, which NetSuite has not billed yet."""
    account = house.account()
    application = house.application(account)
    house.push(account, application)
    assert house.states("purchase_order", application) == ["delivered"]
    return account, application


def without_children(house, application):
    """Salesforce deletes no Account that has an Application which is won."""
    house.sf.delete(application)


# --- deleted ---


@pytest.mark.parametrize("with_trigger", [True, False])
def test_the_customer_of_a_deleted_account_becomes_inactive_when_nothing_is_open(house, with_trigger):
    """Fault 60."""
    account = house.account()
    house.push_one(account)

    deleted(house, account, with_trigger=with_trigger)

    assert is_inactive(house, "customer") == ["true"]
    assert house.states("customer", account)[-1] == "delivered"
    assert ("customer", account) in house.links()
    assert not {name for name in house.calls() if name.startswith("delete")}
    assert not [row for row in house.messages("status", account) if row.state in ("rejected", "dead")]


def test_with_an_open_balance_it_stays_active_and_accounting_is_told(house):
    account = house.account()
    house.push_one(account)
    (customer,) = house.made("customer")
    owed = house.ns.store.new("invoice")
    currency = next(it for it in house.ns.store.records["currency"].values() if it.fields["symbol"] == "USD")
    owed.fields = {"entity": customer.link, "currency": currency.link, "total": "120.5", "amountRemaining": "120.5"}
    house.ns.store.add(owed)

    deleted(house, account)

    task = house.message("customer", account)
    assert (task.state, task.code, task.who) == ("rejected", "DELETED_WITH_SOMETHING_OPEN", "accounting")
    assert "its balance is 120.50" in task.reason
    assert is_inactive(house, "customer") == [None]
    owed.fields["amountRemaining"] = "0.0"
    operating.replay(house.engine, [task.id], actor="accountant")
    house.drain()
    assert is_inactive(house, "customer") == ["true"]


def test_with_an_order_that_is_not_closed_it_stays_active(house, funded):
    account, application = funded
    without_children(house, application)

    deleted(house, account)

    customer, vendor = house.message("customer", account), house.message("vendor", account)
    assert {it.code for it in (customer, vendor)} == {"DELETED_WITH_SOMETHING_OPEN"}
    assert "SO1001" in customer.reason
    assert is_inactive(house, "customer") == is_inactive(house, "vendor") == [None]


def test_the_vendor_of_a_broker_to_whom_a_commission_is_owed_stays_active(house):
    broker, account = house.account("Broker"), house.account()
    house.application(account, Broker__c=broker, Commission_Amount__c="500.00")
    application = house.application(account, Broker__c=broker, Commission_Amount__c="500.00")
    house.push(broker, account, application)
    assert house.states("broker_commission", application) == ["delivered"]

    deleted(house, broker)

    assert house.message("vendor", broker).code == "DELETED_WITH_SOMETHING_OPEN"
    assert "Broker commission" in house.message("vendor", broker).reason
    (vendor,) = [it for it in house.made("vendor") if it.external_id == f"sf-ven-{broker}"]
    assert vendor.fields.get("isInactive") is None


def test_what_is_still_on_its_way_counts_as_open(house):
    account = house.account()
    house.push_one(account)
    application = house.application(account)
    house.ns.faults.add("maintenance", operation="upsert*", record="salesOrder", count=9)
    house.receive(application)
    house.drain()
    without_children(house, application)
    with house.ledger.write() as writing:
        marks.end_pause(writing, "*netsuite", actor="test")
        lanes.reopen(writing.connection, ("customer",), writing.now)

    deleted(house, account)

    assert "more on the way" in (house.message("customer", account).reason or "")


def test_when_its_orders_were_read_as_closed_both_become_inactive(house, funded):
    account, application = funded
    accounting = house.ns.accounting
    for kind in ("salesOrder", "purchaseOrder"):
        for order in house.made(kind):
            accounting.close(order)
    house.clock.advance(minutes=30)
    house.pull("sales_order_mirror")
    house.pull("purchase_order_mirror")
    without_children(house, application)

    deleted(house, account)

    assert is_inactive(house, "customer") == is_inactive(house, "vendor") == ["true"]


def test_an_undeleted_account_has_its_customer_back(house):
    account = house.account()
    house.push_one(account)
    deleted(house, account)
    house.clock.advance(seconds=5)

    house.sf.undelete(account)

    assert house.push_one(account).state == "delivered"
    assert is_inactive(house, "customer") == ["false"]
    assert len(house.made("customer")) == 1


def test_a_site_may_want_only_to_be_told(other_site):
    house = other_site(deleted_account="tell")
    account = house.account()
    house.push_one(account)

    deleted(house, account)

    told = house.message("customer", account)
    assert (told.state, told.code) == ("held", "DELETED_IN_SALESFORCE")
    assert is_inactive(house, "customer") == [None]


def test_a_lost_answer_is_looked_up_and_not_written_twice(house):
    account = house.account()
    house.push_one(account)
    house.ns.faults.add("drop", operation="upsert*", record="customer")

    deleted(house, account)
    unsure = house.states("customer", account)[-1]
    house.clock.advance(minutes=3)
    house.drain()

    assert unsure == "uncertain"
    assert house.states("customer", account)[-1] == "delivered"
    assert [row.action for row in house.audit(sync="customer", source_id=account)][-1] == "adopted"
    assert is_inactive(house, "customer") == ["true"]


def test_a_customer_that_is_gone_in_netsuite_too_is_nobodys_task(house):
    account = house.account()
    house.push_one(account)
    house.ns.store.remove(house.made("customer")[0])

    deleted(house, account)

    assert house.states("customer", account)[-1] == "delivered"
    assert house.made("customer") == []


# --- out of scope ---


def scoped(house, sync, *tests):
    """Give *sync* a scope, as ``[[sync.<name>.scope]]`` does."""
    pushes = dict(house.syncs.pushes)
    pushes[sync] = replace(pushes[sync], scope=tests)
    house.syncs = house.engine.syncs = Syncs(pushes, house.syncs.pulls, house.syncs.context)
    return house


IN_SCOPE = gates.Test("Payment_Terms__c", "is not in", ("Net 60",))


def test_a_record_that_leaves_the_scope_keeps_its_link_and_resumes_when_it_is_back(house):
    """Fault 62: a record type, a kind of person: here a plain field stands for what a site chooses."""
    scoped(house, "customer", IN_SCOPE)
    account = house.account(Payment_Terms__c="Net 30")
    house.push_one(account)
    house.sf.update(account, Payment_Terms__c="Net 60", Phone="555-0100")
    writes = house.writes()

    out = house.push_one(account)
    link = house.links()["customer", account]
    house.sf.update(account, Payment_Terms__c="Net 30")
    back = house.push_one(account)

    assert (out.state, out.error.code) == ("held", "OUT_OF_SCOPE_AFTER")
    assert out.error.message.startswith("Out of scope: Payment Terms is Net 60")
    assert "no longer kept up to date" in out.error.message
    assert link.target_id == house.made("customer")[0].id
    assert back.state == "delivered"
    assert house.writes() == writes + 1
    assert house.made("customer")[0].fields["phone"] == "555-0100"


def test_out_of_scope_is_written_on_the_salesforce_record(house):
    scoped(house, "customer", IN_SCOPE)
    account = house.account(Payment_Terms__c="Net 60")
    house.receive(account, write_back=True)
    house.drain()

    (shown,) = house.salesforce.get(
        [house.read(account).ref], ("NetSuite_Status__c", "NetSuite_Error__c", "NetSuite_Error_Code__c")
    )
    assert shown.fields["NetSuite_Status__c"] == "held"
    assert shown.fields["NetSuite_Error__c"].startswith("Out of scope")
    assert shown.fields["NetSuite_Error_Code__c"] == "OUT_OF_SCOPE"
    assert house.made("customer") == []


def test_what_belongs_to_it_is_out_of_scope_too_and_goes_on_with_it(house):
    scoped(house, "customer", IN_SCOPE)
    account = house.account(Payment_Terms__c="Net 60")
    contact = house.sf.insert("Contact", FirstName="Ann", LastName="Lee", AccountId=account)
    house.push_one(account)
    house.push(contact)
    house.clock.advance(minutes=10)
    house.drain()
    held = house.message("contact", contact)

    house.sf.update(account, Payment_Terms__c="Net 30")
    house.push_one(account)
    house.drain()

    assert (held.state, held.code) == ("held", "OUT_OF_SCOPE")
    assert house.states("contact", contact)[-1] == "delivered"


def test_out_of_scope_undoes_nothing_whatever_a_closed_gate_would(house, funded):
    _, application = funded
    scoped(house, "sales_order", gates.Test("StageName", "is not in", ("Declined",)))
    house.sf.update(application, StageName="Declined", Funding_Accepted__c=False)

    out = house.push_one(application)

    assert house.message("sales_order", application).code == "OUT_OF_SCOPE_AFTER"
    assert not any(line.get("isClosed") == "true" for line in house.made("salesOrder")[0].lists["itemList"])
    assert out.state == "held"


def test_a_late_save_from_before_it_left_the_scope_is_not_written(house):
    scoped(house, "customer", IN_SCOPE)
    account = house.account(Payment_Terms__c="Net 30")
    house.push_one(account)
    house.sf.update(account, Phone="555-0102")
    late = house.received(house.read(account))
    house.sf.update(account, Payment_Terms__c="Net 60", Phone="555-0103")
    house.push_one(account)
    writes = house.writes()

    house.engine.receive([late], origin="callout", correlation="late")
    house.drain()

    assert house.states("customer", account)[-1] == "superseded"
    assert house.writes() == writes


def test_what_is_deleted_out_of_scope_stays_active(house):
    """It is none of the sync's business any more; the deletion comes by the trigger, and by the sweep once more."""
    scoped(house, "customer", IN_SCOPE)
    account = house.account(Payment_Terms__c="Net 30")
    house.push_one(account)
    house.sf.update(account, Payment_Terms__c="Net 60")
    house.push_one(account)

    deleted(house, account)
    sweep(house.engine)
    house.drain()

    assert is_inactive(house, "customer") == [None]
    assert house.message("customer", account).code == "OUT_OF_SCOPE_AFTER"


def test_what_is_owed_in_two_currencies_does_not_make_up_for_each_other(house):
    account = house.account()
    house.push_one(account)
    (customer,) = house.made("customer")
    known = {it.fields["symbol"]: it for it in house.ns.store.records["currency"].values()}
    customer.lists["currencyList"] = [{"currency": known[it].link} for it in ("USD", "CAD")]
    for kind, symbol in (("invoice", "USD"), ("creditMemo", "CAD")):
        one = house.ns.store.new(kind)
        one.fields = {"entity": customer.link, "currency": known[symbol].link, "total": "70", "amountRemaining": "70"}
        house.ns.store.add(one)

    deleted(house, account)

    task = house.message("customer", account)
    assert task.code == "DELETED_WITH_SOMETHING_OPEN"
    assert "is 70.00 and its balance in" in task.reason
    assert is_inactive(house, "customer") == [None]
