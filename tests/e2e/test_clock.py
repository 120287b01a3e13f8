"""The clock: pulls run by their cadence in both profiles, each scheduled time once, and people can look at it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
import requests
from sqlalchemy import func, select

from bridge.ledger.models import occurrence
from bridge.timetable import timetable
from tests.e2e.company import Company

DEMO = Path(__file__).parents[2] / "bridge" / "demo.toml"
SECONDS = """
[schedule]
profile = "{profile}"
[schedule.jobs.orders]
every_seconds = 1
[schedule.jobs.remittances]
every_seconds = 1
[schedule.jobs.sweep]
enabled = false
"""


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Path]:
    def written(more: str) -> Path:
        path = tmp_path / "bridge.toml"
        path.write_text(DEMO.read_text() + more)
        return path

    return written


@pytest.mark.parametrize("profile", ["default", "quarter-hourly"])
def test_the_clock_brings_orders_and_remittances_by_itself(
    open_company: Callable[..., Company], config: Callable[[str], Path], profile: str
) -> None:
    company = open_company(config=config(SECONDS.format(profile=profile)))
    account = company.account()
    application, _ = company.application(account)
    order = company.made("salesOrder", application)
    company.ns.admin.approve(kind="salesOrder", id=order.id)
    invoice = company.ns.admin.bill(kind="salesOrder", id=order.id).id
    company.ns.admin.pay(company.made("customer", account).id, "400.00", {invoice: "400.00"})

    company.until(lambda: len(company.sf.rows("NetSuite_Order__c")) == 2)
    company.until(lambda: company.row(application).get("Remaining_Balance__c") == Decimal("51600.00"))

    assert len(company.sf.rows("Remittance__c")) == 1


def test_two_instances_act_on_each_scheduled_time_once(
    open_company: Callable[..., Company], config: Callable[[str], Path]
) -> None:
    company = open_company(config=config(SECONDS.format(profile="default")))
    second = timetable(company.house.bridge)  # as another instance on the same ledger
    second.start(catch_up=False)
    threading.Event().wait(3)
    second.stop()

    with company.house.bridge.ledger.read() as connection:
        rows = connection.execute(
            select(occurrence.c.job, occurrence.c.scheduled_at, func.count().label("times")).group_by(
                occurrence.c.job, occurrence.c.scheduled_at
            )
        ).all()

    pulled = company.ns.calls_by_operation
    runs = [row for row in rows if row.job in ("orders", "remittances")]
    assert len(runs) >= 4
    assert {row.times for row in runs} == {1}
    # A run of orders searches three times (sales, purchase orders, commissions), one of remittances once.
    orders, remittances = (sum(row.job == job for row in runs) for job in ("orders", "remittances"))
    assert pulled["search"] <= 3 * orders + remittances


@pytest.mark.parametrize(
    ("profile", "orders", "remittances"),
    [("default", "0 * * * * UTC", "0 10 * * * UTC"), ("quarter-hourly", "every 15 minutes", "every 15 minutes")],
)
def test_the_console_shows_when_each_pull_runs_next(
    open_company: Callable[..., Company], config: Callable[[str], Path], profile: str, orders: str, remittances: str
) -> None:
    company = open_company(config=config(f'[schedule]\nprofile = "{profile}"\n'))

    page = requests.get(company.house.console.url, timeout=10).text

    for job, cadence in (("orders", orders), ("remittances", remittances)):
        row = re.search(rf"<tr><td>{job}<br><code[^>]*>(.*?)</code></td><td[^>]*>(.*?)</td>", page)
        assert row is not None
        assert row[1] == cadence
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:00 UTC", row[2])
