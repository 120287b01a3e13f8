"""From a save in Salesforce to records in NetSuite, and back on the record: every data type that is pushed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.company import Company

EARLY = ("New", "Under Review", "Underwriting", "Declined")


# --- Accounts and Contacts ---


def test_an_account_is_a_customer_by_the_end_of_the_save(company: Company) -> None:
    account = company.account(Phone="555-0100", Website="harbor.example", Payment_Terms__c="Net 30", Taxable__c=True)

    customer = company.made("customer", account)
    row = company.row(account)

    assert customer.fields["companyName"] == "Harbor Lane Bakery"
    assert customer.fields["phone"] == "555-0100"
    assert customer.fields["url"] == "https://harbor.example"
    assert company.item(customer.fields["terms"]) == "Net 30"
    assert row["NetSuite_Customer_Id__c"] == customer.id
    assert row["NetSuite_Status__c"] == "delivered"
    assert row["NetSuite_Url__c"].endswith(f"id={customer.id}")


@pytest.mark.parametrize("taxable", [True, False])
def test_subsidiary_currency_and_taxability_are_sent(company: Company, taxable: bool) -> None:
    account = company.account(Taxable__c=taxable)

    customer = company.made("customer", account).fields

    assert company.item(customer["subsidiary"]) == "Parent Company"
    assert company.ns.store.get("currency", customer["currency"].id).fields["symbol"] == "USD"  # type: ignore[union-attr]
    assert customer["taxable"] == str(taxable).lower()


def test_a_changed_account_changes_its_customer_in_place(company: Company) -> None:
    account = company.account(Phone="555-0100")
    before = company.made("customer", account).id

    company.save(account, Phone="555-0199")

    assert company.made("customer", account).fields["phone"] == "555-0199"
    assert company.made("customer", account).id == before
    assert len(company.all("customer")) == 1


def test_a_field_that_is_emptied_is_emptied_in_netsuite(company: Company) -> None:
    account = company.account(Phone="555-0100")

    company.save(account, Phone=None)

    assert "phone" not in company.made("customer", account).fields


def test_a_contact_belongs_to_its_accounts_customer(company: Company) -> None:
    account = company.account()

    contact = company.sf.insert("Contact", FirstName="Maren", LastName="Holt", Email="m@x.example", AccountId=account)
    company.sf.drain()

    made = company.made("contact", contact)
    assert made.fields["company"].id == company.made("customer", account).id
    assert (made.fields["firstName"], made.fields["lastName"]) == ("Maren", "Holt")
    assert company.item(made.fields["subsidiary"]) == "Parent Company"
    assert company.row(contact)["NetSuite_Contact_Id__c"] == made.id


@pytest.mark.parametrize("kind", ["Contact", "Opportunity"])
def test_a_parent_that_is_not_there_yet_is_fetched_and_made_first(company: Company, kind: str) -> None:
    company.sf.callouts.url = None  # nobody tells the bridge of the Account
    account = company.account("Quarry Road Tyres")
    company.sf.callouts.url = company.house.callouts.url

    if kind == "Contact":
        child = company.sf.insert("Contact", LastName="Lindqvist", AccountId=account)
        company.sf.drain()
    else:
        child, _ = company.application(account)

    customer = company.made("customer", account)
    made = company.made("contact" if kind == "Contact" else "salesOrder", child)
    assert (made.fields.get("company") or made.fields["entity"]).id == customer.id
    # A second call of the same transaction may find that NetSuite has it all already.
    assert company.status(child) in ("delivered", "unchanged")


# --- the gate ---


@pytest.mark.parametrize("stage", EARLY)
def test_an_application_that_is_not_approved_makes_nothing(company: Company, stage: str) -> None:
    account = company.account()

    application, _ = company.application(account, accepted=False, StageName=stage, Funding_Accepted__c=True)

    assert company.orders() == []
    assert company.all("vendor") == []
    assert company.status(application) == "held"
    assert company.row(application)["NetSuite_Error__c"] == f"Not sent: Stage is {stage}, needs Approved or Funded."


def test_an_approved_application_waits_until_the_funding_is_accepted(company: Company) -> None:
    application, _ = company.application(company.account(), accepted=False, StageName="Approved")

    assert company.orders() == []
    assert company.row(application)["NetSuite_Error__c"] == "Not sent: Funding Accepted is not ticked."

    company.sf.accept(application)
    company.sf.drain()

    assert {it.kind for it in company.orders()} == {"salesOrder", "purchaseOrder"}
    assert company.status(application) in ("delivered", "unchanged")
    assert not company.row(application).get("NetSuite_Error__c")


def test_a_prospect_becomes_a_customer_with_the_funding(company: Company) -> None:
    account = company.account()
    assert company.made("customer", account).fields["stage"] == "_prospect"

    company.application(account)

    company.until(lambda: company.made("customer", account).fields["stage"] == "_customer")


# --- orders ---


def test_a_funding_makes_a_sales_order_with_its_fees(company: Company) -> None:
    account = company.account()

    application, _ = company.application(account)

    order, row = company.made("salesOrder", application), company.row(application)
    assert order.fields["entity"].id == company.made("customer", account).id
    assert sorted(company.lines("salesOrder", application).values()) == [
        ("Legal Fee", Decimal("150")),
        ("Origination Fee", Decimal("800")),
        ("Wire Fee", Decimal("25")),
    ]
    assert order.fields["tranDate"].startswith("2026-12-01")
    assert company.item(order.fields["subsidiary"]) == "Parent Company"
    assert (row["NetSuite_Sales_Order_Id__c"], row["NetSuite_Sales_Order_Number__c"]) == (
        order.id,
        order.fields["tranId"],
    )


def test_a_funding_makes_a_purchase_order_of_the_funding_less_the_withheld_fees(company: Company) -> None:
    account = company.account()

    application, _ = company.application(account)

    order, row = company.made("purchaseOrder", application), company.row(application)
    assert order.fields["entity"].id == company.made("vendor", account).id
    assert company.made("vendor", account).fields["companyName"] == "Harbor Lane Bakery (Vendor)"
    assert sorted(company.lines("purchaseOrder", application).values()) == [
        ("Origination Fee Withheld", Decimal("-800")),
        ("Purchase of Receivables", Decimal("40000")),
        ("Wire Fee Withheld", Decimal("-25")),
    ]
    assert Decimal(order.fields["total"]) == Decimal("39175")
    assert row["NetSuite_Purchase_Order_Number__c"] == order.fields["tranId"]
    assert company.row(account)["NetSuite_Vendor_Id__c"] == company.made("vendor", account).id


def test_the_funding_terms_travel_to_the_sales_order(company: Company) -> None:
    application, _ = company.application(company.account())

    custom = company.made("salesOrder", application).custom

    assert Decimal(custom["custbody_funded_amount"].values[0]) == 40000
    assert Decimal(custom["custbody_purchased_amount"].values[0]) == 52000
    assert Decimal(custom["custbody_receivables_percent"].values[0]) == 8


def test_correcting_one_fee_changes_exactly_that_line(company: Company) -> None:
    application, fees = company.application(company.account())
    before = company.lines("salesOrder", application)

    company.save(fees["Wire Fee"], UnitPrice=Decimal("30.00"))

    after = company.lines("salesOrder", application)
    assert before.keys() == after.keys()
    assert {after[key] for key in after if after[key] != before[key]} == {("Wire Fee", Decimal("30"))}


def test_adding_a_fee_adds_exactly_one_line(company: Company) -> None:
    application, _ = company.application(company.account())
    before = company.lines("salesOrder", application)

    company.sf.add_fee(application, "UCC Filing Fee", Decimal("95.00"))
    company.sf.drain()

    after = company.lines("salesOrder", application)
    assert {key: after[key] for key in before} == before
    assert [after[key] for key in after.keys() - before.keys()] == [("UCC Filing Fee", Decimal("95"))]
    assert ("UCC Filing Fee Withheld", Decimal("-95")) in company.lines("purchaseOrder", application).values()


def test_removing_a_fee_removes_exactly_that_line(company: Company) -> None:
    application, fees = company.application(company.account())
    before = company.lines("salesOrder", application)

    company.sf.delete(fees["Wire Fee"])
    company.sf.drain()

    after = company.lines("salesOrder", application)
    gone = {before[key] for key in before.keys() - after.keys()}
    assert gone == {("Wire Fee", Decimal("25"))}
    assert {key: before[key] for key in after} == after


def test_saving_a_funding_again_makes_nothing_twice(company: Company) -> None:
    application, _ = company.application(company.account(), broker=company.account("Wayfinder Brokers"))
    before = sorted(it.id for it in company.orders())

    company.sf.send_again(application)
    company.sf.send_again(application)
    company.sf.drain()

    assert sorted(it.id for it in company.orders()) == before


def test_a_hundred_saves_at_once_make_one_record_with_the_last_value(company: Company) -> None:
    company.sf.callouts.url = None
    account = company.account()
    company.sf.callouts.url = company.house.callouts.url
    saves = [
        threading.Thread(target=company.sf.update, args=(account,), kwargs={"Phone": f"555-0{number:03d}"})
        for number in range(100)
    ]

    for save in saves:
        save.start()
    for save in saves:
        save.join()
    company.sf.drain()

    phone = company.row(account)["Phone"]
    company.until(lambda: company.made("customer", account).fields.get("phone") == phone)
    assert len(company.all("customer")) == 1


# --- the broker's commission ---


def test_a_brokered_funding_makes_a_commission_record_of_its_own(company: Company) -> None:
    broker = company.account("Wayfinder Brokers")

    application, _ = company.application(company.account(), broker=broker)

    custom = {name: it.values[0] for name, it in company.made("customRecord", application).custom.items()}
    assert custom["custrecord_bc_broker"].id == company.made("vendor", broker).id
    assert Decimal(custom["custrecord_bc_amount"]) == Decimal("1000.00")
    assert Decimal(custom["custrecord_bc_basis"]) == Decimal("40000.00")
    assert custom["custrecord_bc_due"].startswith("2026-12-15")
    assert custom["custrecord_bc_order"].id == company.made("salesOrder", application).id
    assert custom["custrecord_bc_application"] == application
    assert company.row(application)["NetSuite_Commission_Id__c"] == company.made("customRecord", application).id


def test_a_funding_without_a_broker_makes_no_commission(company: Company) -> None:
    application, _ = company.application(company.account())

    assert company.all("customRecord") == []
    assert company.status(application) in ("delivered", "unchanged")


def test_a_changed_rate_changes_the_same_commission(company: Company) -> None:
    application, _ = company.application(company.account(), broker=company.account("Wayfinder Brokers"))
    before = company.made("customRecord", application).id

    company.save(application, Commission_Percent__c=Decimal("3.00"))

    after = company.made("customRecord", application)
    assert (after.id, Decimal(after.custom["custrecord_bc_amount"].values[0])) == (before, Decimal("1200.00"))


def test_removing_the_broker_makes_the_commission_inactive_and_keeps_it(company: Company) -> None:
    application, _ = company.application(company.account(), broker=company.account("Wayfinder Brokers"))

    company.save(application, Broker__c=None)

    assert company.made("customRecord", application).fields["isInactive"] == "true"


def test_a_site_may_have_a_vendor_bill_as_commission(open_company: Callable[..., Company], tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "bridge" / "demo.toml"
    config = tmp_path / "bridge.toml"
    config.write_text(shipped.read_text() + '\n[netsuite]\ncommission = "vendor_bill"\n')
    company = open_company(config=config)
    broker = company.account("Wayfinder Brokers")

    application, _ = company.application(company.account(), broker=broker)

    bill = company.made("vendorBill", application)
    assert company.all("customRecord") == []
    assert bill.fields["entity"].id == company.made("vendor", broker).id
    (line,) = bill.lists["expenseList"]
    assert (company.item(line["account"]), Decimal(line["amount"])) == ("Commission Expense", Decimal("1000"))
    assert company.row(application)["NetSuite_Commission_Id__c"] == bill.id
    assert company.status(application) in ("delivered", "unchanged")


def test_taxability_is_on_every_record_that_can_carry_it(open_company: Callable[..., Company], tmp_path: Path) -> None:
    shipped = (Path(__file__).parents[2] / "bridge" / "demo.toml").read_text()
    config = tmp_path / "bridge.toml"
    own = '[fees."Wire Fee"]\ntaxable = true\nsale_tax_code = "Standard Rate"\n'
    shipped = shipped.replace('[fees."Wire Fee"]\n', own).replace('"Wire Fee"\ntaxable = false', '"Wire Fee"')
    codes = "".join(f'{name}_code = "Exempt"\n' for name in ("sale", "purchase", "commission", "vendor"))
    config.write_text(f'{shipped}\n[netsuite]\ncommission = "vendor_bill"\n[tax]\n{codes}')
    company = open_company(config=config)
    account = company.account(Taxable__c=True)

    application, _ = company.application(account, broker=company.account("Wayfinder Brokers"))

    sold = company.made("salesOrder", application).lists["itemList"]
    assert {company.item(it["item"]): (it["isTaxable"], company.item(it["taxCode"])) for it in sold} == {
        "Origination Fee": ("false", "Exempt"),
        "Wire Fee": ("true", "Standard Rate"),
        "Legal Fee": ("false", "Exempt"),
    }
    bought = company.made("purchaseOrder", application).lists["itemList"]
    assert [company.item(it["taxCode"]) for it in bought] == ["Exempt"] * 3
    (owed,) = company.made("vendorBill", application).lists["expenseList"]
    assert company.item(owed["taxCode"]) == "Exempt"
    assert company.item(company.made("vendor", account).fields["taxItem"]) == "Exempt"
    assert company.made("customer", account).fields["taxable"] == "true"


def test_a_tax_code_that_netsuite_does_not_know_is_named(open_company: Callable[..., Company], tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "bridge" / "demo.toml"
    config = tmp_path / "bridge.toml"
    config.write_text(shipped.read_text() + '\n[tax]\nsale_code = "Exmept"\n')
    company = open_company(config=config)

    application, _ = company.application(company.account())

    assert company.orders() == [] or all(it.kind != "salesOrder" for it in company.orders())
    assert "Exmept" in company.row(application)["NetSuite_Error__c"]
