"""A record of the same name is in NetSuite already: nobody invents a name, a person says whether it is the same one."""

from __future__ import annotations

import json

import pytest

from bridge import adopting, handling
from bridge.errors import Deferred, Rejected
from bridge.ledger import triage
from bridge.sandbox.netsuite import FakeNetSuite


def by_hand(house, name="Acme", kind="customer", **fields):
    return house.ns.admin.create(kind, companyName=name, subsidiary="1", **fields)


def refused(house, name="Acme"):
    """Save an Account whose name is taken; return its id and its message."""
    account = house.account(name, Phone="555")
    house.push_one(account)
    return account, house.message("customer", account)


def adopt(house, row, netsuite_id, reason="", actor="ann"):
    return handling.at_once(house.engine, "adopt", [row.id], value=netsuite_id, reason=reason, actor=actor)


def test_a_taken_name_is_told_with_what_to_do_and_nothing_is_made(house):
    by_hand(house)

    _, row = refused(house)

    assert (row.state, row.code, row.who) == ("rejected", "UNIQUE_CUST_ID_REQD", "accounting")
    assert "adopt it" in row.reason
    assert len(house.made("customer")) == 1
    assert house.made("customer")[0].external_id is None
    assert adopting.is_offered(house.engine, row)


def test_the_record_that_has_the_name_is_shown(house):
    there = by_hand(house, "ACME")
    _, row = refused(house)

    (found,) = adopting.candidates(house.engine, row)

    assert (found.id, found.kind, found.name, found.number) == (there.id, "customer", "ACME", "ACME")
    assert (found.external_id, found.wrong) == (None, None)


def test_what_a_person_adopts_is_linked_gets_our_id_and_the_save(house):
    there = by_hand(house)
    account, row = refused(house)

    said = adopt(house, row, there.id, reason="same tax id")
    house.drain()

    assert said == "1 of 1 adopted and on their way."
    assert house.message("customer", account).state == "delivered"
    assert house.links()["customer", account].target_id == there.id
    assert (there.external_id, there.fields["phone"]) == (f"sf-cus-{account}", "555")
    assert [it.id for it in house.made("customer")] == [there.id]
    (told,) = house.audit(action="adopt")
    assert (told.actor, told.target, told.source_id) == ("ann", f"customer/{there.id}", account)
    assert told.detail == f"external id sf-cus-{account}, given; same tax id"
    house.sf.update(account, Phone="556")
    house.push_one(account)
    assert there.fields["phone"] == "556"


def test_another_programs_external_id_stays_and_the_record_is_written_by_it(house):
    there = by_hand(house)
    house.ns.store.set_external_id(there, "crm-77")
    account, row = refused(house)

    adopt(house, row, there.id)
    house.drain()

    assert there.external_id == "crm-77"
    assert house.links()["customer", account].external_id == "crm-77"
    contact = house.sf.insert("Contact", FirstName="Ann", LastName="Lee", AccountId=account)
    assert house.push_one(contact).state == "delivered"
    assert house.made("contact")[0].fields["company"].id == there.id


def test_the_record_of_another_account_cannot_be_adopted(house):
    house.push_one(house.account())
    (theirs,) = house.made("customer")
    account, row = refused(house)

    (found,) = adopting.candidates(house.engine, row)
    with pytest.raises(Rejected) as told:
        adopt(house, row, theirs.id)

    assert found.wrong == "It is the one of another Salesforce record."
    assert told.value.code == "NOT_ADOPTABLE"
    assert house.message("customer", account).state == "rejected"


def test_a_record_that_only_bears_another_accounts_id_cannot_be_adopted(house):
    """The ledger may have lost the link; the id says whose it is."""
    there = by_hand(house)
    house.ns.store.set_external_id(there, "sf-cus-0015e00000000ZZAAA")
    _, row = refused(house)

    (found,) = adopting.candidates(house.engine, row)

    assert found.wrong == "It is the one of another Salesforce record."


def test_a_linked_record_that_has_lost_its_external_id_cannot_be_adopted(house):
    house.push_one(house.account())
    (theirs,) = house.made("customer")
    theirs.external_id = None
    _, row = refused(house)

    (found,) = adopting.candidates(house.engine, row)

    assert found.wrong == "It is the one of another Salesforce record."


def test_an_external_id_by_which_nothing_can_be_written_is_said(house):
    there = by_hand(house)
    house.ns.store.set_external_id(there, "crm|77")
    _, row = refused(house)

    with pytest.raises(Rejected, match="characters"):
        adopt(house, row, there.id)


@pytest.mark.parametrize("id_", ["999999", "", "1"])
def test_only_what_has_the_name_can_be_adopted(house, id_):
    by_hand(house)
    _, row = refused(house)

    with pytest.raises(Rejected) as told:
        adopt(house, row, id_)

    assert told.value.code == "NOT_A_CANDIDATE"
    assert house.audit(action="adopt") == []


