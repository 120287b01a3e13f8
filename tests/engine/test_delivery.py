"""The five rules of delivery: durable first, upsert only, fenced, newest wins, outcome decides."""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from bridge import failpoints, operating, recording
from bridge.delivery import Delivery
from bridge.ledger import audit as trail
from bridge.ledger import lanes
from bridge.ledger.models import lane, message
from bridge.outcome import HORIZON, RESOLVE_AFTER, TRIES, retry_after
from bridge.parents import fetch
from bridge.ports import Received
from bridge.preparing import write_back
from bridge.receiving import as_received
from bridge.sweep import sweep


def versions(house, account, *names):
    """One Account in several versions, each with a name of its own, oldest first."""
    found = house.received(house.read(account))
    seconds = [found.modified_at + timedelta(seconds=n) for n in range(len(names))]
    return [
        replace(found, version=n + 1, modified_at=seconds[n], fields={**found.fields, "Name": name})
        for n, name in enumerate(names)
    ]


def receive(house, *received):
    return house.engine.receive(list(received), origin="callout", correlation="test")


def names_sent(house):
    """The company names that NetSuite was told, in order."""
    return [m.decode() for raw in house.ns.requests for m in re.findall(rb"<(?:\w+:)?companyName[^>]*>([^<]+)<", raw)]


def crash(monkeypatch, name):
    """Let the bridge die at a failpoint; what follows is another process."""
    monkeypatch.setitem(failpoints._visits, name, 0)
    monkeypatch.setenv(failpoints.VARIABLE, f"{name}:raise")


# --- accepted once, newest wins


def test_a_version_is_accepted_once(house):
    (first,) = versions(house, house.account(), "Acme")

    ids = [receive(house, first) for _ in range(3)]

    assert [len(it) for it in ids] == [1, 0, 0]
    assert len(house.messages("customer")) == 1
    assert [row.action for row in house.audit(sync="customer")] == ["received", "repeated", "repeated"]


def test_a_version_is_accepted_once_from_many_threads(house):
    """Fault 1: 20 callouts of the same save at once."""
    (first,) = versions(house, house.account(), "Acme")
    got: list[list[int]] = []
    threads = [threading.Thread(target=lambda: got.append(receive(house, first))) for _ in range(20)]

    for it in threads:
        it.start()
    for it in threads:
        it.join()

    assert sorted(len(it) for it in got) == [0] * 19 + [1]


def test_saving_many_times_at_once_makes_one_record(house):
    """F-77: every caller gets its answer, and NetSuite one customer, whose last name wins."""
    acme = house.account()
    saves = versions(house, acme, *(f"Acme {n}" for n in range(1, 26)))
    states: list[str] = []

    def call(one: Received) -> None:
        def store(writing):
            recording_accept(writing, house, one)
            return [acme]

        house.engine.deliver(accept=store, interactive=True)
        states.append(house.engine.settle([acme], time.monotonic() + 60)[acme].state)

    threads = [threading.Thread(target=call, args=(one,)) for one in saves]
    for it in threads:
        it.start()
    for it in threads:
        it.join()

    assert len(states) == 25
    assert set(states) <= {"delivered", "unchanged"}
    (customer,) = house.made("customer")
    assert customer.fields["companyName"] == "Acme 25"
    assert {row.state for row in house.messages("customer")} <= {"delivered", "superseded"}


def recording_accept(writing, house, one):
    from bridge.receiving import accept

    accept(writing, house.syncs, [one], origin="callout", correlation="test", write_back=False)


def test_an_older_version_after_a_newer_one_is_superseded(house):
    acme = house.account()
    old, new = versions(house, acme, "Old", "New")
    receive(house, new)
    house.drain()

    receive(house, old)
    house.drain()

    assert house.states("customer") == ["delivered", "superseded"]
    assert house.made("customer")[0].fields["companyName"] == "New"


def test_an_older_version_in_the_same_round_is_superseded_unsent(house):
    old, new = versions(house, house.account(), "Old", "New")
    receive(house, old)
    receive(house, new)

    house.drain()

    assert house.states("customer") == ["superseded", "delivered"]
    assert names_sent(house) == ["New"]


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(5)), delivers=st.lists(st.booleans(), min_size=5, max_size=5))
def test_whatever_the_order_of_arrival_the_newest_ends_up_there(house, order, delivers):
    """Rule 4; and no older name is ever sent after a newer one."""
    acme = house.account()
    saves = versions(house, acme, *(f"{acme} {letter}" for letter in "ABCDE"))  # names are unique in NetSuite
    house.ns.requests.clear()

    for n, now in zip(order, delivers, strict=True):
        receive(house, saves[n])
        if now:
            house.drain()
    house.drain()

    assert house.there("customer", f"sf-cus-{acme}").fields["companyName"] == f"{acme} E"
    sent = names_sent(house)
    assert sent == sorted(sent)
    assert all(row.state in ("delivered", "superseded") for row in house.messages("customer", acme))


