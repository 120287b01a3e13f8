"""A mass update of 50,000 Accounts in 250 callouts, and how long what people save meanwhile takes to be delivered."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing

from callers import Line, Times, account, callout, check_push, contact, send
from figures import Figure
from stage import Stage

CONCURRENCY, MOST_S, EVERY_S, FLAT_MB = 5, 8, 4.0, 20
PEOPLE = 900_000_000  # their records' numbers, apart from those of the mass update


def measure(full: bool) -> Iterator[Figure]:
    calls, seconds = (250, 150) if full else (50, 60)
    with Stage(fast=False, concurrency=CONCURRENCY) as stage:
        bridge = stage.serve(request_budget_s="60")
        time.sleep(3)
        people = People(bridge.port, seconds)
        people.start()
        mass = [callout("Account", [account(n * 200 + k) for k in range(200)]) for n in range(calls)]
        first = send(bridge.port, mass[: calls // 5], callers=4, state=None)
        few_mb = bridge.memory_mb
        rest = send(bridge.port, mass[calls // 5 :], callers=4, state=None)
        many_mb = bridge.memory_mb
        people.join()
        if people.failed is not None:
            raise people.failed
        stored, settled = _stored(stage)
        yield Figure(
            f"{200 * calls:,} Accounts accepted in {calls} callouts", f"{first.wall_s + rest.wall_s:.1f} s",
            f"{stored:,} stored, {settled:,} delivered after {seconds} s", "", "none lost", stored == 200 * calls,
        )  # fmt: skip
        end_mb = max(many_mb, bridge.memory_mb)
        yield Figure(
            f"Memory of the process with {200 * calls:,} waiting", f"{many_mb:.0f} MB, {end_mb:.0f} MB at the end",
            f"{few_mb:.0f} MB with {40 * calls:,}", f"+ {end_mb - few_mb:.0f} MB", "flat", end_mb - few_mb < FLAT_MB,
        )  # fmt: skip
        for what, times in (("An Account", people.accounts), ("A Contact", people.contacts)):
            yield Figure(
                f"{what} that a person saves meanwhile, delivered, {len(times.taken)} saves",
                f"p50 {times.p50:.1f} s, p95 {times.p95:.1f} s, worst {max(times.taken):.1f} s", "", "",
                f"< {MOST_S} s", max(times.taken) < MOST_S,
            )  # fmt: skip


class People(threading.Thread):
    """Saves a new Account, and when it is delivered its Contact, every few seconds."""

    def __init__(self, port: int, seconds: float) -> None:
        super().__init__()
        self._port, self._end = port, time.monotonic() + seconds
        self.accounts, self.contacts = Times(), Times()
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            self._save()
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits
            self.failed = error

    def _save(self) -> None:
        line, number = Line(self._port), PEOPLE
        while time.monotonic() < self._end:
            number += 1
            for it, times in (
                (callout("Account", [account(number)]), self.accounts),
                (callout("Contact", [contact(number, number)]), self.contacts),
            ):
                started = time.perf_counter()
                check_push(*line.post(it.path, it.body, it.headers), "delivered")
                times.taken.append(time.perf_counter() - started)
                time.sleep(EVERY_S / 2)
        line.close()


def _stored(stage: Stage) -> tuple[int, int]:
    """Say how many Accounts of the mass update are in the ledger, and how many of them were delivered."""
    query = (
        "SELECT count(DISTINCT source_id), count(DISTINCT CASE WHEN state = 'delivered' THEN source_id END)"
        " FROM message WHERE sync = 'customer' AND source_id < ?"
    )
    with closing(sqlite3.connect(stage.folder / "bridge-0.sqlite3")) as connection:
        stored, settled = connection.execute(query, (f"001{PEOPLE:012d}",)).fetchone()
    return stored, settled
