"""Interactive writes that wait for a slot go out together, and each caller gets its own answer."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests

from bridge.errors import Deferred, Rejected, Uncertain
from bridge.ledger import Ledger
from bridge.ledger.slots import LeasedSlots
from bridge.netsuite import SoapNetSuite, TokenCredentials
from bridge.netsuite.grouping import Grouping, Ticket
from bridge.netsuite.transport import Limits
from bridge.ports import Ref, Written
from bridge.sandbox.netsuite import FakeNetSuite, Latency
from bridge.sandbox.wsgi import WsgiAdapter
from tests.netsuite.conftest import SUBSET, customer

SUB = Ref("subsidiary", name="Parent Company")
QUICK = Latency(single_write_s=0.08, list_base_s=0.055, list_record_s=0.01, read_s=0.01)
CREDENTIALS = TokenCredentials(
    "1234567", "sandbox-consumer-key", "sandbox-consumer-secret", "sandbox-token-id", "sandbox-token-secret"
)


def acme(n: int, name: str = "Acme"):
    return customer(f"sf-cus-{n}", companyName=f"{name} {n}", subsidiary=SUB)


@pytest.fixture
def fake():
    return FakeNetSuite(schema_dir=SUBSET, account="1234567", latency=QUICK, concurrency=2)


@pytest.fixture
def house(bindings, fake, database_url):
    """Make instances of the bridge's NetSuite side that share one ledger and one fake account."""
    opened = []

    def instance(limit: int = 2) -> SoapNetSuite:
        ledger = Ledger(database_url)
        ledger.create()
        slots = LeasedSlots(ledger, f"test-{len(opened)}", limit, wait_s=20)
        slots.start()
        session = requests.Session()
        session.mount("https://", WsgiAdapter(fake))
        made = SoapNetSuite(
            account="1234567", credentials=CREDENTIALS, bindings=bindings, slots=slots, session=session,
            limits=Limits(single_s=10, list_s=10), clock=fake.clock,
        )  # fmt: skip
        made.upsert([acme(0)])  # the names are known from here on
        opened.append((slots, ledger))
        return made

    yield instance
    for slots, ledger in opened:
        slots.stop()
        ledger.close()


def save_all(systems, records):
    """Save every record at once, each by a caller of its own, and return what each caller was told."""
    with ThreadPoolExecutor(len(records)) as callers:
        told = [
            callers.submit(systems[n % len(systems)].upsert, [it], interactive=True) for n, it in enumerate(records)
        ]
        return [it.result(timeout=30)[0] for it in told]


def writes(fake):
    return [it for it in fake.calls if it.operation in ("upsert", "upsertList")]


def test_under_load_each_caller_gets_its_own_answer_in_few_calls(house, fake):
    netsuite = house()
    before = len(writes(fake))

    told = save_all([netsuite], [acme(n) for n in range(1, 41)])

    assert [it.ref.external_id for it in told] == [f"sf-cus-{n}" for n in range(1, 41)]
    stored = {it.external_id: it.id for it in fake.store.records["customer"].values()}
    assert [it.ref.id for it in told] == [stored[f"sf-cus-{n}"] for n in range(1, 41)]
    assert len(writes(fake)) - before < 15
    assert not [it for it in fake.calls if "CONCUR" in it.status or "BLOCKED" in it.status]
    assert fake.peak_in_flight <= 2


def test_two_instances_never_exceed_the_accounts_limit_together(house, fake):
    systems = [house(), house()]

    told = save_all(systems, [acme(n) for n in range(1, 31)])

    assert all(isinstance(it, Written) for it in told)
    assert fake.peak_in_flight <= 2
    assert not [it for it in fake.calls if it.status.startswith("fault")]


def test_a_bad_record_in_a_group_fails_only_its_own_caller(house, fake):
    netsuite = house()
    records = [acme(n, "Acme !REJECT INVALID_KEY_OR_REF" if n == 7 else "Acme") for n in range(1, 21)]

    told = save_all([netsuite], records)

    assert [n for n, it in enumerate(told, 1) if not isinstance(it, Written)] == [7]
    assert isinstance(told[6], Rejected)


def test_a_group_whose_answer_is_lost_is_uncertain_for_all_of_it(house, fake):
    netsuite = house()
    fake.faults.add("drop", operation="upsertList", count=1)

    told = save_all([netsuite], [acme(n) for n in range(1, 21)])

    unsure = {f"sf-cus-{n}" for n, it in enumerate(told, 1) if isinstance(it, Uncertain)}
    # Two lists may be on their way at once, and either may be the one that is lost.
    assert unsure in [set(it.external_ids) for it in fake.calls if it.operation == "upsertList"]
    assert len(unsure) > 1
    assert all(isinstance(it, Written | Uncertain) for it in told)


def test_a_single_save_with_free_slots_goes_out_alone(house, fake):
    netsuite = house()

    started = time.monotonic()
    (told,) = netsuite.upsert([acme(1)], interactive=True)

    assert isinstance(told, Written)
    assert fake.calls[-1].operation == "upsert"
    assert time.monotonic() - started < QUICK.single_write_s + 0.1


