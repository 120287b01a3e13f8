"""What is looked up beside the syncs, of the fake NetSuite, over its bytes."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from lxml import etree

from bridge.errors import Rejected
from bridge.ports import Record, Ref
from tests.netsuite.conftest import customer
from tests.netsuite.test_against_the_sandbox import CUSTOMER, SUB, fake, netsuite

__all__ = ["fake", "netsuite"]  # fixtures
OCTOBER = (date(2026, 10, 1), date(2026, 10, 31))


def october(netsuite, *, fresh=True):
    (found,) = [it for it in netsuite.periods(fresh=fresh) if it.first.isoformat()[:7] == "2026-10"]
    return found


def test_periods_are_months_in_their_order_without_quarters_and_years(netsuite):
    found = netsuite.periods()

    assert [it.first for it in found] == sorted(it.first for it in found)
    assert (october(netsuite).name, october(netsuite).first, october(netsuite).last) == ("Oct 2026", *OCTOBER)
    assert all((it.last - it.first).days < 31 for it in found)


def test_a_closed_period_takes_nothing_and_a_locked_one_its_own_side(netsuite, fake):
    fake.admin.lock_period("2026-10", "ar")
    locked = october(netsuite)
    fake.admin.close_periods("2026-10-31")
    closed = october(netsuite)

    assert (locked.takes("creditMemo"), locked.takes("vendorBill")) == (False, True)
    assert (closed.takes("creditMemo"), closed.takes("vendorBill")) == (False, False)


def test_periods_are_asked_for_once_in_five_minutes(netsuite, fake):
    netsuite.periods()
    asked = fake.calls_by_operation["search"]
    netsuite.periods()
    again = fake.calls_by_operation["search"]
    netsuite.periods(fresh=True)

    assert (again - asked, fake.calls_by_operation["search"] - asked) == (0, 1)


def test_a_role_that_may_not_read_periods_is_told_without_stopping_anything_else(netsuite, fake):
    fake.faults.add("permission", operation="search")

    with pytest.raises(Rejected) as told:
        netsuite.periods()

    assert (told.value.code, told.value.who) == ("PERIODS_NOT_PERMITTED", "administrator")


def test_who_has_the_name_already_is_found_whatever_its_case(netsuite):
    netsuite.upsert([customer("sf-cus-1", subsidiary=SUB, companyName="Acme"), customer("x", subsidiary=SUB)])

    found = netsuite.namesakes(Record(Ref("customer", external_id="sf-cus-2"), {"companyName": "ACME"}))

    assert [(it.ref.external_id, it.fields["entityId"]) for it in found] == [("sf-cus-1", "Acme")]
    assert netsuite.namesakes(Record(Ref("vendor", external_id="v"), {"companyName": "ACME"})) == []


def test_a_contact_of_another_company_is_no_namesake(netsuite):
    person = {"entityId": "Ann Lee", "firstName": "Ann", "lastName": "Lee", "subsidiary": SUB}
    names = {"sf-cus-1": "Acme", "sf-cus-2": "Bolt"}
    one, other = netsuite.upsert([customer(it, subsidiary=SUB, companyName=name) for it, name in names.items()])
    netsuite.upsert([Record(Ref("contact", external_id="c"), {**person, "company": one.ref})])

    same = netsuite.namesakes(Record(Ref("contact"), {**person, "company": one.ref}))

    assert [it.ref.external_id for it in same] == ["c"]
    assert netsuite.namesakes(Record(Ref("contact"), {**person, "company": other.ref})) == []


def test_an_external_id_is_given_and_nothing_else_is_changed(netsuite, fake):
    made = fake.admin.create("customer", companyName="Acme", subsidiary="1")
    before = dict(made.fields)

    for _ in range(2):
        written = netsuite.give_external_id(Ref("customer", id=made.id), "sf-cus-1")

    (found,) = netsuite.get([CUSTOMER])
    assert written.ref.id == found.ref.id == made.id
    assert {name: made.fields[name] for name in before} == before


def test_an_external_id_is_not_given_to_what_is_gone(netsuite):
    with pytest.raises(Rejected) as told:
        netsuite.give_external_id(Ref("customer", id="999999"), "sf-cus-1")

    assert told.value.code == "RCRD_DSNT_EXIST"


@pytest.mark.full_schemas
def test_what_is_asked_is_valid_against_the_full_schemas(netsuite, fake, full_schema):
    fake.record_requests = True
    netsuite.periods()
    netsuite.namesakes(Record(Ref("customer"), {"companyName": "Nobody"}))
    netsuite.upsert([customer("sf-cus-1", subsidiary=SUB)])
    netsuite.give_external_id(netsuite.get([CUSTOMER])[0].ref, "sf-cus-1")
    list(netsuite.changed("customer", fake.clock() - timedelta(minutes=1), fake.clock()))

    for request in fake.requests:
        full_schema("2025_2").assertValid(etree.fromstring(request))
