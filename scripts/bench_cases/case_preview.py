"""A preview of the newest 200 records of every sync, beside the same records read one by one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from figures import Figure
from stage import ROOT, Serving, Stage, own_cpu_s

from bridge.app import Bridge, build
from bridge.configuring import read
from bridge.preview import preview
from bridge.settings import load

RECORDS, SINGLY, MOST_S = 200, 20, 5.0
# Each sync writes one field differently, so that every record has to be read from NetSuite.
CHANGED = "".join(
    f'[sync.{sync}.fields.{field}]\nconst = "as agreed"\n'
    for sync, field in (
        ("customer", "comments"), ("vendor", "comments"), ("contact", "comments"), ("sales_order", "memo"),
        ("purchase_order", "memo"),
    )
)  # fmt: skip


class OneByOne:
    """A system of which every record is asked for in a call of its own."""

    def __init__(self, netsuite: Any) -> None:
        self._netsuite = netsuite

    def get(self, refs: Sequence[Any]) -> list[Any]:
        return [found for ref in refs for found in self._netsuite.get([ref])]


def measure(full: bool) -> Iterator[Figure]:
    with Stage(fast=True, concurrency=5) as stage:
        serving = stage.serve()
        stage.salesforce.ask(f"fund {RECORDS} http://127.0.0.1:{serving.port}")
        bridge = _quiet(serving)
        try:
            stage.netsuite.ask("pace")
            draft = stage.folder / "draft.toml"
            draft.write_text((ROOT / "bridge" / "demo.toml").read_text() + CHANGED)
            syncs = read(draft.read_text())[1]
            stage.netsuite.calls()
            began, used = time.perf_counter(), own_cpu_s()
            seen = preview(bridge.ledger, bridge.netsuite, bridge.salesforce, syncs, last=RECORDS)
            took, cpu = time.perf_counter() - began, own_cpu_s() - used
            asked = {name: count for name, (count, _) in stage.netsuite.calls().items() if count}
            began = time.perf_counter()
            few = preview(bridge.ledger, OneByOne(bridge.netsuite), bridge.salesforce, syncs, last=SINGLY)  # type: ignore[arg-type]
            singly = (time.perf_counter() - began) / sum(few.counts[it] for it in ("create", "update"))
            counts = ", ".join(f"{count} {what}" for what, count in sorted(seen.counts.items()))
            alone = singly * sum(seen.counts[it] for it in ("create", "update"))
            yield Figure(
                f"Preview, newest {RECORDS} of each sync: {counts}", f"{took:.2f} s",
                f"{alone:.0f} s one by one ({len(few.records)} measured)", f"{alone / took:.0f} times",
                f"< {MOST_S:.0f} s", took < MOST_S,
            )  # fmt: skip
            reads = ", ".join(f"{count} {name}" for name, count in asked.items() if name not in ("first", "last"))
            yield Figure("Reads of that preview, and its CPU time", reads, f"{cpu:.2f} s")
            one = time.perf_counter()
            seen = preview(bridge.ledger, bridge.netsuite, bridge.salesforce, syncs, last=RECORDS, sync="sales_order")
            one = time.perf_counter() - one
            yield Figure(f"Preview of {RECORDS} sales orders alone", f"{one:.2f} s", "", "", f"< {MOST_S:.0f} s",
                         one < MOST_S)  # fmt: skip
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "bridge", "mapping", "preview", str(draft), "--last", str(RECORDS)], cwd=ROOT,
                check=True, capture_output=True, env={**os.environ, **serving.settings},
            )  # fmt: skip
            whole = time.perf_counter() - began
            yield Figure("The whole command, all syncs, with its start", f"{whole:.2f} s", "", "", f"< {MOST_S:.0f} s",
                         whole < MOST_S)  # fmt: skip
        finally:
            bridge.stop()


def _quiet(serving: Serving) -> Bridge:
    """Wait until everything is delivered; return a bridge of this process on the same database."""
    os.environ.update(serving.settings)
    settings, site = load(connecting=True)
    bridge = build(settings, site)
    bridge.start(work=False)
    end = time.monotonic() + 120
    while True:
        with bridge.ledger.read() as connection:
            left = connection.exec_driver_sql(
                "SELECT count(*) FROM message WHERE state IN ('pending', 'deferred', 'sending', 'uncertain')"
            ).scalar()
            made = connection.exec_driver_sql("SELECT count(*) FROM link WHERE sync = 'purchase_order'").scalar()
        if not left and made == RECORDS:
            return bridge
        if time.monotonic() > end:
            raise RuntimeError(f"after two minutes {left} messages are open")
        time.sleep(0.2)
