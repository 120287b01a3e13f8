"""Orders with 5 lines from the fake NetSuite into the fake Salesforce: cost, memory, time, and what a script costs."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from figures import Figure
from lxml import etree
from peers import adapter
from stage import HERE, ROOT, Stage, full_schemas

from bridge.ports import Record, Ref

LARGE, FULL, SCRIPTED = 10_000, 100_000, 900  # the script reads one page
CPU_MS, GROWTH_MB, SLOWER, LESS_CPU, NOTHING_S = 1.2, 50, 1.3, 4, 0.3
SIDE_BY_SIDE = 5  # as the bridge calls Salesforce
POLL_S = 0.02  # how often the bare client looks whether a bulk job has ended; the bridge looks less often


def measure(full: bool) -> Iterator[Figure]:
    count = FULL if full else LARGE
    with _Ready(count // 10) as ready:
        few = ready.pull()
    with _Ready(count) as ready:
        seen = ready.stage.folder / "seen"
        told = ready.pull(record=seen)
        cpu_ms = told["cpu_s"] / count * 1000
        fakes = f"fakes: {told['netsuite_ms']:.2f} ms NetSuite, {told['salesforce_ms']:.2f} ms Salesforce"
        yield Figure(
            f"CPU of the bridge an order, of {count} orders × 5 lines: read, compared, stored, written",
            f"{cpu_ms:.2f} ms", fakes, "", f"< {CPU_MS} ms", cpu_ms < CPU_MS,
        )  # fmt: skip
        growth = told["peak_mb"] - few["peak_mb"]
        yield Figure(
            f"Peak memory, {count} orders beside {count // 10}",
            f"{told['peak_mb']:.0f} MB", f"{few['peak_mb']:.0f} MB",
            f"{growth:+.0f} MB", f"< {GROWTH_MB} MB", growth < GROWTH_MB,
        )  # fmt: skip
        with _Ready(count) as bare:
            apart = bare.replay(seen, hands=1)
        with _Ready(count) as bare:
            at_once = bare.replay(seen, hands=2)
        for name, beside_s in (("one after the other", apart), ("both at once", at_once)):
            ratio = told["wall_s"] / beside_s
            yield Figure(
                f"Time of the pull, beside the same bytes with no bridge, {name}", f"{told['wall_s']:.1f} s",
                f"{beside_s:.1f} s", f"{ratio:.2f} ×", f"≤ {SLOWER} ×", ratio <= SLOWER,
            )  # fmt: skip
        yield from _nothing_new(told)
    yield from _beside_a_script()


def _nothing_new(told: dict[str, Any]) -> Iterator[Figure]:
    calls = ", ".join(f"{count} {name}" for name, count in sorted(told["nothing_calls"].items()))
    seconds = told["nothing_s"]
    kinds = told["kinds"]
    wanted = {"getServerTime": 1, "search": kinds, "getDeleted": kinds}
    yield Figure(
        f"A run of all {kinds} kinds with nothing new", f"{seconds:.3f} s, {calls}", "1 search and 1 getDeleted a kind",
        f"{told['nothing_salesforce']} calls to Salesforce", f"< {NOTHING_S} s",
        seconds < NOTHING_S and told["nothing_calls"] == wanted and not told["nothing_salesforce"],
    )  # fmt: skip


def _beside_a_script() -> Iterator[Figure]:
    folder = full_schemas()
    if folder is None:
        yield Figure("CPU beside netsuitesdk and simple-salesforce", "not measured", "the full schemas are not here")
        return
    with _Ready(SCRIPTED, schema=folder) as ready:
        theirs = ready.script()
    with _Ready(SCRIPTED) as ready:
        ours = ready.pull()
    own_ms, their_ms = (it["cpu_s"] / SCRIPTED * 1000 for it in (ours, theirs))
    yield Figure(
        f"CPU an order beside netsuitesdk + simple-salesforce, {SCRIPTED} orders", f"{own_ms:.2f} ms",
        f"{their_ms:.2f} ms", f"{their_ms / own_ms:.1f} ×", f"≥ {LESS_CPU} ×", their_ms / own_ms >= LESS_CPU,
    )  # fmt: skip


class _Ready:
    """Two fakes: Accounts in one; in the other their customers and *count* orders."""

    def __init__(self, count: int, schema: Path | None = None) -> None:
        self._count = count
        self.stage = Stage(fast=True, schema=schema)
        self._accounts = self.stage.salesforce.ask(f"accounts {min(1000, max(50, count // 100))}")
        self._fill()

    def __enter__(self) -> _Ready:
        return self

    def __exit__(self, *problem: object) -> None:
        self.stage.__exit__(*problem)

    def _fill(self) -> None:
        url, folder = self.stage.netsuite.url, self.stage.folder
        netsuite = adapter(url)
        parent = Ref("subsidiary", id="1")
        first = Record(Ref("customer", external_id="sf-cus-first"), {"companyName": "First", "subsidiary": parent})
        lines = [
            {"item": Ref("item", id=str(101 + n)), "quantity": Decimal(1), "rate": f"{100 + n}.00",
             "price": Ref("priceLevel", id="-1"), "amount": Decimal(100 + n), "description": f"Fee {n} of this funding"}
            for n in range(5)
        ]  # fmt: skip
        order = Record(
            Ref("salesOrder", external_id="sf-so-first"),
            {"entity": first.ref, "tranDate": datetime(2024, 6, 1, tzinfo=UTC).date(), "memo": "Funding",
             "subsidiary": parent, "itemList": lines},
        )  # fmt: skip
        for outcome in (*netsuite.upsert([first]), *netsuite.upsert([order])):
            if isinstance(outcome, Exception):
                raise outcome
        ids = folder / "accounts.json"
        ids.write_text(json.dumps(self._accounts))
        self.stage.netsuite.ask(f"customers {ids}")
        self.stage.netsuite.ask(f"orders {self._count}")
        rows = requests.get(f"{url}/sandbox/records/customer", timeout=60).json()
        by_key = {row["externalId"]: row["id"] for row in rows}
        self.customers = folder / "customers.json"
        self.customers.write_text(json.dumps({it: by_key[f"sf-cus-{it}"] for it in self._accounts}))

    def _run(self, *command: str) -> dict[str, Any]:
        fakes = (self.stage.netsuite, self.stage.salesforce)
        before = [it.cpu_s for it in fakes]
        environment = {**os.environ, **self.stage.settings()}
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        told: dict[str, Any] = json.loads(done.stdout)
        if told["read"] != self._count:
            raise RuntimeError(f"{told['read']} of {self._count} orders were read")
        for name, fake, was in zip(("netsuite_ms", "salesforce_ms"), fakes, before, strict=True):
            told[name] = (fake.cpu_s - was) / self._count * 1000
        return told

    def pull(self, record: Path | None = None) -> dict[str, Any]:
        """Pull with the bridge; *record* is where the requests that the fakes saw are kept."""
        fakes = {"netsuite": self.stage.netsuite, "salesforce": self.stage.salesforce}
        if record is not None:
            for name, fake in fakes.items():
                (record / name).mkdir(parents=True)
                fake.ask(f"record {record / name}")
        told = self._run(str(HERE / "pull_once.py"), str(self.customers))
        for fake in fakes.values():
            fake.ask("record -")
        return told

    def script(self) -> dict[str, Any]:
        """Pull as a script does with two libraries."""
        return self._run(str(HERE / "pull_script.py"), str(self.customers))

    def replay(self, seen: Path, *, hands: int) -> float:
        """Send the recorded requests again, one system after the other or both at once; return the seconds."""
        read, write = self._searches(seen / "netsuite"), self._writes(seen / "salesforce")
        with ThreadPoolExecutor(hands) as pool:
            began = time.perf_counter()
            for it in [pool.submit(_in_order, *read), pool.submit(_written, *write)]:
                it.result()
            return time.perf_counter() - began

    def _searches(self, folder: Path) -> tuple[str, list[Path]]:
        found = [it for it in sorted(folder.iterdir()) if b'"search' in it.read_bytes().split(b"\n", 1)[0]]
        return self.stage.netsuite.url, found

    def _writes(self, folder: Path) -> tuple[str, list[list[Path]], list[list[Path]]]:
        """The writes: collections, by object, each of which may go side by side; and bulk jobs, one after the other."""
        calls: dict[str, list[Path]] = {}
        jobs: list[list[Path]] = []
        for it in sorted(folder.iterdir()):
            head = json.loads(it.read_bytes().split(b"\n", 1)[0])
            if "composite/sobjects" in head["path"]:
                calls.setdefault(head["path"], []).append(it)
            elif head["path"].endswith("/jobs/ingest"):
                jobs.append([it])
            elif "/jobs/ingest/" in head["path"] and head["method"] in ("PUT", "PATCH"):
                jobs[-1].append(it)
        return self.stage.salesforce.url, list(calls.values()), jobs


def _in_order(url: str, paths: list[Path]) -> None:
    netsuite = adapter(url)
    line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    for path in paths:
        head, body = _request(path)
        # A passport may be used once, and five minutes long.
        envelope = etree.fromstring(body)
        header = next(it for it in envelope if etree.QName(it).localname == "Header")
        kept = {
            etree.QName(it).localname: it.text
            for part in header
            if "searchPreferences" in part.tag
            for it in part
        }  # fmt: skip
        envelope.remove(header)
        _send(line, head, netsuite._wire.signed(envelope, {name: text or "" for name, text in kept.items()}), {})


def _written(url: str, groups: list[list[Path]], jobs: list[list[Path]]) -> None:
    words = {"grant_type": "client_credentials", "client_id": "sandbox-consumer-key",
             "client_secret": "sandbox-consumer-secret"}  # fmt: skip
    token = requests.post(f"{url}/services/oauth2/token", data=words, timeout=30).json()["access_token"]
    lines: list[http.client.HTTPConnection] = [
        http.client.HTTPConnection(urlsplit(url).netloc, timeout=120) for _ in range(SIDE_BY_SIDE)
    ]

    def one(path: Path) -> None:
        line = lines.pop()
        head, body = _request(path)
        _send(line, head, body, {"Authorization": f"Bearer {token}"})
        lines.append(line)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for group in groups:
            list(pool.map(one, group))
    for job in jobs:
        _done(lines[0], job, {"Authorization": f"Bearer {token}"})


def _done(line: http.client.HTTPConnection, job: list[Path], more: dict[str, str]) -> None:
    """Do a bulk job again, and read what became of its rows."""
    (opened, body), *rest = map(_request, job)
    made = json.loads(_send(line, opened, body, more))["id"]
    path = f"{opened['path']}/{made}"
    for head, body in rest:
        part = "/batches" if head["method"] == "PUT" else ""
        _send(line, {**head, "path": path + part}, body, more)
    look = {**opened, "method": "GET", "path": path, "type": ""}
    while json.loads(_send(line, look, b"", more))["state"] != "JobComplete":
        time.sleep(POLL_S)
    for name in ("successfulResults", "failedResults", "unprocessedrecords"):
        told = _send(line, {**look, "path": f"{path}/{name}/", "accept": "text/csv"}, b"", more)
        if name != "successfulResults" and told.count(b"\n") > 1:
            raise RuntimeError(f"rows of a job were refused: {told[:300]!r}")


def _request(path: Path) -> tuple[dict[str, str], bytes]:
    head, _, body = path.read_bytes().partition(b"\n")
    return json.loads(head), body


def _send(line: http.client.HTTPConnection, head: dict[str, str], body: bytes, more: dict[str, str]) -> bytes:
    headers = {"Content-Type": head["type"], "SOAPAction": head["action"], "Accept": head["accept"], **more}
    target = head["path"] + (f"?{head['query']}" if head["query"] else "")
    line.request(head["method"], target, body, {name: text for name, text in headers.items() if text})
    answer = line.getresponse()
    said = answer.read()
    if answer.status >= 300 or re.search(rb'isSuccess="false"|"success":\s*false', said):
        raise RuntimeError(f"{answer.status}: {said[:300]!r}")
    return said
