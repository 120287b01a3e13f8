"""What is billed, paid and credited is the same in both systems: over the real callouts, pulls and searches."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.company import SETTLED, Company


@pytest.fixture
def billed(company: Company) -> tuple[Company, str, str, Any]:
    """A funded Application with an invoice of 975.00: company, account, application, invoice."""
    account = company.account()
    application, _ = company.application(account)
    invoice = company.ns.admin.bill(kind="salesOrder", id=company.made("salesOrder", application).id)
    company.pull("invoices", lambda: len(company.sf.rows("NetSuite_Document__c")) == 1)
    return company, account, application, invoice


def document(company: Company, netsuite_id: str) -> dict[str, Any]:
    (found,) = [it for it in company.sf.rows("NetSuite_Document__c") if it["NetSuite_Id__c"] == netsuite_id]
    return dict(found)


def asked(company: Company, invoice: Any, kind: str, amount: str) -> str:
    """Ask for a credit, have it approved by somebody else, and wait until it is settled."""
    made = company.sf.insert(
        "Credit_Request__c", Invoice__c=document(company, invoice.id)["Id"], Kind__c=kind, Amount__c=Decimal(amount),
        Reason__c="Agreed with the merchant",
    )  # fmt: skip
    company.sf.drain()
    assert company.status(made) == "held"
    company.sf.approve_credit(made)
    company.sf.drain()
    company.until(lambda: company.status(made) in SETTLED)
    return made


def test_a_refund_logged_in_salesforce_reduces_the_matching_invoice(billed: tuple[Company, str, str, Any]) -> None:
    """F-58: an invoice of which 500.00 are open after a payment; a refund of 100.00 leaves 400.00."""
    company, account, application, invoice = billed
    customer = company.made("customer", account)
    company.ns.admin.pay(customer.id, "475.00", {invoice.id: "475.00"})
    company.pull("invoices", lambda: document(company, invoice.id)["Open_Amount__c"] == Decimal("500.00"))

    made = asked(company, invoice, "Refund", "100.00")
    memo = company.made("creditMemo", made)
    company.pull("invoices", lambda: document(company, invoice.id)["Open_Amount__c"] == Decimal("400.00"))

    assert company.status(made) == "delivered"
    assert Decimal(invoice.fields["amountRemaining"]) == Decimal("400.00")
    row = company.row(made)
    assert (row["NetSuite_Credit_Memo_Id__c"], row["NetSuite_Credit_Memo_Number__c"]) == (
        memo.id,
        memo.fields["tranId"],
    )
    company.until(lambda: len(company.sf.rows("NetSuite_Document__c")) == 2)
    credit = document(company, memo.id)
    assert (credit["Application__c"], credit["Credit_Request__c"]) == (application, made)
    assert company.all("customerRefund") == []


def test_what_was_paid_is_paid_back(billed: tuple[Company, str, str, Any]) -> None:
    company, account, application, invoice = billed
    company.ns.admin.pay(company.made("customer", account).id, "975.00", {invoice.id: "975.00"})
    company.pull("invoices", lambda: document(company, invoice.id)["Open_Amount__c"] == Decimal(0))

    made = asked(company, invoice, "Refund", "75.50")
    company.until(lambda: len(company.all("customerRefund")) == 1)
    company.pull("invoices", lambda: len(company.sf.rows("NetSuite_Document__c")) == 3)

    back = company.made("customerRefund", made)
    assert back.fields["total"] == "75.5"
    assert document(company, back.id)["Application__c"] == application
    company.until(lambda: company.row(made).get("NetSuite_Refund_Id__c") == back.id)


def test_a_request_that_does_not_fit_is_told_on_the_request(billed: tuple[Company, str, str, Any]) -> None:
    company, account, _, invoice = billed
    company.ns.admin.pay(company.made("customer", account).id, "900.00", {invoice.id: "900.00"})

    made = asked(company, invoice, "Credit", "100.00")

    row = company.row(made)
    assert (row["NetSuite_Status__c"], row["NetSuite_Error_Code__c"]) == ("rejected", "MORE_THAN_OPEN")
    assert row["NetSuite_Error__c"].endswith("has only 75.00 left, and 100.00 were to be applied to it.")
    assert company.all("creditMemo") == []
