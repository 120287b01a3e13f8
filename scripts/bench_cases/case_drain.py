"""10,000 changed Accounts that wait: how long until NetSuite has all, in how many calls, with how much memory.

Memory grows with what was done, up to about 190 MB after 20,000 records, and not with what waits; for that see `mass`.
The stated time is a fifteenth of a second a record at concurrency 5 and default latencies, 11 minutes for 10,000; it
follows from NetSuite's 0.25 s a record and 0.55 s a list, and the slot that bulk work leaves to people.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from callers import account, callout, send
from case_funding import BASE_S, RECORD_S, left_open
from figures import Figure
from stage import Stage

CONCURRENCY, LIST, MOST = 5, 50, 1.15  # entities of weight 2 in a list of at most 100


def bound_s(count: int) -> float:
    """The least time that leaves a slot to interactive saves."""
    return (count / LIST * BASE_S + count * RECORD_S) / (CONCURRENCY - 1)


def measure(full: bool) -> Iterator[Figure]:
    count = 10_000 if full else 1_000
    with Stage(fast=False, concurrency=CONCURRENCY) as stage:
        bridge = stage.serve()
        time.sleep(3)
        stage.netsuite.calls()
        ids = stage.salesforce.ask(f"accounts {count}")
        changed = [account(n, Id=it) for n, it in enumerate(ids)]
        mass = [callout("Account", changed[n : n + 200]) for n in range(0, count, 200)]
        send(bridge.port, mass[: len(mass) // 5], callers=2, state=None)
        time.sleep(5)
        few_mb = most_mb = bridge.memory_mb
        send(bridge.port, mass[len(mass) // 5 :], callers=2, state=None)
        deadline = time.monotonic() + 2 * bound_s(count) + 60
        while (left := left_open(bridge.port)) and time.monotonic() < deadline:
            most_mb = max(most_mb, bridge.memory_mb)
            time.sleep(0.5)
        calls = stage.netsuite.calls()
        first, last = calls.pop("first"), calls.pop("last")
        took, least = last[1] - first[1], bound_s(count)
        lists, full_lists = calls.get("upsertList", (0, 0.0))[0], count / LIST
        yield Figure(
            f"{count:,} changed Accounts at concurrency {CONCURRENCY}", f"{took:.1f} s, {left} left open",
            f"{least:.1f} s bound of mass work", f"{took / least:.2f} ×", f"≤ {MOST} ×",
            took / least <= MOST and not left,
        )  # fmt: skip
        others = sum(n for n, _ in calls.values()) - lists
        yield Figure(
            "Calls that this took", f"{lists} lists, {others} of jobs and look-ups", f"{full_lists:.0f} full lists",
            f"{lists / full_lists:.2f} ×",
        )  # fmt: skip
        yield Figure(
            "Memory of the process, most meanwhile", f"{most_mb:.0f} MB", f"{few_mb:.0f} MB with a fifth of it waiting",
            f"+ {most_mb - few_mb:.0f} MB",
        )  # fmt: skip
