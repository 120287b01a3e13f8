"""After one edit on each side the house comes to rest: every clock goes on, and nothing more is written anywhere.

A few seconds in the test run; ``scripts/chaos`` lets it soak for ten minutes.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bridge import playground
from bridge.sandbox.netsuite import Latency
from bridge.schedule import CADENCES
from tests.e2e.company import Company

LONG = int(os.environ.get("BRIDGE_CHAOS", "1")) > 1
SOAK_S = 600.0 if LONG else 2.5
DEMO = Path(__file__).parents[2] / "bridge" / "demo.toml"
EVERY_SECOND = "\n[schedule]\n" + "".join(f"[schedule.jobs.{name}]\nevery_seconds = 1\n" for name in CADENCES)
REST_S = 1.3  # at least one round of every job without a write


class Watching:
    """Sees every row that the bridge's own user writes; where *spares* is false, its saves are sent like anybody's."""

    def __init__(self, salesforce, *, spares):
        self.own, self.spares, self.written = salesforce.org.triggers, spares, Counter()
        salesforce.org.triggers = self

    def __getattr__(self, name):
        return getattr(self.own, name)

    def before(self, transaction, kind, old, new, *, again=False):
        user = transaction.user
        if not user.bypass:
            return self.own.before(transaction, kind, old, new, again=again)
        self.written[kind, new["Id"]] += 1
        if self.spares:
            return False
        transaction.user = replace(user, bypass=False)
        try:
            return self.own.before(transaction, kind, old, new, again=True)  # nor does it ask what has changed
        finally:
            transaction.user = user

    def committed(self, transaction):
        user, transaction.user = transaction.user, replace(transaction.user, bypass=False)
        try:
            self.own.committed(transaction)
        finally:
            transaction.user = user


def sent(company):
    """How often each record was written in NetSuite."""
    return Counter(name for it in company.ns.calls if it.operation.startswith("upsert") for name in it.external_ids)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("spares", [False, True] if LONG else [False])
def test_one_edit_on_each_side_is_written_once_and_nothing_follows(tmp_path, spares):
    """F-83, in an org whose triggers send what the bridge writes back, too; the long form also with the package's."""
    config = tmp_path / "bridge.toml"
    config.write_text(DEMO.read_text() + EVERY_SECOND)
    # Every save takes longer than Salesforce waits, so that the bridge itself writes back what became of it.
    slow, budget = Latency(0.2, 0.2, 0, 0), {"request_budget_s": 0.1}
    house = playground.start(tmp_path / "bridge.sqlite3", config=config, latency=slow, settings=budget)
    try:
        company = Company(house)
        watching = Watching(company.sf, spares=spares)
        account = company.account(Phone="1")
        company.sf.insert("Contact", FirstName="Ann", LastName="Lee", AccountId=account)
        application, fees = company.application(account, broker=company.account("Brokers"))
        company.until(lambda: len(company.sf.rows("NetSuite_Order__c")) == 3)
        comes_to_rest(company, watching)

        before = sent(company), Counter(watching.written)
        company.save(fees["Wire Fee"], UnitPrice="31.00")
        company.until(lambda: "31" in {str(it[1])[:2] for it in company.lines("salesOrder", application).values()})
        comes_to_rest(company, watching)
        there = sent(company) - before[0]

        before = sent(company), Counter(watching.written)
        order = company.made("salesOrder", application)
        company.ns.admin.approve(kind="salesOrder", id=order.id)
        mirrors = company.sf.rows("NetSuite_Order__c")
        (mirror,) = [it["Id"] for it in mirrors if it["NetSuite_Key__c"].endswith(f"-{order.id}")]
        company.until(lambda: watching.written["NetSuite_Order__c", mirror] > before[1]["NetSuite_Order__c", mirror])
        comes_to_rest(company, watching)
        back = watching.written - before[1]

        assert there[f"sf-so-{application}"] == 1, there
        assert set(there.values()) == {1}, "the same fee stands on the purchase order"
        assert sent(company) == before[0], "accounting's edit does not come back"
        assert back["NetSuite_Order__c", mirror] == 1, back
        assert set(back.values()) == {1}

        still = sent(company), Counter(watching.written), company.ns.calls_by_operation["search"]
        threading.Event().wait(SOAK_S)
        assert (sent(company), watching.written) == still[:2]
        assert company.ns.calls_by_operation["search"] >= still[2] + 2 * int(SOAK_S - 1), "the clocks did go on"
    finally:
        house.stop()


def comes_to_rest(company, watching):
    """Wait until nothing was written for a while."""
    end, last, since = time.monotonic() + 40, None, time.monotonic()
    while time.monotonic() - since < REST_S:
        assert time.monotonic() < end, "it never comes to rest"
        now = (sent(company), Counter(watching.written))
        if now != last:
            last, since = now, time.monotonic()
        threading.Event().wait(0.05)
