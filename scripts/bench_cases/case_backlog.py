"""Choosing the next work out of 50,000 due messages: time, and memory that does not grow with them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from figures import Figure, ms
from postgres import server
from stage import memory_mb

from bridge.ledger import Ledger, lanes, messages

DUE, MOST_MS = 50_000, 10


def measure(full: bool) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="bridge-bench-") as folder:
        yield from _choose("SQLite", f"sqlite:///{Path(folder) / 'backlog.sqlite3'}")
    with server() as new_database:
        if new_database is not None:
            yield from _choose("PostgreSQL", new_database())


def fill(ledger: Ledger, first: int, count: int) -> None:
    now = datetime.now(UTC)
    for start in range(first, first + count, 1000):
        new = [
            messages.New(
                "customer", "Account", f"001{n:012d}AAA", 1, now, f"001{n:012d}AAA", '{"Name":"Acme"}', "callout"
            )
            for n in range(start, min(start + 1000, first + count))
        ]
        with ledger.write() as writing:
            messages.accept(writing, new, "bench")


def _choose(name: str, url: str) -> Iterator[Figure]:
    ledger = Ledger(url)
    ledger.create()
    try:
        found = []
        for backlog in (500, DUE):
            fill(ledger, 0, 500) if backlog == 500 else fill(ledger, 500, DUE - 500)
            own = Path("/proc/self").resolve().name
            before = memory_mb(int(own))
            taken = []
            for _ in range(20):
                with ledger.write() as writing:
                    started = time.perf_counter()
                    leases = lanes.lease(writing.connection, "bench", writing.now, most=50)
                    rows = messages.opened(writing.connection, [it.key for it in leases])
                    taken.append(time.perf_counter() - started)
                    lanes.release(writing.connection, leases, (), writing.now)
                    writing.entries.clear()
                if len(rows) != 50:
                    raise RuntimeError(f"{len(rows)} messages were chosen")
            found.append((median(taken), memory_mb(int(own)) - before))
        (few_s, _), (many_s, grown) = found
        yield Figure(
            f"Choosing 50 lanes out of {DUE:,} due messages, {name}", ms(many_s), f"{ms(few_s)} out of 500",
            f"{many_s / few_s:.1f} ×", f"< {MOST_MS} ms", many_s * 1000 < MOST_MS,
        )  # fmt: skip
        yield Figure(f"Memory that choosing adds, {name}", f"{grown:.1f} MB", "", "", "flat", grown < 2)
    finally:
        ledger.close()