def test_an_old_message_replayed_does_not_undo_a_newer_one(house):
    acme = house.account()
    old, new = versions(house, acme, "Old", "New")
    house.ns.faults.add("reject", operation="upsert*", code="USER_ERROR", message="No.")
    (refused,) = receive(house, old)
    house.drain()
    receive(house, new)
    house.drain()

    operating.replay(house.engine, [refused], actor="pat")
    house.drain()

    assert house.states("customer") == ["superseded", "delivered"]
    assert house.made("customer")[0].fields["companyName"] == "New"


def test_a_replayed_message_is_sent_although_nothing_changed(house):
    """F-100: a person asked for it; both the request and the outcome are in the audit."""
    acme = house.account()
    house.push_one(acme)
    before = house.writes()

    done = operating.replay(house.engine, [house.message("customer", acme).id], actor="pat", reason="after the repair")
    house.drain()

    assert (done, house.writes()) == (1, before + 1)
    (row,) = house.audit(action="replay")
    assert (row.actor, row.detail) == ("pat", "after the repair")


# --- outcomes


def test_a_refused_record_waits_for_a_person_and_is_not_tried_again(house):
    """F-97, F-99."""
    acme = house.account()
    house.ns.faults.add("reject", operation="upsert*", code="USER_ERROR", message="Please enter a value.")

    standing = house.push_one(acme)
    before = house.writes()
    house.clock.advance(days=3)
    house.drain()

    row = house.message("customer", acme)
    assert (standing.state, row.state, row.code) == ("rejected", "rejected", "USER_ERROR")
    assert house.writes() == before


def test_a_newer_save_of_a_refused_record_is_tried_by_itself(house):
    acme = house.account()
    house.ns.faults.add("reject", operation="upsert*", code="USER_ERROR", message="No.")
    house.push_one(acme)
    house.sf.update(acme, Phone="206 555 0100")

    standing = house.push_one(acme)

    assert standing.state == "delivered"


def test_what_was_not_sent_is_tried_again_by_the_schedule(house):
    """1 s, 5 s, 30 s …, then hourly, with a fifth of jitter."""
    acme = house.account()
    deferring(house)
    house.receive(acme)
    waits = []
    for _ in range(9):
        house.engine.deliver(most=50)
        row = house.message("customer", acme)
        waits.append((row.due_at - row.sent_at).total_seconds())
        house.clock.at = row.due_at

    steps = [1, 5, 30, 120, 600, 1800, 3600, 3600, 3600]
    assert row.attempts == 9
    assert all(step * 0.8 <= wait <= step * 1.2 + 1 for step, wait in zip(steps, waits, strict=True)), waits
    assert retry_after(500).total_seconds() <= 4320


def test_a_throttled_message_costs_no_attempt_and_lands_later(house):
    acme = house.account()
    house.ns.faults.add("throttle", operation="upsert*", count=3)
    house.receive(acme)
    for _ in range(3):
        house.engine.deliver(most=50)
        house.clock.advance(seconds=10)
    throttled = house.message("customer", acme)

    house.drain()

    assert (throttled.state, throttled.attempts) == ("deferred", 0)
    assert house.states("customer", acme) == ["delivered"]
    assert house.message("customer", acme).attempts == 1


def deferring(house):
    """A NetSuite that cannot be reached: nothing is sent."""
    from bridge.errors import Deferred

    class Away:
        name, url = "netsuite", house.netsuite.url

        def __init__(self):
            self.tries = 0

        def upsert(self, records, *, interactive=False):
            self.tries += 1
            gone = Deferred("NetSuite cannot be reached; the bridge tries again.", code="NOT_REACHED")
            return [gone for _ in records]

        def get(self, refs, fields=(), *, interactive=False):
            return house.netsuite.get(refs, fields)

        def now(self):
            return house.netsuite.now()

    house.engine.netsuite = Away()
    return house.engine.netsuite


def test_after_the_horizon_a_person_is_asked(house):
    acme = house.account()
    away = deferring(house)
    house.receive(acme)

    for _ in range(200):
        house.engine.deliver(most=50)
        house.clock.advance(hours=1, minutes=15)
        if house.message("customer", acme).state == "dead":
            break

    row = house.message("customer", acme)
    assert row.state == "dead"
    assert "tries again" not in row.reason
    assert row.reason.endswith("It was tried for 76 hours in vain; send it again.")
    assert "76 hours" in row.reason
    assert away.tries >= TRIES
    assert house.clock.at - row.created_at > HORIZON


def test_days_of_pause_do_not_count_as_tries(house):
    """The first failure after a long pause must not end the message."""
    acme = house.account()
    operating.pause(house.engine, "*netsuite", actor="pat", reason="maintenance")
    house.receive(acme)
    house.drain()
    house.clock.advance(days=5)
    deferring(house)
    operating.resume(house.engine, "*netsuite", actor="pat")

    house.engine.deliver(most=50)

    assert house.message("customer", acme).state == "deferred"


# --- uncertain


