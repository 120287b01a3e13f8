"""Reading 1,000 orders with 5 lines from one search page: beside zeep's parser, and beside saves meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from callers import account, callout, send
from figures import Figure, ms
from peers import adapter
from stage import HERE, ROOT, Fake, Stage

from bridge.ports import Record, Ref

ORDERS, ROUNDS, FURTHER = 1000, 7, 4
PUSHES = 150  # in each round, so that whole pages are read meanwhile
LESS_CPU, MEMORY_MB, SLOWER = 15, 20, 2.0


def measure(full: bool) -> Iterator[Figure]:
    with Stage(fast=True) as stage:
        path = stage.folder / "page.xml"
        record_page(stage.netsuite.url, path)
        ours, theirs = [], []
        for _ in range(ROUNDS):  # in turn, so that both meet the same machine
            ours.append(_read("bridge", path, 1 + FURTHER))
            theirs.append(_read("zeep", path, 1))
        own_s, zeep_s = median(it["cpu_s"][0] for it in ours), median(it["cpu_s"][0] for it in theirs)
        size = path.stat().st_size / 1e6
        yield Figure(
            f"CPU for a page of {ORDERS} orders × 5 lines, {size:.1f} MB", f"{own_s:.3f} s", f"{zeep_s:.2f} s zeep",
            f"{zeep_s / own_s:.1f} ×", f"≥ {LESS_CPU} ×", zeep_s / own_s >= LESS_CPU,
        )  # fmt: skip
        first, more = median(it["first_mb"] for it in ours), median(it["more_mb"] for it in ours)
        beside = f"{median(it['first_mb'] for it in theirs):.0f} MB zeep"
        yield Figure("Memory for it", f"{first:.1f} MB", beside, "", f"< {MEMORY_MB} MB", first < MEMORY_MB)
        yield Figure(f"Memory for {FURTHER} more pages", f"{more:.1f} MB", "", "", "none", more < 1)
        yield from _meanwhile(stage, path, 5 if not full else 15)


def record_page(url: str, path: Path) -> None:
    """Write the orders into the fake and keep the bytes of its answer to a search."""
    netsuite = adapter(url)
    when = datetime.now(UTC)
    customer = Record(
        Ref("customer", external_id="sf-cus-page"), {"companyName": "Page", "subsidiary": Ref("subsidiary", id="1")}
    )
    netsuite.upsert([customer])
    lines = [
        {"item": Ref("item", id=str(101 + n)), "quantity": Decimal(1), "rate": f"{100 + n}.00",
         "price": Ref("priceLevel", id="-1"), "amount": Decimal(100 + n), "description": f"Fee {n} of this funding"}
        for n in range(5)
    ]  # fmt: skip
    orders = [
        Record(
            Ref("salesOrder", external_id=f"sf-so-page{n}"),
            {"entity": Ref("customer", external_id="sf-cus-page"), "tranDate": when.date(), "memo": f"Funding {n}",
             "subsidiary": Ref("subsidiary", id="1"), "itemList": lines},
        )
        for n in range(ORDERS)
    ]  # fmt: skip
    for start in range(0, ORDERS, 20):
        for outcome in netsuite.upsert(orders[start : start + 20]):
            if isinstance(outcome, Exception):
                raise outcome
    transport = netsuite._wire.transport
    post, kept = transport.post, bytearray()

    def recorded(*given: Any, **named: Any) -> Any:
        answer = post(*given, **named)
        if given[0] != "search":
            return answer
        pieces = answer.pieces

        def copied(cap: int) -> Iterator[bytes]:
            for piece in pieces(cap):
                kept.extend(piece)
                yield piece

        answer.pieces = copied
        return answer

    transport.post = recorded
    found = sum(1 for _ in netsuite.changed("salesOrder", when - timedelta(hours=1), when + timedelta(hours=1)))
    if found != ORDERS:
        raise RuntimeError(f"the fake told of {found} orders")
    path.write_bytes(kept)


def _read(way: str, path: Path, pages: int) -> dict[str, list[float]]:
    command = [sys.executable, HERE / "read_page.py", way, path, str(pages)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    if found["count"] != ORDERS:
        raise RuntimeError(f"{way} read {found['count']} orders")
    return dict(found)


def _meanwhile(stage: Stage, path: Path, rounds: int) -> Iterator[Figure]:
    server = Fake("page", file=str(path))
    try:
        bridge = stage.serve(command=("scripts/bench_cases/house.py",))
        send(bridge.port, [callout("Account", [account(n)]) for n in range(50)])
        quiet, busy, records, number = [], [], 0, 1000
        for _ in range(rounds):
            for times, is_reading in ((quiet, False), (busy, True)):
                number += PUSHES
                if is_reading:
                    bridge.tell(f"read {server.url}")
                times.append(send(bridge.port, [callout("Account", [account(number + n)]) for n in range(PUSHES)]))
                if is_reading:
                    records += int(bridge.tell("rest"))
        pages = records / ORDERS
        if pages < 1:
            raise RuntimeError(f"only {records} records were read while the saves were measured")
        for name in ("p50", "p95"):
            a, b = median(getattr(it, name) for it in quiet), median(getattr(it, name) for it in busy)
            target = (f"≤ {SLOWER:.0f} ×", b / a <= SLOWER) if name == "p95" else ("", None)
            yield Figure(
                f"A push while pages are read ({pages:.1f} of them), {name}",
                ms(b),
                f"{ms(a)} quiet",
                f"{b / a:.1f} ×",
                *target,
            )
    finally:
        server.stop()
