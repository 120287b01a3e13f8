"""A bulk job goes on when whoever started it ends: nothing newer is written for its records before it has ended."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import select

from bridge import sending, unfinished
from bridge.carrying import Stream
from bridge.errors import Deferred, Uncertain
from bridge.ledger.bulk_jobs import Kept
from bridge.ledger.models import bulk_job
from bridge.ports import Record, Ref
from bridge.pulling import Taken, pull, store
from bridge.salesforce.bulk import Bulk
from bridge.salesforce.writing import as_row
from tests.engine.test_carrying_much import ORDERS, SALE, orders  # noqa: F401 - a fixture

OBJECT = "NetSuite_Order__c"
only_sqlite = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)  # it is not about the database


class Killed(BaseException):
    """The process is no more."""


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few rows are many here, and nobody waits long."""
    monkeypatch.setattr(sending, "ONE_CALL", 25)
    monkeypatch.setattr(unfinished, "LOOK_S", 0.02)


@pytest.fixture
def killed(house, monkeypatch):
    """From now on the process ends when it first waits for a bulk job; what it did in Salesforce goes on."""
    bulk = house.engine.salesforce._bulk
    house.sf.faults.add(kind="slow_job", object=OBJECT, seconds=0.25)

    def die(seconds):
        raise Killed

    monkeypatch.setattr(bulk, "_sleep", die)
    with pytest.raises(Killed):
        pull(house.engine, SALE)
    monkeypatch.setattr(bulk, "_sleep", lambda seconds: time.sleep(0.01))
    house.engine.stopping.clear()  # another process
    house.clock.advance(minutes=10)


def kept(house):
    with house.ledger.read() as connection:
        return list(connection.execute(select(bulk_job)))


def memo(house, order):
    (row,) = [it for it in house.sf.rows(OBJECT) if it["NetSuite_Key__c"] == f"salesOrder-{order.id}"]
    return row["Memo__c"]


def changed(house, order, words):
    with house.ns.lock:
        order.fields["memo"] = words
        house.ns.store.changed(order)
    house.clock.advance(minutes=5)


def settled(house):
    for _ in range(100):
        house.drain()
        if set(house.states(SALE)) <= {"delivered", "superseded", "unchanged"}:
            break
        house.clock.advance(minutes=1)
        time.sleep(0.02)
    house.sf.bulk.drain()


def test_a_job_whose_process_was_killed_puts_no_older_value_back(house, orders, killed):  # noqa: F811
    changed(house, orders[3], "the newer one")

    pull(house.engine, SALE)
    settled(house)

    assert memo(house, orders[3]) == "the newer one"
    assert len(house.sf.rows(OBJECT)) == ORDERS
    assert kept(house) == []


@only_sqlite
def test_what_waits_in_the_queue_waits_for_the_job_too(house, orders, killed):  # noqa: F811
    """Without a pull, the carrier takes the lane and gives it back for a while."""
    (job,) = kept(house)

    assert house.engine.deliver([SALE]) == 0
    states = set(house.states(SALE))
    house.sf.bulk.drain()
    settled(house)

    assert job.lane == SALE
    assert states == {"sending"}
    assert set(house.states(SALE)) == {"delivered"}
    assert kept(house) == []


@only_sqlite
def test_a_job_that_does_not_end_is_stopped_in_time(house, orders, killed):  # noqa: F811
    """No job holds a lane back for longer than its own process would have waited for it."""
    house.sf.bulk.drain()
    (job,) = house.sf.bulk._jobs.values()
    job.state = "InProgress"  # Salesforce has put it aside
    assert house.engine.deliver([SALE]) == 0
    waiting = kept(house)

    house.clock.advance(minutes=16)
    settled(house)

    assert waiting
    assert job.state == "Aborted"
    assert set(house.states(SALE)) == {"delivered"}


@only_sqlite
def test_a_job_that_salesforce_has_forgotten_is_waited_for_no_more(house, orders, killed):  # noqa: F811
    house.sf.bulk.drain()
    house.sf.bulk._jobs.clear()

    settled(house)

    assert set(house.states(SALE)) == {"delivered"}
    assert kept(house) == []


@only_sqlite
def test_nothing_is_written_while_salesforce_does_not_say_what_became_of_it(house, orders, killed):  # noqa: F811
    house.sf.bulk.drain()
    house.sf.faults.add(kind="unavailable", path="jobs/ingest", times=500)

    house.drain()
    states, calls = set(house.states(SALE)), house.sf.api_usage
    house.sf.faults.clear()
    settled(house)

    assert states == {"sending"}
    assert calls
    assert set(house.states(SALE)) == {"delivered"}


@only_sqlite
def test_a_stop_leaves_a_running_job_and_the_next_start_goes_on(house, orders, monkeypatch):  # noqa: F811
    """It used to wait until the job had ended, up to 15 minutes."""
    monkeypatch.setattr(house.engine.salesforce._bulk, "_sleep", house.engine.stopping.wait)
    monkeypatch.setattr(house.engine.salesforce._bulk, "_leaving", house.engine.stopping)
    house.sf.faults.add(kind="slow_job", object=OBJECT, seconds=1.2)
    pulling = threading.Thread(target=pull, args=(house.engine, SALE))
    pulling.start()
    while not kept(house):
        time.sleep(0.01)
    began = time.monotonic()

    house.engine.stopping.set()
    pulling.join(10)
    took_s, states, left = time.monotonic() - began, set(house.states(SALE)), kept(house)
    house.engine.stopping.clear()
    house.clock.advance(minutes=10)
    settled(house)

    assert took_s < 1.0
    assert (len(left), states) == (1, {"uncertain"})
    assert set(house.states(SALE)) == {"delivered"}
    assert len(house.sf.rows(OBJECT)) == ORDERS
    assert kept(house) == []


def test_who_was_overtaken_starts_no_job(house, orders):  # noqa: F811
    stream = Stream(house.engine, house.engine.syncs.pulls[SALE], "c-1")
    stream.together = 1_000
    now = house.engine.netsuite.now()
    (window,) = house.engine.netsuite.windows("salesOrder", now - unfinished.STOP_AFTER, now)
    store(stream, window.rows, Taken())
    house.clock.advance(minutes=10)
    house.drain()  # another takes the lane over, as this process was frozen
    jobs = Kept(house.ledger, stream._leases)
    outcomes = house.engine.salesforce._bulk.upsert(_rows(house), jobs)

    assert {it.code for it in outcomes} == {"OVERTAKEN"}
    assert kept(house) == []
    assert list(house.sf.bulk._jobs.values())[-1].state == "Aborted"
    stream._gathered.clear()
    stream._pool.shutdown()


def _rows(house):
    return [as_row(n, Record(Ref(OBJECT, external_id=f"x-{n}"), {"Name": "x"})) for n in range(3)]


@only_sqlite
def test_a_job_that_somebody_stopped_before_it_started_wrote_nothing(house):
    """A process that was frozen between keeping the job and starting it, and woke up after others had gone on."""
    bulk: Bulk = house.engine.salesforce._bulk

    class Slow:
        def started(self, job_id):
            assert bulk.has_ended(job_id, stop=True)

        def ended(self, job_id):
            self.over = job_id

    slow = Slow()
    outcomes = bulk.upsert(_rows(house), slow)

    assert {type(it) for it in outcomes} <= {Deferred, Uncertain}
    assert slow.over
    assert house.sf.rows(OBJECT) == []
