"""How soon an instance serves, what it needs when nothing happens: memory and CPU."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from figures import Figure
from stage import Stage, full_schemas

ROUNDS = 5
READY_S, SUBSET_MB, FULL_MB, IDLE = 1.5, 120, 150, 0.03
SETTLE_S = 3.0  # names are learned in the background after the start


def measure(full: bool) -> Iterator[Figure]:
    with Stage(fast=True) as stage:
        ready, memory = [], []
        for _ in range(ROUNDS):
            bridge = stage.serve()
            ready.append(bridge.ready_s)
            time.sleep(SETTLE_S)
            memory.append(bridge.memory_mb)
            bridge.stop()
        yield _ready("Ready to serve, subset", ready)
        again = stage.serve()
        database = again.settings["BRIDGE_DATABASE_URL"]
        again.stop()
        ready = []
        for _ in range(ROUNDS):
            bridge = stage.serve(database_url=database)
            ready.append(bridge.ready_s)
            bridge.stop()
        yield _ready("Ready to serve, a database that is up to date", ready)
        yield _memory("Resident memory idle, subset", memory, SUBSET_MB)
        folder = full_schemas()
        if folder is None:
            yield Figure("Resident memory idle, full set", "not measured", "the full schemas are not here")
        else:
            bridge = stage.serve(suitetalk_wsdl=str(folder))
            time.sleep(SETTLE_S)
            yield _ready("Ready to serve, full set", [bridge.ready_s])
            yield _memory("Resident memory idle, full set", [bridge.memory_mb], FULL_MB)
            bridge.stop()
        bridge = stage.serve(jobs="on")
        time.sleep(SETTLE_S)
        seconds = 60 if full else 20
        used = bridge.cpu_s
        time.sleep(seconds)
        share = (bridge.cpu_s - used) / seconds
        yield Figure("CPU of an idle instance", f"{share:.1%} over {seconds} s", "", "", "< 3 %", share < IDLE)


def _ready(name: str, seconds: list[float]) -> Figure:
    took = median(seconds)
    told = f"{took:.2f} s (best {min(seconds):.2f})"
    return Figure(name, told, "", "", f"< {READY_S} s", took < READY_S)


def _memory(name: str, found: list[float], most: int) -> Figure:
    used = median(found)
    return Figure(name, f"{used:.0f} MB", "", "", f"< {most} MB", used < most)
