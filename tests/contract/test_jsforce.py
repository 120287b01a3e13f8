"""jsforce 3.10.16, written by people who know the real API, works against the fake Salesforce.

Source of what it expects: its own code. Installed once from the lock file into ``.tools``; skipped visibly where node
is absent or the packages cannot be fetched.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bridge.sandbox.salesforce import FakeSalesforce
from bridge.sandbox.wsgi import SandboxServer

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "jsforce"
pytestmark = [pytest.mark.node, pytest.mark.slow]


@pytest.fixture(scope="session")
def installed() -> Path:
    """The folder that holds jsforce and its witness script."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not here: jsforce cannot be tried")
    lock = (HERE / "package-lock.json").read_bytes()
    folder = ROOT / ".tools" / f"jsforce-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not folder.exists():
        fresh = folder.with_name(f"{folder.name}-{os.getpid()}")  # several test processes may install at once
        fresh.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, fresh)
        try:
            _install(npm, fresh)
            with suppress(OSError):
                fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    shutil.copy(HERE / "witness.mjs", folder)
    return folder


def _install(npm: str, folder: Path) -> None:
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=150, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm could not fetch jsforce in time: there is no network or it is slow")
    if done.returncode:
        pytest.skip(f"npm could not install jsforce: {done.stderr.strip()[-300:]}")


@pytest.fixture
def fake() -> Iterator[FakeSalesforce]:
    made = FakeSalesforce(metadata_dir=ROOT / "salesforce_metadata")
    made.rest.page_size = 200
    yield made
    made.close()


@pytest.fixture
def seen(fake: FakeSalesforce, installed: Path) -> dict[str, Any]:
    """What jsforce saw in one session on a real socket."""
    with SandboxServer(fake) as server:
        token = fake.login.issue(fake.integration_user)
        done = subprocess.run(
            ["node", "witness.mjs", server.url, token, "65.0"],
            cwd=installed,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(240)
def test_jsforce_creates_upserts_collects_pages_and_loads_in_bulk(seen, fake):
    """One session, because starting node costs more than all its calls."""
    assert seen["created"]["success"]
    assert seen["read"] == "Harbor Lane Bakery"
    assert seen["updated"]["success"]
    assert seen["refused"] == "INVALID_FIELD"
    assert seen["upserted"]["created"]
    assert [one["created"] for one in seen["upsertedMany"]] == [False, True]
    assert seen["collection"] == 350
    assert seen["partial"] == ["saved", "REQUIRED_FIELD_MISSING"]
    assert seen["destroyed"] == 2
    assert seen["queried"] == 348
    assert seen["pages"] == 2
    assert seen["described"]
    assert seen["limit"] == fake.api_limit
    assert seen["bulk"] == {"good": ["false", "true"], "bad": ["STRING_TOO_LONG"], "left": 0}
    assert seen["bulkQuery"] == 3
