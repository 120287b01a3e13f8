"""What ``bridge sandbox`` does and shows: the whole house on this machine, until it is stopped."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from bridge import playground
from bridge.errors import BridgeError
from bridge.sandbox.seed_salesforce import seed
from bridge.serving import PortTaken, look_free
from bridge.settings import NotConfigured
from bridge.terminal import fail, out

LAST_PORT = 65535


def run(
    wait: Callable[[], None], *, fast: bool, folder: Path | None, database: str | None, is_empty: bool, port: int
) -> None:
    """Start the house, say where its pages are, and *wait*. With a PostgreSQL *database* others may join it."""
    settings: dict[str, Any] = {}
    if database is not None:
        if not database.startswith(("postgresql://", "postgresql+psycopg://")):
            fail("--database takes a PostgreSQL database: postgresql://…; without it the sandbox makes one of its own.")
        settings = {"database_url": database, "carrier": "procrastinate"}
    if port + 3 > LAST_PORT:
        fail(f"There are no four ports from {port} on.")
    ports = tuple(range(port, port + 4)) if port else (0,) * 4
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        try:
            for each in ports:
                look_free("127.0.0.1", each)
            callouts, console, salesforce, netsuite = ports
            house = playground.start(
                (folder or Path(temporary)) / "bridge.sqlite3",
                latency=playground.INSTANT if fast else playground.SIMULATED,
                port=callouts,
                console_port=console,
                salesforce_port=salesforce,
                netsuite_port=netsuite,
                settings=settings,
            )
        except PortTaken as error:
            fail(f"{error} The sandbox takes four in a row: choose the first with --port, or any with --port 0.")
        except NotConfigured as error:
            fail(*error.problems)
        except (SQLAlchemyError, BridgeError) as error:
            fail(f"The sandbox's database cannot be used ({type(error).__name__}); see --database and --folder.")
        try:
            if not is_empty:
                seed(house.salesforce)
            for name, url in house.pages.items():
                out.print(f"{name}: {url}")
            if folder:
                house.keep_settings(folder / "settings")
                out.print(f"Commands for it: BRIDGE_SECRETS_DIR={folder / 'settings'} bridge errors", soft_wrap=True)
            out.print("Save something in Salesforce and look at NetSuite. Ctrl-C stops everything.")
            wait()
        finally:
            house.stop()