def test_a_write_whose_answer_was_lost_is_found_and_adopted(house):
    """F-78: NetSuite committed, the answer never came."""
    acme = house.account()
    house.push_one(acme)
    house.sf.update(acme, Phone="206 555 0100")
    house.ns.faults.add("drop", operation="upsert*")
    standing = house.push_one(acme, budget_s=0.2)
    before = house.writes()
    house.clock.advance(minutes=2)

    house.drain()

    assert standing.state == "uncertain"
    assert house.states("customer", acme) == ["delivered", "delivered"]
    assert house.writes() == before
    assert [row.action for row in house.audit(action="adopted")] == ["adopted"]
    assert len(house.made("customer")) == 1


def test_a_first_order_whose_answer_was_lost_is_adopted_with_its_number_and_lines(house):
    """F-79."""
    acme = house.account()
    oven = house.application(acme, ("Origination Fee", "1000.00"), ("Wire Fee", "25.00"))
    house.push_one(acme)
    house.ns.faults.add("drop", operation="upsert*", record="salesOrder")
    house.push_one(oven, budget_s=0.2)
    house.clock.advance(minutes=2)

    house.drain()

    link = house.links()["sales_order", oven]
    order = house.there("salesOrder", f"sf-so-{oven}")
    assert len(house.made("salesOrder")) == 1
    assert house.states("sales_order", oven) == ["delivered"]
    assert link.number == order.fields["tranId"]
    before = [it["lineUniqueKey"] for it in order.fields["itemList"]]
    house.sf.update(oven, Name="Acme second oven")
    house.push_one(oven)
    assert [it["lineUniqueKey"] for it in house.there("salesOrder", f"sf-so-{oven}").fields["itemList"]] == before


@pytest.mark.parametrize("commission", ["custom_record", "vendor_bill"])
def test_every_record_of_a_funding_whose_answer_was_lost_is_adopted_once(other_site, commission):
    """F-79: customer, vendor, both orders and the commission; NetSuite has each once, and hears of none again."""
    house = other_site(commission=commission)
    acme, broker = house.account("Acme"), house.account("Brokers")
    oven = house.application(acme, Broker__c=broker, Commission_Percent__c="2.5", Commission_Due__c="2026-12-15")
    house.ns.faults.add("drop", operation="upsert*", count=100)
    for of in ([acme, broker], [oven]):
        house.receive(*of)
        for _ in range(6):  # what is in doubt is looked up, then goes what waits for it
            house.drain()
            house.clock.advance(minutes=7)

    made = [it for kind in house.ns.store.records.values() for it in kind.values() if it.external_id]
    written = [name for it in house.ns.calls if it.operation.startswith("upsert") for name in it.external_ids]
    assert sorted(written) == sorted(it.external_id for it in made), "each was asked for once"
    assert {it.external_id.split("-")[1] for it in made} == {"cus", "ven", "so", "po", "bc"}
    assert {row.state for row in house.messages() if row.sync in house.syncs.pushes} <= {"delivered", "held"}
    assert len(house.audit(action="adopted")) == len(made)


def test_a_write_that_never_arrived_is_sent_again_after_the_look(house):
    """Fault 16."""
    acme = house.account()
    house.ns.faults.add("drop", operation="upsert*", when="before")
    house.receive(acme)
    house.engine.deliver(most=50)
    unsure = house.message("customer", acme)

    house.engine.deliver(most=50)
    too_early = house.writes()
    house.clock.advance(minutes=2)
    house.drain()

    assert unsure.state == "uncertain"
    assert unsure.due_at - unsure.sent_at >= RESOLVE_AFTER
    assert too_early == 1
    assert house.states("customer", acme) == ["delivered"]
    assert len(house.made("customer")) == 1


def test_a_look_that_fails_proves_nothing(house):
    """It stays uncertain; a throttled look costs no attempt."""
    acme = house.account()
    house.ns.faults.add("drop", operation="upsert*")
    house.receive(acme)
    house.engine.deliver(most=50)
    house.ns.faults.add("throttle", operation="get*", count=1)
    house.clock.advance(minutes=2)

    house.engine.deliver(most=50)

    row = house.message("customer", acme)
    assert (row.state, row.attempts) == ("uncertain", 1)


def test_a_newer_save_waits_until_the_unsure_one_is_settled_and_nobody_spins(house):
    """Both are settled in the end, newest last; meanwhile the lane is not due."""
    acme = house.account()
    old, new = versions(house, acme, "Old", "New")
    house.ns.faults.add("drop", operation="upsert*")
    receive(house, old)
    house.engine.deliver(most=50)
    receive(house, new)

    house.drain()
    waiting = house.states("customer")
    house.clock.advance(minutes=2)
    house.drain()

    assert waiting == ["uncertain", "deferred"]
    assert house.states("customer") == ["delivered", "delivered"]
    assert house.made("customer")[0].fields["companyName"] == "New"


def test_a_wrong_count_of_answers_makes_all_of_them_unsure(house):
    """Fault 19."""
    accounts = [house.account(f"Acme {n}") for n in range(3)]
    house.ns.faults.add("wrong_count", operation="upsertList")
    for it in accounts:
        house.receive(it)
    house.engine.deliver(most=50)
    states = house.states("customer")
    house.clock.advance(minutes=2)

    house.drain()

    assert states == ["uncertain"] * 3
    assert house.states("customer") == ["delivered"] * 3
    assert len(house.made("customer")) == 3


