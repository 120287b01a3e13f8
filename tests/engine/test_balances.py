"""Whatever accounting does with payments and credits, the balances are right to the cent after each pull."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import given as examples
from hypothesis import strategies as st

from bridge.sandbox.netsuite_rules import Refusal

PULLS = ("remittance", "invoice_mirror", "credit_memo_mirror", "customer_refund_mirror")
PURCHASED = Decimal("65000.00")
DAYS = (None, "2026-11-18", "2026-11-19")  # several payments of one day, too


def funded(house, account, bills):
    oven = house.application(account, ("Origination Fee", "900.00"))
    house.push_one(oven)
    for amount in bills:
        house.ns.admin.bill(kind="salesOrder", externalId=f"sf-so-{oven}", amount=amount)
    return oven


def pulled(house):
    house.clock.advance(minutes=5)
    return [house.pull(name) for name in PULLS]


def amount(row, name):
    return Decimal(str(row[name]))


def parts(house, customer, whole, number):
    """Where *whole* is applied: over the open invoices of *customer* from one on, all of it or only some."""
    invoices = [it for it in house.made("invoice") if it.fields["entity"].id == customer]
    found, left = {}, whole
    for invoice in invoices[number % len(invoices) :][: number % 4]:
        part = min(left, Decimal(invoice.fields["amountRemaining"]))
        if number % 2:
            part = (part / 3).quantize(Decimal("0.01"))
        if part > 0:
            found[invoice.id] = str(part)
            left -= part
    return found


def do(house, customers, what, which, cents, number):
    """One thing that a person in accounting does; what NetSuite refuses is left undone."""
    admin, customer, whole = house.ns.admin, customers[which % 2], Decimal(cents) / 100
    payments = [it for it in house.made("customerPayment") if it.fields["customer"].id == customer]
    payment = payments[number % len(payments)] if payments else None
    if what == "pay":
        day = DAYS[number % 3]
        admin.pay(customer, str(whole), parts(house, customer, whole, number), date=day)
    elif what == "credit":
        admin.credit(customer, str(whole), parts(house, customer, whole, number))
    elif what == "pull":
        pulled(house)
        agree(house)
    elif what == "wait":
        house.clock.advance(seconds=(0, 1, 60, 90_000)[number % 4])
    elif payment is None:
        return
    elif what == "apply again":
        admin.edit_payment(payment.fields["total"], {}, id=payment.id)
        admin.edit_payment(str(whole), parts(house, customer, whole, number), id=payment.id)
    elif what == "unapply":
        admin.edit_payment(payment.fields["total"], {}, id=payment.id)
    elif what == "move":
        admin.edit_payment(payment.fields["total"], {}, id=payment.id)
        admin.edit({"customer": customers[(which + 1) % 2]}, kind="customerPayment", id=payment.id)
    elif what == "refund":
        admin.refund(customer, {payment.id: str(min(whole, Decimal(payment.fields["unapplied"])))})
    elif what == "void":
        admin.void(id=payment.id)
    else:
        admin.delete(kind="customerPayment", id=payment.id)


def agree(house):
    """Salesforce says of every payment, invoice and balance what NetSuite says, and what is over is zero."""
    applications = {it.link: it.external_id.removeprefix("sf-so-") for it in house.made("salesOrder")}
    behind = {it.id: applications[it.fields["createdFrom"]] for it in house.made("invoice")}
    wanted = {}
    for payment in house.made("customerPayment"):
        key = f"customerPayment-{payment.id}"
        for line in payment.lists.get("applyList", ()):
            wanted[f"{key}-invoice-{line['doc']}"] = Decimal(line["amount"]), behind[line["doc"]]
        if Decimal(payment.fields["unapplied"]):
            wanted[f"{key}-unapplied"] = Decimal(payment.fields["unapplied"]), None
    rows = {it["NetSuite_Key__c"]: it for it in house.sf.rows("Remittance__c")}
    assert wanted.keys() <= rows.keys()
    for key, row in rows.items():
        worth, application = wanted.get(key, (Decimal(0), None))
        assert (amount(row, "Amount__c"), row["Reversed__c"]) == (worth, key not in wanted)
        assert application in (None, row.get("Application__c"))
    for application in applications.values():
        own = [it for it in rows.values() if it.get("Application__c") == application]
        paid = Decimal(0)
        for row in sorted(own, key=lambda it: (str(it["Payment_Date__c"]), it["NetSuite_Key__c"])):
            paid += amount(row, "Amount__c")
            assert amount(row, "Running_Balance__c") == PURCHASED - paid
        assert Decimal(str(house.sf.row(application).get("Remitted_Amount__c") or 0)) == paid
    shown = {it["NetSuite_Id__c"]: it for it in house.sf.rows("NetSuite_Document__c")}
    for document in (*house.made("invoice"), *house.made("creditMemo")):
        assert amount(shown[document.id], "Open_Amount__c") == Decimal(document.fields["amountRemaining"])
        assert amount(shown[document.id], "Paid_Amount__c") == Decimal(document.fields["amountPaid"])


ACTS = ("pay", "pay", "apply again", "unapply", "move", "refund", "void", "delete", "credit", "wait", "pull")


@pytest.mark.slow
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],  # one example goes on where another ended: none is smaller by itself
    print_blob=True,
)
@examples(script=st.lists(
    st.tuples(st.sampled_from(ACTS), st.integers(0, 1), st.integers(1, 40_000), st.integers(0, 11)),
    min_size=4, max_size=25,
))  # fmt: skip
def test_balances_are_right_whatever_accounting_does(house, script):
    """Partial, applied again, moved to another customer, paid back, voided, deleted; a second pull stores nothing."""
    if not house.made("salesOrder"):
        accounts = [house.account("Acme"), house.account("Other")]
        for account, bills in zip((*accounts, accounts[0]), (("200.01", "99.99"), ("0.03",), ("310.10",)), strict=True):
            funded(house, account, bills)
        pulled(house)
    customers = [it.id for it in house.made("customer")]

    for act in script:
        with suppress(Refusal):
            do(house, customers, *act)
    pulled(house)

    agree(house)
    count = len(house.messages())
    assert [it.matched for it in (house.pull(name) for name in PULLS)] == [0] * len(PULLS)
    assert len(house.messages()) == count


@pytest.mark.parametrize("first", ["voided", "of nobody we know"])
def test_what_was_nobodys_at_first_is_not_stored_again_with_every_pull(house, first):
    """A void has no rows, and one that has found its Application since is not a stranger any more."""
    account = house.account("Acme")
    oven = funded(house, account, ("100.00",))
    pulled(house)
    (customer,) = house.made("customer")
    payment = house.ns.admin.pay(customer.id, "80.00")
    house.ns.admin.void(id=payment.id)
    pulled(house)
    if first == "of nobody we know":
        (invoice,) = house.made("invoice")
        house.ns.admin.edit_payment("80.00", {invoice.id: "80.00"}, id=payment.id)
        pulled(house)
        assert amount(house.sf.row(oven), "Remitted_Amount__c") == Decimal("80.00")
    before = house.states("remittance", payment.id)

    reports = [house.pull("remittance") for _ in range(3)]

    assert [it.matched for it in reports] == [0, 0, 0]
    assert house.states("remittance", payment.id) == before
