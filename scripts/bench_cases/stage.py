"""The stage of a measurement: fakes and the bridge, each in a process of its own, on this machine only.

``Stage`` starts and ends them, knows their memory and their CPU time, and gives each a free port and a new database.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SECRET = "bench-" * 8
ORG = "00D5e0000000001EAA"
QUIET = """
[schedule.jobs.sweep]
enabled = false
[schedule.jobs.orders]
enabled = false
[schedule.jobs.remittances]
enabled = false
[schedule.jobs.probe]
enabled = false
"""
TICK = os.sysconf("SC_CLK_TCK")


def full_schemas() -> Path | None:
    """The folder of the full SuiteTalk set, where there is one."""
    folder = Path(os.environ.get("BRIDGE_SHARED") or ROOT.parent / "shared") / "suitetalk" / "2025_2"
    return folder if folder.is_dir() else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    line = next(it for it in Path(f"/proc/{pid}/status").read_text().splitlines() if it.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def cpu_s(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Fake:
    """One fake, running; see ``fakes.py``."""

    def __init__(self, kind: str, **given: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, HERE / "fakes.py", kind, json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"the fake {kind} did not start")

    def calls(self) -> dict[str, tuple[int, float]]:
        """Calls and seconds of latency by operation since this was asked before; ``first`` and ``last`` are times."""
        return {name: (count, seconds) for name, (count, seconds) in self.ask("calls").items()}

    def ask(self, line: str) -> Any:
        """Give a command and return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    @property
    def cpu_s(self) -> float:
        return cpu_s(self.process.pid)

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Stage:
    """A folder, two fakes and any number of bridges; ends all of them."""

    def __init__(self, *, fast: bool = True, concurrency: int = 15, schema: Path | str | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bridge-bench-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.concurrency = concurrency
        self.netsuite = Fake("netsuite", fast=fast, concurrency=concurrency, schema=schema and str(schema))
        self.salesforce = Fake("salesforce")
        self._bridges: list[Serving] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for bridge in self._bridges:
            bridge.stop()
        self.netsuite.stop()
        self.salesforce.stop()
        self._folder.cleanup()

    def settings(self, **changes: str) -> dict[str, str]:
        """The environment of one instance, with a database of its own unless *changes* name one.

        *jobs* leaves the schedule on, *site* is added to the site's file.
        """
        site = (ROOT / "bridge" / "demo.toml").read_text() + ("" if changes.pop("jobs", "") else QUIET)
        site += changes.pop("site", "")
        config = self.folder / f"site-{len(self._bridges)}.toml"
        config.write_text(site)
        values = {
            "environment": "sandbox",
            "config": str(config),
            "database_url": f"sqlite:///{self.folder}/bridge-{len(self._bridges)}.sqlite3",
            "log_level": "error",
            "port": str(free_port()),
            "console_port": str(free_port()),
            "request_budget_s": "60",
            "signing_keys": json.dumps({"bench": {"secret": SECRET}}),
            "netsuite_account": "1234567",
            "netsuite_consumer_key": "sandbox-consumer-key",
            "netsuite_consumer_secret": "sandbox-consumer-secret",
            "netsuite_token_id": "sandbox-token-id",
            "netsuite_token_secret": "sandbox-token-secret",
            "netsuite_url": self.netsuite.url,
            "netsuite_concurrency": str(self.concurrency),
            "salesforce_url": self.salesforce.url,
            "salesforce_org_id": ORG,
            "salesforce_client_id": "sandbox-consumer-key",
            "salesforce_client_secret": "sandbox-consumer-secret",
            **changes,
        }
        return {f"BRIDGE_{name.upper()}": value for name, value in values.items()}

    def serve(self, *, command: tuple[str, ...] = ("-m", "bridge", "serve"), **changes: str) -> Serving:
        """Start an instance and wait until it is ready."""
        bridge = Serving(self.settings(**changes), command)
        self._bridges.append(bridge)
        return bridge


class Serving:
    """One `bridge serve`. *ready_s* is how long it took from the start of the process to the first 200."""

    def __init__(self, settings: dict[str, str], command: tuple[str, ...]) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BRIDGE_", "DATABASE_URL"))}
        self.settings = settings
        self.port = int(settings["BRIDGE_PORT"])
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**kept, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                    if answer.status == 200:
                        break
            except (urllib.error.URLError, OSError):
                if self.process.poll() is not None:
                    raise RuntimeError("the bridge did not start") from None
            if time.perf_counter() - started > 60:
                raise RuntimeError("the bridge is not ready after a minute")
            time.sleep(0.005)
        self.ready_s = time.perf_counter() - started

    @property
    def memory_mb(self) -> float:
        return memory_mb(self.process.pid)

    @property
    def cpu_s(self) -> float:
        return cpu_s(self.process.pid)

    def tell(self, line: str) -> str:
        """Give a command to an instance that was started by ``house.py``, and return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
