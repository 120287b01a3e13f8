"""The database is full, locked or gone: callers are told to come back, and nothing is half-written."""

from __future__ import annotations

import sqlite3
import subprocess
import tempfile
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from bridge.carriers.embedded import Embedded
from bridge.ports import Ref
from bridge.receiving import as_received
from tests import postgres_keeper
from tests.faults.world import until

LATER, STEP = timedelta(minutes=10), timedelta(seconds=5)


def saves(town, count):
    return [town.callout(town.account(f"Acme {n}")) for n in range(count)]


def test_a_full_sqlite_refuses_with_503_and_keeps_what_it_accepted(town, house, tmp_path):
    one = house({"urls": town.urls, "database": f"sqlite:///{tmp_path / 'ledger'}", "secret": town.secret})
    callouts = saves(town, 60)
    with one.ledger.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    limit = pages + 12

    def set_limit(connection):
        connection.exec_driver_sql(f"PRAGMA max_page_count={limit}")

    event.listen(one.ledger.engine, "begin", set_limit)
    answers = [one.post(*it) for it in callouts]
    accepted = [n for n, it in enumerate(answers) if it.status_code in (200, 202)]
    refused = [it for it in answers if it.status_code == 503]
    limit = 1 << 20
    one.clock.ahead += LATER
    one.recover()

    assert accepted
    assert refused
    assert all(it.headers["Retry-After"] for it in refused)
    assert len(accepted) + len(refused) == 60
    stored = {row.source_id for row in one.rows() if row.sync == "customer"}
    answered = {it["id"] for n in accepted for it in answers[n].json["results"]}
    assert answered <= stored, "what was accepted is there"
    assert {it.external_id for it in town.made("customer") if it.external_id} == {f"sf-cus-{it}" for it in stored}
    assert {row.state for row in one.rows() if row.sync == "customer"} == {"delivered"}
    with one.ledger.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    one.check()


def test_a_locked_sqlite_refuses_with_503_and_serves_again_afterwards(town, house, tmp_path):
    path = tmp_path / "ledger"
    one = house({"urls": town.urls, "database": f"sqlite:///{path}", "secret": town.secret})
    (first, second) = saves(town, 2)
    intruder = sqlite3.connect(path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")

    refused = one.post(*first)
    intruder.execute("ROLLBACK")
    intruder.close()
    taken = one.post(*second)

    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    assert taken.status_code == 200
    assert len({row.source_id for row in one.rows()}) == 1


@pytest.fixture
def own_server(tmp_path_factory):
    """A PostgreSQL of this test alone, which may be crashed."""
    with tempfile.TemporaryDirectory(prefix="bridge-own-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        folder = Path(name) / "server"
        folder.mkdir(mode=0o700)
        try:
            server = postgres_keeper.start(folder)
        except (FileNotFoundError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no PostgreSQL of our own: {error}")
        made = Crashing(folder, server)
        yield made
        made.crash()


class Crashing:
    """A server that can be crashed and started again."""

    def __init__(self, folder, server):
        self.folder, self.server = folder, server
        self.command = server.args
        self.url = f"postgresql+psycopg://postgres@/postgres?host={folder}"

    def crash(self):
        self.server.send_signal(3)  # SIGQUIT: at once, without a checkpoint
        self.server.wait(20)

    def start(self):
        options = postgres_keeper.unprivileged(self.folder)
        log = (self.folder / "log").open("ab")
        self.server = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.folder, **options)


@pytest.mark.timeout(120)
def test_postgresql_that_crashes_twice_under_load_loses_nothing(own_server, town, house):
    one = house({"urls": town.urls, "database": own_server.url, "secret": town.secret, "threads": 2})
    carrier = Embedded(one.engine, threads=2)
    carrier.prepare()
    carrier.start()
    accepted, done = [], threading.Event()

    def save(n):
        account = town.account(f"Acme {n}")
        (found,) = one.salesforce.get([Ref("Account", id=account)], one.engine.syncs.reads("Account"))
        while not done.is_set():
            try:
                one.engine.receive([as_received(found)], origin="callout", correlation=str(n))
            except DBAPIError:
                threading.Event().wait(0.1)
            else:
                accepted.append(account)
                return

    def caller(start):
        for n in range(start, 60, 3):
            save(n)

    callers = [threading.Thread(target=caller, args=(n,)) for n in range(3)]
    for thread in callers:
        thread.start()
    for mark in (15, 35):
        until(lambda mark=mark: len(accepted) >= mark, 30)
        own_server.crash()
        threading.Event().wait(0.3)
        own_server.start()
    for thread in callers:
        thread.join(40)
    until(lambda: answers(one), 20)
    one.clock.ahead += LATER
    until(lambda: settled(one), 40, "all is delivered")
    done.set()
    carrier.stop(5)

    assert len(accepted) == 60
    assert {row.source_id for row in one.rows() if row.sync == "customer"} == set(accepted)
    assert len([it for it in town.made("customer") if it.external_id]) == 60
    assert not town.doubled()
    one.check()


def answers(house):
    try:
        with house.ledger.read() as connection:
            return connection.execute(text("SELECT 1")).scalar_one()
    except DBAPIError:
        return False


def settled(house):
    house.clock.ahead += STEP
    return not house.open()
