"""A whole bridge over real bytes without a socket: both fakes, both adapters, the engine, on each database."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import create_engine, inspect, select
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from bridge import receiving
from bridge.delivery import Delivery
from bridge.ledger import Ledger, Writing
from bridge.ledger.models import audit, lane, link, message
from bridge.mapping import Syncs
from bridge.netsuite import Bindings, SoapNetSuite, TokenCredentials
from bridge.netsuite.transport import Limits
from bridge.ports import Received, Record, Ref
from bridge.pulling import PullReport, pull
from bridge.receiving import as_received, lane_of
from bridge.records import syncs
from bridge.salesforce import ClientCredentials, RestSalesforce
from bridge.sandbox.netsuite import NO_LATENCY, FakeNetSuite
from bridge.sandbox.netsuite_store import Stored
from bridge.sandbox.salesforce import FakeSalesforce
from bridge.sandbox.wsgi import WsgiAdapter
from bridge.standing import Standing

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "salesforce_metadata" / "force-app" / "main" / "default"
SUBSET = ROOT / "suitetalk_wsdl" / "2025_2"
HOST = "sandbox-org.my.salesforce.com"
KEY = b"audit key of the tests"
FEES = ("Origination Fee", "Underwriting Fee", "Wire Fee", "Legal Fee", "UCC Filing Fee")
SITE: dict[str, Any] = {
    "subsidiary": "Parent Company",
    "fees": {name: {"sale_item": name, "purchase_item": f"{name} Withheld"} for name in FEES},
}
BINDINGS = Bindings.load(SUBSET, "2025_2")
WRITES = ("upsert", "upsertList")


class Clock:
    """Everybody's clock: it stands until it is moved, except for a millisecond at each look, as time does."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def advance(self, **span: float) -> None:
        self.at += timedelta(**span)


class OpenSlots:
    """Slots without a limit that remember how often they were told to slow down."""

    def __init__(self) -> None:
        self.throttles = 0

    @contextmanager
    def lease(self, *, interactive: bool, unless: Callable[[], bool] | None = None) -> Iterator[bool]:
        yield True

    def throttled(self) -> None:
        self.throttles += 1


