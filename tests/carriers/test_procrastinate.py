"""The carrier for many machines: a wake-up is part of our transaction, and losing one loses nothing."""

from __future__ import annotations

import signal
import socket
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import procrastinate
import pytest
import requests
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bridge.carriers.procrastinate import BUCKETS, Procrastinate
from bridge.ledger import messages
from bridge.ports import Ref
from bridge.receiving import as_received
from tests.faults.world import Latency, Town, compose, environment, is_ready, process, until


@pytest.fixture
def town():
    made = Town(latency=Latency(0.05, 0.05, 0.01, 0.01))
    yield made
    made.stop()


@pytest.fixture
def house(town, postgres_url):
    made = compose({"urls": town.urls, "database": postgres_url, "secret": town.secret})
    yield made
    made.close()


@pytest.fixture
def carrier(house):
    made = Procrastinate(house.engine, threads=2)
    made.prepare()
    yield made
    made.stop(5)


def jobs(house, status="todo"):
    with house.ledger.read() as connection:
        query = text("SELECT count(*) FROM procrastinate_jobs WHERE status = :status")
        return connection.execute(query, {"status": status}).scalar_one()


def wake(house, *lanes):
    with house.ledger.write() as writing:
        messages.wake(writing, dict.fromkeys(lanes, (writing.now, 1)))


