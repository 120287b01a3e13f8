"""Accounts merged in Salesforce: the winner's customer is kept, the loser's becomes its alias, accounting is told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge import operating, surviving
from bridge.ports import Received
from bridge.sweep import sweep


def merge(house, winner, loser, *, with_trigger):
    """Merge in Salesforce; children change their Account without triggers. Then the trigger's callout, or the sweep."""
    house.clock.advance(seconds=5)
    house.sf.merge(winner, loser)
    house.clock.advance(seconds=5)
    if with_trigger:
        gone = Received("Account", loser, 0, house.clock(), {}, deleted=True, merged_into=winner)
        house.engine.receive([gone], origin="callout", correlation="merge")
        house.receive(winner)
    else:
        sweep(house.engine)
    drain(house)


def drain(house):
    for _ in range(4):
        house.drain()
        house.clock.advance(seconds=31)


def customer(house, account):
    return house.there("customer", f"sf-cus-{account}")


@pytest.mark.parametrize("with_trigger", [True, False])
def test_both_have_customers_the_winners_is_kept_and_accounting_has_a_task(house, with_trigger):
    winner, loser = house.account("Winner"), house.account("Loser")
    contact = house.sf.insert("Contact", FirstName="Ann", LastName="Lee", AccountId=loser)
    house.push(winner, loser)
    house.push(contact)
    kept, left = customer(house, winner).ref.id, customer(house, loser).ref.id

    merge(house, winner, loser, with_trigger=with_trigger)

    task = house.message("customer", loser)
    assert (task.state, task.code, task.who) == ("held", "MERGE_IN_NETSUITE", "accounting")
    assert f"Merge {left} into {kept} in NetSuite" in task.reason
    assert len(house.made("customer")) == 2, "the bridge merges nothing in NetSuite"
    assert house.there("contact", f"sf-con-{contact}").fields["company"].id == kept
    link = house.links()["customer", loser]
    assert winner in link.parts
    assert house.audit(action="merged", source_id=loser)


@pytest.mark.parametrize("with_trigger", [True, False])
def test_only_the_loser_has_a_customer_and_the_winner_goes_on_with_it(house, with_trigger):
    loser = house.account("Loser")
    house.push(loser)
    kept = customer(house, loser).ref.id
    winner = house.account("Winner")

    merge(house, winner, loser, with_trigger=with_trigger)
    house.sf.update(winner, Phone="555-0100")
    house.receive(winner)
    drain(house)

    (made,) = house.made("customer")
    assert (made.id, made.fields["companyName"], made.fields["phone"]) == (kept, "Winner", "555-0100")
    assert house.message("customer", loser).code == "MERGED_IN_SALESFORCE"


def test_neither_has_a_customer_and_nothing_is_left_to_do(house):
    winner, loser = house.account("Winner"), house.account("Loser")

    merge(house, winner, loser, with_trigger=True)

    assert [it.external_id for it in house.made("customer")] == [f"sf-cus-{winner}"]
    assert house.message("customer", loser).who == "nobody"


def test_what_was_open_in_the_losers_lane_goes_on_in_the_winners(house):
    winner, loser = house.account("Winner"), house.account("Loser")
    house.push(winner, loser)
    application = house.application(loser)
    house.receive(application)

    merge(house, winner, loser, with_trigger=True)

    (order,) = house.made("salesOrder")
    assert order.fields["entity"].id == customer(house, winner).ref.id
    assert {row.lane for row in house.messages("sales_order", application)} == {winner}
    assert not house.due()


def test_a_late_save_of_the_loser_does_not_touch_netsuite(house):
    winner, loser = house.account("Winner"), house.account("Loser")
    house.push(winner, loser)
    late = house.received(house.read(loser))
    merge(house, winner, loser, with_trigger=True)
    before = house.writes()

    house.engine.receive([Received(late.kind, late.id, 99, house.clock(), dict(late.fields))], origin="callout",
                         correlation="late")  # fmt: skip
    drain(house)

    assert house.message("customer", loser).code == "MERGED_AWAY"
    assert house.writes() == before