@dataclass
class House:
    """One bridge with both systems around it, and the words that its tests are written in."""

    clock: Clock
    ledger: Ledger
    syncs: Syncs
    ns: FakeNetSuite
    sf: FakeSalesforce
    netsuite: SoapNetSuite
    salesforce: RestSalesforce
    engine: Delivery
    alerts: list[tuple[str, str]] = field(default_factory=list)

    # --- what people in Salesforce do ---

    def account(self, name: str = "Acme", **values: Any) -> str:
        return self.sf.insert("Account", Name=name, **values)

    def application(self, account: str, *fees: tuple[str, str], **values: Any) -> str:
        """Save an Application that is approved and accepted, with fee lines of (type, amount)."""
        fixed = {"Name": "Acme oven", "StageName": "Approved", "Funding_Accepted__c": True, "CloseDate": "2026-11-20"}
        amounts = {"Funded_Amount__c": "50000.00", "Purchased_Amount__c": "65000.00", "Funding_Date__c": "2026-11-20"}
        made = self.sf.insert("Opportunity", **(fixed | amounts | {"AccountId": account} | values))
        for fee, amount in fees or (("Wire Fee", "25.00"),):
            self.sf.add_fee(made, fee, amount)
        return made

    # --- what the bridge does ---

    def read(self, salesforce_id: str) -> Record:
        """Read a record as a callout would carry it."""
        kind = {"001": "Account", "003": "Contact", "006": "Opportunity"}.get(salesforce_id[:3], "Credit_Request__c")
        (found,) = self.salesforce.get([Ref(kind, id=salesforce_id)], self.syncs.reads(kind))
        assert found is not None
        return found

    def received(self, record: Record, fields: Mapping[str, Any] | None = None) -> Received:
        """Return *record* as it arrives from Salesforce, with other *fields* where some are given."""
        return as_received(replace(record, fields=record.fields if fields is None else fields))

    def receive(self, *salesforce_ids: str, write_back: bool = False, origin: str = "callout") -> list[int]:
        """Store the present state of records, as a callout does."""
        found = [as_received(self.read(it)) for it in salesforce_ids]
        with self.ledger.write() as writing:
            return receiving.accept(
                writing, self.syncs, found, origin=origin, correlation="test", write_back=write_back
            )

    def push(self, *salesforce_ids: str, budget_s: float = 40.0) -> dict[str, Standing]:
        """Send the present state of records, as a callout does that somebody waits for."""
        found = [as_received(self.read(it)) for it in salesforce_ids]

        def store(writing: Writing) -> Sequence[str]:
            receiving.accept(writing, self.syncs, found, origin="callout", correlation="test", write_back=False)
            return sorted({lane_of(it) for it in found})

        until = time.monotonic() + budget_s
        self.engine.deliver(accept=store, interactive=True, until=until)
        return self.engine.settle(list(salesforce_ids), until)

    def push_one(self, salesforce_id: str, budget_s: float = 40.0) -> Standing:
        return self.push(salesforce_id, budget_s=budget_s)[salesforce_id]

    def drain(self, rounds: int = 200) -> int:
        """Deliver all that is due now, and return in how many pieces it went."""
        total = 0
        for _ in range(rounds):
            sent = self.engine.deliver(most=50)
            total += sent
            if not sent and not self.due():
                return total
        raise AssertionError(f"still due after {rounds} rounds: {self.due()}")

    def due(self) -> list[str]:
        with self.ledger.read() as connection:
            now = self.clock.at
            free = (lane.c.lease_until.is_(None)) | (lane.c.lease_until <= now)
            return list(connection.execute(select(lane.c.key).where(lane.c.due_at <= now, free)).scalars())

    def pull(self, name: str) -> PullReport:
        """Pull what changed in NetSuite, and write all of it to Salesforce."""
        report = pull(self.engine, name)
        self.drain()
        return report

    # --- what stands in the ledger and in NetSuite ---

    def messages(self, sync: str | None = None, source_id: str | None = None) -> list[Any]:
        query = select(message).order_by(message.c.id)
        if sync is not None:
            query = query.where(message.c.sync == sync)
        if source_id is not None:
            query = query.where(message.c.source_id == source_id)
        with self.ledger.read() as connection:
            return list(connection.execute(query))

    def states(self, sync: str, source_id: str | None = None) -> list[str]:
        return [row.state for row in self.messages(sync, source_id)]

    def message(self, sync: str, source_id: str) -> Any:
        """The newest message of a record's sync."""
        return self.messages(sync, source_id)[-1]

    def audit(self, **about: Any) -> list[Any]:
        query = select(audit).order_by(audit.c.chain, audit.c.seq)
        for name, value in about.items():
            query = query.where(audit.c[name] == value)
        with self.ledger.read() as connection:
            return list(connection.execute(query))

    def links(self) -> dict[tuple[str, str], Any]:
        with self.ledger.read() as connection:
            return {(row.sync, row.source_id): row for row in connection.execute(select(link))}

    def made(self, kind: str) -> list[Stored]:
        """The records of *kind* in NetSuite, oldest first."""
        return sorted(self.ns.store.records[kind].values(), key=lambda it: int(it.id))

    def there(self, kind: str, external_id: str) -> Record:
        """One record as NetSuite tells it, all lines included."""
        (found,) = self.netsuite.get([Ref(kind, external_id=external_id)])
        assert found is not None, f"no {kind} {external_id}"
        return found

    def calls(self) -> Counter[str]:
        return self.ns.calls_by_operation

    def writes(self) -> int:
        """How many writing calls NetSuite has seen."""
        return sum(self.calls()[name] for name in WRITES)


