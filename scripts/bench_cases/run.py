"""Runs the measurements that are named, or those of one instance, and prints their figures. Never fails on a time."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from figures import Figure, out, show  # noqa: E402 - its folder is on the path only now

CASES = {
    "push": ("case_push", "Time added to a synchronous push"),
    "peer": ("case_peer", "Beside netsuitesdk, and under the limit"),
    "footprint": ("case_footprint", "Start, memory, idle"),
    "page": ("case_page", "A search page of 1,000 orders with 5 lines"),
    "pull": ("case_pull", "Orders from NetSuite into Salesforce"),
    "bindings": ("case_bindings", "SuiteTalk bindings, changed while saves come in"),
    "preview": ("case_preview", "What a changed mapping would do, foreseen"),
    "accept": ("case_accept", "Accepting durably"),
    "backlog": ("case_backlog", "50,000 due messages"),
    "funding": ("case_funding", "Approved Applications at concurrency 5"),
    "drain": ("case_drain", "Changed records that wait, at concurrency 5"),
    "mass": ("case_mass", "People who save during a mass update"),
    "pages": ("case_pages", "Pages of the console with 1,000,000 messages"),
    "arrivals": ("case_arrivals", "Saves that arrive faster than single calls carry"),
}
USUAL = ("push", "peer", "footprint", "page")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measures the bridge beside what it is compared with."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--all", action="store_true", help="every measurement")
    parser.add_argument("--full", action="store_true", help="the largest sizes")
    parser.add_argument("--list", action="store_true", help="name the measurements")
    given = parser.parse_args()
    if given.list:
        for name, (_, title) in CASES.items():
            out.print(f"{name:10} {title}")
        return
    unknown = [name for name in given.names if name not in CASES]
    if unknown:
        parser.error(f"there is no measurement {', '.join(unknown)}; there are {', '.join(CASES)}")
    began = time.monotonic()
    for name in given.names or (CASES if given.all else USUAL):
        module, title = CASES[name]
        measure: Callable[[bool], Iterator[Figure]] = importlib.import_module(module).measure
        show(title, list(measure(given.full)))
    out.print(
        f"{time.monotonic() - began:.0f} s, on this machine with whatever else it does. Ratios tell more than times."
    )


if __name__ == "__main__":
    main()
