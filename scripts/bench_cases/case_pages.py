"""The console's pages with 1,000,000 messages and 5,000,000 audit rows: time of each, over HTTP, on both databases."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import requests
from figures import Figure, ms
from postgres import server
from sqlalchemy import create_engine, text

from bridge import playground
from bridge.ledger import Ledger

MESSAGES, AUDIT, FEW = 1_000_000, 5_000_000, 1_000
MOST_MS, TRIES = 100, 9
# Of a hundred messages: two need a person, two are on their way (in lanes that nobody takes), the rest is done.
STATE = """CASE WHEN n % 100 IN (7, 57) THEN 'rejected' WHEN n % 100 IN (11, 61) THEN 'pending'
 WHEN n % 10 = 3 THEN 'held' WHEN n % 10 = 5 THEN 'unchanged' ELSE 'delivered' END"""
SYNC = "CASE n % 4 WHEN 0 THEN 'customer' WHEN 1 THEN 'contact' WHEN 2 THEN 'sales_order' ELSE 'purchase_order' END"
KIND = "CASE n % 4 WHEN 0 THEN 'Account' WHEN 1 THEN 'Contact' ELSE 'Opportunity' END"
PAGES = {
    "overview": "/",
    "figures": "/figures",
    "errors": "/errors",
    "messages": "/messages",
    "messages of a cause": "/messages?state=needs+a+person&code=CODE_3",
    "messages of a sync": "/messages?state=held&sync=customer",
    "messages that are held": "/messages?state=held",
    "messages on the way": "/messages?state=on+the+way",
    "messages, a rare filter": "/messages?origin=operator&who=sales",
    "messages far back": "/messages?before=20000",
    "search by id": "/messages?search={id}",
    "search by number": "/messages?search=SO77777",
    "search by name": "/messages?search=company+77",
    "search in vain": "/messages?search=nothing+is+called+so",
    "one message": "/messages/500000",
    "Applications": "/applications",
    "one Application": "/applications/{application}",
    "approvals": "/approvals",
    "schedules": "/schedules",
    "mappings": "/mappings",
    "bindings": "/bindings",
    "audit": "/audit",
    "audit of a record": "/audit?search={id}",
    "audit of a person": "/audit?search=bridge",
    "audit in vain": "/audit?search=SO0",
}


def measure(full: bool) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="bridge-bench-") as folder:
        yield from _measured("SQLite", Path(folder), lambda name: f"sqlite:///{Path(folder) / name}.sqlite3")
        with server() as new_database:
            if new_database is not None:
                yield from _measured("PostgreSQL", Path(folder), lambda name: new_database())


def fill(url: str, messages: int, audit: int) -> None:
    """Fill an empty database from within: a row costs a few microseconds."""
    ledger = Ledger(url)
    ledger.create()
    lite = ledger.is_sqlite
    pad = "substr('000000000000' || {}, -12)" if lite else "right('000000000000' || {}, 12)"
    rows = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {}) " if lite else ""
    source = "s" if lite else "generate_series(1, {}) AS s(n)"
    # One Account, or Application, has about five messages; times fall back from now, a minute for each.
    record = "'00' || CASE WHEN n % 4 < 2 THEN '1' ELSE '6' END || " + pad.format("(n / 5 * 4 + n % 4)") + " || 'AAA'"
    at = (
        "strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || (({m} - n) * 10) || ' seconds') || '000'"
        if lite
        else "now() - ({m} - n) * interval '10 seconds'"
    ).replace("{m}", str(messages))
    settled = f"CASE WHEN n % 100 IN (11, 61) THEN NULL ELSE {at} END"
    no, yes = ("0", "1") if lite else ("false", "true")
    columns = (
        "sync, source_kind, source_id, version, modified_at, lane, queue, priority, state, payload, source_hash, "
        "origin, correlation, forced, write_back, attempts, crashes, created_at, settled_at, code, reason, who"
    )
    insert = f"""{rows.format(messages)}INSERT INTO message ({columns})
      SELECT {SYNC}, {KIND}, {record}, n, {at}, {record}, CASE WHEN n % 100 IN (11, 61) THEN {record} END, 1, {STATE},
      '{{"Name":"Company ' || n || '","Funded_Amount__c":{{"$d":"40000.00"}}}}', '', 'callout', 'call-' || (n / 3),
      {no}, {yes}, 1, 0, {at}, {settled},
      CASE WHEN n % 100 IN (7, 57) THEN 'CODE_' || (n % 13) WHEN n % 10 = 3 THEN 'GATE_CLOSED' END,
      CASE WHEN n % 100 IN (7, 57) THEN 'Something is wrong with it.' END,
      CASE WHEN n % 100 IN (7, 57) THEN 'accounting' END FROM {source.format(messages)}"""
    trail = f"""{rows.format(audit)}INSERT INTO audit
      (chain, seq, at, actor, action, sync, source_id, target, message_id, correlation, hash)
      SELECT 99, n, {at.replace(str(messages), str(audit))}, 'bridge', 'delivered', {SYNC},
      {record.replace("(n / 5", "(n / 25")},
      'salesOrder/' || (n / 25), 1 + n % {messages}, 'call-' || (n / 15), '{"0" * 64}'
      FROM {source.format(audit)}"""
    links = f"""{rows.format(messages // 10)}INSERT INTO link
      (sync, source_id, target_kind, target_id, number, version, modified_at, fingerprint, updated_at)
      SELECT {SYNC}, {record}, 'salesOrder', CAST(n AS VARCHAR(20)), 'SO' || n, 1, {at}, '', {at}
      FROM {source.format(messages // 10)} WHERE true ON CONFLICT DO NOTHING"""
    names = f"""{rows.format(messages // 5)}INSERT INTO named (source_id, kind, name, folded, message_id)
      SELECT {record}, {KIND}, 'Company ' || n, 'company ' || n, n FROM {source.format(messages // 5)}
      WHERE true ON CONFLICT DO NOTHING"""
    hour = "strftime('%Y-%m-%d %H', 'now', '-' || (n % 600) || ' hours')" if lite else (
        "to_char(now() AT TIME ZONE 'UTC' - (n % 600) * interval '1 hour', 'YYYY-MM-DD HH24')"
    )  # fmt: skip
    tally = f"""{rows.format(30_000)}INSERT INTO tally (hour, sync, outcome, bucket, number)
      SELECT {hour}, {SYNC}, 'delivered', n / 600, 7 FROM {source.format(30_000)} WHERE true ON CONFLICT DO NOTHING"""
    places = f"INSERT INTO place (name, number) VALUES ('names', {messages}), ('attempts', 0)"
    with ledger.write() as writing:
        for statement in (insert, trail, links, names, tally, places):
            writing.connection.exec_driver_sql(statement.replace("%", "%%") if not lite else statement)
    # An engine of its own: the ledger's begins every transaction itself, and PostgreSQL tidies up in none.
    with create_engine(ledger.url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("ANALYZE" if lite else "VACUUM ANALYZE"))  # as PostgreSQL does by itself in time
    ledger.close()


def _measured(name: str, folder: Path, new: object) -> Iterator[Figure]:
    sides: list[dict[str, float]] = []
    for messages, audit in ((FEW, FEW * 5), (MESSAGES, AUDIT)):
        url = new(f"pages-{messages}")  # type: ignore[operator]
        began = time.perf_counter()
        fill(url, messages, audit)
        filled_s = time.perf_counter() - began
        sides.append(_asked(folder, url, messages))
    few, many = sides
    yield Figure(f"{MESSAGES:,} messages and {AUDIT:,} audit rows made, {name}", f"{filled_s:.0f} s")
    for page, taken in sorted(many.items(), key=lambda it: -it[1]):
        yield Figure(
            f"{page}, {name}", ms(taken), f"{ms(few[page])} with {FEW:,}", f"{taken / few[page]:.1f} ×",
            f"< {MOST_MS} ms", taken * 1000 < MOST_MS,
        )  # fmt: skip


def _asked(folder: Path, url: str, messages: int) -> dict[str, float]:
    house = playground.start(folder / "unused.sqlite3", settings={"database_url": url})
    taken: dict[str, float] = {}
    try:
        with house.bridge.ledger.read() as connection:
            some = connection.execute(
                text("SELECT source_id FROM message WHERE sync = 'sales_order' ORDER BY id DESC LIMIT 1")
            ).scalar_one()
        session = requests.Session()
        for name, path in PAGES.items():
            address = house.console.url + path.format(id=some, application=some)
            times = []
            for _ in range(TRIES):
                started = time.perf_counter()
                answer = session.get(address, timeout=60)
                times.append(time.perf_counter() - started)
                if answer.status_code not in (200, 404) or (answer.status_code == 404 and messages > FEW):
                    raise RuntimeError(f"{path} answered {answer.status_code}")
            taken[name] = median(times)
        metrics, times = f"{house.callouts.url}/metrics", []
        for _ in range(TRIES):
            started = time.perf_counter()
            session.get(metrics, timeout=60).raise_for_status()
            times.append(time.perf_counter() - started)
        taken["metrics"] = median(times)
    finally:
        house.stop()
    return taken
