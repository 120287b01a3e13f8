"""A backfill that is killed at every step ends with the same rows and the same sums as NetSuite."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import update

from bridge.backfill import backfill, tally
from bridge.ledger.models import lane
from bridge.sandbox.netsuite_store import Link
from tests.faults.world import environment

LONG = os.environ.get("BRIDGE_TEST_BACKFILL")  # scripts/chaos: more orders, and a kill at every step
ORDERS = int(LONG or "1200")
SINCE, UNTIL = datetime(2023, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
BULK = """
import sys
from bridge import pulling
from bridge.cli import app
from bridge.salesforce.rest import RestSalesforce
pulling.MUCH, pulling.TOGETHER = 200, int(sys.argv[1])
RestSalesforce.__init__.__kwdefaults__["bulk_above"] = 100
sys.argv = ["bridge", *sys.argv[2:]]
app()
"""  # smaller gatherings, so that a killed process leaves something for the next kill
STEPS = (
    "after_pull_store:kill:1", "before_push:kill:1", "after_writeback:kill:1", "after_push:kill:1",
    "before_commit:kill:1", "after_commit:kill:1", "before_watermark:kill:1",
) if LONG else ("after_pull_store:kill:1", "after_writeback:kill:1", "before_watermark:kill:1")  # fmt: skip


def years_of_orders(town, count):
    """Orders of one customer of ours, spread over two years, many of one moment, in two currencies."""
    (template,) = town.made("salesOrder")
    store = town.netsuite.store
    euro = next(it for it in store.records["currency"].values() if it.fields["symbol"] == "EUR")
    with town.netsuite.lock:
        for number in range(count):
            made = store.new("salesOrder")
            crowd = number - number % 40 if number % 3 == 0 else number
            made.created = made.modified = SINCE + (UNTIL - SINCE) * crowd / count
            made.modified = made.modified.replace(microsecond=0)
            amount = f"{number % 977}.{number % 100:02d}"
            made.fields = dict(template.fields) | {"tranId": f"OLD{number}", "total": amount}
            if number % 5 == 0:
                made.fields |= {"currency": Link("currency", euro.id), "currencyName": euro.name}
            made.lists = copy.deepcopy(template.lists)
            store.add(made)


def time_passes(house):
    """Leases of processes that were killed run out."""
    with house.ledger.write() as writing:
        writing.connection.execute(update(lane).values(lease_until=None, owner=None, due_at=writing.now))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_backfill_that_is_killed_ties_to_the_cent(town, house, tmp_path):
    """F-122: real processes, real kills; no row twice, none missing."""
    options = {"urls": town.urls, "database": f"sqlite:///{tmp_path / 'bridge.sqlite3'}", "secret": town.secret}
    here = house(options)
    account = town.account()
    for record_id in (account, town.application(account)):
        here.post(*town.callout(record_id))
    here.recover()
    years_of_orders(town, ORDERS)
    bridge = ("-c", BULK, "1500") if LONG else ("-m", "bridge")
    command = [sys.executable, *bridge, "pull", "orders",
               "--since", SINCE.strftime("%Y-%m-%d"), "--until", UNTIL.strftime("%Y-%m-%d")]  # fmt: skip
    killed = 0
    log = tmp_path / "backfill.log"
    for step in (*STEPS, ""):
        env = environment(town, options["database"], **({"BRIDGE_FAILPOINT": step} if step else {}))
        with log.open("ab") as told:
            done = subprocess.run(command, env=env, stdout=told, stderr=told, cwd=tmp_path, timeout=300, check=False)
        assert done.returncode in (0, 1, -9), log.read_text()
        killed += done.returncode == -9
        time_passes(here)
    here.recover(rounds=5000)  # what stopped a worker goes alone from then on

    found = tally(here.engine, "sales_order_mirror", SINCE, UNTIL)
    rows = [it for it in town.salesforce.rows("NetSuite_Order__c") if str(it["Name"]).startswith("OLD")]
    there = [it for it in town.made("salesOrder") if it.fields["tranId"].startswith("OLD")]

    assert killed == len(STEPS), log.read_text()
    assert found.ties, found.sentence()
    assert (found.counted, found.read, found.written) == (ORDERS, ORDERS, ORDERS)
    assert Counter(it["NetSuite_Id__c"] for it in rows) == Counter(it.id for it in there)
    for symbol, name in {"USD": "US Dollar", "EUR": "Euro"}.items():
        real = sum(Decimal(it.fields["total"]) for it in there if it.fields["currencyName"] == name)
        mirrored = sum(Decimal(str(it["Total__c"])) for it in rows if it["Currency__c"] == symbol)
        assert (real, real) == found.amounts[symbol]
        assert real == mirrored > 0
    here.check()


def test_a_backfill_goes_on_where_it_was_stopped(town, house, tmp_path):
    """What was stored whole is not read again."""
    options = {"urls": town.urls, "database": f"sqlite:///{tmp_path / 'bridge.sqlite3'}", "secret": town.secret}
    here = house(options)
    account = town.account()
    here.post(*town.callout(account))
    here.post(*town.callout(town.application(account)))
    here.recover()
    years_of_orders(town, 300)
    here.engine.netsuite._page_size = 50
    seen = []

    class Stop(Exception):
        pass

    def stop(read, total):
        seen.append((read, total))
        if read > 150:
            raise Stop

    with pytest.raises(Stop):
        backfill(here.engine, "sales_order_mirror", SINCE, UNTIL, progress=stop)

    rest = backfill(here.engine, "sales_order_mirror", SINCE, UNTIL)
    nothing = backfill(here.engine, "sales_order_mirror", SINCE, UNTIL)
    here.recover()

    assert seen[0][1] == 300
    assert rest.stored <= 150
    assert rest.read < 220
    assert nothing.read == 0
    assert tally(here.engine, "sales_order_mirror", SINCE, UNTIL).ties


@pytest.mark.timeout(300)
def test_a_backfill_by_bulk_jobs_that_is_killed_doubles_nothing(town, house, tmp_path):
    """Killed with a job done and nothing recorded of it, and once more while the next is recorded."""
    options = {"urls": town.urls, "database": f"sqlite:///{tmp_path / 'bridge.sqlite3'}", "secret": town.secret}
    here = house(options)
    account = town.account()
    for record_id in (account, town.application(account)):
        here.post(*town.callout(record_id))
    here.recover()
    years_of_orders(town, 1000)
    command = [sys.executable, "-c", BULK, "300", "pull", "orders",
               "--since", SINCE.strftime("%Y-%m-%d"), "--until", UNTIL.strftime("%Y-%m-%d")]  # fmt: skip
    killed = 0
    log = tmp_path / "backfill.log"
    for step in ("after_writeback:kill:1", "before_commit:kill:1", ""):
        env = environment(town, options["database"], **({"BRIDGE_FAILPOINT": step} if step else {}))
        with log.open("ab") as told:
            done = subprocess.run(command, env=env, stdout=told, stderr=told, cwd=tmp_path, timeout=120, check=False)
        assert done.returncode in (0, 1, -9), log.read_text()
        killed += done.returncode == -9
        time_passes(here)
    here.recover(rounds=500)

    found = tally(here.engine, "sales_order_mirror", SINCE, UNTIL)
    rows = [it for it in town.salesforce.rows("NetSuite_Order__c") if str(it["Name"]).startswith("OLD")]
    lines = Counter(it["NetSuite_Key__c"] for it in town.salesforce.rows("NetSuite_Order_Line__c"))
    jobs = Counter(it.object for it in town.salesforce.bulk._jobs.values())

    assert killed == 2, log.read_text()
    assert found.ties, found.sentence()
    assert (found.counted, found.read, found.written) == (1000, 1000, 1000)
    assert len({it["NetSuite_Id__c"] for it in rows}) == len(rows) == 1000
    assert set(lines.values()) == {1}
    assert min(jobs["NetSuite_Order__c"], jobs["NetSuite_Order_Line__c"]) >= 2, jobs
    here.check()
