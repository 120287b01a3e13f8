"""What the people of a small funding company do in Salesforce and NetSuite, and what is seen on both sides."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import update

from bridge.app import run_job
from bridge.ledger.models import lane, message
from bridge.playground import Playground

WAIT_S = 20.0
SHORTS = {
    "customer": "cus",
    "vendor": "ven",
    "contact": "con",
    "salesOrder": "so",
    "purchaseOrder": "po",
    "customRecord": "bc",
    "vendorBill": "bc",
    "creditMemo": "cm",
    "customerRefund": "rf",
}
SETTLED = ("delivered", "unchanged", "rejected", "dead")
FEES = {"Origination Fee": "800.00", "Wire Fee": "25.00", "Legal Fee": "150.00"}


class Company:
    """People on both sides of a running house."""

    def __init__(self, house: Playground) -> None:
        self.house, self.sf, self.ns = house, house.salesforce, house.netsuite

    # --- what people do ---

    def account(self, name: str = "Harbor Lane Bakery", **values: Any) -> str:
        record_id = self.sf.insert("Account", Name=name, **values)
        self.sf.drain()
        return record_id

    def application(
        self,
        account: str,
        *,
        accepted: bool = True,
        fees: Mapping[str, str] = FEES,
        broker: str | None = None,
        **values: Any,
    ) -> tuple[str, dict[str, str]]:
        """Save an Application with its fees, approve and accept it; return its id and the ids of its fees."""
        terms: dict[str, Any] = {
            "Name": "Harbor Lane oven",
            "StageName": "Under Review",
            "CloseDate": "2026-12-01",
            "Funding_Date__c": "2026-12-01",
            "Funded_Amount__c": Decimal("40000.00"),
            "Purchased_Amount__c": Decimal("52000.00"),
            "Receivables_Percent__c": Decimal("8.00"),
        }
        if broker is not None:
            terms |= {"Broker__c": broker, "Commission_Percent__c": Decimal("2.50"), "Commission_Due__c": "2026-12-15"}
        application = self.sf.insert("Opportunity", AccountId=account, **(terms | values))
        lines = {fee: self.sf.add_fee(application, fee, Decimal(price)) for fee, price in fees.items()}
        self.sf.drain()
        if accepted:
            self.sf.approve(application)
            self.sf.accept(application)
            self.sf.drain()
            self.until(lambda: self.status(application) in SETTLED)
        return application, lines

    def save(self, record_id: str, **values: Any) -> None:
        self.sf.update(record_id, **values)
        self.sf.drain()

    # --- what is seen ---

    def row(self, record_id: str) -> dict[str, Any]:
        found = self.sf.row(record_id)
        assert found is not None
        return dict(found)

    def status(self, record_id: str) -> Any:
        return self.row(record_id).get("NetSuite_Status__c")

    def all(self, kind: str) -> list[Any]:
        return list(self.ns.store.records.get(kind, {}).values())

    def orders(self) -> list[Any]:
        """All that only an accepted Application may make."""
        return [it for kind in ("salesOrder", "purchaseOrder", "customRecord", "vendorBill") for it in self.all(kind)]

    def made(self, kind: str, salesforce_id: str) -> Any:
        """The one NetSuite record that stands for a Salesforce record."""
        wanted = f"sf-{SHORTS[kind]}-{salesforce_id}".lower()
        (found,) = [it for it in self.all(kind) if (it.external_id or "").lower() == wanted]
        return found

    def lines(self, kind: str, salesforce_id: str) -> dict[str, tuple[str, Decimal]]:
        """Item name and amount by NetSuite's key of the line."""
        found = self.made(kind, salesforce_id).lists["itemList"]
        return {line["line"]: (self.item(line["item"]), Decimal(line["amount"])) for line in found}

    def item(self, link: Any) -> str:
        record = self.ns.store.get(link.kind, link.id)
        assert record is not None
        return str(record.name)

    # --- waiting ---

    def let_it_be_due(self) -> None:
        """Let the time pass that the bridge waits before it tries again or looks a record up."""
        with self.house.bridge.ledger.write() as writing:
            for table in (message, lane):
                due = update(table).where(table.c.due_at.is_not(None))
                writing.connection.execute(due.values(due_at=writing.now))
            writing.wakes.add("*")

    def until(self, holds: Callable[[], bool], within_s: float = WAIT_S) -> None:
        end = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < end, f"it did not happen within {within_s} s"
            threading.Event().wait(0.05)

    def pull(self, job: str, holds: Callable[[], bool]) -> str:
        """Pull until *holds*: a window ends with the last whole second of NetSuite's clock."""
        end = time.monotonic() + WAIT_S
        report = run_job(self.house.bridge, job)
        while not holds():
            assert time.monotonic() < end, f"{job} did not arrive within {WAIT_S} s; the last pull: {report}"
            threading.Event().wait(0.3)
            if not holds():
                report = run_job(self.house.bridge, job)
        return report
