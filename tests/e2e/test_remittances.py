"""What happens in NetSuite comes back to Salesforce: order status hourly, remittances daily."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bridge.app import run_job
from tests.e2e.company import Company


@pytest.fixture
def billed(company: Company) -> tuple[Company, str, str, str]:
    """A funded Application whose sales order is billed: company, account, application, invoice."""
    account = company.account()
    application, _ = company.application(account)
    order = company.made("salesOrder", application)
    company.ns.admin.approve(kind="salesOrder", id=order.id)
    invoice = company.ns.admin.bill(kind="salesOrder", id=order.id).id
    return company, account, application, invoice


def pay(company: Company, account: str, amount: str, apply: dict[str, str] | None = None) -> Any:
    return company.ns.admin.pay(company.made("customer", account).id, amount, apply)


def remittances(company: Company) -> list[dict[str, Any]]:
    return sorted((dict(it) for it in company.sf.rows("Remittance__c")), key=lambda it: str(it["NetSuite_Key__c"]))


def mirror(company: Company, order_id: str) -> dict[str, Any]:
    (found,) = [it for it in company.sf.rows("NetSuite_Order__c") if it["NetSuite_Id__c"] == order_id]
    return dict(found)


# --- orders ---


def test_an_orders_status_comes_back_with_the_next_pull(billed: tuple[Company, str, str, str]) -> None:
    company, account, application, _ = billed
    order = company.made("salesOrder", application)

    company.pull("orders", lambda: len(company.sf.rows("NetSuite_Order__c")) == 2)

    row = mirror(company, order.id)
    assert row["Status__c"] == order.fields["status"] == "Billed"
    assert (row["Name"], row["Record_Type__c"], row["Currency__c"]) == (order.fields["tranId"], "Sales Order", "USD")
    assert (row["Application__c"], row["Account__c"]) == (application, account)
    assert row["Total__c"] == Decimal("975.00")
    assert str(row["Order_Date__c"]) == "2026-12-01"


def test_a_purchase_order_is_mirrored_with_its_lines(billed: tuple[Company, str, str, str]) -> None:
    company, _, application, _ = billed
    order = company.made("purchaseOrder", application)

    company.pull("orders", lambda: len(company.sf.rows("NetSuite_Order_Line__c")) == 6)

    row = mirror(company, order.id)
    lines = [it for it in company.sf.rows("NetSuite_Order_Line__c") if it["Order__c"] == row["Id"]]
    assert (row["Record_Type__c"], row["Application__c"]) == ("Purchase Order", application)
    assert sorted((it["Item__c"], it["Amount__c"]) for it in lines) == [
        ("Origination Fee Withheld", Decimal("-800.00")),
        ("Purchase of Receivables", Decimal("40000.00")),
        ("Wire Fee Withheld", Decimal("-25.00")),
    ]


def test_a_second_pull_of_orders_brings_nothing(billed: tuple[Company, str, str, str]) -> None:
    company, *_ = billed
    company.pull("orders", lambda: len(company.sf.rows("NetSuite_Order__c")) == 2)

    again = run_job(company.house.bridge, "orders")

    assert again.count("0 new or changed") == 3


def test_only_the_order_that_changed_is_written_again(billed: tuple[Company, str, str, str]) -> None:
    company, _, application, _ = billed
    company.pull("orders", lambda: len(company.sf.rows("NetSuite_Order__c")) == 2)
    sale, purchase = company.made("salesOrder", application), company.made("purchaseOrder", application)
    untouched = mirror(company, sale.id)["SystemModstamp"]

    company.ns.admin.approve(kind="purchaseOrder", id=purchase.id)
    company.pull("orders", lambda: mirror(company, purchase.id)["Status__c"] == purchase.fields["status"])

    assert mirror(company, sale.id)["SystemModstamp"] == untouched


# --- remittances ---


def test_a_payment_becomes_a_remittance_of_its_application(billed: tuple[Company, str, str, str]) -> None:
    company, account, application, invoice = billed
    company.pull("orders", lambda: len(company.sf.rows("NetSuite_Order__c")) == 2)
    payment = pay(company, account, "400.00", {invoice: "400.00"})

    company.pull("remittances", lambda: company.row(application).get("Remaining_Balance__c") == Decimal("51600.00"))

    (row,) = remittances(company)
    order = mirror(company, company.made("salesOrder", application).id)
    assert (row["Application__c"], row["Account__c"], row["Order__c"]) == (application, account, order["Id"])
    assert (row["Amount__c"], row["Currency__c"]) == (Decimal("400.00"), "USD")
    assert str(row["Payment_Date__c"]) == payment.fields["tranDate"][:10]
    assert (row["Payment_Number__c"], row["NetSuite_Payment_Id__c"]) == (payment.fields["tranId"], payment.id)
    assert row["Applied_To__c"] == company.ns.store.get("invoice", invoice).fields["tranId"]  # type: ignore[union-attr]
    assert row["Running_Balance__c"] == Decimal("51600.00")


def test_the_balance_runs_from_the_purchased_amount_over_all_remittances(
    billed: tuple[Company, str, str, str],
) -> None:
    company, account, application, invoice = billed
    for amount in ("400.00", "180.50"):
        pay(company, account, amount, {invoice: amount})

    company.pull("remittances", lambda: company.row(application).get("Remaining_Balance__c") == Decimal("51419.50"))

    assert [it["Running_Balance__c"] for it in remittances(company)] == [Decimal("51600.00"), Decimal("51419.50")]
    assert company.row(application)["Remitted_Amount__c"] == Decimal("580.50")


def test_what_is_not_applied_yet_is_a_remittance_of_the_account(billed: tuple[Company, str, str, str]) -> None:
    company, account, application, invoice = billed
    pay(company, account, "500.00", {invoice: "400.00"})

    company.pull("remittances", lambda: len(remittances(company)) == 2)

    applied, unapplied = remittances(company)
    assert (applied["Amount__c"], unapplied["Amount__c"]) == (Decimal("400.00"), Decimal("100.00"))
    assert applied["Application__c"] == application
    assert unapplied["Account__c"] == account


def test_a_second_pull_of_remittances_brings_nothing(billed: tuple[Company, str, str, str]) -> None:
    company, account, application, invoice = billed
    pay(company, account, "400.00", {invoice: "400.00"})
    company.pull("remittances", lambda: company.row(application).get("Remaining_Balance__c") == Decimal("51600.00"))

    again = run_job(company.house.bridge, "remittances")

    assert "0 new or changed" in again
    assert len(remittances(company)) == 1


def test_a_payment_that_is_edited_later_corrects_its_remittance(billed: tuple[Company, str, str, str]) -> None:
    company, account, application, invoice = billed
    payment = pay(company, account, "400.00", {invoice: "400.00"})
    company.pull("remittances", lambda: company.row(application).get("Remaining_Balance__c") == Decimal("51600.00"))

    company.ns.admin.edit_payment("300.00", {invoice: "300.00"}, id=payment.id)
    company.pull("remittances", lambda: company.row(application).get("Remaining_Balance__c") == Decimal("51700.00"))

    (row,) = remittances(company)
    assert row["Amount__c"] == Decimal("300.00")


def test_five_payments_and_an_old_one_that_was_edited_are_six_news(billed: tuple[Company, str, str, str]) -> None:
    company, account, _, invoice = billed
    old = pay(company, account, "10.00", {invoice: "10.00"})
    company.pull("remittances", lambda: len(remittances(company)) == 1)

    for _ in range(5):
        pay(company, account, "20.00", {invoice: "20.00"})
    company.ns.admin.edit_payment("11.00", {invoice: "11.00"}, id=old.id)
    company.pull(
        "remittances",
        lambda: sorted(it["Amount__c"] for it in remittances(company)) == [Decimal(11), *[Decimal(20)] * 5],
    )

    assert run_job(company.house.bridge, "remittances").startswith("remittance: 6 read, 0 new or changed")
