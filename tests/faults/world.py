"""Two fakes on sockets, and bridges around them: in this process, or in processes that may be killed.

``Town`` holds the fakes. ``compose`` puts a bridge together with a clock of its own; `tests.faults.children` does so in
processes of their own.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import func, select

from bridge.delivery import Delivery
from bridge.ledger import Ledger, audit
from bridge.ledger.models import OPEN, lane, message
from bridge.ledger.slots import LeasedSlots
from bridge.netsuite import Bindings, SoapNetSuite, TokenCredentials
from bridge.netsuite.transport import Limits
from bridge.records import syncs
from bridge.salesforce import ClientCredentials, RestSalesforce
from bridge.sandbox.netsuite import FakeNetSuite, Latency
from bridge.sandbox.salesforce import FakeSalesforce
from bridge.sandbox.wsgi import SandboxServer, WsgiAdapter
from bridge.settings import SigningKey
from bridge.standing import CONFIRM
from bridge.web.callouts import create_callouts

ROOT = Path(__file__).parents[2]
SUBSET = ROOT / "suitetalk_wsdl" / "2025_2"
PACKAGE = ROOT / "salesforce_metadata" / "force-app" / "main" / "default"
ORG = "00D5e0000000001EAA"
NAMES = ("sandbox-consumer-key", "sandbox-consumer-secret", "sandbox-token-id", "sandbox-token-secret")
FEES = ("Origination Fee", "Wire Fee")
SITE: dict[str, Any] = {
    "subsidiary": "Parent Company",
    "fees": {name: {"sale_item": name, "purchase_item": f"{name} Withheld"} for name in FEES},
}
PATHS = {"Account": "Account", "Contact": "Contact", "Opportunity": "Application"}
AUDIT_KEY = b"audit key of the tests"
NO_WAIT = Latency(0, 0, 0, 0)


class Town:
    """Fake Salesforce and fake NetSuite on ports of this machine; they outlive every bridge."""

    def __init__(
        self, *, latency: Latency = NO_WAIT, concurrency: int = 5, schemas: Sequence[Path] = (SUBSET,)
    ) -> None:
        self.netsuite = FakeNetSuite(schema_dir=schemas, latency=latency, concurrency=concurrency)
        self._slow = timedelta(seconds=3)
        self.secret = secrets.token_hex(32)
        self.salesforce = FakeSalesforce(
            metadata_dir=PACKAGE, org_id=ORG, signing_key=("sandbox", self.secret), clock=self.salesforce_clock
        )
        self.servers = (SandboxServer(self.salesforce).start(), SandboxServer(self.netsuite).start())

    def salesforce_clock(self) -> datetime:
        """Three seconds slow, until `later` makes all saves so far lie in the past of a window that ends now."""
        return datetime.now(UTC) - self._slow

    def later(self) -> None:
        self._slow = timedelta(0)

    def stop(self) -> None:
        self.salesforce.close()
        for server in self.servers:
            server.stop()

    @property
    def urls(self) -> tuple[str, str]:
        return self.servers[0].url, self.servers[1].url

    # --- what people do in Salesforce ---

    def account(self, name: str = "Acme", **values: Any) -> str:
        return self.salesforce.insert("Account", Name=name, **values)

    def application(self, account: str, **values: Any) -> str:
        fixed = {"StageName": "Approved", "Funding_Accepted__c": True, "CloseDate": "2026-11-20"}
        amounts = {"Funded_Amount__c": "50000.00", "Purchased_Amount__c": "65000.00", "Funding_Date__c": "2026-11-20"}
        made = self.salesforce.insert(
            "Opportunity", **({"Name": "Oven", "AccountId": account} | fixed | amounts | values)
        )
        self.salesforce.add_fee(made, "Wire Fee", "25.00")
        return made

    def callout(self, *ids: str, deleted: list[dict[str, Any]] | None = None) -> tuple[str, bytes, dict[str, str]]:
        """Path, body and headers of one callout about records of one object, as Apex writes it."""
        first = ids[0] if ids else str((deleted or [{}])[0]["Id"])
        kind = {"001": "Account", "003": "Contact", "006": "Opportunity"}[first[:3]]
        body = self.salesforce.callouts.write(
            kind, list(ids), deleted or [], call_id=str(uuid.uuid4()), user_id=self.salesforce.sales_user.id
        )
        mac = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Bridge-Signature": f"k=sandbox,v1={mac}"}
        return f"/v1/push/{PATHS[kind]}", body, headers

    def calls_at(self, app: Flask) -> None:
        """Have every save call the bridge *app* of this process, before the save returns."""
        callouts = self.salesforce.callouts
        callouts.url, callouts.inline, callouts._session = "http://bridge.example", True, requests.Session()
        callouts._session.mount(callouts.url, WsgiAdapter(app))

    # --- what stands in NetSuite ---

    def made(self, kind: str) -> list[Any]:
        return sorted(self.netsuite.store.records[kind].values(), key=lambda it: int(it.id))

    def doubled(self) -> dict[str, int]:
        """External ids that more than one record of NetSuite has, over all kinds that the bridge writes."""
        seen = Counter(
            (kind, it.external_id)
            for kind in ("customer", "vendor", "contact", "salesOrder", "purchaseOrder")
            for it in self.netsuite.store.records[kind].values()
            if it.external_id
        )
        return {f"{kind} {name}": count for (kind, name), count in seen.items() if count > 1}


@dataclass
class Clock:
    """Time that runs *pace* times as fast as the real one from *start* on, and can be moved ahead."""

    start: float = field(default_factory=time.time)
    pace: float = 1.0
    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.start + (time.time() - self.start) * self.pace, UTC) + self.ahead


@dataclass
class House:
    """One bridge of this process."""

    ledger: Ledger
    slots: LeasedSlots
    salesforce: RestSalesforce
    engine: Delivery
    app: Flask
    clock: Clock
    alerts: list[tuple[str, str]]

    def close(self) -> None:
        self.slots.stop()
        self.salesforce.close()
        self.ledger.close()

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> Any:
        return self.app.test_client().post(path, data=body, headers=headers)

    # --- carrying on until nothing is open ---

    def recover(self, rounds: int = 400) -> None:
        """Deliver everything, moving the clock ahead whenever what is left is not due yet."""
        for _ in range(rounds):
            if self.engine.deliver(most=50):
                continue
            if not self.open():
                return
            self.clock.ahead += timedelta(seconds=61)
        raise AssertionError(f"still open: {self.open()}")

    def open(self) -> list[Any]:
        columns = (message.c.id, message.c.sync, message.c.source_id, message.c.state, message.c.code)
        with self.ledger.read() as connection:
            # A look that was promised for later is nobody's save.
            wanted = message.c.state.in_(OPEN) & message.c.sync.not_like(f"{CONFIRM}%")
            return list(connection.execute(select(*columns).where(wanted)))

    def states(self) -> Counter[tuple[str, str]]:
        with self.ledger.read() as connection:
            query = select(message.c.sync, message.c.state, func.count()).group_by(message.c.sync, message.c.state)
            query = query.where(message.c.sync.not_like(f"{CONFIRM}%"))
            return Counter({(sync, state): count for sync, state, count in connection.execute(query)})

    def rows(self, *where: Any) -> list[Any]:
        with self.ledger.read() as connection:
            return list(connection.execute(select(message).where(*where).order_by(message.c.id)))

    def audited(self, action: str) -> int:
        from bridge.ledger.models import audit as table

        with self.ledger.read() as connection:
            return int(
                connection.execute(select(func.count()).select_from(table).where(table.c.action == action)).scalar_one()
            )

    def check(self) -> None:
        """Assert what must hold whenever nothing is open: no lane is held or due, and the audit chain holds."""
        with self.ledger.read() as connection:
            promised = select(message.c.queue).where(message.c.queue.is_not(None), message.c.sync.like(f"{CONFIRM}%"))
            held = lane.c.owner.is_not(None) | (lane.c.due_at.is_not(None) & lane.c.key.not_in(promised))
            stuck = connection.execute(select(lane).where(held)).all()
            broken = list(audit.verify(connection, AUDIT_KEY))
        assert not stuck
        assert not broken


def compose(options: dict[str, Any], clock: Clock | None = None) -> House:
    """Put a bridge together. *options* are plain values, so that they can be handed to another process."""
    clock = clock or Clock(options.get("start") or time.time(), options.get("pace", 1.0))
    salesforce_url, netsuite_url = options["urls"]
    ledger = Ledger(options["database"], audit_key=AUDIT_KEY, clock=clock)
    # Slots are about real calls in real time.
    slots = LeasedSlots(Ledger(options["database"], pool_size=3), f"test-{os.getpid()}", options.get("limit", 5))
    netsuite = SoapNetSuite(
        account="1234567",
        credentials=TokenCredentials("1234567", *NAMES),
        bindings=bindings(),
        slots=slots,
        base_url=netsuite_url,
        allow_loopback=True,
        limits=Limits(single_s=options.get("timeout_s", 10), list_s=options.get("timeout_s", 10)),
    )
    salesforce = RestSalesforce(
        auth=ClientCredentials(salesforce_url, "sandbox-consumer-key", "sandbox-consumer-secret"),
        org_id=ORG,
        allow_loopback=True,
    )
    alerts: list[tuple[str, str]] = []
    engine = Delivery(
        ledger=ledger,
        syncs=syncs(SITE),
        netsuite=netsuite,
        salesforce=salesforce,
        alert=lambda code, sentence: alerts.append((code, sentence)),
    )
    keys = {"sandbox": SigningKey(secret=SecretStr(options.get("secret", "")))} if options.get("secret") else {}
    app = create_callouts(engine, lambda: keys, org=ORG, budget_s=options.get("budget_s", 8.0))
    ledger.create()
    slots.start()
    return House(ledger, slots, salesforce, engine, app, clock, alerts)


_bindings: list[Bindings] = []


def bindings() -> Bindings:
    if not _bindings:
        _bindings.append(Bindings.load(SUBSET, "2025_2"))
    return _bindings[0]


class Witness:
    """Sees every write: per record the versions in order, and whether one lane had two calls at the same time.

    *lanes* names the customer of every external id that is none itself.
    """

    def __init__(self, town, lanes=None):
        self.lanes = lanes or {}
        self.versions = defaultdict(list)
        self.overlaps = []
        self.busy = set()
        self._lock = threading.Lock()
        self._work = town.netsuite._work
        town.netsuite._work = self._seen

    def _seen(self, operations, call, root):
        operations.read(call)
        lanes = {self.lanes.get(str(it.external_id), str(it.external_id)) for it in call.records}
        with self._lock:
            self.overlaps += lanes & self.busy
            self.busy |= lanes
            for it in call.records:
                self.versions[str(it.external_id)].append(int(it.fields.get("phone") or 0))
        call.records = []
        try:
            return self._work(operations, call, root)
        finally:
            with self._lock:
                self.busy -= lanes

    def inversions(self):
        return {name: seen for name, seen in self.versions.items() if seen != sorted(seen)}


# --- real processes ---------------------------------------------------------------------------------------------------


def environment(town: Town, database: str, **more: str) -> dict[str, str]:
    """The environment of a real ``bridge`` process that talks to *town*."""
    salesforce_url, netsuite_url = town.urls
    own = {
        "BRIDGE_ENVIRONMENT": "test",
        "BRIDGE_DATABASE_URL": database,
        "BRIDGE_SIGNING_KEYS": f'{{"sandbox": {{"secret": "{town.secret}"}}}}',
        "BRIDGE_AUDIT_KEY": AUDIT_KEY.decode(),
        "BRIDGE_CONFIG": str(ROOT / "bridge" / "demo.toml"),
        "BRIDGE_NETSUITE_ACCOUNT": "1234567",
        "BRIDGE_NETSUITE_CONSUMER_KEY": NAMES[0],
        "BRIDGE_NETSUITE_CONSUMER_SECRET": NAMES[1],
        "BRIDGE_NETSUITE_TOKEN_ID": NAMES[2],
        "BRIDGE_NETSUITE_TOKEN_SECRET": NAMES[3],
        "BRIDGE_NETSUITE_URL": netsuite_url,
        "BRIDGE_SALESFORCE_URL": salesforce_url,
        "BRIDGE_SALESFORCE_ORG_ID": ORG,
        "BRIDGE_SALESFORCE_CLIENT_ID": "sandbox-consumer-key",
        "BRIDGE_SALESFORCE_CLIENT_SECRET": "sandbox-consumer-secret",
        **more,
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    return {**inherited, "PYTHONPATH": str(ROOT), **own}


@contextmanager
def process(verb: str, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``bridge <verb>``, and end it when the block ends."""
    with log.open("ab") as out:
        started = subprocess.Popen(
            [sys.executable, "-m", "bridge", verb], env=env, stdout=out, stderr=out, cwd=log.parent
        )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.terminate()
            try:
                started.wait(30)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def until(true: Callable[[], Any], seconds: float = 30, what: str = "") -> Any:
    """Wait until *true* says so."""
    wait, end = threading.Event(), time.monotonic() + seconds
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        wait.wait(0.01)
    raise AssertionError(f"not within {seconds} s: {what or true}")


def is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=2).status_code == 200
    except requests.RequestException:
        return False
