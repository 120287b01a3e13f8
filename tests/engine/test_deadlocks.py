"""What people do outlives a deadlock with a delivery: PostgreSQL ends one of two that wait for each other."""

from __future__ import annotations

import sys
import threading
import time

import pytest
from sqlalchemy import event, update

from bridge import handling, operating, recovering, shadow
from bridge.ledger import plain, triage
from bridge.ledger.models import lane, message
from bridge.mending import mend
from bridge.reconcile import compare
from tests.engine.test_reconcile import forget

only_postgresql = pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)  # SQLite has one writer


def plan(house, action, ids, value=None):
    number = handling.draft(house.engine, action, ids, value=value, reason="why", actor="pat", guard=lambda *_: False)
    with house.ledger.read() as connection:
        return triage.find(connection, number)


def reconciled(house, ids):
    compare(house.engine)
    return lambda: mend(house.engine, actor="pat")


def handled(action, value=None):
    def ready(house, ids):
        drafted = plan(house, action, ids, value)
        return lambda: handling.confirm(house.engine, drafted, actor="pat")

    return ready


def recovered(house, ids):
    recovering.begin(house.engine, "It is an older copy.")
    return lambda: recovering.end(house.engine, actor="pat")


def shadowed(house, ids):
    shadow.start(house.engine, actor="pat", reason="trial")
    return lambda: shadow.end(house.engine, actor="pat")


ACTS = {
    "replay": lambda house, ids: lambda: operating.replay(house.engine, ids, actor="pat"),
    "retry": handled("retry"),
    "dismiss": handled("dismiss"),
    "hold": handled("hold"),
    "choose": handled("choose", value="salesforce"),
    "recovery": recovered,
    "shadow": shadowed,
    "reconcile": reconciled,
}


@only_postgresql
@pytest.mark.parametrize("name", ACTS)
def test_what_a_person_does_outlives_a_deadlock(house, name):
    accounts = sorted(house.account(it) for it in ("One", "Two"))
    if name == "reconcile":
        house.push(*accounts)
        house.drain()
        house.clock.advance(hours=2)
        forget(house, *accounts)
    else:
        both = plain.dumps({"phone": {"salesforce": "2", "netsuite": "9"}})
        state = {"state": "rejected", "code": "CHANGED_ON_BOTH_SIDES", "detail": both, "settled_at": house.clock()}
        is_open = name in ("recovery", "shadow")
        house.receive(*accounts)
        with house.ledger.write() as writing:
            closed = {} if is_open else {"queue": None, **state}
            writing.connection.execute(update(message).values(write_back=False, **closed))
    ids = sorted(row.id for row in house.messages("customer"))
    act, wrong, lost = ACTS[name](house, ids), [], []

    def run():
        try:
            act()
        except Exception as error:  # noqa: BLE001 - shown below
            wrong.append(error)

    @event.listens_for(house.ledger.engine, "rollback")
    def count(connection):
        cause = getattr(sys.exc_info()[1], "orig", None)  # the driver's own, for statements that go to it directly too
        lost.extend([1] if getattr(cause, "sqlstate", "") == "40P01" else [])

    @event.listens_for(house.ledger.engine, "checkout")
    def hurry(raw, record, proxy):
        raw.execute("SET deadlock_timeout = '400ms'")  # a second by default; its wait begins before ours

    acting = threading.Thread(target=run)
    with house.ledger.write() as writing:
        hold(writing, accounts[-1], ids[-1:])
        acting.start()
        until_it_waits(house)  # it has the first row by now, and waits for the last
        hold(writing, accounts[0], ids[:1])
    acting.join(20)

    assert wrong == []
    assert not acting.is_alive()
    assert lost or name == "reconcile", "it must have met one"


def until_it_waits(house):
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    for _ in range(1_000):
        with house.ledger.read() as connection:
            if connection.exec_driver_sql(asked).scalar():
                return
        time.sleep(0.02)


def hold(writing, account, ids):
    for it in ids:
        writing.connection.execute(update(message).where(message.c.id == it).values(priority=0))
    writing.connection.execute(update(lane).where(lane.c.key == account).values(priority=0))
