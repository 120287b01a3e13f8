"""How many records are accepted durably in a second, and whether a second process helps, while NetSuite is paused.

Accepted is what was answered over HTTP, signed, after its commit; the callers are threads of this process, and what
their work costs is told beside it, for it is done on the same cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from statistics import median
from typing import Any

from callers import Callout, Times, account, callout, send
from figures import Figure, ms
from postgres import server
from stage import ROOT, Serving, Stage, own_cpu_s

BATCHES, SINGLES, CALLERS, ROUNDS = 40, 400, 8, 3
RECORDS_S, SINGLES_S, P99_MS = 5000, 500, 40


def measure(full: bool) -> Iterator[Figure]:
    with Stage(fast=True) as stage:
        yield from _accept("SQLite", stage, {})
        with server() as new_database:
            if new_database is None:
                yield Figure("PostgreSQL", "not measured", "there is no server")
                return
            yield from _accept("PostgreSQL", stage, {"database_url": new_database(), "carrier": "procrastinate"})


def _paused(stage: Stage, changes: dict[str, str]) -> Serving:
    """Start an instance that accepts and does not send: what it accepts must not wait for NetSuite here."""
    bridge = stage.serve(**changes)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
    subprocess.run(
        [sys.executable, "-m", "bridge", "pause", "*netsuite"], cwd=ROOT, check=True, capture_output=True,
        env={**environment, **bridge.settings},
    )  # fmt: skip
    return bridge


def _accept(name: str, stage: Stage, changes: dict[str, str]) -> Iterator[Figure]:
    bridge = _paused(stage, changes)
    number = 1_000_000
    rates, singles = [], []
    spent = [0.0, 0.0]  # CPU of the bridge and of the callers, for one batch
    for _ in range(ROUNDS):
        saves = [callout("Account", [account(number + 200 * n + k) for k in range(200)]) for n in range(BATCHES)]
        number += 200 * BATCHES
        before = bridge.cpu_s, own_cpu_s()
        done = send(bridge.port, saves, callers=4, state=None)
        spent = [(bridge.cpu_s - before[0]) / BATCHES, (own_cpu_s() - before[1]) / BATCHES]
        rates.append(200 * BATCHES / done.wall_s)
        saves = [callout("Account", [account(number + n)]) for n in range(SINGLES)]
        number += SINGLES
        singles.append(send(bridge.port, saves, callers=CALLERS, state=None))
    rate = median(rates)
    yield Figure(
        f"Accepted in batches of 200, {name}",
        f"{rate:,.0f} records/s",
        "",
        f"{ms(spent[0])} CPU a batch, callers {ms(spent[1])}",
        f"≥ {RECORDS_S:,}/s",
        rate >= RECORDS_S,
    )
    alone, p99 = median(SINGLES / it.wall_s for it in singles), median(it.p99 for it in singles)
    yield Figure(
        f"Accepted one by one from {CALLERS} callers, {name}", f"{alone:,.0f} records/s, p99 {ms(p99)}", "", "",
        f"≥ {SINGLES_S}/s, p99 < {P99_MS} ms", alone >= SINGLES_S and p99 * 1000 < P99_MS,
    )  # fmt: skip
    if name == "PostgreSQL":
        second = stage.serve(**changes)
        ports, both, singly = [bridge.port, second.port], [], []
        for _ in range(ROUNDS):
            both.append(_two(ports, [callout("Account", it) for it in _batches(number)], callers=2))
            number += 200 * BATCHES
            singly.append(_two(ports, [callout("Account", [account(number + n)]) for n in range(SINGLES)], callers=4))
            number += SINGLES
        more = 200 * median(both)
        yield Figure(
            "Accepted in batches of 200 by two processes, PostgreSQL", f"{more:,.0f} records/s", f"{rate:,.0f} by one",
            f"{more / rate:.2f} ×", "> 1 ×", more > rate,
        )  # fmt: skip
        yield Figure(
            f"Accepted one by one from {CALLERS} callers by two processes, PostgreSQL",
            f"{median(singly):,.0f} records/s",
            f"{alone:,.0f} by one",
            f"{median(singly) / alone:.2f} ×",
        )
        second.stop()
    bridge.stop()


def _batches(number: int) -> Iterator[list[dict[str, Any]]]:
    return ([account(number + 200 * n + k) for k in range(200)] for n in range(BATCHES))


def _two(ports: list[int], saves: list[Callout], *, callers: int) -> float:
    """Send *saves* to both processes, from so many callers each, and return how many were answered in a second."""
    times: list[Times] = []
    threads = [
        threading.Thread(
            target=lambda n=n, port=port: times.append(send(port, saves[n::2], callers=callers, state=None))
        )
        for n, port in enumerate(ports)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(saves) / max(it.wall_s for it in times)
