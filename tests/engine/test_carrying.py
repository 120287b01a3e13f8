"""What a pull reads goes straight through to Salesforce; whatever is in its way, nothing is lost or written twice."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
from sqlalchemy import select

from bridge import failpoints, operating
from bridge.ledger import audit as chain
from bridge.ledger import lanes
from bridge.ledger.models import attempt, lane
from bridge.pulling import pull
from tests.engine.conftest import KEY

SALE = "sales_order_mirror"


@pytest.fixture
def orders(house):
    """Five orders of one customer of ours; the first was made by us."""
    oven = house.application(house.account("Acme"), ("Wire Fee", "25.00"))
    house.push_one(oven)
    (first,) = house.made("salesOrder")
    for _ in range(4):
        with house.ns.lock:
            made = house.ns.store.new("salesOrder")
            made.fields = dict(first.fields) | {"tranId": house.ns.store.number("SO")}
            made.lists = copy.deepcopy(first.lists)
            house.ns.store.add(made)
    house.clock.advance(minutes=5)
    return house.made("salesOrder")


def lane_row(house):
    with house.ledger.read() as connection:
        return connection.execute(select(lane).where(lane.c.key == SALE)).one()


def test_a_pull_writes_what_it_read_and_says_so_of_every_record(house, orders):
    """One audit row when it is stored, one when it has arrived; one attempt; a chain that holds."""
    report = pull(house.engine, SALE)

    assert (report.read, report.stored) == (5, 5)
    assert len(house.sf.rows("NetSuite_Order__c")) == len(house.sf.rows("NetSuite_Order_Line__c")) == 5
    rows = house.messages(SALE)
    assert [(it.state, it.attempts, it.queue, it.target_id) for it in rows] == [
        ("delivered", 1, None, f"salesOrder-{it.source_id}") for it in rows
    ]
    told = Counter((it.message_id, it.action) for it in house.audit(sync=SALE) if it.message_id)
    assert told == Counter({(it.id, action): 1 for it in rows for action in ("received", "delivered")})
    with house.ledger.read() as connection:
        tried = connection.execute(select(attempt.c.message_id, attempt.c.outcome)).all()
        assert sorted(tried)[-5:] == [(it.id, "delivered") for it in rows]
        assert list(chain.verify(connection, KEY)) == []
    assert lane_row(house).owner is None
    assert lane_row(house).due_at is None


def test_while_somebody_else_has_the_lane_it_is_left_in_the_queue(house, orders):
    with house.ledger.write() as writing:
        lanes.wake(writing.connection, {SALE: (writing.now, 1)})
        (lease,) = lanes.lease(writing.connection, "another", writing.now, keys=[SALE])

    report = pull(house.engine, SALE)

    assert report.stored == 5
    assert house.states(SALE) == ["pending"] * 5
    assert house.sf.rows("NetSuite_Order__c") == []
    with house.ledger.write() as writing:
        lanes.release(writing.connection, [lease], (), writing.now)
    house.drain()
    assert len(house.sf.rows("NetSuite_Order__c")) == 5


def test_while_salesforce_is_paused_it_is_left_in_the_queue(house, orders):
    operating.pause(house.engine, "*salesforce", actor="pat", reason="maintenance")

    pull(house.engine, SALE)

    assert house.states(SALE) == ["pending"] * 5
    operating.resume(house.engine, "*salesforce", actor="pat")
    house.drain()
    assert house.states(SALE) == ["delivered"] * 5


def test_a_reading_behind_an_open_one_of_the_same_record_waits_for_its_turn(house, orders):
    operating.pause(house.engine, SALE, actor="pat", reason="looking")
    pull(house.engine, SALE)
    operating.resume(house.engine, SALE, actor="pat")
    with house.ns.lock:
        orders[1].fields["memo"] = "newer"
        house.ns.store.changed(orders[1])
    house.clock.advance(minutes=5)

    pull(house.engine, SALE)

    assert sorted(house.states(SALE, orders[1].id)) == ["pending", "pending"]
    house.drain()
    shown = {it["NetSuite_Id__c"]: it.get("Memo__c") for it in house.sf.rows("NetSuite_Order__c")}
    assert shown[orders[1].id] == "newer"
    assert sorted(house.states(SALE, orders[1].id)) == ["delivered", "superseded"]


def test_one_record_that_cannot_be_mapped_keeps_nobody_back(house, orders):
    with house.ns.lock:
        orders[2].fields["total"] = "1.005"
        house.ns.store.changed(orders[2])
    house.clock.advance(minutes=5)

    pull(house.engine, SALE)
    house.drain()

    states = Counter(house.states(SALE))
    assert states["delivered"] == 4
    assert sum(states.values()) == 5
    (other,) = [it for it in house.messages(SALE) if it.state != "delivered"]
    assert (other.state, other.code, other.source_id) == ("rejected", "AMOUNT_TOO_FINE", orders[2].id)


@pytest.mark.parametrize("name", ["after_pull_store", "before_push", "after_push", "before_commit", "after_commit"])
def test_a_stream_that_breaks_anywhere_is_made_good(house, orders, monkeypatch, name):
    monkeypatch.setitem(failpoints._visits, name, 0)
    monkeypatch.setenv(failpoints.VARIABLE, f"{name}:raise")
    with pytest.raises(failpoints.Failpoint):
        pull(house.engine, SALE)
    monkeypatch.delenv(failpoints.VARIABLE)

    house.clock.advance(minutes=10)
    house.pull(SALE)
    house.clock.advance(minutes=10)
    house.drain()

    assert house.states(SALE) == ["delivered"] * 5
    assert Counter(it["NetSuite_Key__c"] for it in house.sf.rows("NetSuite_Order__c")) == Counter(
        f"salesOrder-{it.id}" for it in orders
    )
    with house.ledger.read() as connection:
        assert list(chain.verify(connection, KEY)) == []


def test_a_second_reading_of_what_says_the_same_writes_nothing(house, orders):
    """Something changed in NetSuite that Salesforce does not show."""
    pull(house.engine, SALE)
    orders[0].fields["otherRefNum"] = "PO 17"
    house.ns.store.revision += 1
    orders[0].cache.clear()
    usage = house.sf.api_usage

    report = pull(house.engine, SALE)

    assert report.stored == 1
    assert house.states(SALE, orders[0].id) == ["delivered", "unchanged"]
    assert house.sf.api_usage == usage
    assert [it.action for it in house.audit(sync=SALE, source_id=orders[0].id)][-2:] == ["received", "unchanged"]
