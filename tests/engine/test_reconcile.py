"""Salesforce, the ledger and NetSuite compared: what differs is found, nothing else is, and it can be put right."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import delete

from bridge import operating, recovering
from bridge.ledger import differences
from bridge.ledger.models import link, message
from bridge.mapping import text
from bridge.mapping.syncs import with_fields
from bridge.mending import mend
from bridge.ports import Record, Ref
from bridge.reconcile import compare
from tests.engine import test_credits as crediting
from tests.engine import test_merging as merging

only_sqlite = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)  # it is not about the database

SYNCS = ("customer", "vendor", "contact", "sales_order", "purchase_order", "broker_commission")


@pytest.fixture
def town(house):
    """Three funded Accounts, one with a broker and a contact, all delivered long ago."""
    broker = house.account("Broker")
    made = []
    for n in range(3):
        acme = house.account(f"Acme {n}")
        values = {"Broker__c": broker, "Commission_Amount__c": "750.00"} if n == 0 else {}
        made.append((acme, house.application(acme, ("Wire Fee", "25.00"), ("Legal Fee", "10.00"), **values)))
    person = house.sf.insert("Contact", LastName="Baker", AccountId=made[0][0])
    house.push(broker, *(it for pair in made for it in pair), person)
    house.drain()
    house.clock.advance(hours=2)
    return made


def found(house):
    """What differs now, as (sync, what, Salesforce id), and the report of the run."""
    report = compare(house.engine)
    with house.ledger.read() as connection:
        listed = list(differences.every(connection))
    assert report.differing() == len(listed)
    return [(it.sync, it.what, it.source_id) for it in listed], report


def put_right(house, **how):
    done = mend(house.engine, actor="pat", **how)
    house.drain()
    return done


def alter(house, kind, external_id, cents):
    (record,) = [it for it in house.made(kind) if it.external_id == external_id]
    row = record.lists["itemList"][0]
    row["amount"] = str(Decimal(row["amount"]) + Decimal(cents))
    house.ns.store.changed(record)
    record.cache.clear()


def foreign(house, kind, external_id, name):
    made = Record(Ref(kind, external_id=external_id), {"companyName": name, "subsidiary": Ref("subsidiary", id="1")})
    (written,) = house.netsuite.upsert([made])
    return written.ref.id


def test_where_nothing_differs_nothing_is_found_and_nothing_is_written(house, town):
    writes = house.writes()

    listed, report = found(house)

    assert listed == []
    assert report.in_scope == dict(zip(SYNCS, (4, 4, 1, 3, 3, 1), strict=True))
    assert report.there == {**dict.fromkeys(house.syncs.pushes, 0), **report.in_scope}
    orders = report.sums["sales_order", "USD"]
    assert (orders.count, orders.ours, orders.theirs) == (3, Decimal("105.00"), Decimal("105.00"))
    assert report.sums["purchase_order", "USD"].ours == Decimal(3 * 50000 - 105)
    assert report.sums["broker_commission", "USD"].theirs == Decimal("750.00")
    assert house.writes() == writes


def test_one_deleted_one_altered_by_a_cent_one_foreign_are_three_findings(house, town):
    (_, gone), (_, altered), _ = town
    house.ns.admin.delete(kind="salesOrder", externalId=f"sf-so-{gone}")
    alter(house, "purchaseOrder", f"sf-po-{altered}", "0.01")
    stranger = foreign(house, "customer", "sf-cus-001000000000000AAA", "Nobody's")
    foreign(house, "customer", "LEGACY-1", "Not ours at all")
    house.clock.advance(hours=1)

    listed, report = found(house)

    assert listed == [
        ("customer", "extra", "001000000000000AAA"),
        ("purchase_order", "amount", altered),
        ("sales_order", "missing", gone),
    ]
    with house.ledger.read() as connection:
        by_what = {it.what: it for it in differences.every(connection)}
    assert (by_what["amount"].ours, by_what["amount"].theirs) == (Decimal("49965.00"), Decimal("49965.01"))
    assert by_what["extra"].target_id == stranger
    sums = report.sums["purchase_order", "USD"]
    assert sums.theirs - sums.ours == Decimal("0.01")


def test_what_is_missing_is_sent_and_foreign_records_and_amounts_stay(house, town):
    (_, gone), (_, altered), _ = town
    house.ns.admin.delete(kind="salesOrder", externalId=f"sf-so-{gone}")
    alter(house, "purchaseOrder", f"sf-po-{altered}", "0.01")
    stranger = foreign(house, "customer", "sf-cus-001000000000000AAA", "Nobody's")
    house.clock.advance(hours=1)
    found(house)

    done = put_right(house)
    after, _ = found(house)

    assert (done.received, done.linked, done.left) == (1, 0, 0)
    assert after == [("customer", "extra", "001000000000000AAA"), ("purchase_order", "amount", altered)]
    assert house.there("salesOrder", f"sf-so-{gone}").ref.id == house.links()["sales_order", gone].target_id
    assert [row.source_id for row in house.audit(action="recreated")] == [gone]
    assert stranger in [it.id for it in house.made("customer")]

    put_right(house, amounts=True)

    assert [it[1] for it in found(house)[0]] == ["extra"]


def forget(house, *source_ids):
    """Lose everything that the ledger knew of records, as a fail-over to an older copy does."""
    with house.ledger.write() as writing:
        writing.connection.execute(delete(link).where(link.c.source_id.in_(source_ids)))
        writing.connection.execute(delete(message).where(message.c.source_id.in_(source_ids)))


def test_what_the_ledger_lost_is_found_linked_again_and_not_sent_twice(house, town):
    (acme, oven), *_ = town
    before = {pair: row.target_id for pair, row in house.links().items()}
    numbers = {pair: row.number for pair, row in house.links().items()}
    forget(house, acme, oven)
    writes, made = house.writes(), {kind: len(house.made(kind)) for kind in ("customer", "salesOrder", "purchaseOrder")}

    listed, _ = found(house)
    done = put_right(house)
    after, _ = found(house)

    assert listed == [
        ("broker_commission", "unlinked", oven),
        ("customer", "unlinked", acme),
        ("purchase_order", "unlinked", oven),
        ("sales_order", "unlinked", oven),
        ("vendor", "unlinked", acme),
    ]
    assert (done.linked, done.received) == (5, 5)
    assert after == []
    assert {pair: row.target_id for pair, row in house.links().items()} == before
    assert {pair: row.number for pair, row in house.links().items()} == numbers
    assert {row.source_id for row in house.audit(action="adopted")} >= {acme, oven}
    assert {row.actor for row in house.audit(action="relinked")} == {"pat"}
    assert house.writes() == writes
    assert {kind: len(house.made(kind)) for kind in made} == made


def test_a_save_that_the_ledger_never_saw_is_older_there(house, town):
    (acme, _), *_ = town
    house.sf.update(acme, Phone="555-0100")
    young, _ = found(house)
    house.clock.advance(hours=1)

    listed, _ = found(house)
    put_right(house)

    assert young == []  # the sweep comes first
    assert listed == [("customer", "older", acme), ("vendor", "older", acme)]
    assert house.there("customer", f"sf-cus-{acme}").fields["phone"] == "555-0100"
    assert found(house)[0] == []


@only_sqlite
def test_a_link_that_leads_astray_is_mended(house, town):
    (acme, _), (other, _), _ = town
    right, wrong = house.links()["customer", acme].target_id, house.links()["customer", other].target_id
    with house.ledger.write() as writing:
        writing.connection.execute(
            link.update().where(link.c.sync == "customer", link.c.source_id == acme).values(target_id=wrong)
        )

    listed, _ = found(house)
    put_right(house)

    assert listed == [("customer", "broken", acme)]
    assert house.links()["customer", acme].target_id == right
    assert found(house)[0] == []


@only_sqlite
def test_a_customer_taken_over_in_a_merge_is_linked_again_not_made_twice(house):
    """It has the external id of the Account that is gone; after the ledger was lost nothing else but its id tells."""
    loser, stranger = house.account("Loser"), foreign(house, "customer", "sf-cus-001000000000000AAA", "Nobody's")
    house.push(loser)
    winner, never = house.account("Winner"), house.account("Never delivered")
    merging.merge(house, winner, loser, with_trigger=False)
    house.sf.update(winner, Phone="555-0100")
    house.receive(winner, write_back=True)
    merging.drain(house)
    house.clock.advance(hours=2)
    made = {it.id for it in house.made("customer")}
    forget(house, loser, winner, never)

    listed, _ = found(house)
    put_right(house)
    merging.drain(house)
    house.clock.advance(hours=1)

    assert ("customer", "unlinked", winner) in listed
    assert ("customer", "missing", winner) not in listed
    assert {it.external_id for it in house.made("customer") if it.id not in made} <= {f"sf-cus-{never}"}
    assert house.links()["customer", winner].external_id == f"sf-cus-{loser}"
    assert found(house)[0] == [("customer", "extra", "001000000000000AAA")]
    assert stranger in made


@pytest.fixture
def heir(house):
    """An Account that took over customer and vendor of one that was merged into it; the ledger is lost then."""
    loser = house.account("Loser")
    house.push(loser, house.application(loser))
    house.drain()
    winner = house.account("Winner")
    merging.merge(house, winner, loser, with_trigger=False)
    house.sf.update(winner, Phone="555-0100")
    house.receive(winner, write_back=True)
    merging.drain(house)
    house.clock.advance(hours=2)
    assert house.links()["vendor", winner].external_id == f"sf-ven-{loser}"
    forget(house, loser, winner)
    return winner, loser


@only_sqlite
def test_a_vendor_taken_over_in_a_merge_is_linked_again_not_made_twice(house, heir):
    """No vendor is missing before something needs one, so nothing but the number that Salesforce shows leads there."""
    winner, loser = heir

    listed, _ = found(house)
    put_right(house)
    house.push_one(house.application(winner))
    merging.drain(house)

    assert ("vendor", "unlinked", winner) in listed
    assert [it.external_id for it in house.made("vendor")] == [f"sf-ven-{loser}"]
    assert house.links()["vendor", winner].external_id == f"sf-ven-{loser}"


def test_what_was_taken_over_is_not_made_twice_by_who_goes_on_without_comparing(house, heir):
    winner, loser = heir
    person = house.sf.insert("Contact", LastName="Baker", AccountId=winner)
    recovering.begin(house.engine, "It is an older copy.")
    operating.resume(house.engine, recovering.SCOPE, actor="pat")

    house.push(winner, house.application(winner), person)
    merging.drain(house)

    assert [it.external_id for it in house.made("vendor")] == [f"sf-ven-{loser}"]
    assert [it.external_id for it in house.made("customer")] == [f"sf-cus-{loser}"]
    assert house.links()["customer", winner].target_id == house.made("customer")[0].id
    assert house.there("contact", f"sf-con-{person}").fields["company"].id == house.made("customer")[0].id


def test_a_copy_of_an_account_does_not_take_its_customer(house):
    """Cloned in Salesforce, with the number that the original shows."""
    original = house.account("Original")
    house.receive(original, write_back=True)
    house.drain()
    number = house.sf.row(original)["NetSuite_Customer_Id__c"]
    recovering.begin(house.engine, "It is an older copy.")
    operating.resume(house.engine, recovering.SCOPE, actor="pat")
    clone = house.account("Clone")
    with house.sf.org.lock:
        house.sf.row(clone)["NetSuite_Customer_Id__c"] = number

    house.push_one(clone)

    assert number
    assert house.there("customer", f"sf-cus-{original}").fields["companyName"] == "Original"
    assert house.there("customer", f"sf-cus-{clone}").fields["companyName"] == "Clone"


def test_while_salesforce_cannot_say_what_was_taken_over_nothing_is_made(house, heir):
    winner, loser = heir
    recovering.begin(house.engine, "It is an older copy.")
    operating.resume(house.engine, recovering.SCOPE, actor="pat")
    house.receive(winner)
    house.sf.faults.add(kind="unavailable", times=50)

    house.drain()
    states, made = house.states("customer", winner), len(house.made("customer"))
    house.sf.faults.clear()
    house.clock.advance(minutes=5)
    merging.drain(house)

    assert (states, made) == (["deferred"], 1)
    assert [it.external_id for it in house.made("customer")] == [f"sf-cus-{loser}"]


@only_sqlite
def test_a_deleted_customer_is_put_on_a_desk_not_made_anew(house, town):
    acme = house.account("Prospect")
    house.push(acme)
    house.clock.advance(hours=2)
    house.ns.admin.delete(kind="customer", externalId=f"sf-cus-{acme}")
    listed, _ = found(house)

    done = put_right(house)

    assert ("customer", "missing", acme) in listed
    assert done.left == 1
    assert (house.message("customer", acme).state, house.message("customer", acme).code) == (
        "rejected", "DELETED_IN_NETSUITE",
    )  # fmt: skip
    assert not [it for it in house.made("customer") if it.external_id == f"sf-cus-{acme}"]


@only_sqlite
def test_what_is_on_its_way_or_on_a_desk_is_no_difference(house, town):
    wrong = house.account("Merchant !REJECT")
    house.push(wrong)
    fresh = house.account("On its way")
    house.receive(fresh)
    house.clock.advance(hours=1)

    listed, report = found(house)

    assert listed == []
    assert report.waiting == 2


def test_a_difference_is_an_incident_until_it_is_over(house, town):
    (_, altered), *_ = town
    alter(house, "salesOrder", f"sf-so-{altered}", "-0.01")
    found(house)
    put_right(house, amounts=True)
    found(house)

    begun, over = house.audit(action="incident"), house.audit(action="incident_over")
    assert [row.detail for row in begun] == [row.detail for row in over] == ["reconcile:sales_order"]


@only_sqlite
def test_records_are_read_in_lists(house, town):
    before = house.calls()["getList"] + house.calls()["get"], house.calls()["search"]

    found(house)

    reads = house.calls()["getList"] + house.calls()["get"] - before[0]
    assert reads <= len(house.syncs.pushes)
    assert house.calls()["search"] - before[1] <= 2 * len(house.syncs.pushes)


@only_sqlite
def test_a_field_that_is_mapped_since_makes_nothing_older(house, town):
    """Else every record would differ on the day after a change of bridge.toml."""
    house.sf.update(town[0][0], Description="Likes ovens")
    house.push(town[0][0])
    customer = house.syncs.pushes["customer"]
    wider = with_fields(customer, {"comments": text("Description")})
    house.engine.syncs = replace(house.syncs, pushes={**house.syncs.pushes, "customer": wider})
    house.clock.advance(hours=1)

    assert found(house)[0] == []


@only_sqlite
def test_what_was_never_saved_since_the_package_came_is_not_missing(house, town):
    """Thousands of old Accounts must not become customers because somebody mends a difference."""
    old = house.account("From before")
    house.sf.org.tables["Account"].rows[old]["Bridge_Version__c"] = None
    house.clock.advance(hours=1)

    listed, report = found(house)

    assert listed == []
    assert report.in_scope["customer"] == 4


@only_sqlite
def test_bills_credits_and_refunds_are_compared_by_their_amounts(other_site):
    """A refund has no lines, and what a credit is applied to is accounting's to change."""
    house = other_site(commission="vendor_bill", **crediting.SITE)
    broker = house.account("Broker")
    acme, _, invoice = crediting.bill(house, fee="500.00")
    brokered = house.application(acme, ("Wire Fee", "25.00"), Broker__c=broker, Commission_Amount__c="750.00")
    house.push(broker, acme, brokered)
    crediting.pay(house, acme, invoice, "450.00")
    crediting.pulled(house)
    house.push(crediting.approved(house, invoice, "120.25", "Refund"))
    house.drain()
    house.clock.advance(hours=2)

    listed, report = found(house)
    (bill,) = house.made("vendorBill")
    bill.lists["expenseList"][0]["amount"] = "750.01"
    house.ns.store.changed(bill)
    altered, _ = found(house)

    assert listed == []
    sums = {sync: (it.count, it.ours, it.theirs) for (sync, _), it in report.sums.items()}
    assert sums["broker_commission"] == (1, Decimal("750.00"), Decimal("750.00"))
    assert sums["credit_memo"] == (1, Decimal("120.25"), Decimal("120.25"))
    assert sums["customer_refund"] == (1, Decimal("70.25"), Decimal("70.25"))
    assert altered == [("broker_commission", "amount", brokered)]
