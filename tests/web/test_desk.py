"""What people look for and decide at the desk, over a real socket: search, cadences, limits, one funding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from bridge import handling, playground, timetable
from bridge.app import run_job
from bridge.ledger import exchanges, triage
from bridge.ledger.desk_models import exchange
from bridge.ledger.models import audit, message
from tests.e2e.company import Company
from tests.web.people import Browser, hidden

SITE = """
[console]
second_person_above_sum = 50000

[sync.customer.fields.phone]
text = "Phone"
owner = "shared"
"""


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("desk")
    config = folder / "bridge.toml"
    config.write_text((Path(playground.__file__).parent / "demo.toml").read_text() + SITE)
    house = playground.start(folder / "bridge.sqlite3", config=config)
    yield Company(house)
    house.stop()


@pytest.fixture(scope="module")
def funded(company: Company) -> dict[str, Any]:
    """A funding whose fees are billed, and of which 400.00 and 33.33 came back."""
    broker = company.account("Wayfinder Brokers")
    account = company.account("Harbor Lane Bakery")
    application, _ = company.application(account, broker=broker)
    order = company.made("salesOrder", application)
    company.ns.admin.approve(kind="salesOrder", id=order.id)
    invoice = company.ns.admin.bill(kind="salesOrder", id=order.id).id
    customer = company.made("customer", account).id
    first = company.ns.admin.pay(customer, "400.00", {invoice: "400.00"})
    company.ns.admin.pay(customer, "33.33", {invoice: "33.33"})
    company.pull("orders", lambda: len(company.sf.rows("NetSuite_Order__c")) >= 2)
    company.pull("remittances", lambda: len(company.sf.rows("Remittance__c")) >= 2)
    company.pull("invoices", lambda: len(company.sf.rows("NetSuite_Document__c")) >= 1)
    return {"account": account, "application": application, "order": order, "payment": first}


class Desk(Browser):
    """A console that just opens: its overview has no form."""

    @property
    def token(self) -> str:
        return hidden(self.get("/schedules").text, "token")


@pytest.fixture
def browser(company: Company) -> Browser:
    return Desk(company.house.console.url)


def found(browser: Browser, **query: str) -> set[str]:
    """Return the records that the list of messages shows."""
    text = browser.get("/messages", **query).text
    return set(re.findall(r"<code>(\w{18}|\d+)</code></td>\s*<td>\w+</td>\s*<td>", text))


def words(text: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def rows(company: Company, **wanted: Any) -> list[Any]:
    query = select(message).order_by(message.c.id)
    for name, value in wanted.items():
        query = query.where(message.c[name] == value)
    with company.house.bridge.ledger.read() as connection:
        return list(connection.execute(query))


def test_messages_are_found_by_name_number_and_external_id(
    company: Company, funded: dict[str, Any], browser: Browser
) -> None:
    application, account = funded["application"], funded["account"]

    assert account in found(browser, search="harbor LANE b")
    assert found(browser, search=funded["order"].fields["tranId"]) - {funded["order"].id} == {application}
    assert found(browser, search=f"sf-so-{application}") == {application}
    assert found(browser, search=funded["order"].id) >= {application}
    assert found(browser, search="harbour") == set()


def test_filters_narrow_what_is_listed(company: Company, funded: dict[str, Any], browser: Browser) -> None:
    wrong = company.account("Corner Shop !REJECT USER_ERROR")
    (row,) = rows(company, state="rejected", source_id=wrong)
    with company.house.bridge.ledger.write() as writing:
        triage.assign(writing, [row.id], "anna")
        triage.tag(writing, [row.id], "urgent")

    for query in (
        {"state": "needs a person"}, {"state": "needs a person", "code": row.code}, {"assignee": "anna"},
        {"tag": "urgent"}, {"who": row.who, "state": "rejected"}, {"state": "rejected", "sync": "customer"},
    ):  # fmt: skip
        assert found(browser, **query) == {wrong}, query
    for query in ({"state": "held"}, {"tag": "other"}, {"code": "NO_SUCH"}, {"state": "rejected", "sync": "contact"}):
        assert wrong not in found(browser, **query), query


def test_a_cadence_chosen_here_is_audited_reaches_other_instances_and_survives_a_restart(
    company: Company, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timetable, "LOOK_S", 0.1)

    def cadence(one: timetable.Timetable) -> str:
        return {it.name: it.cadence for it in one.rows()}["sweep"]

    second = timetable.timetable(company.house.bridge)
    second.start(catch_up=False)
    try:
        before = cadence(second)
        browser.post("/jobs/sweep/cadence", kind="minutes", value="55")
        company.until(lambda: cadence(second) != before)
        chosen = cadence(second)
    finally:
        second.stop()

    assert "55" in chosen
    third = timetable.timetable(company.house.bridge)
    third.start(catch_up=False)
    after_restart = cadence(third)
    third.stop()
    assert after_restart == chosen == cadence(company.house.schedule)
    with company.house.bridge.ledger.read() as connection:
        told = connection.execute(select(audit.c.sync, audit.c.detail).where(audit.c.action == "cadence")).all()
    assert [tuple(it) for it in told] == [("sweep", f"{before} → {chosen}")]


def test_what_was_asked_and_answered_is_kept_for_90_days(company: Company) -> None:
    old, young = (
        rows(company, state="rejected", source_id=company.account(f"Shop {n} !REJECT USER_ERROR"))[0].id for n in "12"
    )
    ledger = company.house.bridge.ledger
    with ledger.write() as writing:
        for number, days in ((old, 91), (young, 89)):
            past = update(exchange).where(exchange.c.message_id == number)
            writing.connection.execute(past.values(at=writing.now - timedelta(days=days)))

    run_job(company.house.bridge, "retention")

    with ledger.read() as connection:
        assert exchanges.of(connection, old) is None
        assert exchanges.of(connection, young) is not None


def test_above_the_sum_of_the_site_a_second_person_is_needed(
    company: Company, funded: dict[str, Any], browser: Browser
) -> None:
    """One funding of 40,000.00 is below 50,000, two are above, though two messages are few."""
    other, _ = company.application(company.account("Quarry Road Tyres"))
    orders = [rows(company, sync="purchase_order", source_id=it)[-1].id for it in (funded["application"], other)]

    one = browser.post("/plans", follow=True, action="retry", message=orders[:1])
    two = browser.post("/plans", follow=True, action="retry", message=orders)

    assert "40,000.00 USD" in one.text
    assert "Ask for approval" not in one.text
    assert "80,000.00 USD" in two.text
    assert "Ask for approval" in two.text


@pytest.mark.parametrize("which", ["payment", "order"])
def test_a_pulled_record_is_read_anew(company: Company, funded: dict[str, Any], which: str) -> None:
    """What NetSuite has now is written, not what was stored."""
    record = funded[which]
    engine = company.house.bridge.engine
    newest = [row for row in rows(company, source_id=record.id, origin="pull") if row.source_kind == record.kind][-1]
    company.ns.admin.edit({"memo": "corrected by accounting"}, kind=record.kind, id=record.id)

    number = handling.draft(
        engine, "fresh", [newest.id], value=None, reason="", actor="anna", guard=lambda count, sums: False
    )
    with engine.ledger.read() as connection:
        plan = triage.find(connection, number)
    assert plan is not None
    said = handling.confirm(engine, plan, actor="anna")

    assert said == "1 of 1 read anew and on their way."
    last = [row for row in rows(company, source_id=record.id, origin="pull") if row.sync == newest.sync][-1]
    assert last.id != newest.id
    assert "corrected by accounting" in last.payload
    company.until(lambda: rows(company, id=last.id)[0].state in ("delivered", "unchanged"))


def test_the_page_of_a_funding_is_right_to_the_cent(company: Company, funded: dict[str, Any], browser: Browser) -> None:
    commission = next(it for it in company.all("customRecord") + company.all("vendorBill"))
    kind = commission.kind
    company.ns.admin.payable("Approved", kind=kind, id=commission.id)
    company.pull(
        "orders", lambda: "Approved" in [it.get("Payable_State__c") for it in company.sf.rows("NetSuite_Order__c")]
    )

    text = words(browser.get(f"/applications/{funded['application']}").text)

    for sentence in (
        "40,000.00 USD funded", "52,000.00 USD purchased", "433.33 USD remitted 2 rows", "51,566.67 USD still to come",
        "Origination Fee 800.00 USD", "Wire Fee 25.00 USD", "Legal Fee 150.00 USD", "975.00",
    ):  # fmt: skip
        assert sentence in text, (sentence, text)
    assert re.search(r"delivered Approved 1,000\.00", text), text
    assert "400.00 USD 51,600.00 USD" in text
    assert "33.33 USD 51,566.67 USD" in text


def test_the_figures_compare_what_is_approved_billed_and_remitted(
    company: Company, funded: dict[str, Any], browser: Browser
) -> None:
    text = words(browser.get("/figures").text)

    assert "From approved to remitted, USD" in text
    assert re.search(r"billed 975\.00 remitted 433\.33", text), text


def test_the_catalogues_are_compared_here(company: Company, browser: Browser) -> None:
    text = words(browser.post("/mappings/catalogue").text)

    assert "Catalogues" in text
    assert "No fee, product or bundle is the item" in text or "Every fee type has its item" in text


def test_both_values_of_a_shared_field_are_shown_and_a_button_chooses_one(company: Company, browser: Browser) -> None:
    account = company.account("Quay Street Florist")
    company.sf.update(account, Phone="555-0101")
    company.house.salesforce.drain()
    made = company.made("customer", account)
    with company.ns.lock:
        made.fields["phone"] = "555-0909"
        company.ns.store.changed(made)
    company.sf.update(account, Phone="555-0202")
    company.house.salesforce.drain()
    (row,) = rows(company, source_id=account, sync="customer", state="rejected")

    page = browser.get(f"/messages/{row.id}").text
    plan = browser.post("/plans", follow=True, action="choose", value="netsuite", message=[str(row.id)])
    number = re.search(r"/plans/(\d+)/confirm", plan.text)
    assert number is not None
    done = browser.post(f"/plans/{number[1]}/confirm", follow=True)
    company.until(lambda: not rows(company, source_id=account, sync="customer", state="rejected"))

    table = words(page)
    assert "phone 555-0202 555-0909" in table
    assert "What NetSuite says counts." in words(plan.text)
    assert "1 of 1 decided and on their way." in words(done.text)
    assert made.fields["phone"] == "555-0909"


def test_who_has_the_name_is_shown_and_adopted_by_a_button(company: Company, browser: Browser) -> None:
    there = company.ns.admin.create("customer", companyName="Larch & Sons", subsidiary="1")
    account = company.sf.insert("Account", Name="Larch & Sons")
    company.sf.drain()
    row = newest(company, "customer", account)
    page = browser.get(f"/messages/{row.id}").text
    shown = browser.get(f"/messages/{row.id}/adopt").text
    plan = browser.post("/plans", follow=True, action="adopt", value=there.id, message=[str(row.id)], reason="same")
    said = browser.post(f"{plan.url.removeprefix(browser.url).split('?')[0]}/confirm", follow=True).text

    assert f"/messages/{row.id}/adopt" in page
    assert f"Adopt {there.id}" in shown
    assert f"custjob.nl?id={there.id}" in shown
    assert "Larch &amp; Sons" in shown
    assert "gets the bridge’s external id" in plan.text
    assert "1 of 1 adopted and on their way." in unescape(said)
    company.until(lambda: there.external_id == f"sf-cus-{account}")
    company.until(lambda: newest(company, "customer", account).state == "delivered")
    assert browser.get(f"/messages/{row.id}/adopt").status_code == 303


def newest(company: Company, sync: str, source_id: str) -> Any:
    with company.house.bridge.ledger.read() as connection:
        query = select(message).where(message.c.sync == sync, message.c.source_id == source_id)
        return connection.execute(query.order_by(message.c.id.desc()).limit(1)).one()
