"""Incidents: one alert when something begins, one when it is over, however often it is seen."""

from __future__ import annotations

from bridge.ledger import Ledger, incidents
from bridge.ledger.incidents import Incident

LAG = Incident("lag:", "LAG", "It is late.")


def see(ledger: Ledger, *found: Incident) -> list[str]:
    with ledger.write() as writing:
        new = incidents.report(writing, found)
        incidents.end(writing, ("lag", "paused"), [it.key for it in found])
    return new


def tell(ledger: Ledger) -> list[tuple[str, bool]]:
    with ledger.read() as connection:
        found = incidents.untold(connection)
    with ledger.write() as writing:
        for it in found:
            incidents.told(writing, it)
    return [(it.key, it.ended_at is not None) for it in found]


def test_an_incident_is_told_once_and_once_more_when_it_is_over(ledger, clock):
    assert see(ledger, LAG) == ["lag:"]
    assert tell(ledger) == [("lag:", False)]
    clock.advance(minutes=1)
    assert see(ledger, LAG) == []
    assert tell(ledger) == []

    see(ledger)

    assert tell(ledger) == [("lag:", True)]
    assert tell(ledger) == []


def test_an_incident_that_comes_back_is_a_new_one(ledger, clock):
    see(ledger, LAG)
    tell(ledger)
    see(ledger)
    tell(ledger)
    clock.advance(hours=1)

    assert see(ledger, LAG) == ["lag:"]

    assert tell(ledger) == [("lag:", False)]
    with ledger.read() as connection:
        (found,) = incidents.open_ones(connection)
    assert found.since == clock.at


def test_what_was_over_before_anybody_was_told_is_not_told(ledger):
    see(ledger, LAG)
    see(ledger)

    assert tell(ledger) == []


def test_other_families_are_left_alone(ledger):
    see(ledger, Incident("audit:0", "AUDIT_BROKEN", "Chain 0 is broken."))

    see(ledger)

    with ledger.read() as connection:
        assert [it.key for it in incidents.open_ones(connection)] == ["audit:0"]
