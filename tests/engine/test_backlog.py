"""How long until what waits is done: by what was done in the last minutes, and not told where that is not known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge import operating
from bridge.ledger import backlog
from bridge.web.health import exposition


def kept(house):
    operating.tally(house.engine)
    with house.ledger.read() as connection:
        return {it.sync: it for it in backlog.read(connection, house.ledger.now(connection))}


@pytest.fixture
def flood(house):
    """Sixty Accounts, of which twenty are delivered, one every three seconds."""
    accounts = [house.account(f"Acme {n}") for n in range(60)]
    house.receive(*accounts)
    for _ in range(20):
        house.engine.deliver(most=1)
        house.clock.advance(seconds=3)
    return accounts


def test_what_waits_is_ready_when_the_pace_of_the_last_minutes_says_so(house, flood):
    found = kept(house)["customer"]

    assert (found.waiting, found.done) == (40, 20)
    assert found.pace_s == pytest.approx(1 / 3)
    assert found.left == timedelta(minutes=2)
    told = exposition(house.engine)
    assert 'bridge_waiting{sync="customer"} 40' in told
    assert 'bridge_eta_seconds{sync="customer"} 120.0' in told


def test_no_time_is_told_before_anything_was_done_and_none_while_it_stands(house):
    house.receive(*[house.account(f"Acme {n}") for n in range(30)])
    before = kept(house)["customer"]
    house.engine.deliver(most=15)
    house.clock.advance(seconds=30)
    going = kept(house)["customer"]
    house.clock.advance(minutes=3)

    after = kept(house)["customer"]

    assert (before.waiting, before.pace_s, before.left) == (30, None, None)
    assert (going.waiting, going.left) == (15, timedelta(seconds=30))
    assert (after.waiting, after.left) == (15, None)


def test_no_time_is_told_of_what_is_paused_or_was_counted_long_ago(house, flood):
    operating.pause(house.engine, "*netsuite", actor="pat", reason="year end")
    paused = kept(house)["customer"]
    house.clock.advance(minutes=6)

    with house.ledger.read() as connection:
        stale = backlog.read(connection, house.ledger.now(connection))

    assert (paused.waiting, paused.left) == (40, None)
    assert stale == []
    assert "bridge_eta_seconds" not in exposition(house.engine)


def test_what_is_tried_again_in_an_hour_does_not_wait_for_its_turn(house):
    house.ns.faults.add("session", count=10**6)
    house.receive(*[house.account(f"Acme {n}") for n in range(12)])
    for _ in range(7):
        house.drain()
        house.clock.advance(minutes=80)  # an hour, and the jitter
    house.drain()

    assert "customer" not in kept(house)
