"""NetSuite stands still for days, whatever the cause: saves are accepted meanwhile, and then drain in order, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from lxml import etree

from bridge import operating
from bridge.ledger import messages
from bridge.receiving import Arrived, accept_all

DAYS = 4  # longer than the 76 hours after which a message that was tried in vain is dead


def maintenance(house):
    house.ns.faults.add("maintenance", count=10**6)


def token_revoked(house):
    house.ns.faults.add("auth", count=10**6)


def a_persons_choice(house):
    operating.pause(house.engine, "*netsuite", actor="pat", reason="year end")


def is_back(house):
    """The cause is over; the bridge's own pauses end by a probe, a person's by that person."""
    house.ns.faults.clear()
    house.clock.advance(minutes=6)
    operating.probe(house.engine)
    operating.resume(house.engine, "*netsuite", actor="pat")


def written(requests):
    """The external ids of all records that *requests* write, in order."""
    names = []
    for raw in requests:
        body = etree.fromstring(raw).find("{*}Body")[0]
        if etree.QName(body).localname.startswith("upsert"):
            names += [it.get("externalId") for it in body.iter("{*}record")]
    return names


@pytest.mark.parametrize("stop", [maintenance, token_revoked, a_persons_choice])
def test_days_of_standstill_lose_nothing_and_drain_once_in_order(house, stop):
    accounts = [house.account(f"Acme {n}", Phone="0") for n in range(6)]
    stop(house)
    for day in range(DAYS):
        for account in accounts:
            house.sf.update(account, Phone=str(day + 1))
            house.receive(account)
        if day == 1:
            contact = house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=accounts[0])
            application = house.application(accounts[0])
            house.receive(application, contact)
        for _ in range(24):
            house.clock.advance(hours=1)
            operating.probe(house.engine)
            house.engine.deliver(most=50)
    quiet = {kind: len(house.made(kind)) for kind in ("customer", "contact", "salesOrder")}
    asked = len(house.ns.requests)

    is_back(house)
    house.drain()
    house.clock.advance(hours=2)
    house.drain()

    assert set(quiet.values()) == {0}
    assert asked <= 24 * DAYS * 2, "a probe an hour is all that NetSuite hears"
    assert [house.states("customer", it) for it in accounts] == [["superseded"] * (DAYS - 1) + ["delivered"]] * 6
    sent = written(house.ns.requests[asked:])
    assert sorted(sent) == sorted(set(sent)), "each once"
    assert {it.fields["phone"] for it in house.made("customer")} == {str(DAYS)}, "the newest"
    assert house.states("contact", contact) == house.states("sales_order", application) == ["delivered"]
    first = sent.index(f"sf-cus-{accounts[0]}")
    assert first < min(sent.index(f"sf-con-{contact}"), sent.index(f"sf-so-{application}"))
    assert {kind: len(house.made(kind)) for kind in quiet} == {"customer": 6, "contact": 1, "salesOrder": 1}
    assert len(house.alerts) <= 1
    assert not house.audit(action="dead")


PAGE = 20


@pytest.fixture
def small_page(monkeypatch):
    """As if a lane held thousands of messages: few are looked at in one transaction."""
    monkeypatch.setattr(messages, "PAGE", PAGE)


def saves(house, salesforce_id, versions, phone="old"):
    """The same record, saved again and again."""
    first = house.received(house.read(salesforce_id))
    return [
        replace(
            first,
            version=n,
            modified_at=first.modified_at + timedelta(seconds=n),
            fields={**first.fields, "Phone": phone},
        )
        for n in versions
    ]


def take_in(house, received, shut=("customer", "contact")):
    """Store *received* as it is stored during a pause: nobody is woken for it."""
    with house.ledger.write() as writing:
        calls = [Arrived(received, "callout", "test", messages.BULK)]
        messages.wake(writing, accept_all(writing, house.syncs, calls, (), shut=shut).due)


def test_only_the_newest_save_goes_out_after_a_pause_with_more_than_is_looked_at_at_once(house, small_page):
    acme = house.account()
    operating.pause(house.engine, "*netsuite", actor="pat", reason="year end")
    take_in(house, saves(house, acme, range(10, 10 + PAGE)))
    take_in(house, saves(house, acme, [9 + PAGE + 1], phone="newest"))

    operating.resume(house.engine, "*netsuite", actor="pat")
    house.drain()

    assert house.writes() == 1
    assert [it.fields["phone"] for it in house.made("customer")] == ["newest"]
    assert house.states("customer", acme) == ["superseded"] * PAGE + ["delivered"]


def test_a_save_waits_for_the_unsure_one_before_it_behind_thousands_of_others(house, small_page):
    """It is looked up later, and is the last of its lane until then."""
    acme = house.account()
    jo = house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=acme)
    house.push(acme)
    house.ns.faults.add("drop", operation="upsert*")
    house.push(jo, budget_s=0)
    assert house.states("contact", jo) == ["uncertain"]

    kim = house.sf.insert("Contact", FirstName="Kim", LastName="Doe", AccountId=acme)
    take_in(house, saves(house, jo, [5], phone="newer"))
    take_in(house, saves(house, kim, range(10, 10 + PAGE)))
    house.engine.deliver([acme])

    assert house.states("contact", jo) == ["uncertain", "deferred"]


def test_a_paused_sync_does_not_hide_the_others_of_its_lane(house, small_page):
    acme = house.account()
    house.push(acme)
    operating.pause(house.engine, "contact", actor="pat", reason="year end")
    first = house.received(house.read(house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=acme)))
    take_in(house, [replace(first, id=f"{first.id[:3]}{n:012d}AAA") for n in range(PAGE)])

    house.sf.update(acme, Phone="1")
    house.receive(acme)
    house.drain()

    assert house.states("customer", acme)[-1] == "delivered"
