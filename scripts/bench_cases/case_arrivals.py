"""Saves that arrive at random, up to twice as many as single calls can carry: grouping on and off, and the model."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

from callers import Line, Times, account, callout, check_push
from figures import Figure
from stage import Stage

CONCURRENCY, SINGLE_S = 5, 0.8
# Load → p50 and p95 with grouping in a model of 300 s (facts of the design). Without it the queue only grows.
MODEL = {0.5: (0.8, 0.94), 0.95: (0.8, 1.64), 1.2: (0.85, 2.07), 2.0: (1.68, 3.7)}


def measure(full: bool) -> Iterator[Figure]:
    seconds = 60 if full else 15
    for load, (p50, p95) in MODEL.items():
        on = _run(load, seconds, alone=False)
        off = _run(load, seconds, alone=True)
        yield Figure(
            f"Accept to answer at {load} × the load of single calls, {seconds} s",
            f"p50 {on.p50:.2f} s, p95 {on.p95:.2f} s",
            f"without grouping p50 {off.p50:.2f} s, p95 {off.p95:.2f} s", f"p95 {off.p95 / on.p95:.1f} × better",
            f"model: {p50} s, {p95} s",
        )  # fmt: skip


def _run(load: float, seconds: float, *, alone: bool) -> Times:
    with Stage(fast=False, concurrency=CONCURRENCY) as stage:
        bridge = stage.serve(command=("scripts/bench_cases/house.py",), request_budget_s="100")
        if alone:
            bridge.tell("alone")
        time.sleep(3)
        times, lock, failed = Times(), threading.Lock(), []

        def save(n: int) -> None:
            line = Line(bridge.port)
            it = callout("Account", [account(n)])
            started = time.perf_counter()
            try:
                check_push(*line.post(it.path, it.body, it.headers), None)
            except Exception as error:  # noqa: BLE001 - told by the thread that waits
                failed.append(error)
            with lock:
                times.taken.append(time.perf_counter() - started)
            line.close()

        dice = random.Random(7)  # noqa: S311 - the same arrivals for both
        threads, number, end = [], 0, time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(dice.expovariate(load * CONCURRENCY / SINGLE_S))
            number += 1
            threads.append(threading.Thread(target=save, args=(number,)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        return times
