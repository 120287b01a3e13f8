"""Bindings and configurations are changed while two servers on one PostgreSQL take in saves; a change may be killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import cycle

import pytest
import requests
from sqlalchemy import select

from bridge.ledger import Ledger, audit, configuration
from bridge.ledger import bindings as kept
from bridge.ledger.models import OPEN, message
from tests import wsdl_mutants as mutants
from tests.faults.test_stopping import port
from tests.faults.world import AUDIT_KEY, ROOT, SUBSET, Latency, Town, environment, is_ready, process, until

BASE = (ROOT / "bridge" / "demo.toml").read_text(encoding="utf-8")
COMMENTS = '[sync.customer.fields.comments]\ntext = "Website"\n'


@pytest.fixture
def newer(tmp_path):
    """A set of an endpoint that nobody has seen yet, with a field more."""
    files = mutants.as_version(mutants.read(SUBSET), "2031_2")
    return mutants.write(mutants.mutated(files, mutants.field_added("Customer", "mood")), tmp_path / "2031_2")


@pytest.fixture
def town(newer):
    made = Town(latency=Latency(0.02, 0.02, 0.005, 0.01), schemas=[SUBSET, newer])
    yield made
    made.stop()


def command(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``bridge`` as a person does."""
    return subprocess.run(
        [sys.executable, "-m", "bridge", *words],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def done(env: dict[str, str], *words: str) -> str:
    found = command(env, *words)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


class Saving:
    """People who save Accounts, new ones and old ones, each save to the next server."""

    def __init__(self, town: Town, urls: list[str]) -> None:
        self.town, self.answers, self.failed = town, [], []
        self.saved: dict[str, str] = {}
        self._urls, self._lock, self._over = cycle(urls), threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(it,)) for it in range(2)]

    def _run(self, caller: int) -> None:
        n = 0
        try:
            while not self._over.wait(0.05):
                account = self.town.account(f"Merchant {caller}-{n}", Website="acme.example")
                for phone in ("1", f"555-{n}"):
                    self.town.salesforce.update(account, Phone=phone)
                    self._call(account)
                self.saved[account] = f"555-{n}"
                n += 1
        except Exception as error:  # noqa: BLE001 - told at the end
            self.failed.append(error)

    def _call(self, account: str) -> None:
        path, body, headers = self.town.callout(account)
        with self._lock:
            url = next(self._urls)
        self.answers.append(requests.post(url + path, data=body, headers=headers, timeout=30).status_code)

    @contextmanager
    def going(self) -> Iterator[None]:
        for it in self._threads:
            it.start()
        try:
            yield
        finally:
            self._over.set()
            for it in self._threads:
                it.join()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_two_servers_on_postgresql_change_over_under_load(town, newer, postgres_url, tmp_path):
    doors = [port(), port()]
    urls = [f"http://127.0.0.1:{it}" for it in doors]
    own = {"BRIDGE_CARRIER": "procrastinate", "BRIDGE_NETSUITE_CONCURRENCY": "5"}
    envs = [environment(town, postgres_url, BRIDGE_PORT=it, BRIDGE_CONSOLE_PORT=port(), **own) for it in doors]
    draft = tmp_path / "draft.toml"
    draft.write_text(BASE + COMMENTS, encoding="utf-8")
    saving = Saving(town, urls)
    with ExitStack() as stack:
        for n, env in enumerate(envs):
            stack.enter_context(process("serve", env, tmp_path / f"log {n}"))
            until(lambda url=urls[n]: is_ready(url), 60, "it is ready")
        ledger = stack.enter_context(closing(Ledger(postgres_url)))

        def all_on(number: int) -> None:
            def are() -> bool:
                with ledger.read() as connection:
                    found = kept.instances(connection, ledger.now(connection))
                return [it.n for it in found] == [number] * 2

            until(are, 30, f"both use deployment {number}")

        with saving.going():
            done(envs[0], "wsdl", "fetch", "2031_2", "--from", str(newer))
            done(envs[0], "wsdl", "deploy", "2031_2", "--reason", "a test")
            all_on(1)
            done(envs[1], "mapping", "apply", str(draft), "--reason", "a test")
            time.sleep(2.5)  # so long an instance may go on by what it has
            marked = town.account("Both", Website="acme.example")
            for url in urls:
                town.salesforce.update(marked, Phone=url)
                path, body, headers = town.callout(marked)
                requests.post(url + path, data=body, headers=headers, timeout=30)
            done(envs[1], "wsdl", "rollback", "--reason", "a test")
            all_on(2)

        def open_ones() -> int:
            with ledger.read() as connection:
                return len(connection.execute(select(message.c.id).where(message.c.state.in_(OPEN))).all())

        until(lambda: not open_ones(), 60, "everything is settled")
        with ledger.read() as connection:
            states = {it.state for it in connection.execute(select(message.c.state))}
            broken = list(audit.verify(connection, AUDIT_KEY))

    assert saving.failed == []
    assert set(saving.answers) <= {200, 202}
    assert len(saving.saved) > 10
    ours = {it.external_id: it for it in town.made("customer") if it.external_id}
    assert {name: ours[f"sf-cus-{name}"].fields.get("phone") for name in saving.saved} == saving.saved
    assert town.doubled() == {}
    assert states <= {"delivered", "unchanged", "superseded"}
    assert broken == []
    assert ours[f"sf-cus-{marked}"].fields["comments"] == "acme.example"


def test_a_change_that_is_killed_has_not_happened(town, newer, tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger'}"
    env = environment(town, url)
    draft = tmp_path / "draft.toml"
    draft.write_text(BASE + COMMENTS, encoding="utf-8")
    done(env, "wsdl", "fetch", "2031_2", "--from", str(newer))
    killed = env | {"BRIDGE_FAILPOINT": "in_change:kill"}

    found = [
        command(killed, "wsdl", "deploy", "2031_2", "--reason", "a test").returncode,
        command(killed, "mapping", "apply", str(draft), "--reason", "a test").returncode,
    ]

    assert found == [-signal.SIGKILL] * 2
    with closing(Ledger(url)) as ledger, ledger.read() as connection:
        assert (kept.newest(connection), configuration.newest_id(connection)) == (0, 0)
        assert list(audit.verify(connection, AUDIT_KEY)) == []
    assert "deployment 1" in done(env, "wsdl", "deploy", "2031_2", "--reason", "again")
    assert "is live" in done(env, "mapping", "apply", str(draft), "--reason", "again")
