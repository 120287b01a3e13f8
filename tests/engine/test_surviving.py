"""Customers that accounting merged in NetSuite: links follow, it is told, no second customer is made, nothing lost."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bridge import operating
from bridge.ports import Record, Ref
from bridge.surviving import follow

MIRRORS = ("sales_order_mirror", "invoice_mirror", "remittance")


@pytest.fixture
def funded(house):
    """House, Account, Application, its customer's id, and the invoice of its order."""
    acme = house.account("Acme")
    oven = house.application(acme, ("Origination Fee", "500.00"))
    house.push_one(oven)
    invoice = house.ns.admin.bill(kind="salesOrder", externalId=f"sf-so-{oven}")
    run(house)
    return house, acme, oven, house.there("customer", f"sf-cus-{acme}").ref.id, invoice


def run(house):
    """What every pull job does: first follow what was merged, then read."""
    house.clock.advance(minutes=5)
    followed = follow(house.engine, house.netsuite.now(), timedelta(minutes=2))
    house.drain()
    for name in MIRRORS:
        house.pull(name)
    return followed.moved


def customer(house, name, external_id):
    """A customer that somebody made in NetSuite."""
    made = Record(
        Ref("customer", external_id=external_id), {"companyName": name, "subsidiary": Ref("subsidiary", id="1")}
    )
    (written,) = house.netsuite.upsert([made])
    return written.ref.id


def lose_external_id(house, record_id):
    """A customer that was made on NetSuite's page has none."""
    record = house.ns.store.get("customer", record_id)
    house.ns.store._external.pop(("Entity", record.external_id.lower()))
    record.external_id = None
    record.cache.clear()


def test_a_link_follows_the_surviving_customer(funded):
    house, acme, _oven, gone, _invoice = funded
    survivor = customer(house, "Acme Holding", "LEGACY-1")
    house.ns.admin.merge(into=survivor, id=gone)

    moved = run(house)
    house.sf.update(acme, Phone="555-0100")
    told = house.push_one(acme)

    assert moved == 1
    link = house.links()["customer", acme]
    assert (link.target_id, link.external_id) == (survivor, "LEGACY-1")
    assert [(row.actor, row.detail) for row in house.audit(action="merged")] == [
        ("netsuite", f"{gone} into {survivor} in NetSuite")
    ]
    assert told.state in ("delivered", "unchanged")
    assert len(house.made("customer")) == 1
    assert house.there("customer", "LEGACY-1").fields["phone"] == "555-0100"


def test_what_belonged_to_the_merged_customer_still_belongs_to_the_account(funded):
    house, acme, oven, gone, invoice = funded
    survivor = customer(house, "Acme Holding", "LEGACY-1")
    house.ns.admin.merge(into=survivor, id=gone)
    house.ns.admin.pay(survivor, "200.00", {invoice.id: "200.00"})

    run(house)
    house.push_one(house.application(acme, ("Origination Fee", "70.00")))

    (row,) = house.sf.rows("NetSuite_Document__c")
    assert (row["Account__c"], row["Application__c"], row["Open_Amount__c"]) == (acme, oven, Decimal("300.00"))
    assert {it["Account__c"] for it in house.sf.rows("NetSuite_Order__c")} == {acme}
    (paid,) = house.sf.rows("Remittance__c")
    assert (paid["Account__c"], paid["Application__c"]) == (acme, oven)
    assert [it.fields["entity"].id for it in house.made("salesOrder")] == [survivor, survivor]


def test_a_customer_merged_into_another_accounts_is_told_and_its_orders_go_there(funded):
    house, acme, _oven, gone, _ = funded
    other = house.account("Other")
    house.push_one(other)
    survivor = house.there("customer", f"sf-cus-{other}").ref.id
    house.ns.admin.merge(into=survivor, id=gone)

    run(house)
    shown = house.sf.row(acme)["NetSuite_Error__c"]
    told = house.push_one(acme)
    house.push_one(house.application(acme, ("Origination Fee", "70.00")))

    assert told.state == "held"
    sentence = f"Accounting merged its NetSuite customer {gone} into {survivor}, which belongs to {other}."
    assert told.error.message == f"{sentence} Merge the two Accounts in Salesforce."
    assert told.error.who == "accounting"
    assert shown == told.error.message
    assert len(house.made("customer")) == 1
    assert {it.fields["entity"].id for it in house.made("salesOrder")} == {survivor}


def test_a_survivor_without_an_external_id_waits_for_one(funded):
    house, acme, _, gone, _ = funded
    survivor = customer(house, "Acme Holding", "LEGACY-1")
    lose_external_id(house, survivor)
    house.ns.admin.merge(into=survivor, id=gone)

    run(house)
    held = house.push_one(acme)
    house.ns.store.set_external_id(house.ns.store.get("customer", survivor), f"sf-cus-{acme}")
    run(house)
    house.drain()

    assert (held.state, held.error.code) == ("held", "MERGED_AWAY")
    assert f"Give {survivor} the external id sf-cus-{acme}" in held.error.message
    assert house.message("customer", acme).state == "delivered"
    assert [it.id for it in house.made("customer")] == [survivor]
    assert house.there("customer", f"sf-cus-{acme}").fields["companyName"] == "Acme"


def test_a_customer_that_was_only_deleted_has_no_survivor(house):
    acme = house.account("Acme")
    house.push_one(acme)
    run(house)
    gone = house.there("customer", f"sf-cus-{acme}").ref.id
    house.ns.admin.delete(kind="customer", id=gone)

    moved = run(house)

    assert moved == 0
    assert house.links()["customer", acme].target_id == gone
    assert house.audit(action="merged") == []


