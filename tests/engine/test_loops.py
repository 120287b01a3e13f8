"""Something in Salesforce changes a record back whenever the bridge has sent it: the circle is broken."""

from __future__ import annotations

from dataclasses import replace


def flip(house, account, times, *, values=("1", "2"), user="005000000000001AAA", minutes=1):
    for n in range(times):
        house.sf.update(account, Phone=values[n % len(values)])
        house.clock.advance(minutes=minutes)
        it = replace(house.received(house.read(account)), user=user)
        house.engine.receive([it], origin="callout", correlation=f"flip {n}")
        house.drain()


def test_a_record_that_circles_is_quarantined_with_a_sentence(house):
    account = house.account()

    flip(house, account, 12, minutes=0.5)

    stopped = house.message("customer", account)
    assert (stopped.state, stopped.code, stopped.who) == ("rejected", "LOOP_BROKEN", "administrator")
    assert "again and again" in stopped.reason
    assert house.writes() == 5


def test_the_next_change_by_somebody_else_goes_through(house):
    account = house.account()
    flip(house, account, 8)

    flip(house, account, 1, values=("3",), user="005000000000002AAA")

    assert house.message("customer", account).state == "delivered"


def test_a_person_who_saves_often_is_not_stopped(house):
    account = house.account()

    flip(house, account, 12, values=[str(n) for n in range(12)], minutes=0.5)

    assert house.states("customer", account) == ["delivered"] * 12


def test_the_same_values_in_the_course_of_a_day_are_no_loop(house):
    account = house.account()

    flip(house, account, 12, minutes=10)

    assert "rejected" not in house.states("customer", account)
