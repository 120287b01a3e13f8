"""The default carrier: threads that a commit wakes, and that find by themselves what nobody told them of."""

from __future__ import annotations

import threading
import time

import pytest

from bridge.carriers.embedded import Embedded


def eventually(claim, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if claim():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def carrier(house):
    made = Embedded(house.engine, threads=2)
    house.ledger.woken = made.wake
    yield made
    made.stop()


def test_what_is_accepted_is_delivered_in_the_background(house, carrier):
    carrier.start()
    accounts = [house.account(f"Acme {n}") for n in range(5)]

    house.receive(*accounts, write_back=True)

    assert eventually(lambda: all(house.sf.row(it).get("NetSuite_Status__c") == "delivered" for it in accounts))
    assert len(house.made("customer")) == 5


def test_a_wake_up_that_was_lost_loses_no_work(house, carrier):
    """A look at the database every second finds it."""
    house.ledger.woken = None
    carrier.start()
    time.sleep(0.1)
    acme = house.account()
    house.receive(acme)

    assert eventually(lambda: house.states("customer", acme) == ["delivered"])


def test_a_round_that_fails_does_not_end_its_thread(house, monkeypatch):
    tries = []
    right = house.engine.deliver

    def deliver(*args, **options):
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("a bug")
        return right(*args, **options)

    monkeypatch.setattr(house.engine, "deliver", deliver)
    carrier = Embedded(house.engine, threads=1)
    carrier.start()
    acme = house.account()
    house.receive(acme)

    done = eventually(lambda: house.states("customer", acme) == ["delivered"])
    carrier.stop()

    assert done
    assert len(tries) > 1


def test_stopping_lets_a_call_in_flight_finish(house, monkeypatch):
    """Its result is recorded: no lane waits for a lease to run out."""
    entered, go = threading.Event(), threading.Event()
    right = house.netsuite.upsert

    def upsert(records, *, interactive=False):
        entered.set()
        go.wait(10)
        return right(records, interactive=interactive)

    monkeypatch.setattr(house.netsuite, "upsert", upsert)
    carrier = Embedded(house.engine, threads=2)
    carrier.start()
    acme = house.account()
    house.receive(acme)
    assert entered.wait(10)
    threading.Timer(0.2, go.set).start()

    stopped = carrier.stop()

    assert stopped
    assert house.states("customer", acme) == ["delivered"]


def test_stopping_does_not_wait_for_ever(house, monkeypatch):
    """Twenty seconds in all, not for each thread."""
    go = threading.Event()
    monkeypatch.setattr(house.engine, "deliver", lambda **options: go.wait(10) and 0)
    carrier = Embedded(house.engine, threads=4)
    carrier.start()
    began = time.monotonic()

    stopped = carrier.stop(0.3)
    took = time.monotonic() - began
    go.set()

    assert not stopped
    assert took < 1.1


def test_work_that_waits_does_not_keep_anybody_busy(house, carrier):
    """An unsure write with a newer save behind it: nothing can be done for a minute, so nothing is done."""
    acme = house.account()
    house.ns.faults.add("drop", operation="upsert*")
    house.receive(acme)
    house.engine.deliver(most=50)
    house.sf.update(acme, Phone="206 555 0100")
    house.receive(acme)
    rounds = []
    right = house.engine._begin
    house.engine._begin = lambda *args: rounds.append(1) or right(*args)
    carrier.start()

    time.sleep(1.5)
    carrier.stop()

    assert house.states("customer", acme) == ["uncertain", "deferred"]
    assert len(rounds) < 12