# --- the queue itself ------------------------------------------------------------------------------------------------


class OneSlot:
    """A slot that a test opens by hand."""

    def __init__(self) -> None:
        self.free = threading.Semaphore(0)
        self.refuse = False

    @contextmanager
    def lease(self, *, interactive, unless=None):
        while not self.free.acquire(timeout=0.01):
            if unless is not None and unless():
                yield False
                return
            if self.refuse:
                raise Deferred("busy", code="NO_FREE_SLOT", throttled=True)
        try:
            yield True
        finally:
            self.free.release()

    def throttled(self):
        """Nothing rests here."""


def queue_up(grouping, tickets):
    callers = []
    for ticket in tickets:
        caller = threading.Thread(target=grouping.send, args=(ticket,))
        caller.start()
        callers.append(caller)
        wait = threading.Event()
        while ticket not in grouping._waiting:
            wait.wait(0.001)
    return callers


def confirmed(items):
    return [Written(Ref("customer", id=str(it))) for it in items]


def test_what_waits_goes_out_in_order_up_to_the_weight_of_one_list():
    slots, calls = OneSlot(), []

    def call(items):
        calls.append(items)
        return confirmed(items)

    grouping = Grouping(slots, call, 10)
    tickets = [Ticket([n], 4, frozenset([str(n)])) for n in range(5)]
    callers = queue_up(grouping, tickets)

    slots.free.release()
    for caller in callers:
        caller.join(5)

    assert calls == [[0, 1], [2, 3], [4]]
    assert [it.outcomes[0].ref.id for it in tickets] == ["0", "1", "2", "3", "4"]


def test_one_record_never_goes_twice_into_one_list():
    slots, calls = OneSlot(), []

    def call(items):
        calls.append(items)
        return confirmed(items)

    grouping = Grouping(slots, call, 100)
    callers = queue_up(grouping, [Ticket([n], 1, frozenset(["same"])) for n in range(2)])

    slots.free.release()
    for caller in callers:
        caller.join(5)

    assert calls == [[0], [1]]


def test_a_list_that_is_refused_as_a_whole_is_sent_one_by_one():
    slots = OneSlot()

    def call(items):
        if "bad" in items:
            raise Rejected("No.", code="USER_ERROR")
        return confirmed(items)

    grouping = Grouping(slots, call, 100)
    tickets = [Ticket([it], 1, frozenset([it])) for it in ("one", "bad", "two")]
    callers = queue_up(grouping, tickets)

    slots.free.release()
    for caller in callers:
        caller.join(5)

    assert [type(it.outcomes[0]) for it in tickets] == [Written, Rejected, Written]


def test_a_failure_of_our_own_leaves_nobody_waiting():
    slots = OneSlot()

    def call(items):
        raise ZeroDivisionError

    grouping = Grouping(slots, call, 100)
    tickets = [Ticket([n], 1, frozenset([str(n)])) for n in range(3)]
    callers = queue_up(grouping, tickets)

    slots.free.release()
    for caller in callers:
        caller.join(5)

    assert [it.failed.code for it in tickets] == ["BRIDGE_FAULT"] * 3
    assert all(isinstance(it.failed, Uncertain) for it in tickets)


def test_a_caller_for_whom_no_slot_became_free_leaves_the_queue():
    slots = OneSlot()
    grouping = Grouping(slots, confirmed, 100)
    ticket = Ticket([1], 1, frozenset(["1"]))
    slots.refuse = True

    grouping.send(ticket)

    assert isinstance(ticket.failed, Deferred)
    assert not grouping._waiting


def test_while_other_calls_are_on_their_way_a_list_leaves_a_part_to_their_slots():
    """A list that took all would be slower for all in it, and what it took would leave the next slots idle."""
    slots, calls, go_on = (
        OneSlot(),
        [],
        threading.Event(),
    )  # each release is a slot more: none comes back before *go_on*

    def call(items):
        calls.append(items)
        go_on.wait(5)
        return confirmed(items)

    grouping = Grouping(slots, call, 100)
    single = [queue_and_send(grouping, slots, n, calls) for n in range(4)]
    waiting = queue_up(grouping, [Ticket([n], 1, frozenset([str(n)])) for n in range(10, 16)])
    slots.free.release()
    wait_until(lambda: len(calls) == 5)
    slots.free.release()
    wait_until(lambda: len(calls) == 6)

    assert calls[4:] == [[10, 11, 12], [13, 14]]  # a half of six, a half of three

    go_on.set()
    for caller in single + waiting:
        caller.join(5)


def queue_and_send(grouping, slots, n, calls):
    """Have one write on its way, and return its caller."""
    (caller,) = queue_up(grouping, [Ticket([n], 1, frozenset([str(n)]))])
    slots.free.release()
    wait_until(lambda: [n] in calls)
    return caller


def wait_until(holds):
    wait = threading.Event()
    for _ in range(5000):
        if holds():
            return
        wait.wait(0.001)
    raise AssertionError("it did not happen within five seconds")
