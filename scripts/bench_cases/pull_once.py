"""One pull in a fresh process: ``pull_once.py ACCOUNTS.json``; it tells what it cost. The environment is a bridge's.

The links of the customers are made beforehand, as pushes would have; not a part of what is measured.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

sys.path.insert(0, str(Path(__file__).parents[2]))

from bridge.app import PULLED, Bridge, build, run_job
from bridge.backfill import backfill
from bridge.ledger import links
from bridge.ledger.links import Link
from bridge.pulling import pull
from bridge.settings import Settings
from bridge.site import read

SYNC = "sales_order_mirror"
SINCE, UNTIL = datetime(2023, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)


def memory_mb(name: str = "VmRSS") -> float:
    line = next(it for it in Path("/proc/self/status").read_text().splitlines() if it.startswith(name))
    return int(line.split()[1]) / 1024


def used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def opened() -> Iterator[Bridge]:
    settings = Settings()  # type: ignore[call-arg]  # from the environment
    site, _ = read(Path(str(settings.config)))
    bridge = build(settings, site)
    bridge.start(work=False)
    try:
        yield bridge
    finally:
        bridge.stop()


def linked(bridge: Bridge, customers: dict[str, str]) -> None:
    now = datetime.now(UTC)
    with bridge.ledger.write() as writing:
        links.save(
            writing,
            [
                Link("customer", account, "customer", customer, 1, now, "-", f"sf-cus-{account}")
                for account, customer in customers.items()
            ],
        )


def nothing_new(bridge: Bridge) -> dict[str, Any]:
    """Run every pull until there is nothing new, and once more: what that takes, and which calls it makes."""
    url = str(bridge.settings.netsuite_url)

    def calls() -> Counter[str]:
        return Counter(requests.get(f"{url}/sandbox/calls", timeout=60).json()["counts"])

    jobs = [name for name, kinds in PULLED.items() if kinds]
    for name in jobs:
        run_job(bridge, name)
    counts, usage, began = calls(), bridge.salesforce.usage, time.perf_counter()
    now = bridge.netsuite.now()
    for it in bridge.engine.syncs.pulls:
        report = pull(bridge.engine, it, now=now)
        if report.read:
            raise RuntimeError(f"{it}: {report.sentence()}")
    took = time.perf_counter() - began
    after = bridge.salesforce.usage
    return {
        "kinds": len(bridge.engine.syncs.pulls),
        "nothing_s": took,
        "nothing_calls": calls() - counts,
        "nothing_salesforce": (after or (0, 0))[0] - (usage or (0, 0))[0],
    }


def main(customers: dict[str, str]) -> None:
    with opened() as bridge:
        linked(bridge, customers)
        engine = bridge.engine
        list(engine.netsuite.windows("salesOrder", UNTIL, UNTIL))  # logs in, loads what is loaded once
        gc.collect()
        memory, cpu, wall = memory_mb(), used_s(), time.perf_counter()
        taken = backfill(engine, SYNC, SINCE, UNTIL)
        while engine.deliver([SYNC]):
            pass
        told = {
            "read": taken.read,
            "cpu_s": used_s() - cpu,
            "wall_s": time.perf_counter() - wall,
            "before_mb": memory,
            "peak_mb": memory_mb("VmHWM"),
            **nothing_new(bridge),
        }
        print(json.dumps(told))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
