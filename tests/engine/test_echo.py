"""What the bridge writes back comes round again, from an org whose triggers do not spare the bridge's own user."""

from __future__ import annotations

from dataclasses import replace


def comes_round(house, *accounts):
    """A trigger without the bypass: the write-back has moved the stamps, and everything is sent again."""
    house.clock.advance(seconds=1)
    found = [house.received(house.read(it)) for it in accounts]
    house.engine.receive(found, origin="callout", correlation="echo")
    house.clock.advance(seconds=1)
    house.drain()


def test_a_write_back_that_comes_round_ends_after_one_round(house):
    accounts = [house.account(f"Acme {n}") for n in range(3)]
    house.receive(*accounts, write_back=True)
    house.clock.advance(seconds=1)
    house.drain()
    calls, told = len(house.ns.calls), len(house.messages("status"))

    for _ in range(4):
        comes_round(house, *accounts)

    assert len(house.ns.calls) == calls, "NetSuite hears nothing of it"
    assert len(house.messages("status")) == told == 3, "and Salesforce is told once"
    assert {row.state for row in house.messages("customer")} == {"delivered", "unchanged"}


def test_a_save_that_changed_nothing_for_netsuite_is_told_all_the_same(house):
    """The trigger has set the record to waiting; somebody must say that it is done."""
    account = house.account()
    house.push_one(account)
    saved = house.received(house.read(account))

    house.engine.receive([replace(saved, version=saved.version + 1)], origin="callout", correlation="again")
    house.drain()

    assert house.states("customer", account) == ["delivered", "unchanged"]
    assert house.states("status", account) == ["delivered"]