def test_a_person_decides_whether_a_deleted_customer_is_made_anew(house):
    acme = house.account("Acme")
    house.push_one(acme)
    run(house)
    gone = house.there("customer", f"sf-cus-{acme}").ref.id
    house.ns.admin.delete(kind="customer", id=gone)

    run(house)
    run(house)
    house.sf.update(acme, Phone="555-0100")
    saved = house.push_one(acme)
    untouched = house.made("customer")
    told = house.messages("customer", acme)
    operating.replay(house.engine, [told[-1].id], actor="pat", reason="it is needed")
    house.drain()
    house.sf.update(acme, Phone="555-0101")
    later = house.push_one(acme)

    assert untouched == []
    assert (saved.state, saved.error.code, saved.error.who) == ("rejected", "DELETED_IN_NETSUITE", "accounting")
    assert [row.code for row in told] == [None, "DELETED_IN_NETSUITE", "DELETED_IN_NETSUITE"]
    assert len(house.audit(action="broken")) == len(house.audit(action="recreated")) == 1
    assert later.state == "delivered"
    assert [it.fields["phone"] for it in house.made("customer")] == ["555-0101"]


def test_a_customer_deleted_before_any_pull_saw_it_is_not_made_anew_by_a_save(house):
    """An upsert would make another one, and tell nobody: orders and payments hang on the one that is gone."""
    acme = house.account("Acme")
    house.push_one(acme)
    gone = house.there("customer", f"sf-cus-{acme}").ref.id
    house.clock.advance(minutes=6)
    house.ns.admin.delete(kind="customer", id=gone)

    house.sf.update(acme, Phone="555-0100")
    saved = house.push_one(acme)
    untouched = house.made("customer")
    run(house)
    operating.replay(house.engine, [house.message("customer", acme).id], actor="pat", reason="it is needed")
    house.drain()

    assert (saved.state, saved.error.code, saved.error.who) == ("rejected", "DELETED_IN_NETSUITE", "accounting")
    assert saved.error.message.startswith(f"Its NetSuite customer {gone} was deleted in NetSuite.")
    assert untouched == []
    assert [it.fields["phone"] for it in house.made("customer")] == ["555-0100"]
    assert len(house.audit(action="recreated")) == 1


def test_a_customer_that_lost_its_external_id_is_not_made_a_second_time(house):
    acme = house.account("Acme")
    house.push_one(acme)
    there = house.there("customer", f"sf-cus-{acme}").ref.id
    house.clock.advance(minutes=6)
    lose_external_id(house, there)

    house.sf.update(acme, Phone="555-0100")
    saved = house.push_one(acme)
    house.ns.store.set_external_id(house.ns.store.get("customer", there), f"sf-cus-{acme}")
    house.ns.store.changed(house.ns.store.get("customer", there))
    house.sf.update(acme, Phone="555-0101")
    later = house.push_one(acme)

    assert (saved.error.code, saved.error.who) == ("EXTERNAL_ID_LOST", "accounting")
    assert later.state == "delivered"
    assert [(it.id, it.fields["phone"]) for it in house.made("customer")] == [(there, "555-0101")]


def test_a_customer_written_a_moment_ago_is_not_looked_up_again(house):
    acme = house.account("Acme")
    house.push_one(acme)
    reads = house.calls()["get"]

    house.sf.update(acme, Phone="555-0100")
    house.push_one(acme)

    assert house.calls()["get"] == reads


def test_a_customer_that_accounting_made_by_hand_is_adopted_once_a_person_says_so(house):
    """Neither a second one is made under another name, nor somebody else's taken over."""
    there = customer(house, "Acme", "LEGACY-1")
    lose_external_id(house, there)
    acme = house.account("Acme")

    told = house.push_one(acme)
    house.ns.store.set_external_id(house.ns.store.get("customer", there), f"sf-cus-{acme}")
    operating.replay(house.engine, [house.message("customer", acme).id], actor="pat", reason="it is the same")
    house.drain()

    assert (told.state, told.error.code, told.error.who) == ("rejected", "UNIQUE_CUST_ID_REQD", "accounting")
    assert f"give it the external id sf-cus-{acme} by an import" in told.error.message
    assert house.message("customer", acme).state == "delivered"
    assert [it.id for it in house.made("customer")] == [there]
    assert house.links()["customer", acme].target_id == there


def test_a_merged_vendor_is_followed_by_its_purchase_order(funded):
    house, acme, _, _, _ = funded
    gone = house.there("vendor", f"sf-ven-{acme}").ref.id
    made = {"companyName": "Acme Payables", "subsidiary": Ref("subsidiary", id="1")}
    (written,) = house.netsuite.upsert([Record(Ref("vendor", external_id="LEGACY-V"), made)])
    house.ns.admin.merge(into=written.ref.id, kind="vendor", id=gone)

    moved = run(house)

    assert moved == 1
    assert house.links()["vendor", acme].target_id == written.ref.id


def test_following_twice_changes_nothing(funded):
    house, _acme, _, gone, _ = funded
    survivor = customer(house, "Acme Holding", "LEGACY-1")
    house.ns.admin.merge(into=survivor, id=gone)
    run(house)
    writes = house.writes()

    again = [run(house), run(house)]

    assert again == [0, 0]
    assert house.writes() == writes