def test_a_wake_up_is_there_when_our_transaction_commits_and_not_when_it_fails(house, carrier):
    def fail():
        with house.ledger.write() as writing:
            messages.wake(writing, {"lane": (writing.now, 1)})
            house.ledger.wake(writing.connection, {"lane"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    before = jobs(house)
    wake(house, "lane")

    assert (before, jobs(house)) == (0, 1)


def test_a_lane_that_waits_already_is_not_woken_twice(house, carrier):
    for _ in range(3):
        wake(house, "lane", "other")

    assert jobs(house) == 2


def test_however_many_lanes_have_work_few_wake_ups_wait(house, carrier):
    wake(house, *(f"lane {n}" for n in range(500)))

    assert jobs(house) == BUCKETS


def test_two_transactions_that_wake_the_same_lane_at_once_both_commit(house, carrier):
    entered, failed = threading.Barrier(2), []

    def both():
        try:
            with house.ledger.write() as writing:
                entered.wait(5)
                messages.wake(writing, {f"own {threading.get_ident()}": (writing.now, 1)})
                writing.wakes = {"same"}
        except DBAPIError as error:
            failed.append(error)

    threads = [threading.Thread(target=both) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert not failed
    assert jobs(house) == 1
    with house.ledger.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM lane WHERE key LIKE 'own %'")).scalar_one() == 2


def test_a_save_is_delivered_by_whoever_is_woken_and_leaves_no_job(house, carrier, town):
    carrier.start()
    account = town.account()

    house.engine.receive(received(house, account), origin="sweep", correlation="test")

    until(lambda: not house.open(), 15)
    assert [it.external_id for it in town.made("customer")] == [f"sf-cus-{account}"]
    until(lambda: jobs(house) == jobs(house, "doing") == 0, 5)


def test_work_whose_wake_up_was_lost_is_found_by_looking(house, carrier, town):
    account = town.account()
    house.engine.receive(received(house, account), origin="sweep", correlation="test")
    with house.ledger.engine.begin() as connection:
        connection.execute(text("DELETE FROM procrastinate_jobs"))

    carrier.start()

    until(lambda: not house.open(), 15)
    assert len(town.made("customer")) == 1


def test_a_wake_up_of_a_worker_that_died_is_deleted_and_never_retried(house, carrier, monkeypatch):
    wake(house, "lane")
    with house.ledger.engine.begin() as connection:
        connection.execute(text("UPDATE procrastinate_jobs SET status = 'doing'"))
    wake(house, "lane")

    carrier._delete_stalled()

    assert (jobs(house, "doing"), jobs(house)) == (0, 1)


def test_two_processes_may_prepare_at_once(town, postgres_url):
    houses = [compose({"urls": town.urls, "database": postgres_url}) for _ in range(2)]
    carriers = [Procrastinate(it.engine) for it in houses]
    failed = []

    def prepare(carrier):
        try:
            carrier.prepare()
        except DBAPIError as error:
            failed.append(error)

    threads = [threading.Thread(target=prepare, args=(it,)) for it in carriers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for one in houses:
        one.close()

    assert not failed


def old_tables(house, up_to):
    """Make procrastinate's tables as an older version of it did, by its own migrations."""
    folder = Path(procrastinate.schema.SchemaManager.get_migrations_path())
    with house.ledger.engine.begin() as connection:
        for script in sorted(folder.glob("*.sql")):
            if script.name < up_to:
                connection.connection.cursor().execute(script.read_text())


def functions(house):
    with house.ledger.read() as connection:
        found = connection.execute(
            text("SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'procrastinate%' ORDER BY 1")
        )
        return list(found.scalars())


def test_tables_of_an_older_procrastinate_are_made_anew_by_whoever_starts_first(town, house, postgres_url):
    old_tables(house, "03.01")
    before = functions(house)
    carrier = Procrastinate(house.engine, threads=1)

    carrier.prepare()
    Procrastinate(house.engine).prepare()  # a second process finds them in order
    carrier.start()
    account = town.account()
    house.engine.receive(received(house, account), origin="callout", correlation="test")
    until(lambda: not house.open(), 15)
    carrier.stop(5)

    assert "procrastinate_defer_jobs_v1" not in " ".join(before)
    assert "procrastinate_defer_jobs_v1" in " ".join(functions(house))
    assert len(town.made("customer")) == 1


def test_tables_of_a_newer_procrastinate_are_left_alone_and_saves_go_on(town, house, carrier):
    """An old process beside new ones: it cannot defer any more, and finds its work by looking."""
    with house.ledger.engine.begin() as connection:
        connection.execute(text("COMMENT ON TABLE procrastinate_jobs IS '99.1.0'"))
        (defer,) = [it for it in functions(house) if "procrastinate_defer_jobs_v1" in it]
        connection.execute(text(f"DROP FUNCTION {defer} CASCADE"))
    Procrastinate(house.engine).prepare()
    carrier.start()

    account = town.account()
    house.engine.receive(received(house, account), origin="callout", correlation="test")
    until(lambda: not house.open(), 15)

    assert defer not in functions(house)
    assert len(town.made("customer")) == 1


def received(house, *ids):
    found = house.salesforce.get([Ref("Account", id=it) for it in ids], house.engine.syncs.reads("Account"))
    return [as_received(it) for it in found]


def free_port():
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


@pytest.mark.slow
def test_two_servers_and_two_workers_share_the_work_and_stop_gracefully(town, postgres_url, tmp_path):
    """Saves by two doors, a mass update in the background, one worker told to stop in the middle."""
    ports = [(free_port(), free_port()) for _ in range(2)]
    accounts = [town.account(f"Acme {n}") for n in range(60)]
    common = {"BRIDGE_CARRIER": "procrastinate"}
    with ExitStack() as stack:
        for port, console in ports:
            env = environment(town, postgres_url, BRIDGE_PORT=str(port), BRIDGE_CONSOLE_PORT=str(console), **common)
            stack.enter_context(process("serve", env, tmp_path / "log"))
        workers = [
            stack.enter_context(process("worker", environment(town, postgres_url, **common), tmp_path / "log"))
            for _ in range(2)
        ]
        urls = [f"http://127.0.0.1:{port}" for port, _ in ports]
        until(lambda: all(map(is_ready, urls)), 40, "both servers are ready")
        house = stack.enter_context(closing(compose({"urls": town.urls, "database": postgres_url})))
        until(lambda: heartbeats(house) >= 4, 40, "all four processes listen")

        for n, start in enumerate(range(0, 48, 12)):
            path, body, headers = town.callout(*accounts[start : start + 12])
            answer = requests.post(urls[n % 2] + path, data=body, headers=headers, timeout=30)
            assert answer.status_code == 202, answer.text
        workers[0].send_signal(signal.SIGTERM)
        for n, account in enumerate(accounts[48:]):
            path, body, headers = town.callout(account)
            answer = requests.post(urls[n % 2] + path, data=body, headers=headers, timeout=30)
            # The sweep that a server catches up on at its start may have brought it first.
            assert answer.json()["results"][0]["state"] in ("delivered", "unchanged"), answer.text

        until(lambda: not house.open(), 30, "everything is delivered")
        until(lambda: workers[0].poll() is not None, 22, "the worker has stopped")
        assert workers[0].returncode == 0
        assert {it.state for it in house.rows() if it.sync == "customer"} <= {"delivered", "unchanged", "superseded"}
        assert sorted(it.external_id for it in town.made("customer") if it.external_id) == sorted(
            f"sf-cus-{it}" for it in accounts
        )
        assert town.netsuite.peak_in_flight <= 5
        assert not [it for it in town.netsuite.calls if it.status.startswith("fault")]
        house.check()


def heartbeats(house):
    try:
        with house.ledger.read() as connection:
            return connection.execute(text("SELECT count(*) FROM procrastinate_workers")).scalar_one()
    except DBAPIError:
        return 0
