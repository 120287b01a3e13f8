"""A closed accounting period: what waits for it goes by itself when it is reopened, or into the next one."""

from __future__ import annotations

from datetime import date

import pytest

from bridge import reopening
from bridge.drift import drifts
from bridge.ledger import links

OCTOBER = "2026-10-15"


def approved(house, **values):
    account = house.account()
    house.push_one(account)
    return house.application(account, **({"Funding_Date__c": OCTOBER} | values))


def day(record):
    return record.fields["tranDate"][:10]


def later(house, **span):
    house.clock.advance(**span)
    opened = reopening.look(house.engine)
    house.drain()
    return opened


def searches(house):
    return house.calls()["search"]


@pytest.fixture
def held(house):
    """An Application of October, which was closed before it was approved."""
    house.ns.admin.close_periods("2026-10-31")
    application = approved(house)
    return application, house.push_one(application)


def test_a_closed_period_is_named_and_nothing_is_dated_anew(house, held):
    application, told = held

    row = house.message("sales_order", application)

    words = "The accounting period Oct 2026 is closed; it is sent when accounting reopens it."
    assert (row.state, row.code, row.who, row.reason) == ("rejected", "CLOSED_TRAN_PRD", "accounting", words)
    assert told.error.message == words
    assert house.made("salesOrder") == house.made("purchaseOrder") == []


def test_what_waits_goes_by_itself_when_the_period_is_open_again(house, held):
    application, _ = held
    still = later(house, hours=2)
    house.ns.admin.close_periods(None)

    opened = later(house, minutes=10)

    assert (still, opened) == (0, 2)
    assert house.message("sales_order", application).state == "delivered"
    assert [day(it) for kind in ("salesOrder", "purchaseOrder") for it in house.made(kind)] == [OCTOBER] * 2
    assert {it.detail for it in house.audit(action="replay", actor="periods")} == {"the period Oct 2026 is open"}
    assert house.audit(action="redated") == []


def test_while_it_is_closed_netsuite_is_asked_once_in_five_minutes_and_nothing_is_sent(house, held):
    later(house, hours=2)
    asked, writes = searches(house), house.writes()
    for _ in range(10):
        later(house, minutes=1)

    assert searches(house) - asked <= 2
    assert house.writes() == writes


def test_nothing_is_asked_while_nothing_waits_for_a_period(house):
    house.push_one(approved(house))
    asked = searches(house)

    assert later(house, hours=2) == 0
    assert searches(house) == asked


def test_where_periods_may_not_be_read_it_is_tried_once_an_hour(house):
    house.ns.faults.add("permission", operation="search", count=10**6)
    house.ns.admin.close_periods("2026-10-31")
    application = approved(house)
    house.push_one(application)
    told = house.message("sales_order", application).reason
    first, at_once = later(house, minutes=61), later(house, minutes=5)
    house.ns.admin.close_periods(None)

    opened = later(house, minutes=61)

    assert told == "The accounting period is closed or missing."
    assert (first, at_once, opened) == (2, 0, 2)
    assert house.message("sales_order", application).state == "delivered"
    assert house.alerts == []


def test_a_period_that_only_vendors_are_locked_out_of_lets_the_sales_order_through(house):
    house.ns.admin.lock_period("2026-10", "ap")
    application = approved(house)

    house.push_one(application)

    assert house.message("sales_order", application).state == "delivered"
    assert house.message("purchase_order", application).code == "CLOSED_TRAN_PRD"


def test_a_day_without_a_period_is_said(house):
    application = approved(house, Funding_Date__c="2041-01-05")

    house.push_one(application)

    row = house.message("sales_order", application)
    assert row.code == "VALID_PRD_REQD"
    assert row.reason == "NetSuite has no accounting period for 2041-01-05; it is sent when accounting makes one."


def test_a_new_date_in_salesforce_goes_at_once(house, held):
    application, _ = held
    house.sf.update(application, Funding_Date__c="2026-11-20")

    assert house.push_one(application).state == "delivered"
    assert day(house.made("salesOrder")[0]) == "2026-11-20"


# --- the next open period ---


@pytest.fixture
def next_open(other_site):
    house = other_site(closed_period="next_open")
    house.ns.admin.close_periods("2026-10-31")
    return house


