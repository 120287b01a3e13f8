"""Comparing two full sets of bindings, going back, and how long a save waits while an instance changes over."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from statistics import median

from callers import Line, account, callout, check_push
from figures import Figure, ms
from stage import ROOT, Stage, full_schemas, own_cpu_s

from bridge.deployment import compared
from bridge.ledger import Ledger
from bridge.ledger import bindings as kept
from bridge.netsuite import sets
from bridge.overlay import site_syncs
from bridge.site import read

COMPARE_S, PAUSE_MS, ROLLBACK_S = 3.0, 50.0, 1.0
ROUNDS = 6
WINDOW_S = 3.0  # around a change; a quiet window before it is as long
Save = tuple[float, float]  # when it began, and how long it took


class Saving:
    """One person who saves without a pause, and how long each save took."""

    def __init__(self, port: int) -> None:
        self._port, self._over = port, threading.Event()
        self.saves: list[Save] = []
        self.failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        line, n = Line(self._port), 0
        try:
            while not self._over.is_set():
                it = callout("Account", [account(n)])
                began = time.monotonic()
                check_push(*line.post(it.path, it.body, it.headers), "delivered")
                self.saves.append((began, time.monotonic() - began))
                n += 1
        except BaseException as error:  # noqa: BLE001 - told at the end
            self.failed = error
        finally:
            line.close()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        if self.failed is not None:
            raise self.failed

    def between(self, start: float, end: float) -> list[float]:
        return [took for began, took in self.saves if start <= began < end]


def measure(full: bool) -> Iterator[Figure]:
    folder = full_schemas()
    if folder is None:
        yield Figure("SuiteTalk bindings", "not measured", "the full schemas are not here")
        return
    older = folder.parent / "2023_2"
    first, second = sets.from_path(older, "2023_2"), sets.from_path(folder, "2025_2")
    syncs = site_syncs(read(ROOT / "bridge" / "demo.toml")[0])
    yield _comparison(first, second, syncs)
    with Stage(fast=True, schema=os.pathsep.join(map(str, (older, folder)))) as stage:
        bridge = stage.serve()
        ledger = Ledger(bridge.settings["BRIDGE_DATABASE_URL"])
        with ledger.write() as writing:
            for it in (first, second):
                kept.keep(writing, it.seal, it.version, "bench", "bench", it.manifest, it.files)
        # One after the other, so that none is still in memory from before.
        turns = [(first.seal, "2023_2"), (second.seal, "2025_2"), (None, "2025_2")]
        saving = Saving(bridge.port)
        time.sleep(WINDOW_S)
        quiet: list[list[float]] = []
        during: list[list[float]] = []
        loading: list[float] = []
        for n in range(ROUNDS * (4 if full else 1)):
            seal, version = turns[n % 3]
            start = time.monotonic()
            time.sleep(WINDOW_S)
            changed = time.monotonic()
            kept.make_live(ledger, seal, version, "deploy", "bench", "bench", after=n)
            while not _is_on(ledger, n + 1):
                time.sleep(0.02)
            loading.append(time.monotonic() - changed)
            time.sleep(max(0.0, WINDOW_S - loading[-1]))
            quiet.append(saving.between(start, changed))
            during.append(saving.between(changed, changed + WINDOW_S))
        saving.stop()
        most, usual = median(map(max, during)), median(map(max, quiet))
        added = most - usual
        yield Figure(
            f"Longest save in {WINDOW_S:.0f} s with a change, median of {len(during)}", ms(most),
            f"{ms(usual)} in a quiet window", f"+ {ms(added)}", f"≤ {PAUSE_MS:.0f} ms", added * 1000 <= PAUSE_MS,
        )  # fmt: skip
        alone, also = (median(it for window in they for it in window) for they in (during, quiet))
        yield Figure("Save at p50, the same windows", ms(alone), f"{ms(also)} quiet", f"+ {ms(alone - also)}")
        worst = max(map(max, during))
        yield Figure("The one longest save of all changes", ms(worst), f"{ms(max(map(max, quiet)))} quiet")
        yield Figure(
            "Until an instance uses another set, load and all", ms(median(loading)), f"longest {ms(max(loading))}"
        )
        yield _rollback(bridge.settings, ledger)
        ledger.close()


def _comparison(first: sets.WsdlSet, second: sets.WsdlSet, syncs: object) -> Figure:
    walls, cpus = [], []
    for _ in range(3):
        began, used = time.perf_counter(), own_cpu_s()
        compared(first, second, syncs)  # type: ignore[arg-type]
        walls.append(time.perf_counter() - began)
        cpus.append(own_cpu_s() - used)
    took = median(walls)
    size = f"{sum(map(len, first.files.values())) / 1e6:.1f} MB each, CPU {median(cpus):.2f} s"
    return Figure("Compare two full versions", f"{took:.2f} s", size, "", f"< {COMPARE_S:.0f} s", took < COMPARE_S)


def _rollback(settings: dict[str, str], ledger: Ledger) -> Figure:
    """The command as a person types it, with the start of the interpreter."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "bridge", "wsdl", "rollback"], cwd=ROOT, check=True, capture_output=True,
            env={**os.environ, **settings},
        )  # fmt: skip
        took.append(time.perf_counter() - began)
    with ledger.read() as connection:
        number = kept.newest(connection)
    told = f"median of 3 (deployment {number})"
    return Figure("bridge wsdl rollback, the whole command", ms(median(took)), told, "", f"< {ROLLBACK_S:.0f} s",
                  median(took) < ROLLBACK_S)  # fmt: skip


def _is_on(ledger: Ledger, number: int) -> bool:
    with ledger.read() as connection:
        found = kept.instances(connection, ledger.now(connection))
        return bool(found) and all(it.n == number for it in found)