def test_a_list_is_settled_record_by_record(house):
    """Fault 19: one refused, the others done."""
    accounts = [house.account(f"Acme {n}") for n in range(3)]
    house.ns.faults.add("reject", operation="upsertList", nth=2, code="USER_ERROR", message="No.")
    for it in accounts:
        house.receive(it)

    house.drain()

    assert sorted(house.states("customer")) == ["delivered", "delivered", "rejected"]
    assert house.calls()["upsertList"] == 1


def test_a_child_whose_parent_failed_in_the_same_list_waits_for_it(house):
    """It is not wrong itself: when the parent is mended it goes by itself."""
    acme = house.account()
    jo = house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=acme)
    house.ns.faults.add("reject", operation="upsertList", nth=1, code="USER_ERROR", message="No.")
    house.receive(acme, jo)
    house.engine.deliver(most=50)
    house.clock.advance(seconds=5)
    house.drain()
    waiting = house.message("contact", jo)
    house.sf.update(acme, Phone="206 555 0100")

    house.receive(acme)
    house.drain()

    assert (waiting.state, waiting.waits_for) == ("deferred", f"customer:{acme}")
    assert house.states("contact", jo) == ["delivered"]


def test_a_record_deleted_in_netsuite_is_not_made_again_silently(house):
    """The upsert makes it anew; the audit says so."""
    acme = house.account()
    house.push_one(acme)
    house.ns.admin.delete(kind="customer", externalId=f"sf-cus-{acme}")
    house.sf.update(acme, Phone="1")

    house.push_one(acme)

    row = house.message("customer", acme)
    assert (row.state, row.code) == ("delivered", "RECREATED")
    assert [it.action for it in house.audit(action="recreated")] == ["recreated"]


# --- pauses


def test_a_refused_login_pauses_everything_to_netsuite_with_one_alert(house):
    """Fault 29: one failure, no hammering; accepting goes on, and what waits drains in order."""
    accounts = [house.account(f"Acme {n}") for n in range(3)]
    house.ns.faults.add("auth", count=99)
    house.receive(accounts[0])
    house.drain()
    calls = len(house.ns.calls)
    house.receive(accounts[1])
    house.sf.update(accounts[0], Name="Acme zero")
    house.receive(accounts[0])
    house.receive(accounts[2])
    house.drain()
    quiet = len(house.ns.calls) == calls
    house.ns.faults.clear()

    operating.resume(house.engine, "*netsuite", actor="pat")
    house.drain()

    assert quiet
    assert len(house.alerts) == 1
    assert [it.state for it in house.messages("customer")] == ["superseded", "delivered", "delivered", "delivered"]
    assert {it.fields["companyName"] for it in house.made("customer")} == {"Acme zero", "Acme 1", "Acme 2"}


def test_a_missing_permission_pauses_that_sync_only(house):
    acme = house.account()
    jo = house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=acme)
    house.push_one(acme)
    house.ns.faults.add("permission", operation="upsert*", record="contact", count=99)
    house.receive(jo)
    house.drain()
    house.sf.update(acme, Phone="206 555 0100")

    house.receive(acme)
    house.drain()

    assert house.states("contact", jo) == ["pending"]
    assert house.states("customer", acme) == ["delivered", "delivered"]
    assert [code for code, _ in house.alerts] == ["SYNC_PAUSED"]


def test_a_sync_without_its_permission_is_tried_with_one_message_and_told_of_once(house):
    """The probe cannot see a permission: it sends one message, and only an arrival ends the pause."""
    acme = house.account()
    house.push_one(acme)
    people = [house.sf.insert("Contact", FirstName="Jo", LastName=f"Doe {n}", AccountId=acme) for n in range(3)]
    house.ns.faults.add("permission", operation="upsert*", record="contact", count=99)
    house.receive(*people)
    house.drain()
    for _ in range(3):
        house.clock.advance(minutes=6)
        before = house.writes()
        operating.probe(house.engine)
        house.drain()
        assert house.writes() == before + 1
    still = [house.states("contact", it) for it in people]
    house.ns.faults.clear()
    house.clock.advance(minutes=6)

    operating.probe(house.engine)
    house.drain()

    assert still == [["pending"]] * 3
    assert [house.states("contact", it) for it in people] == [["delivered"]] * 3
    assert [code for code, _ in house.alerts] == ["SYNC_PAUSED"]
    assert len(house.audit(action="paused")) == len(house.audit(action="resumed")) == 1


def test_a_persons_pause_is_not_ended_by_a_trial(house):
    acme = house.account()
    house.push_one(acme)
    jo = house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=acme)
    house.ns.faults.add("permission", operation="upsert*", record="contact", count=1)
    house.receive(jo)
    house.drain()
    operating.pause(house.engine, "contact", actor="pat", reason="a look at names")
    house.clock.advance(minutes=6)

    operating.probe(house.engine)
    house.drain()

    assert house.states("contact", jo) == ["pending"]


