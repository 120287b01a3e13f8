"""A small invented funding company to play with: accounts, contacts, brokers and Applications in every stage.

``seed`` saves all of it as a salesperson would, so that triggers fire and the bridge hears of each record.

Must not know: HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from bridge.sandbox.salesforce import FakeSalesforce

MERCHANTS = (
    ("Harbor Lane Bakery", "Food & Beverage", "Portland", "OR", "Net 30", True, ("Maren", "Holt")),
    ("Quarry Road Tyres", "Retail", "Boise", "ID", "Net 15", True, ("Ivo", "Lindqvist")),
    ("Bluefin Cold Storage", "Transportation", "Tacoma", "WA", "Net 60", False, ("Petra", "Vance")),
    ("Sundial Landscaping", "Construction", "Mesa", "AZ", "Due on receipt", True, ("Omar", "Reyes")),
    ("Copper Kettle Diner", "Food & Beverage", "Butte", "MT", "Net 30", True, ("June", "Abbott")),
    ("Larkspur Print Works", "Other", "Salem", "OR", "Net 30", False, ("Theo", "Brandt")),
)
BROKERS = (("Wayfinder Capital Brokers", ("Nils", "Okafor")), ("Two Rivers Referrals", ("Ada", "Moreau")))
# merchant, name, stage, accepted, funded, percent of receivables, broker, fees
APPLICATIONS: tuple[tuple[int, str, str, bool, str, str, int | None, dict[str, str]], ...] = (
    (0, "Harbor Lane oven", "New", False, "40000.00", "8.00", None, {}),
    (1, "Quarry Road winter stock", "Under Review", False, "25000.00", "10.00", 0, {"Underwriting Fee": "250.00"}),
    (2, "Bluefin second chiller", "Underwriting", False, "120000.00", "12.50", 1, {"Origination Fee": "2400.00"}),
    (3, "Sundial spring crew", "Approved", False, "60000.00", "9.00", 0, {"Origination Fee": "1200.00"}),
    (
        *(4, "Copper Kettle terrace", "Approved", True, "35000.00", "11.00", 1),
        {"Origination Fee": "700.00", "Underwriting Fee": "250.00", "Wire Fee": "25.00"},
    ),
    (
        *(5, "Larkspur press", "Funded", True, "80000.00", "10.00", None),
        {"Origination Fee": "1600.00", "Wire Fee": "25.00", "UCC Filing Fee": "95.00"},
    ),
    (1, "Quarry Road lift", "Declined", False, "90000.00", "15.00", 0, {}),
)


@dataclass(frozen=True)
class Seeded:
    """Ids of what was saved, in the order of the tables above."""

    accounts: list[str] = field(default_factory=list)
    contacts: list[str] = field(default_factory=list)
    brokers: list[str] = field(default_factory=list)
    applications: list[str] = field(default_factory=list)


def seed(fake: FakeSalesforce) -> Seeded:
    """Save the sample company through the same save as everything else."""
    made = Seeded()
    for name, (first, last) in BROKERS:
        account = fake.insert("Account", Name=name, Type="Other", Payment_Terms__c="Net 30")
        made.brokers.append(account)
        made.contacts.append(_contact(fake, account, first, last, "Broker"))
    for number, (name, industry, city, state, terms, taxable, (first, last)) in enumerate(MERCHANTS):
        account = fake.insert(
            "Account",
            Name=name,
            Type="Prospect",
            Industry=industry,
            Phone=f"555-01{number:02d}",
            Website=f"https://{name.split()[0].lower()}.example",
            BillingStreet=f"{number + 1} Sample Street",
            BillingCity=city,
            BillingState=state,
            BillingPostalCode=f"0000{number}",
            BillingCountry="US",
            Payment_Terms__c=terms,
            Taxable__c=taxable,
        )
        made.accounts.append(account)
        made.contacts.append(_contact(fake, account, first, last, "Owner"))
    for application in APPLICATIONS:
        made.applications.append(_application(fake, made, *application))
    return made


def _contact(fake: FakeSalesforce, account: str, first: str, last: str, title: str) -> str:
    email = f"{first}.{last}@sandbox.example".lower()
    return fake.insert("Contact", AccountId=account, FirstName=first, LastName=last, Title=title, Email=email)


def _application(
    fake: FakeSalesforce,
    made: Seeded,
    merchant: int,
    name: str,
    stage: str,
    accepted: bool,
    funded: str,
    percent: str,
    broker: int | None,
    fees: dict[str, str],
) -> str:
    today = fake.clock().date()
    values: dict[str, Any] = {
        "Name": name,
        "AccountId": made.accounts[merchant],
        "StageName": "New",
        "CloseDate": today + timedelta(days=14),
        "Funded_Amount__c": funded,
        "Purchased_Amount__c": Decimal(funded) * Decimal("1.3"),
        "Receivables_Percent__c": percent,
    }
    if broker is not None:
        values |= {"Broker__c": made.brokers[broker], "Commission_Percent__c": "3.00"}
        values |= {"Commission_Amount__c": Decimal(funded) * Decimal("0.03")}
        values["Commission_Due__c"] = today + timedelta(days=30)
    application = fake.insert("Opportunity", **values)
    for fee, price in fees.items():
        fake.add_fee(application, fee, price)
    if accepted:
        fake.update(application, Funding_Accepted__c=True, Funding_Date__c=today)
    if stage != "New":
        fake.update(application, StageName=stage)
    return application