class KeptDatabase:
    """One PostgreSQL database for hundreds of tests of this process: to empty it is quicker than to make another."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with self._engine.connect() as connection:
            self._tables = inspect(connection).get_table_names()
            first = {name: connection.exec_driver_sql(f'SELECT * FROM "{name}"').all() for name in self._tables}
        self._first = {name: rows for name, rows in first.items() if rows}

    def emptied(self) -> str:
        """Return its URL, with every row and sequence as the migrations leave them and nobody connected."""
        with self._engine.connect() as connection:
            run = connection.exec_driver_sql
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            run(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}")
            assert inspect(connection).get_table_names() == self._tables, "a test changed the schema"
            run("SET session_replication_role = replica")  # the audit's triggers refuse to delete
            run(";".join(f'DELETE FROM "{name}"' for name in self._tables))
            for name, rows in self._first.items():
                run(f'INSERT INTO "{name}" VALUES ({", ".join(["%s"] * len(rows[0]))})', [tuple(it) for it in rows])
            run("SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'")
            run("SET session_replication_role = DEFAULT")
        return self.url.render_as_string(hide_password=False)


def build(clock: Clock, ledger: Ledger, **site: Any) -> House:
    ns = FakeNetSuite(schema_dir=SUBSET, latency=NO_LATENCY, clock=clock, concurrency=50, record_requests=True)
    session = requests.Session()
    session.mount("https://", WsgiAdapter(ns))
    names = ("sandbox-consumer-key", "sandbox-consumer-secret", "sandbox-token-id", "sandbox-token-secret")
    netsuite = SoapNetSuite(
        account="1234567",
        credentials=TokenCredentials("1234567", *names),
        bindings=BINDINGS,
        slots=OpenSlots(),
        session=session,
        limits=Limits(single_s=5, list_s=5),
        clock=clock,
    )
    sf = FakeSalesforce(metadata_dir=PACKAGE, clock=clock)
    salesforce = RestSalesforce(
        auth=ClientCredentials(HOST, "sandbox-consumer-key", "sandbox-consumer-secret"),
        org_id=sf.org_id,
        mount={f"https://{HOST}": WsgiAdapter(sf)},
        clock=clock,
        sleep=lambda seconds: None,
    )
    declared = syncs(SITE | site)
    alerts: list[tuple[str, str]] = []
    engine = Delivery(
        ledger=ledger,
        syncs=declared,
        netsuite=netsuite,
        salesforce=salesforce,
        alert=lambda code, sentence: alerts.append((code, sentence)),
    )
    return House(clock, ledger, declared, ns, sf, netsuite, salesforce, engine, alerts)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def kept_postgres(new_postgres_database: Callable[..., URL], migrated: str) -> KeptDatabase:
    return KeptDatabase(new_postgres_database(migrated))


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with our schema and nothing in it."""
    if request.param == "sqlite":
        path = tmp_path / "ledger.sqlite3"
        path.write_bytes(request.getfixturevalue("empty_sqlite"))
        return f"sqlite:///{path}"
    url: str = request.getfixturevalue("kept_postgres").emptied()
    return url


@pytest.fixture
def ledger(ledger_url: str, clock: Clock) -> Iterator[Ledger]:
    made = Ledger(ledger_url, audit_key=KEY, clock=clock)
    yield made
    made.close()


@pytest.fixture
def house(clock: Clock, ledger: Ledger) -> Iterator[House]:
    made = build(clock, ledger)
    yield made
    made.salesforce.close()
    made.sf.close()


@pytest.fixture
def other_site(clock: Clock, ledger: Ledger) -> Iterator[Callable[..., House]]:
    """Build a house with other choices in ``bridge.toml``."""
    built: list[House] = []

    def make(**site: Any) -> House:
        built.append(build(clock, ledger, **site))
        return built[-1]

    yield make
    for one in built:
        one.salesforce.close()
        one.sf.close()
