"""The story of one funding, played for real in the sandbox: what `bridge demo` runs.

Every step says what a person does and what must be true afterwards; a step whose claim does not hold ends the demo
with an error. At the end stands what exists on both sides.
"""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from bridge import playground
from bridge.app import run_job
from bridge.ledger import audit
from bridge.playground import Playground

WAIT_S = 20.0
Step = tuple[str, Callable[[], str]]


class Story:
    """The steps, in order, over a running playground."""

    def __init__(self, house: Playground) -> None:
        self.house, self.sf, self.ns = house, house.salesforce, house.netsuite
        self.ids: dict[str, str] = {}

    def steps(self) -> Iterator[Step]:
        yield "A salesperson saves an Account and its Contact", self.account
        yield "A broker's Account, and an Application with three fees, in review", self.application
        yield "Underwriting approves it; nothing is sent before the merchant accepts", self.approved
        yield "The merchant accepts: orders, fees and the commission appear in NetSuite", self.accepted
        yield "One fee is corrected: exactly that line changes", self.corrected
        yield "The same save a hundred times at once", self.stampede
        yield "Accounting approves and bills the order; the hourly pull brings it back", self.billed
        yield "The merchant pays twice; the daily pull brings two remittances", self.paid
        yield "A Contact of an Account that the bridge has never seen", self.parentless
        yield "The audit trail holds", self.audited

    # --- what happens ---

    def account(self) -> str:
        self.ids["account"] = self.sf.insert(
            "Account",
            Name="Harbor Lane Bakery",
            Phone="555-0100",
            Website="harborlane.example",
            Payment_Terms__c="Net 30",
            Taxable__c=False,
        )
        self.ids["contact"] = self.sf.insert(
            "Contact",
            FirstName="Maren",
            LastName="Holt",
            Email="maren@harborlane.example",
            AccountId=self.ids["account"],
        )
        self.sf.drain()
        customer, contact = self.netsuite("customer", "cus", "account"), self.netsuite("contact", "con", "contact")
        self.claim(customer.fields["stage"] == "_prospect", "the customer is a prospect")
        self.claim(contact.fields["company"].id == customer.id, "the contact belongs to the customer")
        return f"customer {customer.id} and contact {contact.id}"

    def application(self) -> str:
        self.ids["broker"] = self.sf.insert("Account", Name="Wayfinder Capital Brokers")
        self.ids["application"] = self.sf.insert(
            "Opportunity", Name="Harbor Lane oven", AccountId=self.ids["account"], StageName="Under Review",
            CloseDate="2026-12-01", Funding_Date__c="2026-12-01", Funded_Amount__c=Decimal("40000.00"),
            Purchased_Amount__c=Decimal("52000.00"), Receivables_Percent__c=Decimal("8.00"),
            Broker__c=self.ids["broker"], Commission_Percent__c=Decimal("2.50"), Commission_Due__c="2026-12-15",
        )  # fmt: skip
        fees = (("Origination Fee", "800.00"), ("Wire Fee", "25.00"), ("Legal Fee", "150.00"))
        for fee, price in fees:
            self.ids[fee] = self.sf.add_fee(self.ids["application"], fee, Decimal(price))
        self.sf.drain()
        return f"{self.held()}"

    def approved(self) -> str:
        self.sf.approve(self.ids["application"])
        self.sf.drain()
        return self.held()

    def held(self) -> str:
        orders = [it for it in self.made() if it.kind in ("salesOrder", "purchaseOrder", "customRecord")]
        self.claim(not orders, "there is no order in NetSuite")
        row = self.row("application")
        self.claim(row["NetSuite_Status__c"] == "held", "Salesforce says that it is held")
        return str(row["NetSuite_Error__c"])

    def accepted(self) -> str:
        self.sf.accept(self.ids["application"])
        self.sf.drain()
        self.until(lambda: self.netsuite("customer", "cus", "account").fields["stage"] == "_customer")
        row = self.row("application")
        self.claim(
            row["NetSuite_Status__c"] == "delivered",
            f"delivered, not {row['NetSuite_Status__c']}: {row.get('NetSuite_Error__c')}",
        )
        sale, purchase = (
            self.netsuite("salesOrder", "so", "application"),
            self.netsuite("purchaseOrder", "po", "application"),
        )
        self.claim(Decimal(sale.fields["total"]) == Decimal("975.00"), "the sales order holds the fees")
        self.claim(
            Decimal(purchase.fields["total"]) == Decimal("39175.00"),
            "the purchase order is the funding less the fees withheld",
        )
        self.claim(
            self.netsuite("vendor", "ven", "account").id == purchase.fields["entity"].id,
            "it is owed to the Account's vendor",
        )
        commission = self.commission()
        self.claim(
            Decimal(commission.custom["custrecord_bc_amount"].values[0]) == Decimal("1000.00"),
            "2.5 % of 40,000.00 is owed",
        )
        numbers = (row["NetSuite_Sales_Order_Number__c"], row["NetSuite_Purchase_Order_Number__c"])
        return f"{', '.join(numbers)} and commission {commission.id}"

    def corrected(self) -> str:
        before = {line["line"]: line["amount"] for line in self.lines()}
        self.sf.update(self.ids["Wire Fee"], UnitPrice=Decimal("30.00"))
        self.sf.drain()
        after = {line["line"]: line["amount"] for line in self.lines()}
        changed = [key for key in after if before.get(key) != after[key]]
        self.claim(before.keys() == after.keys(), "the lines are the same lines")
        self.claim(len(changed) == 1 and Decimal(after[changed[0]]) == 30, "one line changed")
        return f"line {changed[0]}: {Decimal(before[changed[0]]):.2f} → {Decimal(after[changed[0]]):.2f}"

    def stampede(self) -> str:
        count = len(self.made())
        threads = [
            threading.Thread(target=self.sf.update, args=(self.ids["account"],), kwargs={"Phone": f"555-0{n:03d}"})
            for n in range(100)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.sf.drain()
        phone = self.row("account")["Phone"]
        self.until(lambda: self.netsuite("customer", "cus", "account").fields.get("phone") == phone)
        self.claim(len(self.made()) == count, "no record was made twice")
        return f"one customer, with the phone of the last save ({phone})"

    def billed(self) -> str:
        order = self.netsuite("salesOrder", "so", "application")
        self.ns.admin.approve(kind="salesOrder", id=order.id)
        self.ids["invoice"] = self.ns.admin.bill(kind="salesOrder", id=order.id).id
        self.pull("orders", lambda: len(self.sf.rows("NetSuite_Order__c")) == 3)
        mirror = next(it for it in self.sf.rows("NetSuite_Order__c") if it["NetSuite_Id__c"] == order.id)
        self.claim(mirror["Application__c"] == self.ids["application"], "the mirror belongs to the Application")
        return f"{mirror['Name']} is {mirror['Status__c']}"

    def paid(self) -> str:
        customer = self.netsuite("customer", "cus", "account")
        for amount in ("400.00", "180.50"):
            self.ns.admin.pay(customer.id, amount, {self.ids["invoice"]: amount})
        self.pull("remittances", lambda: self.row("application").get("Remaining_Balance__c") == Decimal("51419.50"))
        rows = sorted(self.sf.rows("Remittance__c"), key=lambda it: it["NetSuite_Key__c"])
        self.claim(len(rows) == 2, "there are two remittances")
        balances = [it.get("Running_Balance__c") for it in rows]
        self.claim(balances == [Decimal("51600.00"), Decimal("51419.50")], f"the running balance is right: {balances}")
        again = run_job(self.house.bridge, "remittances")
        self.claim("0 new" in again, "a second pull brings nothing")
        return "52,000.00 purchased − 580.50 paid = 51,419.50 left"

    def parentless(self) -> str:
        self.sf.callouts.url = None
        self.ids["quiet"] = self.sf.insert("Account", Name="Quarry Road Tyres")
        self.sf.drain()
        self.sf.callouts.url = self.house.callouts.url
        self.ids["early"] = self.sf.insert("Contact", LastName="Lindqvist", AccountId=self.ids["quiet"])
        self.sf.drain()
        customer = self.netsuite("customer", "cus", "quiet")
        return f"its customer {customer.id} was fetched and made first"

    def audited(self) -> str:
        ledger = self.house.bridge.ledger
        with ledger.read(still=True) as connection:
            broken = list(audit.verify(connection, ledger.audit_key))
        self.claim(not broken, "; ".join(broken))
        return "every change of state, in an unbroken chain"

    # --- how it is looked up ---

    def claim(self, holds: bool, words: str) -> None:
        if not holds:
            raise AssertionError(f"It should be so that {words}.")

    def until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT_S
        while not holds():
            self.claim(time.monotonic() < end, f"this happens within {WAIT_S:.0f} s")
            threading.Event().wait(0.05)

    def pull(self, job: str, holds: Callable[[], bool]) -> None:
        """Pull until *holds*: a window ends with the last whole second of NetSuite's clock."""
        end = time.monotonic() + WAIT_S
        run_job(self.house.bridge, job)
        while not holds():
            self.claim(time.monotonic() < end, f"the {job} arrive within {WAIT_S:.0f} s")
            threading.Event().wait(0.5)
            if not holds():
                run_job(self.house.bridge, job)

    def row(self, name: str) -> dict[str, Any]:
        found = self.sf.row(self.ids[name])
        self.claim(found is not None, f"the {name} is in Salesforce")
        return dict(found or {})

    def made(self) -> list[Any]:
        kinds = ("customer", "vendor", "contact", "salesOrder", "purchaseOrder", "customRecord")
        return [it for kind in kinds for it in self.ns.store.records.get(kind, {}).values()]

    def netsuite(self, kind: str, short: str, name: str) -> Any:
        wanted = f"sf-{short}-{self.ids[name]}"
        found = [it for it in self.made() if it.kind == kind and (it.external_id or "").lower() == wanted.lower()]
        self.claim(len(found) == 1, f"there is one {kind} of the {name}, not {len(found)}")
        return found[0]

    def commission(self) -> Any:
        return self.netsuite("customRecord", "bc", "application")

    def lines(self) -> list[Any]:
        return list(self.netsuite("salesOrder", "so", "application").lists["itemList"])


def play(*, serve: bool = False, latency: bool = True, console: Console | None = None) -> None:
    """Play the story with visible progress, then show what exists. With *serve* the pages stay up until Ctrl-C."""
    out = console or Console()
    folder = tempfile.TemporaryDirectory(prefix="bridge-demo-", ignore_cleanup_errors=True)
    house = playground.start(
        Path(folder.name) / "bridge.sqlite3",
        concurrency=15 if latency else 5,
        latency=playground.SIMULATED if latency else playground.INSTANT,
    )
    try:
        story = Story(house)
        steps = list(story.steps())
        with Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=out
        ) as bar:
            task = bar.add_task("", total=len(steps))
            for words, step in steps:
                bar.update(task, description=words)
                began = time.monotonic()
                told = step()
                bar.console.print(f"[green]✓[/] {words}\n  [dim]{told} · {time.monotonic() - began:.1f} s[/]")
                bar.advance(task)
        out.print(_both_sides(story))
        _pages(out, house, serve)
        if serve:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            threading.Event().wait()
    except KeyboardInterrupt:
        out.print("stopping")
    finally:
        house.stop()
        folder.cleanup()


