"""A bridge that dies or fails anywhere loses nothing and doubles nothing; the next one carries on from the ledger."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import create_engine, inspect

from bridge import failpoints
from bridge.ledger.models import message
from bridge.pulling import pull
from bridge.sweep import sweep
from tests.faults.children import act, fork
from tests.faults.world import Clock

POINTS = [it for it in failpoints.NAMES if it not in ("in_migration", "in_change")]
STATES = {"delivered", "unchanged", "superseded", "held"}


def the_day(town):
    """What happens in Salesforce: an account with a contact and an approved Application, and another account."""
    account, other = town.account("Acme"), town.account("Bolt")
    contact = town.salesforce.insert("Contact", FirstName="Ann", LastName="Lee", AccountId=account)
    application = town.application(account)
    return [town.callout(account), town.callout(contact), town.callout(application)], [other], application


@pytest.mark.parametrize("action", ["kill", "raise"])
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_anywhere_loses_nothing_and_doubles_nothing(town, options, house, point, action):
    callouts, others, application = the_day(town)

    failing = {**options, "failpoint": f"{point}:{action}", "budget_s": 0.4}
    child = fork(act, failing, callouts, others)
    child.join(30)
    assert child.exitcode == (-9 if action == "kill" else 0), "the failpoint was reached"
    survivor = house(options, Clock(ahead=timedelta(minutes=10)))  # the leases of the dead have ended
    survivor.recover()
    town.later()
    sweep(survivor.engine)  # what the dead could not accept any more
    survivor.recover()
    pull(survivor.engine, "sales_order_mirror", settle=timedelta(seconds=-2))  # all that was saved just now
    survivor.recover()

    assert not town.doubled()
    made = {kind: len([it for it in town.made(kind) if it.external_id]) for kind in MADE}
    assert made == MADE
    assert {state for _, state in survivor.states()} <= STATES
    order = town.made("salesOrder")[0]
    assert town.salesforce.row(application)["NetSuite_Sales_Order_Id__c"] == order.id
    assert len(town.salesforce.rows("NetSuite_Order__c")) == 1
    survivor.check()


MADE = {"customer": 2, "vendor": 1, "contact": 1, "salesOrder": 1, "purchaseOrder": 1}


@pytest.mark.parametrize("action", ["kill", "raise"])
def test_a_crash_in_a_migration_leaves_a_database_that_can_be_migrated(town, bare_database_url, house, action):
    options = {"urls": town.urls, "database": bare_database_url, "secret": town.secret}
    child = fork(act, {**options, "failpoint": f"in_migration:{action}"}, [], [])
    child.join(30)
    assert child.exitcode == (-9 if action == "kill" else 0)
    engine = create_engine(options["database"])
    left = inspect(engine).get_table_names()
    engine.dispose()

    survivor = house(options)

    assert "message" not in left
    assert survivor.states() == {}


@pytest.mark.parametrize("n", [2, 3])
def test_a_record_that_was_being_sent_twice_when_its_process_died_is_still_made_once(town, options, house, n):
    """Each process dies between NetSuite's answer and our commit; the next one finds the record and adopts it."""
    account = town.account()
    callout = town.callout(account)
    clock = Clock()

    for number in range(n - 1):
        child = fork(act, {**options, "failpoint": "after_push:kill", "budget_s": 0.4}, [callout], [])
        child.join(30)
        assert child.exitcode == (-9 if number == 0 else 0), "a second process does not send before it has looked"
    survivor = house(options, clock)
    clock.ahead = timedelta(minutes=10)
    survivor.recover()

    (row,) = survivor.rows(message.c.sync == "customer")
    assert (row.state, row.crashes) == ("delivered", 1)
    assert len(town.made("customer")) == 1
    assert survivor.audited("adopted") == 1
