"""A process of the version before the newest migration beside one of this version, on one database (fault 71).

The earlier version is taken from the history of this checkout, with its own tests' words for putting a bridge together.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from bridge.delivery import Delivery
from bridge.ledger import Ledger, migrate
from bridge.ledger.models import message
from bridge.mapping import Syncs
from bridge.ports import Ref
from bridge.receiving import as_received
from tests.faults.world import ROOT

VERSIONS = "bridge/ledger/migrations/versions"
PARTS = ("bridge", "tests", "suitetalk_wsdl", "salesforce_metadata")
WAIT_S = 20

# What the process of the earlier version does: it takes in what it is told to, and carries over until it is ended.
PROGRAM = """
import json, pathlib, sys, time
import bridge
from bridge.carriers.embedded import Embedded
from bridge.ledger import migrate
from bridge.ports import Ref
from bridge.receiving import as_received
from tests.faults import world

options, own = json.loads(sys.argv[1]), sys.argv[2]
assert pathlib.Path(bridge.__file__).is_relative_to(own), bridge.__file__
house = world.compose(options)
found = house.salesforce.get([Ref("Account", id=it) for it in options["first"]], house.engine.syncs.reads("Account"))
house.engine.receive([as_received(it) for it in found], origin="sweep", correlation="earlier")
carrier = Embedded(house.engine, threads=1)
carrier.prepare()
carrier.start()
print(migrate.HEAD, flush=True)
while True:
    time.sleep(0.2)
    carrier.wake()
"""


def git(*words: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree before the commit that brought the newest migration."""
    (newest,) = (ROOT / VERSIONS).glob(f"{migrate.HEAD}_*.py")
    try:
        brought = git("log", "--diff-filter=A", "--format=%H", "-1", "--", f"{VERSIONS}/{newest.name}").decode().strip()
        tree = git("archive", f"{brought}^", *PARTS) if brought else b""
    except (OSError, subprocess.CalledProcessError):
        tree = b""
    if not tree:
        pytest.skip("the history of this checkout, which has the version before, is not here")
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=BytesIO(tree)) as packed:
        packed.extractall(folder, filter="data")
    return folder


@contextmanager
def running(earlier: Path, options: dict[str, Any]) -> Iterator[str]:
    """Run the earlier version, and give the schema that it believes in."""
    env = {name: it for name, it in os.environ.items() if not name.startswith("BRIDGE_")}
    words = [sys.executable, "-c", PROGRAM, json.dumps(options), str(earlier)]
    env |= {"PYTHONPATH": str(earlier), "PYTHONSAFEPATH": "1"}
    process = subprocess.Popen(words, cwd=earlier, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def rows(ledger: Ledger, **wanted: Any) -> list[Any]:
    query = select(message).order_by(message.c.id)
    for name, value in wanted.items():
        query = query.where(message.c[name] == value)
    with ledger.read() as connection:
        return list(connection.execute(query))


def until(holds: Any) -> None:
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def received(house: Any, account: str) -> list[int]:
    (found,) = house.salesforce.get([Ref("Account", id=account)], house.engine.syncs.reads("Account"))
    return house.engine.receive([as_received(found)], origin="sweep", correlation="newer")


@pytest.mark.slow
def test_the_version_before_and_this_one_share_one_database(earlier, town, bare_database_url, house):
    first = town.account("Taken in by the earlier one")
    options = {"urls": town.urls, "database": bare_database_url, "secret": town.secret, "first": [first]}
    with running(earlier, options) as schema:
        before = Ledger(bare_database_url)
        until(lambda: rows(before, sync="customer", state="delivered"))

        newer = house(options)  # migrates the database under the earlier one, which goes on working
        second, strange = town.account("Taken in by this one"), town.account("Of a kind of tomorrow")
        received(newer, second)
        (tomorrow,) = received(newer, strange)
        with newer.ledger.write() as writing:
            kind = update(message).where(message.c.id == tomorrow).values(sync="customer_of_tomorrow")
            writing.connection.execute(kind)
        until(lambda: rows(newer.ledger, sync="customer", source_id=second, state="delivered"))
        until(lambda: rows(newer.ledger, id=tomorrow)[0].state != "pending")
        left = rows(newer.ledger, id=tomorrow)[0]
        town.salesforce.update(first, Phone="2")
        town.salesforce.update(second, Phone="2")
        mine = received(newer, first) + received(newer, second)
        newer.engine.deliver(most=50)  # whoever is quicker has the lane
        until(lambda: all(it.state == "delivered" for it in rows(newer.ledger) if it.id in mine))
    before.close()
    pushes = dict(newer.engine.syncs.pushes)
    pushes["customer_of_tomorrow"] = replace(pushes["customer"], name="customer_of_tomorrow")
    syncs = Syncs(pushes, newer.engine.syncs.pulls, newer.engine.syncs.context)
    newer.engine = Delivery(ledger=newer.ledger, syncs=syncs, netsuite=newer.engine.netsuite,
                            salesforce=newer.engine.salesforce)  # fmt: skip
    newer.recover()

    assert schema < migrate.HEAD
    assert migrate.revision(newer.ledger.engine) == migrate.HEAD
    assert (left.state, left.code) == ("deferred", "SYNC_UNKNOWN_HERE")
    assert rows(newer.ledger, id=tomorrow)[0].state == "delivered"
    assert not town.doubled()
    assert len(town.made("customer")) == 3
    assert [it.fields.get("phone") for it in town.made("customer")] == ["2", "2", None]
    newer.check()