def test_a_probe_resumes_what_is_back(house):
    acme = house.account()
    house.ns.faults.add("maintenance", count=99)
    house.receive(acme)
    house.drain()
    house.clock.advance(minutes=6)
    operating.probe(house.engine)
    still = house.states("customer", acme)
    house.ns.faults.clear()
    house.clock.advance(minutes=6)

    operating.probe(house.engine)
    house.drain()

    assert still == ["pending"]
    assert house.states("customer", acme) == ["delivered"]


def test_a_pause_that_ends_while_a_round_is_out_leaves_nothing_behind(house):
    """The round knew the pause when it chose its work; the lane must be due all the same."""
    acme = house.account()
    jo = house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=acme)
    house.push_one(acme)
    operating.pause(house.engine, "contact", actor="pat", reason="a look at names")
    house.sf.update(acme, Phone="1")
    house.receive(acme, jo)
    engine, inner = house.engine, house.engine.netsuite

    class Resuming:
        name, url, get, now = inner.name, inner.url, inner.get, inner.now

        def upsert(self, records, *, interactive=False):
            operating.resume(engine, "contact", actor="pat")
            return inner.upsert(records, interactive=interactive)

    engine.netsuite = Resuming()
    engine.deliver(most=50)
    engine.netsuite = inner

    house.drain()

    assert house.states("contact", jo) == ["delivered"]


# --- waits


def test_a_wait_ends_when_the_parent_is_made_elsewhere(house):
    """The broker's vendor lies in the broker's lane, which somebody else holds just now."""
    acme, broker = house.account("Acme"), house.account("Wayfinder")
    oven = house.application(acme, Broker__c=broker, Commission_Percent__c="2.00")
    house.receive(broker)
    with house.ledger.write() as writing:
        lease = lanes.lease(writing.connection, "another", writing.now, keys=[broker])
    house.receive(oven)
    for _ in range(5):
        house.engine.deliver(most=50)
    waiting = house.message("broker_commission", oven)
    with house.ledger.write() as writing:
        recording.release(writing, lease, house.syncs, ())

    house.drain()

    assert (waiting.state, waiting.waits_for) == ("deferred", f"vendor:{broker}")
    assert house.states("broker_commission", oven) == ["delivered"]


@pytest.fixture
def missed(house, ledger_url):
    """A subsidiary whose parent is delivered between the decision to wait for it and that decision's commit."""
    if ledger_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer: nothing happens in between")
    parent = house.account("Parent")
    child = house.account("Child", ParentId=parent)
    house.receive(child, parent)

    def decide(writing):
        found = house.engine._begin([child], 1, None, writing)
        house.engine.deliver([parent])
        return found

    _, _, prepared = house.ledger.commit(decide)
    assert house.states("customer", parent) == ["delivered"]
    assert house.states("customer", child) == ["deferred"]
    return child, prepared


def test_a_wake_that_was_missed_is_made_up_for_at_once(house, missed):
    child, prepared = missed

    came = fetch(house.ledger, house.syncs, house.salesforce, prepared)
    house.drain()

    assert came
    assert house.states("customer", child) == ["delivered"]


def test_a_wake_that_was_lost_altogether_costs_seconds(house, missed):
    """The process died before it could look again."""
    child, _ = missed
    house.clock.advance(seconds=6)

    house.drain()

    assert house.states("customer", child) == ["delivered"]


def test_a_record_that_waits_looks_ever_more_rarely(house):
    parent = house.account("Parent")
    child = house.account("Child", ParentId=parent)
    house.ns.faults.add("reject", operation="upsert*", record="customer", code="USER_ERROR", message="No.", count=99)
    house.receive(child)

    looks = 0
    for _ in range(3600 // 5):
        house.clock.advance(seconds=5)
        looks += bool(house.due())
        house.drain()

    assert 8 <= looks <= 20


def test_a_parent_that_does_not_exist_is_said_in_a_sentence(house):
    acme = house.account()
    jo = house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=acme)
    found = house.received(house.read(jo))
    nobody = "0015e0000000999AAA"
    house.engine.receive(
        [replace(found, fields={**found.fields, "AccountId": nobody})], origin="callout", correlation="t"
    )

    house.drain()

    row = house.message("contact", jo)
    assert (row.state, row.code, row.who) == ("rejected", "PARENT_MISSING", "sales")
    assert row.reason == f"The record it refers to ({nobody}) does not exist in Salesforce."


def test_a_parent_that_stays_refused_ends_the_wait_after_the_horizon_and_frees_it_if_it_comes(house):
    acme = house.account()
    jo = house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=acme)
    house.ns.faults.add("reject", operation="upsert*", record="customer", code="USER_ERROR", message="No.")
    house.push_one(acme)
    house.receive(jo)
    house.drain()
    house.clock.advance(hours=77)
    house.drain()
    gone = house.message("contact", jo)
    house.sf.update(acme, Phone="1")

    house.receive(acme)
    house.drain()

    assert (gone.state, gone.code) == ("dead", "PARENT_NEVER_CAME")
    assert house.states("contact", jo) == ["delivered"]


