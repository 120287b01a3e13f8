"""A fake NetSuite or Salesforce in a process of its own, until its standard input ends.

``python fakes.py netsuite|salesforce|page JSON``; the first line it prints is its address. Lines on standard input are
commands: ``calls`` prints how many calls there were and the sum of their latencies, by operation, with the times of the
first and the last, and begins anew; ``fund N URL`` saves N approved Applications with their Accounts and Contacts, with
callouts to URL.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
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


lock = threading.Lock()
seen: Counter[str] = Counter()
spent: Counter[str] = Counter()


def main(kind: str, given: dict[str, Any]) -> None:
    app: Any
    if kind == "netsuite":
        plain = NO_LATENCY if given.get("fast") else Latency()
        latency = CountedLatency(plain.single_write_s, plain.list_base_s, plain.list_record_s, plain.read_s)
        folder = Path(given["schema"]) if given.get("schema") else SUBSET
        app = FakeNetSuite(schema_dir=folder, latency=latency, concurrency=given.get("concurrency", 15))
    elif kind == "salesforce":
        app = FakeSalesforce(metadata_dir=PACKAGE, signing_key=("bench", "bench-" * 8), api_limit=10**9)
    else:
        app = page(Path(given["file"]).read_bytes())
    with SandboxServer(app) as server:
        print(server.url, flush=True)
        for line in sys.stdin:
            print(json.dumps(answered(app, *line.split())), flush=True)


def answered(app: Any, word: str, value: str = "", url: str = "") -> Any:
    if word == "fund":
        fund(app, int(value), url)
    else:
        with lock:
            told = {name: [seen[name], round(seconds, 3)] for name, seconds in spent.items()}
            seen.clear()
            spent.clear()
        return told
    return "done"


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
