"""A database that is older than the world is noticed, and nothing is pushed before a person has looked."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from bridge import recovering
from bridge.ledger import Ledger, marks
from bridge.mending import mend
from bridge.reconcile import compare
from bridge.recovering import Witness
from bridge.sweep import sweep
from bridge.watching import write_anchor


def shown(house):
    """What Salesforce answers to the question of the start."""

    def ask(after, until):
        then, end = (it.strftime("%Y-%m-%dT%H:%M:%SZ") for it in (after, until + timedelta(seconds=1)))
        synced = f"NetSuite_Synced_At__c > {then} AND NetSuite_Synced_At__c < {end}"
        said = f"SystemModstamp > {then} AND {synced} AND NetSuite_Status__c = 'delivered'"
        return any(house.salesforce.query(f"SELECT Id FROM Account WHERE {said} LIMIT 1"))

    return ask


@pytest.fixture
def ledger_url(database_url):
    """One of the test's own, to be copied and replaced."""
    return database_url


@pytest.fixture
def backup(house, tmp_path, request):
    """Take a copy of the database as it is now; the returned function puts it back, as an administrator does."""
    url = make_url(house.ledger.url)
    if house.ledger.is_sqlite:
        copy = tmp_path / "backup.sqlite3"
        _copy(url.database, copy)
        return lambda: _copy(copy, url.database)
    server = create_engine(request.getfixturevalue("postgres_server"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    house.ledger.engine.dispose()
    with server.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{url.database}_copy" TEMPLATE "{url.database}"')

    def put_back():
        house.ledger.engine.dispose()
        with server.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{url.database}" WITH (FORCE)')
            connection.exec_driver_sql(f'ALTER DATABASE "{url.database}_copy" RENAME TO "{url.database}"')

    return put_back


def _copy(source, target):
    with contextlib.closing(sqlite3.connect(source)) as one, contextlib.closing(sqlite3.connect(target)) as other:
        one.backup(other)


def delivered(house, *names):
    """Save Accounts, deliver them, and write back that they were."""
    made = [house.account(it) for it in names]
    house.receive(*made, write_back=True)
    house.drain()
    return made


def begun(house, **more):
    return recovering.check(house.engine, more.get("file"), more.get("witness", Witness()), shown(house))


def pauses(house):
    with house.ledger.read() as connection:
        return [(it.scope, it.code) for it in marks.pauses(connection)]


def test_an_ordinary_start_pauses_nothing(house):
    first = begun(house)
    delivered(house, "Acme")
    soon = begun(house)
    house.clock.advance(days=3)
    after_a_weekend = begun(house)

    assert (first, soon, after_a_weekend) == (None, None, None)
    assert pauses(house) == []


def test_a_restored_database_pauses_pushes_accepts_and_goes_on_after_a_look(house, request):
    (old,) = delivered(house, "Before the backup")
    put_back = request.getfixturevalue("backup")
    house.clock.advance(hours=20)
    (lost,) = delivered(house, "After the backup")
    house.sf.update(old, Phone="555-0100")
    house.receive(old, write_back=True)
    house.drain()
    customers = {it.external_id: it.id for it in house.made("customer")}
    put_back()

    house.clock.advance(hours=1)
    reason = begun(house)
    waiting = house.account("While it is paused")
    house.receive(waiting)
    house.drain()
    paused, writes = pauses(house), house.writes()
    sweep(house.engine)
    report = compare(house.engine)
    mend(house.engine, actor="pat")
    recovering.end(house.engine, actor="pat")
    house.drain()

    assert "were delivered after" in reason
    assert paused == [("*netsuite", "RECOVERY")]
    assert report.counts == {("customer", "unlinked"): 1, ("customer", "older"): 1} or report.waiting
    links = {source: row.target_id for (sync, source), row in house.links().items() if sync == "customer"}
    assert {f"sf-cus-{it}": links[it] for it in (old, lost)} == customers
    assert len(house.made("customer")) == 3
    assert house.there("customer", f"sf-cus-{old}").fields["phone"] == "555-0100"
    assert house.writes() > writes
    assert pauses(house) == []
    assert compare(house.engine).differing() == 0
    assert begun(house) is None


def test_an_empty_database_beside_a_used_organisation_waits_too(house, request):
    put_back = request.getfixturevalue("backup")
    delivered(house, "Acme")
    put_back()

    assert begun(house).startswith("Salesforce shows records that were delivered, ")
    assert pauses(house) == [("*netsuite", "RECOVERY")]


def test_an_anchor_outside_tells_of_an_older_copy(house, request, tmp_path: Path):
    file = tmp_path / "anchors"
    delivered(house, "Acme")
    put_back = request.getfixturevalue("backup")
    house.clock.advance(minutes=2)
    delivered(house, "Brown")
    write_anchor(house.ledger, file)
    fine = begun(house, file=file)
    put_back()

    reason = begun(house, file=file)
    recovering.end(house.engine, actor="pat")

    assert fine is None
    assert "the audit trail was longer" in reason
    assert begun(house, file=file) is None  # told once


def test_salesforce_that_does_not_answer_is_asked_again(house, request):
    put_back = request.getfixturevalue("backup")
    delivered(house, "Acme")
    put_back()
    witness = Witness()
    house.sf.faults.add(kind="unavailable", times=50)
    unanswered = begun(house, witness=witness)
    house.sf.faults.clear()

    later = recovering.watch(house.engine, witness, shown(house))

    assert (unanswered, later) == (None, "recovery")
    assert pauses(house) == [("*netsuite", "RECOVERY")]


def test_what_was_delivered_before_salesforce_could_be_asked_is_no_sign(house):
    """After a quiet night Salesforce was away for a moment just when the bridge was started."""
    delivered(house, "Acme")
    house.clock.advance(hours=14)
    witness = Witness()
    house.sf.faults.add(kind="unavailable", times=50)
    unanswered = begun(house, witness=witness)
    house.sf.faults.clear()
    house.clock.advance(seconds=30)
    delivered(house, "Brown")

    later = recovering.watch(house.engine, witness, shown(house))

    assert (unanswered, later, witness.to_ask) == (None, None, None)
    assert pauses(house) == []


def test_anchors_that_cannot_be_read_do_not_keep_the_bridge_from_starting(house, tmp_path: Path):
    assert begun(house, file=tmp_path) is None  # a directory, as where a disk is not mounted
    assert begun(house, file=tmp_path / "none yet") is None
    assert pauses(house) == []


def look(house, witness, minutes):
    for _ in range(minutes):
        house.clock.advance(minutes=1)
        told = recovering.watch(house.engine, witness, shown(house))
    return told


def test_commits_lost_in_a_fail_over_are_told_and_nothing_waits(house, request):
    """PostgreSQL with an asynchronous standby: what was acknowledged last may be gone."""
    delivered(house, "Acme")
    witness = Witness()
    quiet = look(house, witness, 20)
    put_back = request.getfixturevalue("backup")
    (lost,) = delivered(house, "Brown")
    look(house, witness, 2)
    put_back()

    told = look(house, witness, 1)
    again = look(house, witness, 1)
    house.clock.advance(hours=1)
    report = compare(house.engine)
    mend(house.engine, actor="pat")
    house.drain()

    assert (quiet, told, again) == (None, "commits lost", None)
    assert pauses(house) == []
    assert house.audit(action="incident")[0].code == "COMMITS_LOST"
    assert report.counts == {("customer", "unlinked"): 1}
    assert house.links()["customer", lost].external_id == f"sf-cus-{lost}"
    assert len(house.made("customer")) == 2


def test_an_older_copy_put_back_under_a_running_bridge_pauses_it(house, request):
    put_back = request.getfixturevalue("backup")
    delivered(house, "Acme")
    witness = Witness()
    look(house, witness, 20)
    put_back()

    assert look(house, witness, 1) == "recovery"
    assert pauses(house) == [("*netsuite", "RECOVERY")]


def beats(house, minutes):
    """The job that some instance does every minute."""
    for _ in range(minutes):
        house.clock.advance(minutes=1)
        with house.ledger.write() as writing:
            marks.claim(writing, "watch", house.clock.at.replace(second=0, microsecond=0), "one")


@pytest.mark.parametrize("lost_minutes", [5, 90])
def test_under_a_young_process_the_last_beat_tells_how_old_a_copy_is(house, request, lost_minutes):
    """Nothing that it saw is left, and nothing was delivered that Salesforce could show."""
    beats(house, 3)
    put_back = request.getfixturevalue("backup")
    beats(house, lost_minutes - 4)
    with house.ledger.write() as writing:
        writing.say("watermark", "bridge", sync="orders")
    witness = Witness()
    look(house, witness, 3)
    put_back()

    told = look(house, witness, 1)

    assert told == ("commits lost" if lost_minutes == 5 else "recovery")
    assert pauses(house) == ([] if lost_minutes == 5 else [("*netsuite", "RECOVERY")])


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)  # it is not about the database
def test_a_question_that_salesforce_refuses_is_not_put_every_minute(house):
    """Without the package's fields it will never be answered."""
    delivered(house, "Acme")
    house.clock.advance(hours=14)
    witness, asked = Witness(), []

    def refused(after, until):
        asked.append(after)
        return any(house.salesforce.query("SELECT Id FROM Account WHERE No_Such_Field__c = null"))

    recovering.check(house.engine, None, witness, refused)
    for _ in range(3 * 6):
        house.clock.advance(minutes=10)
        recovering.watch(house.engine, witness, refused)
    in_three_hours = len(asked)
    for _ in range(25):
        house.clock.advance(hours=1)
        recovering.watch(house.engine, witness, refused)

    assert in_three_hours == 1 + 3
    assert (len(asked), witness.to_ask) == (recovering.REFUSALS, None)
    assert pauses(house) == []


def test_a_persons_pause_becomes_the_recoverys(house: object, ledger: Ledger) -> None:
    """Else they would go on without having looked."""
    with ledger.write() as writing:
        marks.start_pause(writing, "*netsuite", "PAUSED_BY_PERSON", "year end", actor="pat", probe=False)

    recovering.begin(house.engine, "It is an older copy.")  # type: ignore[attr-defined]

    with ledger.read() as connection:
        (pause,) = marks.pauses(connection)
    assert (pause.code, pause.probe_at) == ("RECOVERY", None)
    assert ledger.moment() - pause.since < timedelta(minutes=1)
