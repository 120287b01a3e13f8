"""Approved Applications, six NetSuite records each, at concurrency 5 and default latencies, beside the lower bounds."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator

from figures import Figure
from stage import Stage

CONCURRENCY, MOST = 5, 1.15
BASE_S, RECORD_S, READ_S = 0.55, 0.25, 0.4
OPEN = ("pending", "sending", "deferred", "uncertain")


def bound_s(count: int) -> tuple[float, str]:
    """The least time: full lists (100 of weight: entity 2, transaction 5, commission 1), a read a list of orders."""
    lists = count * (3 * 2 + 2 * 5 + 1) / 100
    reads = 2 * count * 5 / 100
    total = lists * BASE_S + 6 * count * RECORD_S + reads * READ_S
    return total / CONCURRENCY, f"{lists:.0f} lists, {6 * count} records, {reads:.0f} reads"


def measure(full: bool) -> Iterator[Figure]:
    count = 1000 if full else 100
    with Stage(fast=False, concurrency=CONCURRENCY) as stage:
        bridge = stage.serve()
        time.sleep(3)
        stage.netsuite.calls()
        stage.salesforce.ask(f"fund {count} http://127.0.0.1:{bridge.port}")
        deadline = time.monotonic() + 3 * bound_s(count)[0] + 60
        while left_open(bridge.port) and time.monotonic() < deadline:
            time.sleep(0.5)
        left = left_open(bridge.port)
        calls = stage.netsuite.calls()
        first, last = calls.pop("first"), calls.pop("last")
        took, (least, what) = last[1] - first[1], bound_s(count)
        did = ", ".join(f"{n} {name}" for name, (n, _) in sorted(calls.items()))
        busy = sum(seconds for _, seconds in calls.values())
        bulk = least * CONCURRENCY / (CONCURRENCY - 1)
        yield Figure(
            f"{count} approved Applications × 6 records", f"{took:.1f} s ({did})",
            f"{bulk:.1f} s bound of mass work, which leaves a slot to interactive saves ({what})",
            f"{took / bulk:.2f} ×", f"≤ {MOST} ×", took / bulk <= MOST and not left,
        )  # fmt: skip
        yield Figure(
            "The same beside the whole limit", f"{took:.1f} s", f"{least:.1f} s bound with that slot in use, too",
            f"{took / least:.2f} ×",
        )  # fmt: skip
        share = busy / CONCURRENCY / took
        yield Figure("Share of the slots' time in use meanwhile", f"{share:.0%}", f"{left} messages left open")


def left_open(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    counts = [line for line in lines if line.startswith("bridge_messages{") and any(f'"{it}"' in line for it in OPEN)]
    delivered = any('"delivered"' in line for line in lines)
    return sum(int(line.rpartition(" ")[2]) for line in counts) + (not delivered)
