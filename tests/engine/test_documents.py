"""Invoices, credits, refunds and deposits come to Salesforce with what is paid, open and overdue, to the cent."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bridge import matching

MIRRORS = ("invoice_mirror", "credit_memo_mirror", "customer_refund_mirror", "customer_deposit_mirror")


def funded(house, account, fee="500.00", **values):
    oven = house.application(account, ("Origination Fee", fee), **values)
    house.push_one(oven)
    return oven


def billed(house, oven, amount=None, due=None):
    invoice = house.ns.admin.bill(kind="salesOrder", externalId=f"sf-so-{oven}", amount=amount)
    if due is not None:
        house.ns.admin.edit({"dueDate": due}, kind="invoice", id=invoice.id)
    return invoice


def customer_of(house, account):
    return house.there("customer", f"sf-cus-{account}").ref.id


def pulled(house, *names):
    house.clock.advance(minutes=5)
    return [house.pull(name) for name in names or MIRRORS]


def document(house, record):
    (row,) = [it for it in house.sf.rows("NetSuite_Document__c") if it["NetSuite_Id__c"] == record.id]
    return row


def worth(house, record):
    row = document(house, record)
    return [row[name] for name in ("Total__c", "Paid_Amount__c", "Open_Amount__c")]


def waiting(house, name):
    with house.ledger.read() as connection:
        return matching.suspense(connection, house.syncs.pulls[name])


@pytest.mark.parametrize("currency", ["USD", "EUR"])
def test_an_invoice_shows_what_is_billed_paid_and_open(other_site, currency):
    house = other_site(currency=currency)
    acme = house.account("Acme")
    oven = funded(house, acme, "500.05")
    invoice = billed(house, oven, due="2026-12-20")
    customer = customer_of(house, acme)
    house.ns.admin.pay(customer, "100.04", {invoice.id: "100.04"}, currency=currency)
    house.ns.admin.credit(customer, "50.01", {invoice.id: "50.01"}, currency=currency)

    pulled(house)

    row = document(house, invoice)
    assert (row["Record_Type__c"], row["Name"], row["Currency__c"]) == ("Invoice", invoice.fields["tranId"], currency)
    assert (row["Application__c"], row["Account__c"]) == (oven, acme)
    assert worth(house, invoice) == [Decimal("500.05"), Decimal("150.05"), Decimal("350.00")]
    assert str(row["Due_Date__c"]) == "2026-12-20"
    (line,) = [it for it in house.sf.rows("NetSuite_Document_Line__c") if it["Document__c"] == row["Id"]]
    assert (line["Line_Type__c"], line["Item__c"], line["Amount__c"]) == ("Item", "Origination Fee", Decimal("500.05"))


def test_an_invoice_becomes_overdue_by_itself(house):
    acme = house.account("Acme")
    invoice = billed(house, funded(house, acme), due=f"{house.clock():%Y-%m-%d}")
    pulled(house)
    before = document(house, invoice)
    stamp = before["SystemModstamp"]

    house.clock.advance(days=3)
    after = document(house, invoice)
    reports = pulled(house)
    house.ns.admin.pay(customer_of(house, acme), "500.00", {invoice.id: "500.00"})
    pulled(house)

    assert (before["Overdue__c"], before["Days_Overdue__c"]) == (False, 0)
    assert (after["Overdue__c"], after["Days_Overdue__c"], after["SystemModstamp"]) == (True, 3, stamp)
    assert [it.stored for it in reports] == [0, 0, 0, 0]
    paid = document(house, invoice)
    assert (paid["Overdue__c"], paid["Days_Overdue__c"], paid["Status__c"]) == (False, 0, "Paid In Full")


def test_a_credit_memo_made_in_netsuite_is_shown_and_reduces_its_invoice(house):
    """F-59, from NetSuite to Salesforce."""
    acme = house.account("Acme")
    oven = funded(house, acme)
    invoice = billed(house, oven)
    credit = house.ns.admin.credit(customer_of(house, acme), "120.00", {invoice.id: "100.00"})

    pulled(house)

    assert worth(house, invoice) == [Decimal("500.00"), Decimal("100.00"), Decimal("400.00")]
    assert worth(house, credit) == [Decimal("120.00"), Decimal("100.00"), Decimal("20.00")]
    row = document(house, credit)
    assert (row["Record_Type__c"], row["Application__c"], row["Account__c"]) == ("Credit Memo", oven, acme)
    assert row["Applied_To__c"] == invoice.fields["tranId"]


def test_refunds_and_deposits_find_their_application(house):
    acme = house.account("Acme")
    oven, truck = funded(house, acme), funded(house, acme, "700.00")
    invoice, customer = billed(house, oven), customer_of(house, acme)
    payment = house.ns.admin.pay(customer, "450.00", {invoice.id: "400.00"})
    credit = house.ns.admin.credit(customer, "100.00", {invoice.id: "40.00"})
    order = house.there("salesOrder", f"sf-so-{truck}").ref.id
    deposit = house.ns.admin.deposit(customer, "300.00", order)
    back = house.ns.admin.refund(customer, {credit.id: "60.00", payment.id: "50.00"})
    returned = house.ns.admin.refund(customer, {deposit.id: "25.50"})

    pulled(house)

    found = {it.id: document(house, it)["Application__c"] for it in (credit, back, deposit)}
    assert found == {credit.id: oven, back.id: oven, deposit.id: truck}
    assert worth(house, credit) == [Decimal("100.00"), Decimal("100.00"), Decimal("0.00")]
    assert worth(house, back) == [Decimal("110.00"), Decimal("110.00"), Decimal("0.00")]
    assert worth(house, deposit) == [Decimal("300.00"), Decimal("25.50"), Decimal("274.50")]
    assert document(house, returned)["Total__c"] == Decimal("25.50")


def test_what_no_application_is_known_for_waits_in_suspense_and_is_matched_later(house):
    acme = house.account("Acme")
    oven, _ = funded(house, acme), funded(house, acme, "700.00")
    invoice = billed(house, oven)
    credit = house.ns.admin.credit(customer_of(house, acme), "75.25")

    pulled(house)
    held = waiting(house, "credit_memo_mirror")
    house.ns.admin.apply({invoice.id: "75.25"}, kind="creditMemo", id=credit.id)
    pulled(house)

    assert [(it.payment, it.amount, it.currency) for it in held] == [(credit.id, Decimal("75.25"), "USD")]
    assert document(house, credit)["Application__c"] == oven
    assert waiting(house, "credit_memo_mirror") == []
    assert worth(house, invoice)[2] == Decimal("424.75")


def test_a_credit_that_is_applied_elsewhere_leaves_its_first_application(house):
    acme = house.account("Acme")
    oven, truck = funded(house, acme), funded(house, acme, "700.00")
    first, second = billed(house, oven), billed(house, truck)
    credit = house.ns.admin.credit(customer_of(house, acme), "80.00", {first.id: "80.00"})
    pulled(house)
    before = document(house, credit)["Application__c"]

    house.ns.admin.apply({first.id: "30.00", second.id: "50.00"}, kind="creditMemo", id=credit.id)
    pulled(house)
    shared = document(house, credit).get("Application__c")
    house.ns.admin.apply({second.id: "80.00"}, kind="creditMemo", id=credit.id)
    pulled(house)

    assert (before, shared, document(house, credit)["Application__c"]) == (oven, None, truck)
    assert [worth(house, it)[2] for it in (first, second)] == [Decimal("500.00"), Decimal("620.00")]
    lines = [it for it in house.sf.rows("NetSuite_Document_Line__c") if it["Line_Type__c"] == "Applied"]
    amounts = {it["Applied_To__c"]: it["Amount__c"] for it in lines}
    assert amounts == {first.fields["tranId"]: Decimal(0), second.fields["tranId"]: Decimal("80.00")}


def test_deleted_and_voided_documents_stay_as_rows_of_nothing(house):
    acme = house.account("Acme")
    oven = funded(house, acme)
    invoice, customer = billed(house, oven), customer_of(house, acme)
    credit = house.ns.admin.credit(customer, "100.00", {invoice.id: "100.00"})
    pulled(house)

    house.ns.admin.void(kind="creditMemo", id=credit.id)
    pulled(house)
    voided = document(house, credit)
    house.ns.admin.delete(kind="invoice", id=invoice.id)
    pulled(house)

    assert (voided["Status__c"], voided["Total__c"]) == ("Voided", Decimal(0))
    gone = document(house, invoice)
    assert (gone["Status__c"], gone["Application__c"]) == ("Deleted in NetSuite", oven)
    assert worth(house, invoice) == [Decimal(0)] * 3


def test_an_invoice_whose_stamp_does_not_move_is_read_with_what_changed_it(house):
    """Whether a payment moves the invoice's own last-modified time is not documented."""
    acme = house.account("Acme")
    invoice = billed(house, funded(house, acme))
    pulled(house)
    customer = customer_of(house, acme)
    stamp = invoice.modified

    def unmoved():
        invoice.modified = stamp  # as if NetSuite had not touched it
        invoice.cache.clear()

    payment = house.ns.admin.pay(customer, "200.00", {invoice.id: "200.00"})
    unmoved()
    pulled(house, "remittance")
    paid = worth(house, invoice)
    house.ns.admin.edit_payment("200.00", {}, id=payment.id)
    unmoved()
    pulled(house, "remittance")
    taken_back = worth(house, invoice)
    house.ns.admin.edit_payment("200.00", {invoice.id: "10.00"}, id=payment.id)
    unmoved()
    pulled(house, "remittance")
    house.ns.admin.delete(kind="customerPayment", id=payment.id)
    unmoved()
    pulled(house, "remittance")

    assert [it[2] for it in (paid, taken_back, worth(house, invoice))] == [
        Decimal("300.00"), Decimal("500.00"), Decimal("500.00")
    ]  # fmt: skip


def test_a_second_pull_of_documents_brings_nothing(house):
    acme = house.account("Acme")
    invoice = billed(house, funded(house, acme))
    house.ns.admin.credit(customer_of(house, acme), "1.00", {invoice.id: "1.00"})
    pulled(house)
    stamps = [it["SystemModstamp"] for it in house.sf.rows("NetSuite_Document__c")]

    again = pulled(house)

    assert [it.stored for it in again] == [0, 0, 0, 0]
    assert [it["SystemModstamp"] for it in house.sf.rows("NetSuite_Document__c")] == stamps


def test_a_changed_total_is_told_in_the_audit(house):
    acme = house.account("Acme")
    invoice = billed(house, funded(house, acme))
    pulled(house)
    house.ns.admin.edit({"total": "450.00", "amountRemaining": "450.00"}, kind="invoice", id=invoice.id)

    pulled(house)

    (row,) = house.audit(action="amended")
    assert row.detail == f"invoice-{invoice.id}: 500.00 before, 450.00 now"