def _pages(out: Console, house: Playground, serve: bool) -> None:
    if not serve:
        out.print("Run it with --serve to keep the pages of both systems and of the bridge open.")
        return
    for name, url in house.pages.items():
        out.print(f"{name}: {url}")
    out.print("Ctrl-C stops everything.")


def _both_sides(story: Story) -> Table:
    table = Table(title="What exists on both sides")
    for column in ("Salesforce", "State", "NetSuite"):
        table.add_column(column)
    company = "customer {NetSuite_Customer_Id__c}, vendor {NetSuite_Vendor_Id__c}"
    orders = (
        "{NetSuite_Sales_Order_Number__c}, {NetSuite_Purchase_Order_Number__c}, commission {NetSuite_Commission_Id__c}"
    )
    for name, words, made in (
        ("account", "Account Harbor Lane Bakery", company),
        ("contact", "Contact Maren Holt", "contact {NetSuite_Contact_Id__c}"),
        ("broker", "Account Wayfinder Capital Brokers", company),
        ("application", "Application Harbor Lane oven", orders),
    ):
        row = story.row(name)
        table.add_row(words, str(row.get("NetSuite_Status__c")), made.format_map(_Blank(row)))
    for row in story.sf.rows("NetSuite_Order__c"):
        total = f"{Decimal(row['Total__c']):,.2f} {row['Currency__c']}"
        table.add_row(f"{row['Record_Type__c']} mirror {row['Name']}", str(row["Status__c"]), total)
    for row in story.sf.rows("Remittance__c"):
        paid = f"{Decimal(row['Amount__c']):,.2f} {row['Currency__c']}, payment {row['Payment_Number__c']}"
        table.add_row(f"Remittance {row['Name']}", f"balance {Decimal(row['Running_Balance__c']):,.2f}", paid)
    return table


class _Blank(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "–"