def test_a_refused_vendor_is_tried_again_with_the_next_save_of_its_account(house):
    """Somebody waits for it, although it has no record yet."""
    acme = house.account()
    oven = house.application(acme)
    house.push_one(acme)
    house.ns.faults.add("reject", operation="upsert*", record="vendor", code="USER_ERROR", message="No.")
    house.receive(oven)
    house.drain()
    refused = house.states("vendor", acme)
    house.sf.update(acme, Phone="206 555 0100")

    house.receive(acme)
    house.drain()

    assert refused == ["rejected"]
    assert house.states("vendor", acme) == ["superseded", "delivered"]
    assert house.states("purchase_order", oven) == ["delivered"]


# --- leases and crashes


@pytest.mark.parametrize("name", ["before_push", "after_push", "before_commit", "after_commit"])
def test_a_crash_anywhere_ends_with_one_record(house, monkeypatch, name):
    """Faults 8 to 10: the lease runs out, the record is looked up."""
    acme = house.account()
    house.receive(acme)
    crash(monkeypatch, name)
    with pytest.raises(failpoints.Failpoint):
        house.engine.deliver(most=50)
    monkeypatch.delenv(failpoints.VARIABLE)

    for _ in range(3):
        house.clock.advance(minutes=6)
        house.drain()

    assert house.states("customer", acme) == ["delivered"]
    assert len(house.made("customer")) == 1
    assert house.links()["customer", acme].target_id == house.made("customer")[0].id


def test_what_a_zombie_learned_is_not_recorded(house):
    """Rule 3: its lease ran out while NetSuite worked, somebody else took the lane."""
    acme = house.account()
    house.receive(acme)
    other = Delivery(ledger=house.ledger, syncs=house.syncs, netsuite=house.netsuite, salesforce=house.salesforce)
    inner = house.netsuite

    class Slow:
        name, url, get, now = inner.name, inner.url, inner.get, inner.now

        def upsert(self, records, *, interactive=False):
            answered = inner.upsert(records, interactive=interactive)
            house.clock.advance(minutes=6)
            other.deliver(most=50)
            return answered

    house.engine.netsuite = Slow()
    house.engine.deliver(most=50)
    after = house.message("customer", acme).state
    house.engine.netsuite = inner
    house.clock.advance(minutes=6)

    house.drain()

    assert after == "uncertain"
    assert len(house.audit(action="fenced")) == 1
    assert house.states("customer", acme) == ["delivered"]
    assert len(house.made("customer")) == 1


def test_a_record_that_stops_its_worker_three_times_is_quarantined_and_nobody_with_it(house, monkeypatch):
    """Fault 37: the others of its batch are delivered."""
    good, bad = house.account("Good"), house.account("Bad")
    inner = house.netsuite

    class Deadly:
        name, url, get, now = inner.name, inner.url, inner.get, inner.now

        def upsert(self, records, *, interactive=False):
            if any(it.fields.get("companyName") == "Bad" for it in records):
                raise SystemExit
            return inner.upsert(records, interactive=interactive)

    house.engine.netsuite = Deadly()
    house.receive(good, bad)
    for _ in range(20):
        with contextlib.suppress(SystemExit):
            house.engine.deliver(most=50)
        house.clock.advance(minutes=6)

    row = house.message("customer", bad)
    assert (row.state, row.code, row.crashes) == ("dead", "QUARANTINED", 3)
    assert house.states("customer", good) == ["delivered"]


def test_a_fault_of_our_own_while_sending_leaves_the_message_unsure(house):
    acme = house.account()
    inner = house.netsuite

    class Broken:
        name, url, get, now = inner.name, inner.url, inner.get, inner.now

        def upsert(self, records, *, interactive=False):
            inner.upsert(records, interactive=interactive)
            raise RuntimeError("a bug")

    house.engine.netsuite = Broken()
    house.receive(acme)
    house.engine.deliver(most=50)
    row = house.message("customer", acme)
    house.engine.netsuite = inner
    house.clock.advance(minutes=2)

    house.drain()

    assert (row.state, row.code) == ("uncertain", "BRIDGE_FAULT")
    assert house.states("customer", acme) == ["delivered"]


def test_a_mapping_that_fails_on_one_record_stops_no_other(house, monkeypatch):
    from bridge.mapping import compute

    def fails(source, site):
        if source["Name"] == "Bad":
            raise ZeroDivisionError
        return source["Name"]

    good, bad = house.account("Good"), house.account("Bad")
    customer = house.syncs.pushes["customer"]
    monkeypatch.setitem(house.syncs.pushes, "customer", replace(
        customer, fields={**customer.fields, "comments": compute(fails, ("Name",), "a site's own")}))  # fmt: skip
    house.receive(bad, good)

    house.drain()

    assert house.message("customer", bad).state == "rejected"
    assert house.message("customer", bad).who == "administrator"
    assert house.states("customer", good) == ["delivered"]