def test_a_merge_waits_while_the_winners_lane_is_held_by_another(house):
    winner, loser = house.account("Winner"), house.account("Loser")
    house.push(winner, loser)
    from bridge.ledger import lanes

    with house.ledger.write() as writing:
        lanes.wake(writing.connection, {winner: (writing.now, 1)})
        held = lanes.lease(writing.connection, "another", writing.now, keys=[winner])
    gone = Received("Account", loser, 0, house.clock(), {}, deleted=True, merged_into=winner)
    house.engine.receive([gone], origin="callout", correlation="merge")

    house.drain()
    waiting = house.message("customer", loser).state
    with house.ledger.write() as writing:
        lanes.release(writing.connection, held, (), writing.now)
    house.clock.advance(seconds=31)
    drain(house)

    assert waiting == "deferred"
    assert house.message("customer", loser).state == "held"


# --- back from the merge (fault 59) ---


def restore(house, account, *, with_trigger):
    """Take an Account out of the recycle bin. Its children stay with the winner, as Salesforce leaves them."""
    house.clock.advance(minutes=6)
    house.sf.undelete(account)
    house.clock.advance(seconds=5)
    if with_trigger:
        house.receive(account)
    else:
        sweep(house.engine)
    drain(house)


@pytest.mark.parametrize("with_trigger", [True, False])
def test_an_account_that_is_back_from_a_merge_has_its_own_customer_again(house, with_trigger):
    winner, loser = house.account("Winner"), house.account("Loser")
    house.push(winner, loser)
    own = customer(house, loser).ref.id
    merge(house, winner, loser, with_trigger=True)

    restore(house, loser, with_trigger=with_trigger)
    house.sf.update(loser, Phone="555-0100")
    contact = house.sf.insert("Contact", FirstName="Ann", LastName="Lee", AccountId=loser)
    house.push(loser)
    house.push(contact)

    assert house.message("customer", loser).state == "delivered"
    assert (customer(house, loser).ref.id, customer(house, loser).fields["phone"]) == (own, "555-0100")
    assert house.there("contact", f"sf-con-{contact}").fields["company"].id == own
    assert "merged_into" not in (house.links()["customer", loser].parts or "")
    assert house.audit(action="unmerged", source_id=loser)
    assert len(house.made("customer")) == 2


def taken_over(house):
    """The winner had no customer and goes on with the loser's (fault 58)."""
    loser = house.account("Loser")
    house.push(loser)
    winner = house.account("Winner")
    merge(house, winner, loser, with_trigger=True)
    house.sf.update(winner, Phone="555-0100")
    house.receive(winner)
    drain(house)
    (one,) = house.made("customer")
    assert one.fields["companyName"] == "Winner"
    return winner, loser, one


def test_where_the_winner_took_the_customer_over_a_person_decides(house):
    winner, loser, one = taken_over(house)
    writes = house.writes()

    restore(house, loser, with_trigger=True)

    task = house.message("customer", loser)
    assert (task.state, task.code, task.who) == ("rejected", "BACK_AND_TAKEN_OVER", "accounting")
    assert winner in task.reason
    assert house.writes() == writes
    assert house.links()["customer", winner].target_id == one.id


def test_a_person_gives_the_customer_back_and_the_winner_gets_one_of_its_own(house):
    winner, loser, one = taken_over(house)
    restore(house, loser, with_trigger=True)

    operating.replay(house.engine, [house.message("customer", loser).id], actor="accountant")
    drain(house)

    names = {it.fields["companyName"]: (it.id, it.external_id) for it in house.made("customer")}
    assert names["Loser"] == (one.id, f"sf-cus-{loser}")
    assert names["Winner"][1] == f"sf-cus-{winner}"
    assert house.links()["customer", winner].target_id == names["Winner"][0]
    assert (house.states("customer", winner)[-1], house.states("customer", loser)[-1]) == ("delivered", "delivered")
    assert not house.due()


def test_where_accounting_merged_the_customers_meanwhile_a_person_decides(house):
    winner, loser = house.account("Winner"), house.account("Loser")
    oven = house.application(loser)
    house.push(winner, loser, oven)
    kept = customer(house, winner).ref.id
    merge(house, winner, loser, with_trigger=True)
    house.clock.advance(minutes=5)
    house.ns.admin.merge(into=kept, id=customer(house, loser).ref.id)
    house.clock.advance(minutes=5)
    surviving.follow(house.engine, house.clock.at, timedelta(minutes=2))

    restore(house, loser, with_trigger=True)
    task = house.message("customer", loser)
    operating.replay(house.engine, [task.id], actor="accountant")
    drain(house)

    assert (task.state, task.code) == ("rejected", "BACK_WITHOUT_ITS_OWN")
    assert customer(house, loser).ref.id not in (None, kept)
    assert house.states("customer", loser)[-1] == "delivered"