def test_it_gets_the_first_day_of_the_next_open_period_and_says_so_everywhere(next_open):
    house = next_open
    house.ns.admin.lock_period("2026-11", "ar")
    application = approved(house)

    told = house.push_one(application)

    (sold,), (bought,) = house.made("salesOrder"), house.made("purchaseOrder")
    assert (day(sold), day(bought)) == ("2026-12-01", "2026-11-01")
    assert sold.fields["memo"].startswith(
        "Dated 2026-10-15 in Salesforce, period Oct 2026 is closed. Acme oven | funded"
    )
    words = "It is dated 2026-12-01 in NetSuite instead of 2026-10-15: the accounting period Oct 2026 is closed."
    row = house.message("sales_order", application)
    assert (row.state, row.code, row.who, row.reason) == ("delivered", "REDATED", "accounting", words)
    assert told.error.code == "REDATED"
    assert words in [it.detail for it in house.audit(action="redated", source_id=application)]


def test_later_saves_keep_to_the_day_without_another_refusal_even_when_it_is_reopened(next_open):
    house = next_open
    application = approved(house)
    house.push_one(application)
    house.ns.admin.close_periods(None)
    house.sf.update(application, Name="Acme stove")
    writes = house.writes()

    house.push_one(application)

    (sold,) = house.made("salesOrder")
    assert house.writes() - writes == 1
    assert day(sold) == "2026-11-01"
    assert "Acme stove" in sold.fields["memo"]
    assert len(house.audit(action="redated", source_id=application)) == 2  # one for each order, once


def test_another_date_in_salesforce_counts_again(next_open):
    house = next_open
    application = approved(house)
    house.push_one(application)
    house.sf.update(application, Funding_Date__c="2026-11-20")

    house.push_one(application)

    (sold,) = house.made("salesOrder")
    assert day(sold) == "2026-11-20"
    assert sold.fields["memo"].startswith("Acme oven")
    assert house.message("sales_order", application).code is None
    with house.ledger.read() as connection:
        known = links.find(connection, [("sales_order", application)])["sales_order", application]
    assert "dated" not in known.parts


def test_the_day_it_was_given_is_no_drift(next_open):
    house = next_open
    application = approved(house)
    house.push_one(application)
    house.pull("sales_order_mirror")

    with house.ledger.read() as connection:
        found = [it for it in drifts(connection, house.syncs) if it.source_id == application]

    assert found == []


@pytest.mark.parametrize("action", ["drop", "unexpected"])
def test_an_answer_lost_after_dating_makes_one_order_on_one_day(next_open, action):
    house = next_open
    application = approved(house)
    house.ns.faults.add(action, operation="upsert*", record="salesOrder", when="after", skip=1)
    house.push(application, budget_s=0.5)
    for _ in range(8):
        house.clock.advance(minutes=5)
        house.drain()

    assert house.message("sales_order", application).state == "delivered"
    assert [day(it) for it in house.made("salesOrder")] == ["2026-11-01"]
    with house.ledger.read() as connection:
        known = links.find(connection, [("sales_order", application)])["sales_order", application]
    assert known.parts["dated"]["on"] == date(2026, 11, 1)


def test_where_no_later_period_is_open_it_waits(next_open):
    house = next_open
    house.ns.admin.close_periods("2035-12-31")
    application = approved(house)

    house.push_one(application)

    row = house.message("sales_order", application)
    assert row.state == "rejected"
    assert row.reason.endswith("reopens it. No later period is open.")


def test_what_still_waits_does_not_keep_later_ones_from_being_looked_at(house, monkeypatch):
    monkeypatch.setattr(reopening, "PAGE", 1)
    house.ns.admin.close_periods("2026-11-30")
    for on in (OCTOBER, "2026-11-15"):
        account = house.account(f"Acme {on}")
        house.push_one(account)
        house.push_one(house.application(account, Funding_Date__c=on))
    house.ns.admin.close_periods(None)
    house.ns.admin.close_periods("2026-10-31")

    later(house, hours=2)

    assert [row.state for row in house.messages("sales_order")] == ["rejected", "delivered"]


def test_what_was_withdrawn_while_it_waited_is_not_sent_when_the_period_is_reopened(house, held):
    application, _ = held
    house.sf.update(application, StageName="Declined", Funding_Accepted__c=False)
    assert house.push_one(application).state == "held"
    house.ns.admin.close_periods(None)

    later(house, hours=2)

    assert house.made("salesOrder") == house.made("purchaseOrder") == []
    assert "delivered" not in house.states("sales_order", application)


def test_an_older_save_is_not_sent_by_itself_where_a_newer_one_was_refused(house, held):
    application, _ = held
    house.ns.admin.close_periods(None)
    house.ns.faults.add("reject", operation="upsert*", code="USER_ERROR", message="No.", count=9)
    house.sf.update(application, Purchased_Amount__c="64000.00")
    assert house.push_one(application).state == "rejected"
    house.ns.faults.clear()

    later(house, hours=2)

    assert house.made("salesOrder") == []