def test_a_contact_that_moved_waits_for_what_its_old_lane_sends(house):
    """It is never sent from two lanes at once, and nobody spins meanwhile."""
    acme, other = house.account("Acme"), house.account("Other")
    jo = house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=acme)
    house.push(acme, other)
    house.ns.faults.add("drop", operation="upsert*", record="contact")
    house.receive(jo)
    house.engine.deliver(most=50)
    house.sf.update(jo, AccountId=other)
    house.receive(jo)
    house.drain()
    waiting = house.states("contact", jo)
    house.clock.advance(minutes=3)

    house.drain()

    assert waiting == ["uncertain", "deferred"]
    assert house.states("contact", jo) == ["delivered", "delivered"]
    (customer,) = [it for it in house.made("customer") if it.fields["companyName"] == "Other"]
    assert house.made("contact")[0].fields["company"] == customer.link


# --- answers and promises


def test_a_caller_that_gave_up_is_told_on_the_record(house):
    """Its message was in flight in another thread's hands when it left."""
    acme = house.account()
    inner = house.netsuite

    class Slow:
        name, url, get, now = inner.name, inner.url, inner.get, inner.now

        def upsert(self, records, *, interactive=False):
            house.engine.promise_write_back([acme])
            return inner.upsert(records, interactive=interactive)

    house.engine.netsuite = Slow()
    house.receive(acme, write_back=False)
    house.drain()

    assert house.sf.row(acme)["NetSuite_Status__c"] == "delivered"
    assert house.sf.row(acme)["NetSuite_Customer_Id__c"] == house.made("customer")[0].id


def test_a_promise_about_what_has_just_settled_is_kept(house):
    acme = house.account()
    house.push_one(acme)

    house.engine.promise_write_back([acme])
    house.drain()

    assert house.sf.row(acme)["NetSuite_Status__c"] == "delivered"


def test_what_is_brought_late_is_stored_all_the_same(house):
    """The budget is over before anything was done: durable first."""
    (one,) = versions(house, house.account(), "Acme")

    def store(writing):
        recording_accept(writing, house, one)
        return [one.id]

    house.engine.deliver(accept=store, until=time.monotonic() - 1)

    assert len(house.messages("customer")) == 1


def test_the_write_back_of_a_refused_write_back_does_not_stop_others(house):
    acme, gone = house.account("Acme"), house.account("Gone")
    house.receive(acme, gone, write_back=True)
    house.sf.delete(gone)

    house.drain()

    assert house.sf.row(acme)["NetSuite_Status__c"] == "delivered"
    assert house.states("status", gone) == ["rejected"]


# --- the sweep


def test_the_sweep_finds_what_no_callout_brought_and_nothing_else(house):
    """F-11, F-103: three saves, one callout dropped."""
    seen = [house.account(f"Seen {n}") for n in range(2)]
    for it in seen:
        house.push_one(it)
    dropped = house.account("Dropped")
    house.clock.advance(minutes=1)

    report = sweep(house.engine)
    house.drain()
    again = sweep(house.engine)

    assert (report.looked_at, report.late) == (3, 1)
    assert again.late == 0
    assert house.states("customer", dropped) == ["delivered"]
    assert [row.origin for row in house.messages("customer", dropped)] == ["sweep"]


def test_the_sweep_finds_a_dropped_change_of_a_fee(house):
    oven = house.application(house.account(), ("Wire Fee", "25.00"))
    house.push_one(oven)
    fee = house.sf.rows("OpportunityLineItem")[0]["Id"]
    house.sf.update(fee, UnitPrice="30.00")
    house.clock.advance(minutes=1)

    report = sweep(house.engine)
    house.drain()

    assert report.late == 1
    assert house.there("salesOrder", f"sf-so-{oven}").fields["itemList"][0]["amount"] == 30


def test_a_deletion_is_received_once_and_not_written_back(house):
    acme, unknown = house.account("Acme"), house.account("Never sent")
    house.push_one(acme)
    house.sf.delete(acme)
    house.sf.delete(unknown)
    house.clock.advance(minutes=1)

    first, second = sweep(house.engine), sweep(house.engine)
    house.drain()

    assert (first.deleted, second.deleted) == (1, 0)
    row = house.message("customer", acme)
    assert (row.state, row.code) == ("delivered", None)
    assert house.messages("status") == []
    assert len(house.made("customer")) == 1


def test_an_undeleted_record_is_sent_again(house):
    acme = house.account("Acme")
    house.push_one(acme)
    house.sf.delete(acme)
    house.clock.advance(minutes=1)
    sweep(house.engine)
    house.sf.undelete(acme)
    house.sf.update(acme, Phone="206 555 0100")
    house.clock.advance(minutes=1)

    sweep(house.engine)
    house.drain()

    assert house.engine.standing([acme])[acme].state == "delivered"
    assert house.made("customer")[0].fields["phone"] == "206 555 0100"


def test_a_sweep_that_starts_late_does_not_hide_what_lies_before(house):
    """A person names a start after the watermark: the watermark stays."""
    sweep(house.engine)
    house.clock.advance(hours=2)
    dropped = house.account("Dropped")
    house.clock.advance(hours=2)

    sweep(house.engine, since=house.clock.at - timedelta(minutes=5))
    missed = house.messages("customer", dropped)
    sweep(house.engine)

    assert missed == []
    assert len(house.messages("customer", dropped)) == 1


# --- the audit


