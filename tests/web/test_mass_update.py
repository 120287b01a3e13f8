"""A mass update, and a person who saves in the midst of it: the save does not queue behind the lists."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bridge import playground
from bridge.ledger.models import OPEN, message
from bridge.sandbox.netsuite import Latency
from tests.web.test_callouts import Apex, identity

TENTH = Latency(0.08, 0.055, 0.025, 0.04)  # of NetSuite's usual ones: a full list takes 1.3 s


@pytest.fixture
def apex(tmp_path: Path) -> Iterator[Apex]:
    house = playground.start(tmp_path / "bridge.sqlite3", latency=TENTH, concurrency=3)
    yield Apex(house)
    house.stop()


def left_open(apex: Apex) -> int:
    with apex.house.bridge.ledger.read() as connection:
        query = select(func.count()).select_from(message).where(message.c.state.in_(OPEN), message.c.sync == "customer")
        return int(connection.execute(query).scalar_one())


def test_a_save_is_delivered_while_a_mass_update_waits(apex: Apex) -> None:
    """600 records take ten seconds here; the person's save finds a slot, and nothing of either is lost."""
    calls = [apex.body(*[apex.account(200 * n + k) for k in range(200)]) for n in range(3)]
    callers = [threading.Thread(target=apex.post, args=(body,)) for body in calls]
    for it in callers:
        it.start()
    for it in callers:
        it.join()

    answers = [apex.post(apex.body(apex.account(9000 + n))).json()["results"][0]["state"] for n in range(3)]
    waiting = left_open(apex)
    while left_open(apex):
        threading.Event().wait(0.1)

    made = {it.external_id for it in apex.house.netsuite.store.records["customer"].values()}
    assert answers == ["delivered"] * 3
    assert waiting > 200
    assert {f"sf-cus-{identity('001', n)}" for n in [*range(600), 9000, 9001, 9002]} <= made
