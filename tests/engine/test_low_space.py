"""A disk that is nearly full: what can wait stops, so that what cannot, accepting, goes on."""

from __future__ import annotations

import pytest

from bridge import operating
from bridge.errors import Deferred
from bridge.ledger import incidents, marks
from bridge.site import Alerts
from bridge.watching import Watched, look

MB = 1024**2
GB = 1024**3
DISK = 100 * GB


def see(house, free, total=DISK):
    look(house.engine, Watched(Alerts(), "UTC", clock=house.clock, space=lambda: (free, total)))


def scopes(house):
    with house.ledger.read() as connection:
        return {it.scope: it.code for it in marks.pauses(connection)}


def told(house):
    with house.ledger.read() as connection:
        return {it.code for it in incidents.open_ones(connection)}


def test_sending_stops_before_accepting_does_and_goes_on_by_itself(house):
    acme = house.account("Acme")
    see(house, 900 * MB)

    standing = house.push_one(acme, budget_s=2)
    house.drain()
    stopped = (standing.state, house.writes(), told(house))
    house.clock.advance(minutes=6)
    operating.probe(house.engine)
    house.drain()
    probed = house.writes()
    see(house, 1500 * MB)
    house.drain()
    little_more = house.writes()
    see(house, 3 * GB)
    house.drain()

    assert stopped == ("pending", 0, {"LOW_SPACE", "SYNC_PAUSED"})
    assert (probed, little_more) == (0, 0), "neither a probe nor a few bytes end it"
    assert (len(house.made("customer")), house.states("customer")) == (1, ["delivered"])
    assert scopes(house) == {}


def test_nothing_is_pulled_meanwhile_and_all_of_it_afterwards(house):
    acme = house.account("Acme")
    application = house.application(acme)
    house.push(acme, application)
    house.drain()
    house.clock.advance(minutes=10)
    see(house, 900 * MB)
    stored = len(house.messages())

    with pytest.raises(Deferred) as refused:
        house.pull("sales_order_mirror")
    meanwhile = len(house.messages())
    see(house, 3 * GB)
    report = house.pull("sales_order_mirror")

    assert (refused.value.code, meanwhile) == ("LOW_SPACE", stored)
    assert report.stored == 1
    assert house.states("sales_order_mirror") == ["delivered"]


def test_a_persons_pause_is_left_alone(house):
    operating.pause(house.engine, "*netsuite", actor="pat", reason="year end")
    see(house, 900 * MB)
    both = scopes(house)
    see(house, 3 * GB)

    assert both == {"*netsuite": "PAUSED_BY_PERSON", "*everything": "LOW_SPACE"}
    assert scopes(house) == {"*netsuite": "PAUSED_BY_PERSON"}


@pytest.mark.parametrize(
    ("free", "total", "stops"), [(2 * GB, DISK, False), (600 * MB, 10 * GB, False), (400 * MB, 10 * GB, True)]
)
def test_a_small_disk_has_a_smaller_limit(house, free, total, stops):
    see(house, free, total)

    assert ("*everything" in scopes(house)) == stops
