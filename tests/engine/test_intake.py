"""Calls that are delivered later: stored together, answered alone, woken for when their pause ends."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from bridge import operating
from bridge.intake import Call, Intake
from bridge.ledger import messages
from bridge.receiving import as_received


@pytest.fixture
def intake(house) -> Intake:
    return Intake(house.ledger, lambda: house.engine.syncs, house.netsuite.url)


def call(house, *salesforce_ids: str, call_id: str = "call", body: str = "body") -> Call:
    return Call("00D", call_id, body, [as_received(house.read(it)) for it in salesforce_ids], messages.BULK)


def test_what_is_taken_in_is_stored_and_delivered_later(house, intake):
    one, two = house.account("One"), house.account("Two")

    taken = intake.take(call(house, one, two))
    house.drain()

    assert {it: taken.found[it].state for it in (one, two)} == {one: "pending", two: "pending"}
    assert sorted(it.fields["companyName"] for it in house.made("customer")) == ["One", "Two"]


def test_a_call_that_comes_twice_is_stored_once(house, intake):
    acme = house.account()

    first = intake.take(call(house, acme))
    again = intake.take(call(house, acme))
    other = intake.take(call(house, acme, body="other"))

    assert again.correlation == first.correlation
    assert (again.is_reused, other.is_reused) == (False, True)
    assert [row.action for row in house.audit(sync="customer")] == ["received"]


def test_what_was_taken_in_during_a_pause_goes_out_when_it_ends(house, intake):
    """Nobody is woken for it meanwhile: there is nothing to do."""
    acme = house.account()
    operating.pause(house.engine, "*netsuite", actor="operator", reason="maintenance")

    taken = intake.take(call(house, acme))
    asleep = house.drain()
    operating.resume(house.engine, "*netsuite", actor="operator")
    house.drain()

    assert taken.found[acme].state == "pending"
    assert asleep == 0
    assert [it.fields["companyName"] for it in house.made("customer")] == ["Acme"]


def test_a_pause_that_ends_meanwhile_leaves_nothing_asleep(house, intake):
    """Whoever resumes between our look at the pauses and our commit must still find what we store."""
    accounts = [house.account(f"Acme {n}") for n in range(40)]
    calls = [call(house, it, call_id=f"call {n}") for n, it in enumerate(accounts)]
    end = threading.Event()

    def toggle() -> None:
        while not end.is_set():
            operating.pause(house.engine, "*netsuite", actor="operator", reason="again")
            operating.resume(house.engine, "*netsuite", actor="operator")

    toggling = threading.Thread(target=toggle)
    toggling.start()
    threads = [threading.Thread(target=lambda own=calls[n::4]: [intake.take(it) for it in own]) for n in range(4)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()
    end.set()
    toggling.join()
    house.drain()

    assert len(house.made("customer")) == len(accounts)


def test_a_deletion_counts_from_what_was_saved_before(house, intake):
    acme = house.account()
    saved = call(house, acme, call_id="save")
    gone: Any = call(house, acme, call_id="delete")
    deleted = [type(it)(it.kind, it.id, 2**62, it.modified_at, {}, it.user, deleted=True) for it in gone.received]

    intake.take(saved)
    intake.take(Call("00D", "delete", "body", deleted, messages.BULK))
    house.drain()

    states = [(row.state, row.code) for row in house.messages("customer")]
    assert states == [("superseded", None), ("held", "DELETED_IN_SALESFORCE")]
