"""A fake NetSuite or Salesforce in a process of its own, until its standard input ends.

``python fakes.py netsuite|salesforce|page JSON``; the first line it prints is its address. Lines on standard input are
commands: ``calls`` prints how many calls there were and the sum of their latencies, by operation, with the times of the
first and the last, and begins anew; ``fund N URL`` saves N approved Applications with their Accounts and Contacts, with
callouts to URL; ``accounts N`` saves N Accounts and prints their ids; ``customers FILE`` makes NetSuite customers of
the Account ids in FILE, ``orders N`` spreads N copies of the account's only sales order over them and over two years;
``record FOLDER`` keeps every request from then on, ``record -`` ends that; ``pace`` lets NetSuite take its usual time
from then on.
"""

from __future__ import annotations

import copy
import io
import itertools
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import salesforce_metadata
import suitetalk_wsdl
from bridge.sandbox.netsuite import NO_LATENCY, FakeNetSuite, Latency
from bridge.sandbox.salesforce import FakeSalesforce
from bridge.sandbox.wsgi import SandboxServer

SUBSET = Path(suitetalk_wsdl.__file__).parent / "2025_2"
PACKAGE = Path(salesforce_metadata.__file__).parent / "force-app" / "main" / "default"


def page(body: bytes) -> Callable[..., Iterable[bytes]]:
    """An app that gives the same recorded answer to everybody."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/xml; charset=utf-8"), ("Content-Length", str(len(body)))])
        return [body]

    return app


class CountedLatency(Latency):
    """Counts what it is asked for: calls and seconds, by operation."""

    def of(self, operation: str, records: int) -> float:
        seconds = super().of(operation, records)
        now = time.time()
        with lock:
            seen[operation] += 1
            spent[operation] += seconds
            spent["first"] = spent["first"] or now
            spent["last"] = max(spent["last"], now + seconds)
        return seconds


def counted(plain: Latency) -> CountedLatency:
    return CountedLatency(plain.single_write_s, plain.list_base_s, plain.list_record_s, plain.read_s)


lock = threading.Lock()
seen: Counter[str] = Counter()
spent: Counter[str] = Counter()


def main(kind: str, given: dict[str, Any]) -> None:
    app: Any
    if kind == "netsuite":
        plain = NO_LATENCY if given.get("fast") else Latency()
        latency = counted(plain)
        folders = [Path(it) for it in (given.get("schema") or str(SUBSET)).split(os.pathsep)]
        app = FakeNetSuite(schema_dir=folders, latency=latency, concurrency=given.get("concurrency", 15))
    elif kind == "salesforce":
        app = FakeSalesforce(metadata_dir=PACKAGE, signing_key=("bench", "bench-" * 8), api_limit=10**9)
    else:
        app = page(Path(given["file"]).read_bytes())
    recorder = Recorder(app)
    with SandboxServer(recorder) as server:
        print(server.url, flush=True)
        for line in sys.stdin:
            print(json.dumps(answered(recorder, app, *line.split())), flush=True)


class Recorder:
    """Keeps the requests that it passes on, numbered in the order in which they came."""

    def __init__(self, app: Any) -> None:
        self._app, self._count = app, itertools.count(1)
        self.folder: Path | None = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self.folder is not None:
            body = environ["wsgi.input"].read()
            environ["wsgi.input"] = io.BytesIO(body)
            head = {
                "method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"], "query": environ["QUERY_STRING"],
                "type": environ.get("CONTENT_TYPE", ""), "action": environ.get("HTTP_SOAPACTION", ""),
                "encoding": environ.get("HTTP_CONTENT_ENCODING", ""), "accept": environ.get("HTTP_ACCEPT", ""),
            }  # fmt: skip
            (self.folder / f"{next(self._count):06}").write_bytes(json.dumps(head).encode() + b"\n" + body)
        found: Iterable[bytes] = self._app(environ, start_response)
        return found


def answered(recorder: Recorder, app: Any, word: str, value: str = "", url: str = "") -> Any:
    if word == "fund":
        fund(app, int(value), url)
    elif word == "pace":
        app.latency = counted(Latency())
    elif word == "record":
        recorder.folder = None if value == "-" else Path(value)
    elif word == "accounts":
        return accounts(app, int(value))
    elif word == "customers":
        customers(app, json.loads(Path(value).read_text()))
    elif word == "orders":
        orders(app, int(value))
    else:
        with lock:
            told = {name: [seen[name], round(seconds, 3)] for name, seconds in spent.items()}
            seen.clear()
            spent.clear()
        return told
    return "done"


def accounts(salesforce: FakeSalesforce, count: int) -> list[str]:
    with salesforce.org.transaction(salesforce.sales_user) as transaction:
        return [salesforce.org.insert(transaction, "Account", {"Name": f"Merchant {n}"}) for n in range(count)]


def customers(netsuite: FakeNetSuite, ids: list[str]) -> None:
    """Make a customer of each Account as the bridge would have."""
    store = netsuite.store
    with netsuite.lock:
        (template,) = store.records["customer"].values()
        for number, account in enumerate(ids):
            made = store.new("customer")
            made.external_id = f"sf-cus-{account}"
            made.fields = template.fields | {"companyName": f"Merchant {number}", "entityId": f"Merchant {number}"}
            made.lists = copy.deepcopy(template.lists)
            store.add(made)


def orders(netsuite: FakeNetSuite, count: int) -> None:
    """Copies of one order, of every customer in turn, each changed at a time of its own in 2023 and 2024."""
    store = netsuite.store
    since, span = datetime(2023, 1, 1, tzinfo=UTC), timedelta(days=730)
    with netsuite.lock:
        template = next(iter(store.records["salesOrder"].values()))
        buyers = [it for it in store.records["customer"].values() if (it.external_id or "").startswith("sf-cus-001")]
        for number in range(count):
            made = store.new("salesOrder")
            made.created = made.modified = (since + span * number / count).replace(microsecond=0)
            buyer = buyers[number % len(buyers)]
            made.fields = template.fields | {"tranId": store.number("SO"), "entity": buyer.link}
            made.lists = copy.deepcopy(template.lists)
            store.add(made)


def fund(salesforce: FakeSalesforce, count: int, url: str) -> None:
    """Prepare Applications in silence; then save all as a data loader does, 200 records at a time, approved now."""

    def save(rows: list[tuple[str | None, str, dict[str, Any]]]) -> list[str]:
        made: list[str] = []
        for start in range(0, len(rows), 200):
            with salesforce.org.transaction(salesforce.sales_user) as transaction:
                for record_id, kind, values in rows[start : start + 200]:
                    if record_id is None:
                        made.append(salesforce.org.insert(transaction, kind, values))
                    else:
                        salesforce.org.update(transaction, kind, record_id, values)
        return made

    accounts = save([(None, "Account", {"Name": f"Merchant {n}", "Payment_Terms__c": "Net 30"}) for n in range(count)])
    contacts = save([(None, "Contact", {"LastName": f"Holt {n}", "AccountId": it}) for n, it in enumerate(accounts)])
    new = {
        "StageName": "New", "CloseDate": "2026-12-01", "Funding_Date__c": "2026-12-01",
        "Funded_Amount__c": Decimal(40000), "Purchased_Amount__c": Decimal(52000),
        "Commission_Percent__c": Decimal("2.5"), "Commission_Due__c": "2026-12-15",
    }  # fmt: skip
    applications = save(
        [
            (None, "Opportunity", {**new, "Name": f"Funding {n}", "AccountId": it, "Broker__c": accounts[n - 1]})
            for n, it in enumerate(accounts)
        ]
    )
    for it in applications:
        salesforce.add_fee(it, "Origination Fee", Decimal(800))
    salesforce.callouts.url = url
    save([(it, "Account", {"Phone": "555-0100"}) for it in accounts])
    save([(it, "Contact", {"Phone": "555-0101"}) for it in contacts])
    save([(it, "Opportunity", {"StageName": "Approved", "Funding_Accepted__c": True}) for it in applications])


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
