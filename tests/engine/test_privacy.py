"""Personal data is forgotten when it must be; what happened stays, and the chain still holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import event

from bridge import handling, operating, retaining
from bridge.ledger import audit, privacy, triage
from bridge.site import Retention
from tests.engine.test_sharing import shared

PERSON = "Quirinia Zebrowska"
NINETY = Retention(contact_days=90, message_days=0)


@pytest.fixture
def contact(house):
    account = house.account()
    house.push(account)
    made = house.sf.insert("Contact", FirstName="Quirinia", LastName=PERSON, AccountId=account)
    assert house.push_one(made).state == "delivered"
    return made


def stored(house) -> bytes:
    """Every byte of the database; of PostgreSQL what a query can see."""
    if not house.ledger.is_sqlite:
        return repr([tuple(row) for row in house.messages()]).encode()
    with house.ledger.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(house.ledger.engine.url.database).read_bytes()


def erase(house, record_id):
    with house.ledger.write() as writing:
        return privacy.erase(writing, record_id, actor="005admin", reason="asked for by letter")


def test_an_erased_record_is_in_no_byte_of_the_ledger(house, contact):
    assert PERSON.encode() in stored(house)

    done = erase(house, contact)

    assert (done.count, done.still_open) == (1, 0)
    assert PERSON.encode() not in stored(house)
    assert [row.actor for row in house.audit(action="erased", source_id=contact)] == ["005admin"]
    with house.ledger.read(still=True) as connection:
        assert list(audit.verify(connection, house.ledger.audit_key)) == []


def test_what_was_erased_is_not_sent_as_nothing(house, contact):
    """A replay of an emptied message must not empty the record in NetSuite."""
    erase(house, contact)
    before = house.writes()
    number = house.message("contact", contact).id

    assert operating.replay(house.engine, [number], actor="operator") == 1
    house.drain()

    row = house.message("contact", contact)
    assert (row.state, row.code) == ("held", "ERASED")
    assert house.writes() == before


def test_a_new_save_after_an_erasure_is_sent(house, contact):
    erase(house, contact)
    house.sf.update(contact, LastName="Other")

    assert house.push_one(contact).state == "delivered"


def test_what_is_on_its_way_is_told_and_left(house, contact):
    house.sf.update(contact, LastName=f"{PERSON} Two")
    house.receive(contact)

    done = erase(house, contact)

    assert (done.count, done.still_open) == (1, 1)
    assert house.message("contact", contact).state == "pending"


def test_contacts_are_emptied_by_age(house, contact):
    assert retaining.expire(house.ledger, NINETY) == "0 messages of Contacts were emptied"
    house.clock.advance(days=91)

    assert retaining.expire(house.ledger, NINETY) == "1 messages of Contacts were emptied"
    assert retaining.expire(house.ledger, NINETY) == "0 messages of Contacts were emptied"
    assert PERSON.encode() not in stored(house)
    nothing = Retention(contact_days=0, message_days=0)
    assert retaining.expire(house.ledger, nothing) == "0 messages of Contacts were emptied"


def test_what_is_to_be_emptied_is_looked_for_in_steps_and_outside_of_the_write(house, contact, monkeypatch):
    """On SQLite saves wait for whoever writes, and PostgreSQL ends a statement that takes a minute."""
    monkeypatch.setattr(privacy, "SPAN", 1)
    house.sf.update(contact, LastName=f"{PERSON} Two")
    assert house.push_one(contact).state == "delivered"
    house.clock.advance(days=91)
    looks = []

    @event.listens_for(house.ledger.engine, "after_cursor_execute")
    def _look(connection, cursor, statement, *_):
        if "message.settled_at <" in statement:
            looks.append((statement, bool(connection.get_execution_options().get("writes"))))

    assert retaining.expire(house.ledger, NINETY) == "2 messages of Contacts were emptied"

    assert PERSON.encode() not in stored(house)
    assert len(looks) > 3
    assert all("message.id <=" in statement and not writes for statement, writes in looks)


def test_what_both_sides_held_of_a_shared_field_is_erased_too(house):
    shared(house, "phone", sync="contact")
    account = house.account()
    house.push(account)
    made = house.sf.insert("Contact", FirstName="Ann", LastName="Lee", Phone="555-7777", AccountId=account)
    assert house.push_one(made).state == "delivered"
    assert "555-7777" in str(house.links()["contact", made].parts)

    erase(house, made)

    assert "555-7777" not in str(house.links()["contact", made].parts)
    house.sf.update(made, Title="Director")
    assert house.push_one(made).state == "delivered"


@pytest.mark.parametrize("is_done", [True, False])
def test_what_a_decision_kept_of_a_person_is_erased_too(house, is_done):
    there = house.ns.admin.create("customer", companyName="Acme", subsidiary="1")
    account = house.account("Acme")
    house.push_one(account)
    number = house.message("customer", account).id
    asked = handling.draft(
        house.engine, "adopt", [number], value=there.id, reason="", actor="ann", guard=lambda *_: not is_done
    )
    with house.ledger.read() as connection:
        plan = triage.find(connection, asked)
    handling.confirm(house.engine, plan, actor="ann")
    house.drain()

    erase(house, account)

    with house.ledger.read() as connection:
        after = triage.find(connection, asked)
    assert "Acme" in plan.value
    assert (after.value, after.state) == (None, triage.DONE if is_done else triage.REFUSED)