def test_every_change_of_state_is_in_the_audit_and_the_chains_hold(house):
    """One row for each; the last one of a message says its state."""
    acme, broker = house.account("Acme"), house.account("Wayfinder")
    oven = house.application(acme, Broker__c=broker, Commission_Percent__c="2.00")
    house.ns.faults.add("drop", operation="upsert*", record="salesOrder")
    house.ns.faults.add("reject", operation="upsert*", record="vendor", code="USER_ERROR", message="No.")
    house.receive(oven, write_back=True)
    for _ in range(3):
        house.clock.advance(minutes=2)
        house.drain()

    for row in house.messages():
        said = [it.action for it in house.audit(message_id=row.id)]
        assert said[0] == "received"
        last = {"adopted": "delivered", "recreated": "delivered", "received": "pending", "closed": "superseded"}.get(
            said[-1], said[-1]
        )
        assert last == row.state, (row.sync, said)
        assert all(one != following or one == "uncertain" for one, following in itertools.pairwise(said)), said
    with house.ledger.read() as connection:
        assert list(trail.verify(connection, house.ledger.audit_key)) == []


def test_a_lane_with_open_work_is_due_when_that_work_is(house):
    """No lane is left asleep: whatever happened, its due time is not after that of its first open message."""
    acme = house.account()
    oven = house.application(acme)
    jo = house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=acme)
    house.ns.faults.add("drop", operation="upsert*", count=2)
    house.ns.faults.add("throttle", operation="upsert*", count=2, skip=2)
    house.receive(jo)
    house.receive(oven)
    for _ in range(6):
        house.engine.deliver(most=50)
        house.clock.advance(seconds=20)
        with house.ledger.read() as connection:
            due = {row.key: row.due_at for row in connection.execute(lane.select())}
            opened = connection.execute(message.select().where(message.c.queue.is_not(None))).all()
        for row in opened:
            assert due[row.queue] is not None
            assert due[row.queue] <= (row.due_at or row.created_at)


def test_a_deadlock_ends_with_the_round_done_again(house, ledger_url):
    """PostgreSQL ends one of two transactions that wait for each other; nothing of it may be lost."""
    if ledger_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer and so no deadlocks")
    for key in ("a", "b"):
        with house.ledger.write() as writing:
            lanes.wake(writing.connection, {key: (writing.now, 1)})
    meet, done = threading.Barrier(2, timeout=20), []

    def both(first: str, second: str) -> None:
        tries = []

        def work(writing):
            tries.append(1)
            writing.connection.execute(update(lane).where(lane.c.key == first).values(priority=0))
            if len(tries) == 1:
                meet.wait()
            writing.connection.execute(update(lane).where(lane.c.key == second).values(priority=0))
            return first

        done.append((house.ledger.commit(work), len(tries)))

    threads = [threading.Thread(target=both, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for it in threads:
        it.start()
    for it in threads:
        it.join()

    assert sorted(name for name, _ in done) == ["a", "b"]
    assert max(count for _, count in done) > 1, "one of them was ended and done again"


def test_a_promise_of_a_write_back_outlives_a_deadlock(house, ledger_url):
    """Its caller was told 503, and Salesforce never heard of the record again."""
    if ledger_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer and so no deadlocks")
    ids = [house.account("One"), house.account("Two")]
    house.engine.receive([as_received(house.read(it)) for it in ids], origin="callout", correlation="c")
    first, *_, last = sorted(row.id for row in house.messages("customer"))
    with house.ledger.write() as writing:
        writing.connection.execute(update(message).values(write_back=False))
    promising = threading.Thread(target=house.engine.promise_write_back, args=(ids,))

    with house.ledger.write() as writing:
        writing.connection.execute(update(message).where(message.c.id == last).values(priority=0))
        promising.start()
        time.sleep(0.3)  # it has the first message by now and waits for the last
        writing.connection.execute(update(message).where(message.c.id == first).values(priority=0))
    promising.join(20)

    assert [row.write_back for row in house.messages("customer")] == [True, True]


@pytest.mark.parametrize("is_apart", [False, True], ids=["in one step", "in an earlier step"])
def test_salesforce_does_not_go_on_to_show_queued_when_a_callout_follows_the_sweep(house, is_apart):
    """The sweep brought the save, and its callout came while what the sweep brought was being sent."""
    acme = house.account()
    (first,) = versions(house, acme, "Acme")
    house.engine.receive([first], origin="sweep", correlation="swept")
    house.drain()
    with house.ledger.write() as writing:
        write_back(writing, [("Account", acme)])
    if is_apart:
        operating.pause(house.engine, "customer", actor="operator", reason="year end")
    receive(house, replace(first, modified_at=first.modified_at + timedelta(seconds=1)))
    if is_apart:
        house.drain()
        assert house.sf.row(acme)["NetSuite_Status__c"] == "queued"
        house.clock.advance(seconds=10)
        operating.resume(house.engine, "customer", actor="operator")

    house.drain()

    assert house.states("customer", acme)[-1] == "unchanged"
    assert house.sf.row(acme)["NetSuite_Status__c"] == "unchanged"
