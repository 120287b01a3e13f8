"""Much that is pulled at once is gathered and written by bulk jobs, each record settled; a little is not."""

from __future__ import annotations

import copy
from collections import Counter
from concurrent.futures import Future

import pytest

from bridge import failpoints, pulling
from bridge.carrying import Stream
from bridge.ledger import audit as chain
from bridge.ledger import keeping, lanes, marks
from bridge.pulling import Taken, pull, store
from tests.engine.conftest import KEY

SALE = "sales_order_mirror"
ORDERS = 45


@pytest.fixture
def orders(house, monkeypatch):
    """Forty-five orders of one line: above thirty is much here, and eighty-five rows are gathered."""
    monkeypatch.setattr(pulling, "MUCH", 30)
    monkeypatch.setattr(pulling, "TOGETHER", 85)
    monkeypatch.setattr(pulling, "PAGE", 20)
    monkeypatch.setattr(house.engine.salesforce._writer, "_bulk_above", 25)
    house.push_one(house.application(house.account("Acme"), ("Wire Fee", "25.00")))
    (first,) = house.made("salesOrder")
    with house.ns.lock:
        for _ in range(ORDERS - 1):
            made = house.ns.store.new("salesOrder")
            made.fields = dict(first.fields) | {"tranId": house.ns.store.number("SO")}
            made.lists = copy.deepcopy(first.lists)
            house.ns.store.add(made)
    house.clock.advance(minutes=5)
    return house.made("salesOrder")


def jobs(house):
    return Counter((it.object, it.state) for it in house.sf.bulk._jobs.values())


def there(house):
    rows = house.sf.rows("NetSuite_Order__c"), house.sf.rows("NetSuite_Order_Line__c")
    return [Counter(it["NetSuite_Key__c"] for it in own) for own in rows]


def test_much_goes_by_bulk_jobs_and_the_rest_by_collections(house, orders):
    """They are stored in pages of twenty, and gathered."""
    report = pull(house.engine, SALE)

    assert report.stored == ORDERS
    assert jobs(house) == {("NetSuite_Order__c", "JobComplete"): 1, ("NetSuite_Order_Line__c", "JobComplete"): 1}
    assert house.states(SALE) == ["delivered"] * ORDERS
    assert there(house)[0] == Counter(f"salesOrder-{it.id}" for it in orders)
    assert len(there(house)[1]) == ORDERS
    with house.ledger.read() as connection:
        assert list(chain.verify(connection, KEY)) == []


def test_a_little_makes_no_job(house, orders):
    pull(house.engine, SALE)
    before = jobs(house)
    with house.ns.lock:
        for it in orders[:5]:
            it.fields["memo"] = "newer"
            house.ns.store.changed(it)
    house.clock.advance(hours=1)

    report = pull(house.engine, SALE)

    assert report.stored == 5
    assert jobs(house) == before
    assert house.states(SALE) == ["delivered"] * (ORDERS + 5)


def test_a_row_that_a_job_refuses_is_told_by_itself(house, orders):
    """A line whose quantity has more digits than its field: the job ends well, and that order is for a person."""
    with house.ns.lock:
        (line,) = orders[7].lists["itemList"]
        line["quantity"] = "123456789012345"
        house.ns.store.changed(orders[7])
    house.clock.advance(minutes=5)

    pull(house.engine, SALE)

    (refused,) = [it for it in house.messages(SALE) if it.state == "rejected"]
    assert refused.source_id == orders[7].id
    assert Counter(house.states(SALE)) == {"delivered": ORDERS - 1, "rejected": 1}
    assert jobs(house)["NetSuite_Order_Line__c", "JobComplete"] == 1


def test_a_lock_in_a_job_is_tried_again_by_a_smaller_call(house, orders):
    house.sf.faults.add(kind="lock", object="NetSuite_Order_Line__c", after=3, times=1)

    pull(house.engine, SALE)

    assert house.states(SALE) == ["delivered"] * ORDERS
    assert len(there(house)[1]) == ORDERS


@pytest.mark.parametrize("name", ["after_pull_store", "before_push", "after_push", "before_commit", "after_commit"])
def test_a_gathering_that_breaks_anywhere_is_made_good(house, orders, monkeypatch, name):
    monkeypatch.setitem(failpoints._visits, name, 0)
    monkeypatch.setenv(failpoints.VARIABLE, f"{name}:raise")
    with pytest.raises(failpoints.Failpoint):
        pull(house.engine, SALE)
    monkeypatch.delenv(failpoints.VARIABLE)

    house.clock.advance(minutes=10)
    house.pull(SALE)
    house.clock.advance(minutes=10)
    house.drain()

    assert house.states(SALE) == ["delivered"] * ORDERS
    assert there(house)[0] == Counter(f"salesOrder-{it.id}" for it in orders)


def test_when_the_day_s_calls_are_nearly_used_up_a_job_waits(house, orders):
    quota = house.engine.salesforce._connection.quota
    house.engine.salesforce.now()
    house.sf.api_limit = max(1, int(house.sf.api_usage / 0.92))
    quota.note(f"api-usage={house.sf.api_usage}/{house.sf.api_limit}")

    pull(house.engine, SALE)

    assert not jobs(house)
    assert set(house.states(SALE)) == {"deferred"}
    assert {it.code for it in house.messages(SALE)} == {"QUOTA_RESERVED"}


def test_a_lease_is_looked_at_while_one_call_lasts(monkeypatch):
    """A bulk job may take longer than any lease; whoever is overtaken meanwhile does not hear of it by an error."""
    monkeypatch.setattr(keeping, "RENEW_S", 0.01)
    seen = []

    def keep():
        seen.append(len(seen))
        if len(seen) == 3:
            raise keeping.Overtaken

    with keeping.kept(keep):
        for _ in range(500):
            if len(seen) >= 3:
                break
            keeping.time.sleep(0.01)

    assert seen == [0, 1, 2]


def begun(house):
    """A stream that has gathered twenty orders and not sent one."""
    stream = Stream(house.engine, house.engine.syncs.pulls[SALE], "c-1")
    stream.together = 1_000
    now = house.engine.netsuite.now()
    (window,) = house.engine.netsuite.windows("salesOrder", now - pulling.FIRST, now)
    store(stream, window.rows[:20], Taken())
    assert house.states(SALE) == ["sending"] * 20
    return stream, window.rows


def test_what_was_gathered_is_left_to_whoever_took_over(house, orders):
    stream, _ = begun(house)
    for _ in range(3):  # the lease runs out, and another looks after what stands there as being sent
        house.clock.advance(minutes=10)
        house.drain()
    assert house.states(SALE) == ["delivered"] * 20
    for _ in range(4):
        failed = Future()
        failed.set_exception(RuntimeError("the ledger was away"))
        stream._flying.append(failed)

    with pytest.raises(RuntimeError):
        stream.rest()

    assert house.states(SALE) == ["delivered"] * 20
    stream._pool.shutdown()


def test_a_pause_that_begins_during_a_pull_keeps_no_lane(house, orders):
    stream, rows = begun(house)
    with house.ledger.write() as writing:
        marks.start_pause(writing, SALE, "BY_HAND", "A person paused it.", actor="ada", probe=False)

    with stream:
        store(stream, rows[20:40], Taken())

    assert Counter(house.states(SALE)) == {"delivered": 20, "pending": 20}
    with house.ledger.write() as writing:
        assert lanes.lease(writing.connection, "another", writing.now, keys=[SALE])
