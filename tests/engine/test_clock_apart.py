"""An instance whose clock is wrong leaves the work to the others until it is right again."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from bridge.configuring import Follower
from bridge.errors import Deferred
from bridge.ledger import Ledger, incidents
from bridge.pulling import pull
from bridge.site import Alerts
from bridge.timetable import Occurrences
from bridge.watching import Watched, look
from tests.engine.test_carrying_much import ORDERS, SALE, orders  # noqa: F401 - a fixture

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def told(ledger: Ledger) -> set[str]:
    with ledger.read() as connection:
        return {it.code for it in incidents.open_ones(connection)}


@pytest.mark.parametrize("off_s", [90, -3600])
def test_what_it_accepts_waits_for_another_or_until_its_clock_is_right(house, off_s):
    """The caller is not kept waiting for what this instance is not going to do."""
    acme = house.account("Acme")
    house.ledger.here = lambda: house.clock() + timedelta(seconds=off_s)

    began = time.monotonic()
    accepted = house.push_one(acme, budget_s=30)
    waited_s = time.monotonic() - began
    house.engine.deliver(most=50, hands=4)
    apart = (accepted.state, house.writes(), house.states("customer"))
    house.ledger.here = house.clock
    house.drain()

    assert apart == ("pending", 0, ["pending"])
    assert waited_s < 15
    assert (house.states("customer"), len(house.made("customer"))) == (["delivered"], 1)


def test_a_clock_that_is_nearly_right_is_right(house):
    house.ledger.here = lambda: house.clock() + timedelta(seconds=50)

    assert house.push_one(house.account("Acme")).state == "delivered"


@pytest.mark.parametrize("off_s", [90, -3600])
def test_it_starts_no_job_until_it_is_right_and_says_so(postgres_url, off_s):
    """By PostgreSQL's own clock; each time is left for another instance."""
    ledger, other = Ledger(postgres_url), Ledger(postgres_url)
    ledger.here = lambda: datetime.now(UTC) + timedelta(seconds=off_s)
    wrong, right = Occurrences(ledger, "wrong"), Occurrences(other, "right")

    try:
        first = wrong.claim("orders", NOON)
        said = told(ledger)
        tells = wrong.claim("watch", NOON)
        others = right.claim("orders", NOON)
        ledger.here = None
        later = wrong.claim("orders", NOON + timedelta(hours=1))
    finally:
        ledger.close()
        other.close()

    assert (first, tells, others, later) == (False, True, True, True)
    assert said == {"CLOCK_SKEW"}


def test_that_it_was_wrong_is_over_ten_minutes_after_it_is_right(house):
    house.ledger.here = lambda: house.clock() + timedelta(seconds=90)
    Occurrences(house.ledger, "wrong").claim("orders", NOON)
    house.ledger.here = house.clock
    watched = Watched(Alerts(), "UTC", clock=house.clock)

    look(house.engine, watched)
    soon = told(house.ledger)
    house.clock.advance(minutes=11)
    look(house.engine, watched)

    assert (soon, told(house.ledger)) == ({"CLOCK_SKEW"}, set())


def test_a_pull_that_runs_stops_when_the_clock_goes_wrong(house, orders):  # noqa: F811
    """What was stored and not sent yet is for others; nothing that was not read counts as read."""
    read = []

    def progress(count, total):
        read.append(count)
        house.ledger.here = lambda: house.clock() + timedelta(seconds=90)

    with pytest.raises(Deferred) as stopped:
        pull(house.engine, SALE, progress=progress)
    states = set(house.states(SALE))
    house.ledger.here = house.clock
    house.clock.advance(minutes=1)
    house.pull(SALE)

    assert stopped.value.code == "CLOCK_SKEW"
    assert (read[0] < ORDERS, len(read), states) == (True, 1, {"deferred"})
    assert house.states(SALE) == ["delivered"] * ORDERS


def test_a_pull_that_runs_ends_when_the_process_is_to_end(house, orders):  # noqa: F811
    """It used to go on to its end, or until the process was killed for it."""
    with pytest.raises(Deferred) as stopped:
        pull(house.engine, SALE, progress=lambda count, total: house.engine.stopping.set())
    house.engine.stopping.clear()
    house.clock.advance(minutes=1)
    house.pull(SALE)

    assert stopped.value.code == "STOPPING"
    assert house.states(SALE) == ["delivered"] * ORDERS


def test_an_instance_without_a_schedule_says_so_too(postgres_url):
    ledger = Ledger(postgres_url)
    ledger.here = lambda: datetime.now(UTC) + timedelta(seconds=90)
    follower = Follower(ledger, lambda site, syncs: None)

    try:
        follower._look_and_tell()
        said = told(ledger)
    finally:
        ledger.close()

    assert said == {"CLOCK_SKEW"}
