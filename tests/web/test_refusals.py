"""Callouts that are not believed are counted, and a flood of them is told without filling the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from bridge import playground, watching
from bridge.ledger import Ledger, incidents
from bridge.ledger.models import audit, call, incident, message
from bridge.playground import ORG_ID, Playground
from bridge.site import Alerts
from bridge.web.callouts import create_callouts
from bridge.web.refusals import Refusals
from bridge.web.signature import HEADER
from tests.web.test_callouts import Apex

MOST = 20
STORED = (audit, call, incident, message)


class Minutes:
    """A clock that is set by hand, for the ledger and for the counting."""

    def __init__(self) -> None:
        self.passed = 0.0

    def seconds(self) -> float:
        return self.passed * 60

    def moment(self) -> datetime:
        return datetime(2026, 11, 20, 12, tzinfo=UTC) + timedelta(minutes=self.passed)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = playground.start(tmp_path_factory.mktemp("refusals") / "bridge.sqlite3")
    yield house
    house.stop()


@pytest.fixture
def clock(house: Playground, monkeypatch: pytest.MonkeyPatch) -> Minutes:
    clock = Minutes()
    monkeypatch.setattr(house.bridge.ledger, "_clock", clock.moment)
    return clock


def calls(house: Playground, clock: Minutes, most: int = MOST) -> FlaskClient:
    refusals = Refusals(house.bridge.ledger, most, clock.seconds)
    keys = house.bridge.settings.signing_keys
    app = create_callouts(house.bridge.engine, lambda: keys, org=ORG_ID, budget_s=2, refusals=refusals)
    return app.test_client()


def refuse(client: FlaskClient, count: int) -> None:
    for _ in range(count):
        answer = client.post("/v1/push/Account", data=b"{}", headers={HEADER: "k=sandbox,v1=" + "0" * 64})
        assert answer.status_code == 401


def rows(ledger: Ledger) -> int:
    with ledger.read() as connection:
        return sum(connection.execute(select(func.count()).select_from(it)).scalar_one() for it in STORED)


def is_told(house: Playground) -> bool:
    with house.bridge.ledger.read() as connection:
        return "CALLOUTS_REFUSED" in {it.code for it in incidents.open_ones(connection)}


def look(house: Playground, clock: Minutes) -> None:
    watching.look(house.bridge.engine, watching.Watched(Alerts(), "UTC", clock=clock.moment))


def test_a_flood_is_told_and_is_over_when_it_has_ended(house, clock):
    client = calls(house, clock)

    refuse(client, MOST)
    few = is_told(house)
    refuse(client, 1)
    many = is_told(house)
    clock.passed += 9
    look(house, clock)
    still = is_told(house)
    clock.passed += 2
    look(house, clock)

    assert (few, many, still, is_told(house)) == (False, True, True, False)


def test_calls_of_another_time_count_too(house, clock):
    """A clock that has run away refuses everything, and nobody would look into the log."""
    client, apex = calls(house, clock), Apex(house)
    clock.passed += 100
    look(house, clock)

    for _ in range(MOST + 1):
        body = apex.body(apex.account(), sentAt="2020-01-01T00:00:00Z")
        assert client.post("/v1/push/Account", data=body, headers={HEADER: apex.sign(body)}).status_code == 401

    assert is_told(house)


def test_a_flood_that_goes_on_is_not_over(house, clock):
    client = calls(house, clock)

    for _ in range(4):
        refuse(client, MOST + 1)
        clock.passed += 5
        look(house, clock)

    assert is_told(house)


def test_a_flood_does_not_fill_the_database(house, clock):
    client = calls(house, clock)
    before = rows(house.bridge.ledger)

    refuse(client, 300)

    assert rows(house.bridge.ledger) - before <= 2  # the incident, and what the audit says of it


def test_a_few_over_a_long_time_are_not_told(house, clock):
    client = calls(house, clock)
    look(house, clock)
    clock.passed += 30
    look(house, clock)

    for _ in range(3 * MOST):
        refuse(client, 1)
        clock.passed += 1

    assert not is_told(house)


def test_who_wants_none_of_it_is_told_nothing(house, clock):
    clock.passed += 100
    look(house, clock)

    refuse(calls(house, clock, 0), 3 * MOST)

    assert not is_told(house)
