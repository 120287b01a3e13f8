"""Slots: NetSuite's limit holds over all instances, one is always left for a person."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
from sqlalchemy import select, update

from bridge.errors import Deferred
from bridge.ledger import Ledger, slots
from bridge.ledger.models import slot
from bridge.ledger.slots import LeasedSlots

Make = Callable[..., LeasedSlots]


@pytest.fixture
def instance(ledger: Ledger, database_url: str) -> Iterator[Make]:
    """Start instances on one database, each with connections of its own."""
    made: list[LeasedSlots] = []
    ledgers: list[Ledger] = []

    def make(limit: int = 3, wait_s: float = 0.3) -> LeasedSlots:
        ledgers.append(Ledger(database_url, clock=ledger._clock))
        made.append(LeasedSlots(ledgers[-1], "127.0.0.1:8080", limit, wait_s=wait_s))
        made[-1].start()
        return made[-1]

    yield make
    for it in made:
        it.stop()
    for it in ledgers:
        it.close()


def rows(ledger: Ledger) -> dict[int, object]:
    with ledger.read() as connection:
        return dict(connection.execute(select(slot.c.n, slot.c.owner)).all())


def test_the_limit_is_never_exceeded_by_two_instances(instance):
    """Twelve callers in two instances of the same name, for the three calls that NetSuite permits."""
    pair = (instance(wait_s=20), instance(wait_s=20))
    lock, now, most, done = threading.Lock(), [0], [0], [0]

    def call(own: LeasedSlots, interactive: bool) -> None:
        for _ in range(8):
            with own.lease(interactive=interactive):
                with lock:
                    now[0] += 1
                    most[0] = max(most[0], now[0])
                time.sleep(0.002)
                with lock:
                    now[0] -= 1
                    done[0] += 1

    threads = [threading.Thread(target=call, args=(pair[n % 2], n % 3 == 0)) for n in range(12)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()

    assert done[0] == 96
    assert 2 <= most[0] <= 3


def test_bulk_work_cannot_take_the_last_slot(instance):
    one = instance()
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(one.lease(interactive=False))

        with pytest.raises(Deferred) as refused, one.lease(interactive=False):
            pass
        with one.lease(interactive=True) as held:
            assert held

    assert refused.value.throttled


def test_bulk_work_of_another_instance_cannot_take_the_last_slot_either(instance):
    first, second = instance(), instance()
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(first.lease(interactive=False))

        with pytest.raises(Deferred), second.lease(interactive=False):
            pass
        with second.lease(interactive=True) as held:
            assert held


def test_a_limit_of_one_serves_both(instance):
    one = instance(limit=1)

    with one.lease(interactive=False) as bulk:
        assert bulk
    with one.lease(interactive=True) as interactive:
        assert interactive


def test_a_caller_whose_work_was_done_meanwhile_gets_none(instance):
    one = instance(limit=1)

    with one.lease(interactive=True, unless=lambda: True) as held:
        assert held is False
    assert one.busy == 0


def test_after_a_throttle_fault_a_row_rests_but_never_the_last_two(instance):
    one = instance(limit=4)
    for _ in range(10):
        with one.lease(interactive=False):
            one.throttled()

    with ExitStack() as stack:
        stack.enter_context(one.lease(interactive=False))
        stack.enter_context(one.lease(interactive=True))
        with pytest.raises(Deferred), one.lease(interactive=True):
            pass


def test_the_reserved_row_never_rests(instance):
    """A throttled call of a person must not take the place that is kept for the next one."""
    one = instance(limit=3)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(one.lease(interactive=True))
        one.throttled()

    assert 0 not in one._resting
    assert len(one._resting) == 1


def test_a_rested_row_comes_back(instance, monkeypatch):
    monkeypatch.setattr(slots, "REST_S", 0.05)
    monkeypatch.setattr(slots, "IDLE_S", 0.05)
    one = instance(limit=3, wait_s=5)
    with one.lease(interactive=False):
        one.throttled()
    with ExitStack() as stack:
        for _ in range(3):
            assert stack.enter_context(one.lease(interactive=True))


def test_the_rows_of_a_dead_process_come_back(instance, ledger, clock):
    """It died with all of them in use."""
    dead = instance()
    held = [dead.lease(interactive=True) for _ in range(3)]
    for it in held:
        it.__enter__()
    dead._stopping.set()
    dead._keeper.join()
    living = instance()

    with pytest.raises(Deferred), living.lease(interactive=True):
        pass
    clock.advance(seconds=31)
    with living.lease(interactive=True) as got:
        assert got


def test_rows_that_others_took_while_we_were_stopped_are_not_used_again(instance, ledger, clock):
    """A process stopped for longer than its lease finds out at the next renewal."""
    frozen = instance()
    with frozen.lease(interactive=False):
        pass
    with ledger.write() as writing:
        writing.connection.execute(update(slot).values(owner="another", lease_until=writing.now + slots.LEASE))

    frozen._renew()

    with pytest.raises(Deferred), frozen.lease(interactive=True):
        pass


def test_a_database_that_is_away_for_a_moment_does_not_end_the_renewals(instance, ledger, monkeypatch):
    from sqlalchemy.exc import OperationalError

    monkeypatch.setattr(slots, "IDLE_S", 0.02)
    monkeypatch.setattr(slots, "RENEW_S", 0.0)
    one = instance()
    with one.lease(interactive=True):
        pass
    tries = []

    def away(self):
        tries.append(1)
        raise OperationalError("UPDATE slot", {}, Exception("gone"))

    monkeypatch.setattr(LeasedSlots, "_renew", away)
    for _ in range(100):
        if len(tries) > 2:
            break
        time.sleep(0.02)

    assert len(tries) > 2
    assert one._keeper.is_alive()


def test_idle_rows_go_to_an_instance_that_wants_them(instance, monkeypatch, ledger):
    monkeypatch.setattr(slots, "IDLE_S", 0.05)
    first, second = instance(limit=2, wait_s=5), instance(limit=2, wait_s=5)
    with first.lease(interactive=True), first.lease(interactive=True):
        pass

    with second.lease(interactive=False) as got:
        assert got


def test_an_instance_that_needs_every_row_lets_another_have_one(instance, monkeypatch):
    """A mass update in one instance must not leave the others without any call for as long as it lasts."""
    monkeypatch.setattr(slots, "IDLE_S", 0.05)
    first, second = instance(wait_s=20), instance(wait_s=5)
    end = threading.Event()

    def work() -> None:
        while not end.is_set():
            with first.lease(interactive=False):
                time.sleep(0.01)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for it in threads:
        it.start()
    try:
        while first.busy < 2:
            time.sleep(0.001)
        with second.lease(interactive=False) as got:
            assert got
    finally:
        end.set()
        for it in threads:
            it.join()


def test_saves_in_one_instance_let_a_save_in_another_have_the_kept_row(instance, monkeypatch):
    """It is never idle for long here: people save all the time, and bulk work has all other rows."""
    monkeypatch.setattr(slots, "IDLE_S", 0.1)
    first, second = instance(wait_s=20), instance(wait_s=5)
    end = threading.Event()

    def save() -> None:
        while not end.is_set():
            with first.lease(interactive=True):
                time.sleep(0.01)
            time.sleep(0.01)

    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(first.lease(interactive=False))
        people = threading.Thread(target=save)
        people.start()
        stack.callback(people.join)
        stack.callback(end.set)
        time.sleep(0.2)
        with second.lease(interactive=True) as got:
            assert got


def test_bulk_work_that_waits_does_not_keep_a_save_from_the_kept_row(instance, monkeypatch):
    """It looked for a row all the time, in vain, and had the idle one given back."""
    monkeypatch.setattr(slots, "IDLE_S", 0.02)
    one, end = instance(limit=2), threading.Event()

    def wait() -> None:
        while not end.is_set():
            with suppress(Deferred), one.lease(interactive=False):
                pass

    with ExitStack() as stack:
        stack.enter_context(one.lease(interactive=False))
        threads = [threading.Thread(target=wait) for _ in range(12)]
        for it in threads:
            it.start()
            stack.callback(it.join)
        stack.callback(end.set)
        for _ in range(15):
            time.sleep(0.06)
            with one.lease(interactive=True) as got:
                assert got


def test_the_last_row_in_use_is_not_given_away(instance, monkeypatch):
    monkeypatch.setattr(slots, "IDLE_S", 0.05)
    one, other = instance(limit=2), instance(limit=2)
    with one.lease(interactive=False):
        with pytest.raises(Deferred), other.lease(interactive=False):
            pass
        time.sleep(0.1)

        assert one._owed is None


def test_a_row_whose_lease_was_committed_without_an_answer_is_free_again(instance, ledger, clock):
    """PostgreSQL went away between its commit and our reading of it: the row is ours, and we do not know."""
    one = instance(limit=1)
    with ledger.write() as writing:
        values = {"owner": one._owner, "lease_until": writing.now + slots.LEASE}
        writing.connection.execute(update(slot).values(values))

    clock.advance(seconds=20)
    one._renew()
    clock.advance(seconds=20)

    with one.lease(interactive=True) as got:
        assert got


def test_stopping_gives_the_rows_back(instance, ledger):
    one = instance()
    with one.lease(interactive=True):
        pass

    one.stop()

    assert set(rows(ledger).values()) == {None}


def test_a_lower_limit_takes_rows_away(instance, ledger):
    instance(limit=5)

    instance(limit=2)

    assert sorted(rows(ledger)) == [0, 1]
