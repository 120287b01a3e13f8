"""What was done long ago is removed; what a repetition, a person or an auditor needs stays."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import event, func, select, update

from bridge import operating, retaining
from bridge.ledger import audit, exchanges, messages, retention
from bridge.ledger.desk_models import exchange
from bridge.ledger.models import attempt, message
from bridge.ledger.pulled import UNREAD
from bridge.site import Retention
from bridge.sweep import sweep
from bridge.web.health import exposition

YEAR = Retention(contact_days=0, message_days=365)


def saved(house, account, times):
    for n in range(times):
        house.sf.update(account, Phone=f"555-01{n:02}")
        assert house.push_one(account).state == "delivered"


def test_only_the_newest_of_a_record_stays_and_its_save_is_known_again(house):
    account = house.account()
    early = house.received(house.read(account))
    saved(house, account, 4)
    house.clock.advance(days=400)

    said = retaining.expire(house.ledger, YEAR)

    left = house.messages("customer")
    assert said.endswith(" messages were removed")
    assert len(left) == 1
    assert house.messages("status") == []
    with house.ledger.read(still=True) as connection:
        kept = connection.execute(select(attempt.c.message_id).distinct()).scalars().all()
        assert list(audit.verify(connection, house.ledger.audit_key)) == []
    assert kept == [left[0].id]
    writes = house.writes()
    house.push_one(account)  # the same save once more
    house.engine.receive([early], origin="callout", correlation="late")
    house.drain()
    assert sweep(house.engine).late == 0
    assert house.writes() == writes
    assert house.states("customer", account)[-1] == "superseded"
    assert ("customer", account) in house.links()


def test_what_waits_or_needs_a_person_stays_whatever_its_age(house):
    account, broken = house.account(), house.account("Broken")
    house.push_one(account)
    house.ns.faults.add("reject", operation="upsert*", record="customer", code="USER_ERROR", message="No.")
    house.sf.update(broken, Phone="555-0100")
    assert house.push_one(broken).state == "rejected"
    with house.ledger.write() as writing:
        mine = message.c.source_id == broken
        writing.connection.execute(update(message).where(mine).values(settled_at=writing.now - timedelta(days=1)))
    house.sf.update(broken, Phone="555-0101")
    house.receive(broken)
    house.clock.advance(days=400)

    retaining.expire(house.ledger, YEAR)

    assert house.states("customer", broken) == ["rejected", "pending"]


def test_what_was_held_goes_once_the_record_was_saved_again(house):
    oven = house.application(house.account(), StageName="Underwriting")
    for n in range(3):
        house.sf.update(oven, Name=f"Oven {n}")
        assert house.push_one(oven).state == "held"
    house.clock.advance(days=400)

    retaining.expire(house.ledger, YEAR)

    assert house.states("sales_order", oven) == ["held"]
    assert house.read(oven).fields["Name"] == "Oven 2"


def test_a_reading_is_not_replaced_by_one_that_failed(house):
    account = house.account()
    saved(house, account, 1)
    with house.ledger.write() as writing:
        (row,) = house.messages("customer")[-1:]
        failed = messages.New(
            "customer", "Account", account, row.version, row.modified_at + timedelta(milliseconds=500), account, "{}",
            "pull", UNREAD,
        )  # fmt: skip
        (number,) = messages.accept(writing, [failed])
        values = {"state": "superseded", "queue": None, "settled_at": writing.now}
        writing.connection.execute(update(message).where(message.c.id == number).values(values))
    house.clock.advance(days=400)

    retaining.expire(house.ledger, YEAR)

    assert row.id in [it.id for it in house.messages("customer")]


def test_it_goes_in_short_steps_looked_for_outside_of_the_write(house, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "SPAN", 3)
    accounts = [house.account(f"Acme {n}") for n in range(3)]
    for account in accounts:
        saved(house, account, 3)
    house.clock.advance(days=400)
    deleted, looks = [], []

    @event.listens_for(house.ledger.engine, "after_cursor_execute")
    def _seen(connection, cursor, statement, *_):
        if statement.startswith("DELETE FROM message"):
            deleted.append(cursor.rowcount)
        if "message.settled_at <" in statement:
            looks.append(bool(connection.get_execution_options().get("writes")))

    retaining.expire(house.ledger, YEAR)

    assert max(deleted) <= 2
    assert sum(deleted) >= 6
    assert set(looks) == {False}
    assert [house.states("customer", it) for it in accounts] == [["delivered"]] * 3


def test_younger_messages_are_not_even_looked_at(house, monkeypatch):
    monkeypatch.setattr(retention, "SPAN", 1)
    saved(house, house.account(), 5)
    looks = []

    @event.listens_for(house.ledger.engine, "after_cursor_execute")
    def _seen(connection, cursor, statement, *_):
        if "message.settled_at <" in statement:
            looks.append(statement)

    retaining.expire(house.ledger, YEAR)

    assert len(looks) == 1


def test_zero_days_keep_everything(house):
    account = house.account()
    saved(house, account, 3)
    before = len(house.messages())
    house.clock.advance(days=4000)

    retaining.expire(house.ledger, Retention(contact_days=0, message_days=0))

    assert len(house.messages()) == before


def test_old_texts_of_failed_calls_are_forgotten_in_steps(house, monkeypatch):
    monkeypatch.setattr(exchanges, "BATCH", 2)
    with house.ledger.write() as writing:
        exchanges.keep(writing, [(n, "asked", "answered") for n in range(1, 6)])
    house.clock.advance(days=91)
    with house.ledger.write() as writing:
        exchanges.keep(writing, [(6, "asked", "answered")])
        first = exchanges.expire(writing)

    retaining.expire(house.ledger, Retention(contact_days=0, message_days=0))

    with house.ledger.read() as connection:
        left = connection.execute(select(func.count()).select_from(exchange)).scalar()
    assert (first, left) == (2, 1)


def test_sizes_are_told_to_prometheus(house):
    saved(house, house.account(), 1)

    told = dict(line.rsplit(" ", 1) for line in exposition(house.engine).splitlines() if not line.startswith("#"))

    assert float(told['bridge_bytes{of="database"}']) > 10_000
    assert float(told["bridge_audit_rows"]) == len(house.audit())


def test_what_was_sent_again_lately_hides_nothing_behind_it(house, monkeypatch):
    """It counts as made then, and its number is old."""
    others, again, account = [house.account(it) for it in ("One", "Two")], house.account("Again"), house.account()
    for one in (*others, again):
        house.push_one(one)
    saved(house, account, 2)
    house.clock.advance(days=400)
    number = house.message("customer", again).id
    monkeypatch.setattr(retention, "SPAN", number - 1)
    operating.replay(house.engine, [number], actor="operator")
    house.drain()

    retaining.expire(house.ledger, YEAR)

    assert len(house.messages("customer", account)) == 1
    assert house.messages("customer", again)


def test_what_was_sent_again_since_it_was_looked_for_stays_whole(house):
    account = house.account()
    saved(house, account, 2)
    house.clock.advance(days=400)
    before = house.ledger.moment() - timedelta(days=365)
    with house.ledger.read() as connection:
        found, _ = retention.aged(connection, before, 0)
    (old,) = [row for row in house.messages("customer") if row.id in found]
    operating.replay(house.engine, [old.id], actor="operator")
    house.drain()

    house.ledger.commit(lambda writing: retention.remove(writing, before, found))

    assert old.id in [row.id for row in house.messages("customer")]
    with house.ledger.read() as connection:
        assert connection.execute(select(attempt.c.id).where(attempt.c.message_id == old.id)).first() is not None