def test_a_vendor_of_that_name_is_no_candidate_for_a_customer(house):
    by_hand(house, kind="vendor")
    _, row = refused(house)

    assert row.code == "DUP_ENTITY"
    assert adopting.candidates(house.engine, row) == []


def test_what_was_renamed_before_the_approval_is_not_adopted(house):
    there = by_hand(house)
    _, row = refused(house)
    number = handling.draft(
        house.engine, "adopt", [row.id], value=there.id, reason="", actor="ann", guard=lambda count, sums: True
    )
    plan = found(house, number)
    handling.confirm(house.engine, plan, actor="ann")
    house.ns.admin.edit({"entityId": "Bolt", "companyName": "Bolt"}, kind="customer", id=there.id)

    with pytest.raises(Rejected) as told:
        handling.decide(house.engine, found(house, number), actor="bob", approve=True)

    assert json.loads(plan.value)["id"] == there.id
    assert told.value.code == "NOT_A_CANDIDATE"
    assert found(house, number).state == triage.WAITING
    assert there.external_id is None


def found(house, number):
    with house.ledger.read() as connection:
        return triage.find(connection, number)


def test_a_second_person_approves_where_the_site_asks_for_one(house):
    there = by_hand(house)
    account, row = refused(house)
    number = handling.draft(
        house.engine, "adopt", [row.id], value=there.id, reason="", actor="ann", guard=lambda count, sums: True
    )
    handling.confirm(house.engine, found(house, number), actor="ann")
    untouched = there.external_id

    handling.decide(house.engine, found(house, number), actor="bob", approve=True)
    house.drain()

    assert untouched is None
    assert house.links()["customer", account].target_id == there.id


@pytest.mark.parametrize("action", ["drop", "unexpected"])
def test_an_answer_that_is_lost_is_looked_up(house, action):
    there = by_hand(house)
    account, row = refused(house)
    house.ns.faults.add(action, operation="update", when="after")

    adopt(house, row, there.id)
    house.drain()

    assert house.message("customer", account).state == "delivered"
    assert there.external_id == f"sf-cus-{account}"


def test_netsuite_being_away_leaves_the_plan_to_be_confirmed_once_more(house):
    there = by_hand(house)
    account, row = refused(house)
    number = handling.draft(
        house.engine, "adopt", [row.id], value=there.id, reason="", actor="ann", guard=lambda count, sums: False
    )
    house.ns.faults.add("throttle", operation="search")
    with pytest.raises(Deferred):
        handling.confirm(house.engine, found(house, number), actor="ann")

    handling.confirm(house.engine, found(house, number), actor="ann")
    house.drain()

    assert house.message("customer", account).state == "delivered"


def test_a_contact_of_the_same_company_is_adopted(house):
    account = house.account()
    house.push_one(account)
    (company,) = house.made("customer")
    contact = house.sf.insert("Contact", FirstName="Ann", LastName="Lee", AccountId=account)
    sent = house.syncs.pushes["contact"].record(contact, house.read(contact).fields, house.syncs.context)
    name = sent.fields["entityId"]
    names = {"firstName": "Ann", "lastName": "Lee", "entityId": name}
    there = house.ns.admin.create("contact", **names, company=company.id, subsidiary="1")
    house.push_one(contact)
    row = house.message("contact", contact)
    assert row.code == "CONTACT_ALREADY_EXISTS"

    adopt(house, row, there.id)
    house.drain()

    assert house.message("contact", contact).state == "delivered"
    assert there.external_id == f"sf-con-{contact}"


def test_nothing_is_adopted_for_a_message_that_does_not_wait_for_it(house):
    account = house.account()
    house.push_one(account)

    with pytest.raises(Rejected) as told:
        adopting.candidates(house.engine, house.message("customer", account))

    assert told.value.code == "NOTHING_TO_ADOPT"
    assert isinstance(house.ns, FakeNetSuite)


@pytest.mark.parametrize("theirs", [None, "crm-77"])
def test_a_record_that_has_its_own_already_adopts_no_second(house, theirs):
    """Its orders would stay with the first one, which nothing would keep up to date any more."""
    account = house.account("Acme")
    house.push_one(account)
    there = by_hand(house, "Beta")
    if theirs:
        house.ns.store.set_external_id(there, theirs)
    code = "UNIQUE_CUST_ID_REQD"
    house.ns.faults.add("reject", operation="upsert*", record="customer", code=code, message="It is taken.")
    house.sf.update(account, Name="Beta")
    house.push_one(account)
    row, before = house.message("customer", account), house.links()["customer", account]

    with pytest.raises(Rejected, match="has one already"):
        adopt(house, row, there.id)

    assert house.links()["customer", account] == before
    assert there.external_id == theirs
