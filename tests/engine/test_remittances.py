"""Every payment finds its Application, or waits in suspense; reversed and applied again, the balances are right."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bridge import matching

PURCHASED = Decimal("65000.00")


def funded(house, account, fee="1000.00", **values):
    oven = house.application(account, ("Origination Fee", fee), **values)
    house.push_one(oven)
    return oven


def billed(house, oven, amount=None):
    return house.ns.admin.bill(kind="salesOrder", externalId=f"sf-so-{oven}", amount=amount)


def customer_of(house, account):
    return house.there("customer", f"sf-cus-{account}").ref.id


def pulled(house, **span):
    house.clock.advance(**(span or {"minutes": 5}))
    return house.pull("remittance")


def amounts(house):
    return {it["NetSuite_Key__c"]: Decimal(str(it["Amount__c"])) for it in house.sf.rows("Remittance__c")}


def balances(house, *ovens):
    rows = [house.sf.row(it) for it in ovens]
    return [(Decimal(str(it["Remitted_Amount__c"])), Decimal(str(it["Remaining_Balance__c"]))) for it in rows]


def waiting(house):
    with house.ledger.read() as connection:
        return matching.suspense(connection, house.syncs.pulls["remittance"])


# --- split, reversed, applied again


@pytest.mark.parametrize("currency", ["USD", "EUR"])
def test_a_payment_over_three_invoices_of_two_applications_reversed_and_applied_again(other_site, currency):
    """To the cent after each pull; nothing is deleted, every change is a new state."""
    house = other_site(currency=currency)
    acme = house.account("Acme")
    oven, truck = funded(house, acme), funded(house, acme, "700.00")
    first, second = billed(house, oven, "200.00"), billed(house, oven, "150.10")
    third = billed(house, truck, "700.00")
    whole = {first.id: "200.00", second.id: "150.10", third.id: "149.90"}
    customer = customer_of(house, acme)
    payment = house.ns.admin.pay(customer, "500.00", whole, currency=currency)

    pulled(house)
    split = balances(house, oven, truck)
    house.ns.admin.edit_payment("500.00", {}, id=payment.id)
    pulled(house)
    reversed_, held = balances(house, oven, truck), waiting(house)
    house.ns.admin.edit_payment("500.00", whole, id=payment.id)
    pulled(house)
    again = balances(house, oven, truck)
    house.ns.admin.void(id=payment.id)
    pulled(house)

    assert split == [
        (Decimal("350.10"), Decimal("64649.90")), (Decimal("149.90"), Decimal("64850.10"))
    ]  # fmt: skip
    assert reversed_ == [(Decimal("0.00"), PURCHASED)] * 2
    assert [(it.amount, it.currency) for it in held] == [(Decimal("500.00"), currency)]
    assert again == split
    assert balances(house, oven, truck) == [(Decimal("0.00"), PURCHASED)] * 2
    rows = house.sf.rows("Remittance__c")
    assert len(rows) == 4
    assert {it["Currency__c"] for it in rows} == {currency}
    assert all(it["Reversed__c"] for it in rows)
    assert waiting(house) == []


def test_the_old_and_the_new_amount_stand_in_the_audit(house):
    acme = house.account("Acme")
    oven = funded(house, acme)
    invoice = billed(house, oven)
    payment = house.ns.admin.pay(customer_of(house, acme), "300.00", {invoice.id: "300.00"})
    pulled(house)
    house.ns.admin.edit_payment("250.00", {invoice.id: "250.00"}, id=payment.id)

    pulled(house)

    (row,) = house.audit(action="amended")
    assert row.detail == f"customerPayment-{payment.id}-invoice-{invoice.id}: 300.00 before, 250.00 now"


def test_a_voided_payment_stays_as_a_row_of_nothing(house):
    acme = house.account("Acme")
    oven = funded(house, acme)
    invoice = billed(house, oven)
    payment = house.ns.admin.pay(customer_of(house, acme), "300.00", {invoice.id: "300.00"})
    pulled(house)
    house.ns.admin.void(id=payment.id)

    pulled(house)

    (row,) = house.sf.rows("Remittance__c")
    assert (Decimal(str(row["Amount__c"])), row["Reversed__c"]) == (Decimal(0), True)
    assert balances(house, oven) == [(Decimal("0.00"), PURCHASED)]


# --- which Application


def test_an_unapplied_payment_belongs_to_the_only_open_funding_of_its_customer(house):
    acme = house.account("Acme")
    oven = funded(house, acme)
    house.application(acme, StageName="Underwriting", Funding_Accepted__c=False, Name="not funded")
    house.ns.admin.pay(customer_of(house, acme), "80.00")

    pulled(house)

    (row,) = house.sf.rows("Remittance__c")
    assert row["Application__c"] == oven
    assert balances(house, oven) == [(Decimal("80.00"), Decimal("64920.00"))]
    assert waiting(house) == []


def test_with_two_open_fundings_it_waits_in_suspense_with_its_age(house):
    acme = house.account("Acme")
    oven, truck = funded(house, acme), funded(house, acme)
    payment = house.ns.admin.pay(customer_of(house, acme), "80.00")
    pulled(house)
    house.clock.advance(hours=50)
    house.ns.admin.edit_payment("90.00", id=payment.id)

    pulled(house)

    (one,) = waiting(house)
    assert (one.payment, one.amount, one.currency) == (payment.id, Decimal("90.00"), "USD")
    assert one.key == f"customerPayment-{payment.id}-unapplied"
    assert house.clock.at - one.since > timedelta(hours=50)
    (row,) = house.sf.rows("Remittance__c")
    assert (row.get("Application__c"), row["Account__c"]) == (None, acme)
    assert [house.sf.row(it).get("Remitted_Amount__c") for it in (oven, truck)] == [None, None]


def test_a_custom_field_of_the_payment_decides(other_site):
    """By Application id or by order number, as accounting likes it."""
    house = other_site(remittance_field="custbody_application")
    house.ns.admin.define_custom_field("custbody_application", "StringCustomFieldRef", ["customerPayment"])
    acme = house.account("Acme")
    oven, truck = funded(house, acme), funded(house, acme)
    customer = customer_of(house, acme)
    number = house.there("salesOrder", f"sf-so-{oven}").fields["tranId"]
    for amount, value in (("80.00", truck), ("30.00", number), ("5.00", "nonsense")):
        payment = house.ns.admin.pay(customer, amount)
        house.ns.admin.edit({"custbody_application": value}, kind="customerPayment", id=payment.id)

    pulled(house)

    found = {Decimal(str(it["Amount__c"])): it.get("Application__c") for it in house.sf.rows("Remittance__c")}
    assert found == {Decimal("80.00"): truck, Decimal("30.00"): oven, Decimal("5.00"): None}
    assert [it.amount for it in waiting(house)] == [Decimal("5.00")]


def test_applied_documents_count_more_than_the_custom_field(other_site):
    house = other_site(remittance_field="custbody_application")
    house.ns.admin.define_custom_field("custbody_application", "StringCustomFieldRef", ["customerPayment"])
    acme = house.account("Acme")
    oven, truck = funded(house, acme), funded(house, acme)
    invoice = billed(house, oven)
    payment = house.ns.admin.pay(customer_of(house, acme), "80.00", {invoice.id: "80.00"})
    house.ns.admin.edit({"custbody_application": truck}, kind="customerPayment", id=payment.id)

    pulled(house)

    (row,) = house.sf.rows("Remittance__c")
    assert row["Application__c"] == oven


def test_suspense_is_matched_by_itself_when_the_link_appears(house):
    """The payment came before the Application was known, and is not touched again in NetSuite."""
    acme = house.account("Acme")
    house.push_one(acme)
    house.ns.admin.pay(customer_of(house, acme), "80.00")
    pulled(house)
    before = waiting(house)
    oven = funded(house, acme)

    report = pulled(house, hours=60)

    assert len(before) == 1
    assert (report.matched, report.stored) == (1, 0)
    assert "1 matched to an Application" in report.sentence()
    assert waiting(house) == []
    assert balances(house, oven) == [(Decimal("80.00"), Decimal("64920.00"))]


def test_a_second_funding_does_not_take_away_what_was_matched(house):
    acme = house.account("Acme")
    oven = funded(house, acme)
    payment = house.ns.admin.pay(customer_of(house, acme), "80.00")
    pulled(house)
    funded(house, acme)
    house.ns.admin.edit_payment("85.00", id=payment.id)

    pulled(house)

    assert balances(house, oven) == [(Decimal("85.00"), Decimal("64915.00"))]


def test_a_payment_of_another_currency_is_not_guessed(house):
    acme = house.account("Acme")
    funded(house, acme)
    house.ns.admin.pay(customer_of(house, acme), "80.00", currency="EUR")

    pulled(house)

    assert [(it.amount, it.currency) for it in waiting(house)] == [(Decimal("80.00"), "EUR")]


def test_suspense_that_stays_costs_netsuite_nothing(house):
    acme = house.account("Acme")
    funded(house, acme)
    funded(house, acme)
    house.ns.admin.pay(customer_of(house, acme), "80.00")
    pulled(house)
    house.clock.advance(hours=60)
    house.pull("remittance")
    house.clock.advance(hours=60)
    before = house.calls().copy()

    report = house.pull("remittance")

    assert (report.read, report.matched) == (0, 0)
    assert house.calls() - before == {"getServerTime": 1, "search": 1, "getDeleted": 1}
