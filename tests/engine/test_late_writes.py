"""NetSuite does an old request after a newer save was delivered: it is noticed, and the newer save is sent again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge import operating
from bridge.delivery import Delivery
from bridge.errors import Uncertain


class Late:
    """NetSuite, with one request that lies about until `land`: its caller got no answer."""

    def __init__(self, inner):
        self.inner, self.name, self.url, self.now = inner, inner.name, inner.url, inner.now
        self.get, self.held, self.holds = inner.get, [], 1

    def upsert(self, records, *, interactive=False):
        if not self.holds:
            return self.inner.upsert(records, interactive=interactive)
        self.holds -= 1
        self.held += records
        return [Uncertain("No answer came in time.", code="TIMEOUT") for _ in records]

    def land(self):
        self.inner.upsert(self.held)


def phone(house, account):
    return house.there("customer", f"sf-cus-{account}").fields["phone"]


def wait(house, minutes):
    for _ in range(minutes):
        house.clock.advance(minutes=1)
        house.drain()


@pytest.fixture
def late(house):
    house.engine.netsuite = Late(house.netsuite)
    return house.engine.netsuite


def test_a_write_that_lands_after_a_newer_one_is_undone(house, late):
    """Fault 69."""
    account = house.account(Phone="1")
    house.receive(account)
    house.drain()
    wait(house, 2)  # looked up, not there, sent again
    house.sf.update(account, Phone="2")
    house.receive(account)
    house.drain()

    late.land()
    stale = phone(house, account)
    wait(house, 18)

    assert (stale, phone(house, account)) == ("1", "2")
    assert len(house.audit(action="reasserted")) == 1
    assert house.engine.standing([account])[account].state == "delivered"
    assert len(house.made("customer")) == 1
    wait(house, 40)
    assert len(house.audit(action="reasserted")) == 1, "once"


def test_a_request_that_never_lands_costs_one_look(house, late):
    account = house.account(Phone="1")
    house.receive(account)
    house.drain()
    wait(house, 2)
    house.sf.update(account, Phone="2")
    house.receive(account)
    house.drain()
    before, reads = house.writes(), house.calls()["get"]

    wait(house, 18)

    assert house.writes() == before
    assert house.calls()["get"] == reads + 1
    assert not house.audit(action="reasserted")


def test_without_a_newer_save_there_is_nothing_to_look_at(house, late):
    account = house.account(Phone="1")
    house.receive(account)
    house.drain()
    wait(house, 2)
    before = len(house.ns.calls)

    late.land()
    wait(house, 18)

    assert len(house.ns.calls) == before + 1, "the late one itself"
    assert house.states("confirm:customer") == ["unchanged"]


def test_a_save_that_is_waiting_meanwhile_is_sent_whatever_it_says(house, late):
    """The same values once more would be left alone as unchanged, and the old request stand."""
    account = house.account(Phone="1")
    house.receive(account)
    house.drain()
    wait(house, 2)
    house.sf.update(account, Phone="2")
    house.receive(account)
    house.drain()
    late.land()
    house.clock.advance(minutes=17)
    again = house.received(house.read(account))
    house.engine.receive([replace(again, version=again.version + 1)], origin="callout", correlation="same values")

    house.drain()

    assert phone(house, account) == "2"
    assert house.states("customer", account) == ["delivered"] * 3


def test_the_first_of_two_doubtful_requests_is_not_forgotten_for_the_second(house, late):
    account = house.account(Phone="1")
    house.receive(account)
    house.drain()
    wait(house, 2)
    late.holds = 1
    house.sf.update(account, Phone="2")
    house.receive(account)
    house.drain()
    wait(house, 2)
    between = phone(house, account)

    del late.held[1:]
    late.land()
    stale = phone(house, account)
    wait(house, 20)

    assert (between, stale, phone(house, account)) == ("2", "1", "2")


def test_a_paused_salesforce_does_not_keep_it_and_nobody_spins(house, late):
    account = house.account(Phone="1")
    house.receive(account)
    house.drain()
    wait(house, 2)
    house.sf.update(account, Phone="2")
    house.receive(account)
    house.drain()
    late.land()
    operating.pause(house.engine, "*salesforce", actor="pat", reason="a look")

    wait(house, 18)

    assert phone(house, account) == "2"
    assert not house.due()


def test_what_an_overtaken_worker_wrote_late_is_undone(house):
    """It was frozen before its request left, others delivered two saves, then it wrote the first one."""
    account = house.account(Phone="1")
    house.receive(account)
    other = Delivery(ledger=house.ledger, syncs=house.syncs, netsuite=house.netsuite, salesforce=house.salesforce)
    inner = house.netsuite

    class Frozen:
        name, url, get, now = inner.name, inner.url, inner.get, inner.now

        def upsert(self, records, *, interactive=False):
            house.clock.advance(minutes=6)
            while other.deliver(most=50):
                house.clock.advance(seconds=61)
            house.clock.advance(seconds=61)
            other.deliver(most=50)
            house.sf.update(account, Phone="2")
            house.receive(account)
            other.deliver(most=50)
            return inner.upsert(records, interactive=interactive)

    house.engine.netsuite = Frozen()
    house.engine.deliver(most=50)
    house.engine.netsuite = inner
    stale = phone(house, account)

    wait(house, 2)

    assert (stale, phone(house, account)) == ("1", "2")
    assert len(house.audit(action="fenced")) == 1
    assert len(house.audit(action="reasserted")) == 1
