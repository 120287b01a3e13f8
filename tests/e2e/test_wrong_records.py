"""Records that cannot be carried over: what people are told, and that nothing accepted is lost."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bridge.app import run_job
from bridge.settings import NotConfigured
from tests.e2e.company import Company

DEMO = Path(__file__).parents[2] / "bridge" / "demo.toml"


def told(company: Company, record_id: str) -> tuple[Any, ...]:
    row = company.row(record_id)
    names = ("NetSuite_Status__c", "NetSuite_Error_Code__c", "NetSuite_Error_Owner__c", "NetSuite_Error__c")
    return tuple(row.get(name) for name in names)


def without(config: Path, *fees: str) -> Path:
    """The sandbox's site without some fees."""
    tables = DEMO.read_text().split("\n\n")
    config.write_text("\n\n".join(it for it in tables if not any(f'"{fee}"' in it.split("\n")[0] for fee in fees)))
    return config


def test_a_fee_without_an_item_is_refused_by_name_before_anything_is_sent(
    open_company: Callable[..., Company], tmp_path: Path
) -> None:
    company = open_company(config=without(tmp_path / "bridge.toml", "Wire Fee"))

    application, _ = company.application(company.account())

    status, code, who, sentence = told(company, application)
    assert (status, who) == ("rejected", "accounting")
    assert code
    assert "Wire Fee" in sentence
    assert company.orders() == []


def test_correcting_a_rejected_record_sends_it_without_anybody_else(
    open_company: Callable[..., Company], tmp_path: Path
) -> None:
    company = open_company(config=without(tmp_path / "bridge.toml", "Wire Fee"))
    application, fees = company.application(company.account())
    assert company.status(application) == "rejected"

    company.sf.delete(fees["Wire Fee"])
    company.sf.drain()

    assert told(company, application) == ("delivered", None, None, None)
    assert {it.kind for it in company.orders()} == {"salesOrder", "purchaseOrder"}


def test_an_item_that_netsuite_does_not_know_is_named_for_accounting(
    open_company: Callable[..., Company], tmp_path: Path
) -> None:
    config = tmp_path / "bridge.toml"
    config.write_text(DEMO.read_text().replace('sale_item = "Legal Fee"', 'sale_item = "Legal Charge"'))
    company = open_company(config=config)

    application, _ = company.application(company.account())

    status, code, who, sentence = told(company, application)
    assert (status, code, who) == ("rejected", "ITEM_UNKNOWN", "accounting")
    assert "Legal Charge" in sentence


def test_a_commission_without_amount_and_percentage_is_for_sales(company: Company) -> None:
    broker = company.account("Wayfinder Brokers")

    application, _ = company.application(company.account(), broker=broker, Commission_Percent__c=None)

    status, code, who, _ = told(company, application)
    assert (status, code, who) == ("rejected", "COMMISSION_MISSING", "sales")
    assert company.all("customRecord") == []


def test_netsuites_own_refusal_is_told_in_a_sentence(company: Company) -> None:
    account = company.account("Acme !REJECT INVALID_KEY_OR_REF")

    status, code, who, sentence = told(company, account)

    assert status == "rejected"
    assert code
    assert who
    assert sentence.endswith(".")


def test_an_answer_that_is_lost_after_the_write_is_looked_up_and_adopted(open_company: Callable[..., Company]) -> None:
    """The customer was made, the answer never came: neither success nor failure, and never a second customer."""
    company = open_company(settings={"request_budget_s": 1})
    company.ns.admin.faults("drop", operation="upsert", count=1)

    account = company.account()

    assert len(company.all("customer")) == 1
    assert company.status(account) == "queued"
    company.let_it_be_due()
    company.until(lambda: company.status(account) in ("delivered", "unchanged"))
    assert company.row(account)["NetSuite_Customer_Id__c"] == company.made("customer", account).id
    assert len(company.all("customer")) == 1


def test_what_was_saved_while_the_bridge_was_away_comes_with_the_sweep(company: Company) -> None:
    company.sf.callouts.url = None
    account = company.account("Quarry Road Tyres")
    company.sf.callouts.url = company.house.callouts.url
    assert company.all("customer") == []

    def swept() -> bool:
        run_job(company.house.bridge, "sweep")
        return bool(company.all("customer"))

    company.until(swept)

    company.until(lambda: company.status(account) in ("delivered", "unchanged"))
    assert company.made("customer", account).fields["companyName"] == "Quarry Road Tyres"
    assert len(company.all("customer")) == 1


def test_no_person_reads_the_word_opportunity(company: Company) -> None:
    application, _ = company.application(company.account(), accepted=False)
    rejected = company.application(
        company.account("Quarry Road Tyres"), broker=company.account("Brokers"), Commission_Percent__c=None
    )[0]

    sentences = [told(company, it)[3] for it in (application, rejected)]

    assert all(sentences)
    assert [it for it in sentences if "opportunity" in it.lower()] == []


@pytest.mark.parametrize(
    ("addition", "sentence"),
    [
        ('[sync.salesorder.fields.memo]\ntext = "Name"', "sync.salesorder is not a sync"),
        ('[sync.customer.fields.comments]\ntext = "Name"\nmoney = "Amount"', "needs exactly one of"),
        ("[schedule.jobs.nightly]\nevery_minutes = 5", "schedule.jobs.nightly is not a job"),
        ('[fees."Late Fee"]', "needs a sale_item, a purchase_item or both"),
        ("[sites]\nx = 1", "sites is not a setting"),
    ],
    ids=["unknown sync", "two rules", "unknown job", "fee without item", "unknown table"],
)
def test_a_site_that_cannot_work_stops_the_start(
    open_company: Callable[..., Company], tmp_path: Path, addition: str, sentence: str
) -> None:
    config = tmp_path / "bridge.toml"
    config.write_text(f"{DEMO.read_text()}\n{addition}\n")

    with pytest.raises((NotConfigured, ValueError), match=sentence):
        open_company(config=config)


def test_money_is_exact_to_the_cent_on_both_sides(company: Company) -> None:
    """Binary fractions would turn 0.10 + 0.20 into something else."""
    fees = {"Origination Fee": "0.10", "Wire Fee": "0.20", "Legal Fee": "33333333.33"}

    application, _ = company.application(company.account(), fees=fees, Funded_Amount__c=Decimal("99999999999.99"))

    lines = company.lines("salesOrder", application).values()
    assert sum(amount for _, amount in lines) == Decimal("33333333.63")
    assert ("Purchase of Receivables", Decimal("99999999999.99")) in company.lines(
        "purchaseOrder", application
    ).values()
