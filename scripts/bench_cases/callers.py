"""Apex as a load: signed callouts, callers who send them one after the other, and the times they waited."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from stage import ORG, SECRET

WORDS = {"Account": "001", "Contact": "003", "Application": "006", "Line": "00k"}


def record_id(word: str, number: int) -> str:
    """A Salesforce id of 18 characters."""
    return f"{WORDS[word]}{number:012d}AAA"


def account(number: int, **changes: Any) -> dict[str, Any]:
    fields = {"Name": f"Merchant {number}", "Phone": "555-0100", "Website": "merchant.example", "Taxable__c": False,
              "Payment_Terms__c": "Net 30", "Approved_Applications__c": 0, "ParentId": None}  # fmt: skip
    return {"Id": record_id("Account", number), **fields, **changes}


def contact(number: int, of: int) -> dict[str, Any]:
    return {"Id": record_id("Contact", number), "FirstName": "Maren", "LastName": f"Holt {number}", "Title": "Owner",
            "Email": f"maren{number}@merchant.example", "Phone": "555-0101",
            "AccountId": record_id("Account", of)}  # fmt: skip


def application(number: int, of: int, *, broker: int | None = None, approved: bool = True) -> dict[str, Any]:
    lines = [
        {"Id": record_id("Line", number * 10 + place), "Fee_Type__c": fee, "Quantity": 1, "UnitPrice": price,
         "TotalPrice": price, "Description": fee}
        for place, (fee, price) in enumerate((("Origination Fee", 800.0), ("Wire Fee", 25.0), ("Legal Fee", 150.0)))
    ]  # fmt: skip
    return {
        "Id": record_id("Application", number), "Name": f"Funding {number}", "AccountId": record_id("Account", of),
        "StageName": "Approved" if approved else "New", "Funding_Accepted__c": approved, "CloseDate": "2026-12-01",
        "Funding_Date__c": "2026-12-01", "Funded_Amount__c": 40000.0, "Purchased_Amount__c": 52000.0,
        "Receivables_Percent__c": 8.0, "Broker__c": record_id("Account", broker) if broker is not None else None,
        "Commission_Percent__c": 2.5, "Commission_Amount__c": None, "Commission_Due__c": "2026-12-15", "Lines": lines,
    }  # fmt: skip


@dataclass(frozen=True)
class Callout:
    """A signed request, ready to send."""

    path: str
    body: bytes
    headers: dict[str, str]


def callout(word: str, records: Sequence[dict[str, Any]], version: int = 1) -> Callout:
    """Sign a callout as the Named Credential does. It is good for five minutes."""
    now = datetime.now(UTC)
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    saved = [{**it, "SystemModstamp": stamp, "Bridge_Version__c": version} for it in records]
    body = json.dumps(
        {"id": str(uuid.uuid4()), "sentAt": stamp, "org": ORG, "user": "005000000000001AAA", "records": saved}
    ).encode()
    mac = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Bridge-Signature": f"k=bench,v1={mac}"}
    return Callout(f"/v1/push/{word}", body, headers)


class Line:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=180)

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        self._connection.request("POST", path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def close(self) -> None:
        self._connection.close()


@dataclass
class Times:
    """How long callers waited, in seconds, and over what time all of it went."""

    taken: list[float] = field(default_factory=list)
    wall_s: float = 0.0

    def at(self, share: float) -> float:
        ordered = sorted(self.taken)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    @property
    def p50(self) -> float:
        return statistics.median(self.taken)

    @property
    def p95(self) -> float:
        return self.at(0.95)

    @property
    def p99(self) -> float:
        return self.at(0.99)


def check_push(status: int, body: bytes, state: str | None) -> None:
    """Fail loudly where a save was not what the measurement says it measures."""
    if status not in (200, 202):
        raise RuntimeError(f"the bridge answered {status}: {body[:300]!r}")
    if state is not None:
        wrong = [it for it in json.loads(body)["results"] if it["state"] != state]
        if wrong:
            raise RuntimeError(f"not {state}: {wrong[0]}")


def send(port: int, callouts: Sequence[Callout], *, callers: int = 1, state: str | None = "delivered") -> Times:
    """Send *callouts* from so many callers, each one after the other, and return their times."""
    return drive(callers, callouts, lambda line, it: check_push(*line.post(it.path, it.body, it.headers), state), port)


def drive(callers: int, work: Iterable[Any], one: Callable[[Line, Any], None], port: int) -> Times:
    """Do *work* with so many callers at once."""
    times, left, lock = Times(), iter(list(work)), threading.Lock()
    failed: list[BaseException] = []

    def run() -> None:
        line = Line(port)
        try:
            while not failed:
                with lock:
                    it = next(left, None)
                if it is None:
                    return
                started = time.perf_counter()
                one(line, it)
                times.taken.append(time.perf_counter() - started)
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits
            failed.append(error)
        finally:
            line.close()

    threads = [threading.Thread(target=run) for _ in range(callers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.wall_s = time.perf_counter() - began
    if failed:
        raise failed[0]
    return times
