"""Processes killed, frozen and multiplied while calls to NetSuite are in flight."""

from __future__ import annotations

import os
import signal
import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from bridge.ledger.lanes import LEASE
from bridge.ledger.models import lane, message
from bridge.ports import Ref
from bridge.pulling import pull
from bridge.receiving import as_received
from tests.faults.children import carry, fork
from tests.faults.world import Clock, Latency, Town, Witness, until

LONG = int(os.environ.get("BRIDGE_CHAOS", "1"))  # scripts/chaos turns everything up
SLOTS = 16 * LONG  # those of a killed process come back after half a minute only
PACE = 40.0  # the ledger's hours are short: a lease of minutes ends in seconds


@pytest.fixture
def town():
    made = Town(latency=Latency(0.08, 0.08, 0.005, 0.01), concurrency=SLOTS)
    yield made
    made.stop()


def save(house, town, record, version):
    """Save an account or a contact with its *version* as phone number, and have the bridge receive it."""
    town.salesforce.update(record, Phone=str(version))
    kind = "Account" if record.startswith("001") else "Contact"
    (found,) = house.salesforce.get([Ref(kind, id=record)], house.engine.syncs.reads(kind))
    house.engine.receive([as_received(found)], origin="callout", correlation=f"{record}-{version}")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_only_while_a_call_is_in_flight_nothing_is_lost_doubled_or_out_of_order(
    town, options, house, workers, request
):
    """kill -9, and the fake keeps working after its client has died."""
    on_sqlite = options["database"].startswith("sqlite")
    if on_sqlite and workers > 1:
        pytest.skip("SQLite is for one process that delivers")
    clock = Clock(pace=PACE)
    shared = {**options, "start": clock.start, "pace": PACE, "threads": 1, "limit": SLOTS}
    if not on_sqlite:
        shared["carrier"] = "procrastinate"
    front = house(shared, clock)
    accounts = [town.account(f"Acme {n}") for n in range(8 * LONG)]
    contacts = {town.salesforce.insert("Contact", LastName="Lee", AccountId=it): it for it in accounts[: 2 * LONG]}
    witness = Witness(town, {f"sf-con-{it}": f"sf-cus-{of}" for it, of in contacts.items()})
    children = [fork(carry, shared) for _ in range(workers)]
    kills, wanted = 0, 3 * LONG
    saves = [(it, version) for version in range(1, 4 + LONG) for it in (*accounts, *contacts)]
    try:
        for number, (record, version) in enumerate(saves):
            save(front, town, record, version)
            if kills < wanted and number % (len(saves) // wanted) == 0:
                victim = until(lambda: in_the_middle(front, witness, children), 20, "a write is in flight")
                os.kill(victim.pid, signal.SIGKILL)
                kills += 1
                victim.join(5)
                children[children.index(victim)] = fork(carry, shared)
        until(lambda: not front.open(), 60 + 30 * LONG, "all is delivered or with a person")
    finally:
        for child in children:
            child.kill()
            child.join(5)

    assert kills == wanted
    assert front.audited("adopted"), "NetSuite went on with what its dead clients had asked for"
    rows = front.rows(message.c.sync.in_(("customer", "contact")))
    assert {row.state for row in rows} <= {"delivered", "superseded", "unchanged", "dead"}
    assert {row.code for row in rows if row.state == "dead"} <= {"QUARANTINED"}, "killed three times with one record"
    newest = {row.source_id: row for row in sorted(rows, key=lambda row: row.version)}
    assert len(newest) == len(accounts) + len(contacts)
    assert not town.doubled()
    made = [it for kind in ("customer", "contact") for it in town.made(kind) if it.external_id]
    phones = {it.external_id[7:]: it.fields.get("phone") for it in made}
    done = [it for it in newest if newest[it].state != "dead"]
    assert {phones[it] for it in done} == {str(saves[-1][1])}
    assert len(done) >= len(newest) - kills // 3
    assert not witness.inversions()
    assert not witness.overlaps
    until(lambda: not stuck(front), 10, "no lane is held")


def in_the_middle(house, witness, children):
    """Return a process whose write NetSuite is working on just now."""
    accounts = [it.removeprefix("sf-cus-") for it in list(witness.busy)]
    with house.ledger.read() as connection:
        owners = set(connection.execute(select(lane.c.owner).where(lane.c.key.in_(accounts))).scalars())
    return next((it for it in children if str(it.pid) in owners), None)


def stuck(house):
    try:
        house.check()
    except AssertionError:
        return True
    return False


def test_a_process_frozen_past_its_lease_is_refused(town, options, house):
    """SIGSTOP while NetSuite works, the lease ends, another one takes over, SIGCONT: its result is not recorded."""
    town.netsuite.faults.add("slow", operation="upsert", count=1, options={"seconds": 1.0})
    account = town.account()
    clock = Clock()
    front = house({**options, "limit": 4}, clock)
    save(front, town, account, 1)
    witness = Witness(town)
    sleeper = fork(carry, {**options, "limit": 4})
    until(lambda: witness.busy, 20, "the write is in flight")
    os.kill(sleeper.pid, signal.SIGSTOP)
    until(lambda: not witness.busy, 20, "NetSuite has done it")

    clock.ahead = LEASE * 2
    front.recover()
    adopted = front.audited("adopted")
    os.kill(sleeper.pid, signal.SIGCONT)
    until(lambda: front.audited("fenced"), 20, "the sleeper's result is refused")
    sleeper.kill()
    sleeper.join(5)

    assert adopted == 1
    (row,) = front.rows(message.c.sync == "customer")
    assert row.state == "delivered"
    assert len(town.made("customer")) == 1


def test_two_instances_that_pull_at_once_write_everything_once(town, options, house):
    first, second = house(options), house(options)
    for n in range(3):
        account = town.account(f"Acme {n}")
        town.application(account)
        first.post(*town.callout(account))
        first.post(*town.callout(town.salesforce.rows("Opportunity")[n]["Id"]))
    first.recover()
    started = threading.Barrier(2)
    failed = []

    def run(one):
        try:
            started.wait(5)
            pull(one.engine, "sales_order_mirror", settle=timedelta(seconds=-2))
            one.recover()
        except BaseException as error:  # noqa: BLE001 - told by the assertion
            failed.append(error)

    threads = [threading.Thread(target=run, args=(it,)) for it in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)

    assert not failed
    assert len(town.salesforce.rows("NetSuite_Order__c")) == 3
    delivered = first.rows(message.c.sync == "sales_order_mirror")
    assert [row.state for row in delivered] == ["delivered"] * 3
