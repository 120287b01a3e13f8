"""Canary secrets and canary people through the whole main job: where they may turn up, and nowhere else.

A secret turns up nowhere. Personal data is in the database's payloads, in both systems, and on the console's page of a
message for those who may correct a value there; never in logs, metrics, exports, tracebacks or the audit.
"""

from __future__ import annotations

import io
import logging
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import SecretStr
from typer.testing import CliRunner

from bridge import logs, playground
from bridge.app import run_job
from bridge.cli import app as command_line
from bridge.ledger import people
from bridge.settings import Settings, SigningKey
from tests.e2e.company import Company
from tests.web.people import Browser, make_account

FIRST, LAST, MAIL, PHONE, BROKER = (
    "Canarina",
    "Zwitscher",
    "canarina@zwitscher.example",
    "555-0177",
    "Kanarienvogel Brokers",
)
NOW = datetime(2026, 11, 20, tzinfo=UTC)
PEOPLE = (FIRST, LAST, MAIL, PHONE, BROKER)
SECRETS = {
    "netsuite_consumer_key": "canary-netsuite-consumer-key",
    "netsuite_consumer_secret": "canary-netsuite-consumer-secret",
    "netsuite_token_id": "canary-netsuite-token-id",
    "netsuite_token_secret": "canary-netsuite-token-secret",
    "salesforce_client_secret": "canary-salesforce-client-secret",
    "audit_key": "canary-audit-key",
    "alert_urls": "json://canary-alert-user:canary-alert-password@127.0.0.1:9/canary-alert-path",
    "alert_webhook_secret": "canary-webhook-secret",
    "oidc_client_secret": "canary-oidc-secret",
}
SIGNING = "canary-signing-key-of-more-than-32-characters"


class Played:
    """One run of the main job, and everything that it said anywhere."""

    def __init__(self, company: Company, database: Path, log: io.StringIO, raw: io.StringIO) -> None:
        self.company, self.database, self.log, self.raw = company, database, log, raw
        self.application = ""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Everything a funding needs, a refusal on either side, lost answers, a fault of our own, and pulls; at DEBUG."""
    database = tmp_path_factory.mktemp("canaries") / "bridge.sqlite3"
    given: dict[str, Any] = {name: SecretStr(text) for name, text in SECRETS.items()}
    given |= {"signing_keys": {"sandbox": SigningKey(secret=SecretStr(SIGNING))}}
    given |= {"alert_webhook": "http://127.0.0.1:9/canary-webhook-path"}
    assert {*SECRETS, "salesforce_jwt_key"} == secret_settings(), "a new secret needs a canary here"
    root = logging.getLogger()
    log, raw = io.StringIO(), io.StringIO()
    handlers = [logging.StreamHandler(log), logging.StreamHandler(raw)]
    handlers[0].setFormatter(logs.Json())
    handlers[1].setFormatter(logging.Formatter("%(name)s %(message)s"))
    before = {name: logging.getLogger(name).level for name in ("", *logs.CHATTY)}
    # A formatter that stars nothing out: what is proved is that nothing has to be.
    for handler in handlers:
        root.addHandler(handler)
    for name in before:
        logging.getLogger(name).setLevel(logging.DEBUG)
    house = playground.start(database, settings=given)
    made = Played(Company(house), database, log, raw)
    try:
        play(made)
        yield made
    finally:
        house.stop()
        for handler in handlers:
            root.removeHandler(handler)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def secret_settings() -> set[str]:
    return {name for name, it in Settings.model_fields.items() if "SecretStr" in str(it.annotation)}


def play(played: Played) -> None:
    company = played.company
    ns, sf = company.ns, company.sf
    account = company.account(Phone=PHONE)
    sf.insert("Contact", FirstName=FIRST, LastName=LAST, Email=MAIL, Phone=PHONE, AccountId=account)
    sf.insert("Contact", FirstName=FIRST, LastName=f"{LAST} !REJECT USER_ERROR", Email=MAIL, AccountId=account)
    sf.insert("Account", Name=f"{BROKER} !REJECT INVALID_KEY_OR_REF", Phone=PHONE)
    sf.drain()
    broker = company.account(BROKER)
    played.application, _ = company.application(account, broker=broker)
    company.application(account, broker=broker, Commission_Percent__c=None)  # refused for sales
    ns.admin.faults("drop", operation="upsert", count=1)
    company.save(account, Phone=f"{PHONE}9")
    ns.admin.faults("http", operation="upsert", status=500, body="html", count=1)
    company.save(broker, Phone=f"{PHONE}8")
    own_fault(company, account)
    sf.login.revoke_all()
    gate = ns.gate.credentials
    gate.token_id, right = "another", gate.token_id
    company.save(account, Phone=f"{PHONE}7")  # a refused login pauses NetSuite
    gate.token_id = right
    for job in ("sweep", "orders", "remittances", "watch", "anchor", "verify"):
        try:
            run_job(company.house.bridge, job)
        except Exception:
            logging.getLogger("bridge.test").exception("A job failed.")
    requests.post(f"{company.house.callouts.url}/v1/push/Contact", f'{{"x": "{MAIL}"'.encode(), timeout=10)


def own_fault(company: Company, account: str) -> None:
    """A bug of ours in the middle of a delivery, with a person's values in hand: its traceback is logged."""
    engine = company.house.bridge.engine
    right = engine.netsuite

    class Broken:
        name, url = right.name, right.url

        def __getattr__(self, name: str) -> Any:
            def fails(*values: Any, **named: Any) -> Any:
                raise RuntimeError(f"{name} met something impossible")

            return fails

    engine.netsuite = Broken()  # type: ignore[assignment]
    company.save(account, Phone=f"{PHONE}6")
    engine.netsuite = right


def found(text: str, words: tuple[str, ...]) -> list[str]:
    return [it for it in words if it in text]


def canaries() -> tuple[str, ...]:
    parts = [it for text in SECRETS.values() for it in re.findall(r"canary-[a-z0-9-]+", text)]
    return (*parts, SIGNING)


def test_the_run_did_meet_all_that_it_is_about(played: Played) -> None:
    """Otherwise the rest proves nothing."""
    company = played.company
    with company.house.bridge.ledger.read() as connection:
        rows = connection.exec_driver_sql("SELECT state, code, payload FROM message").all()
    states = {row[0] for row in rows}
    assert {"delivered", "rejected"} <= states
    assert any(MAIL in (row[2] or "") for row in rows)
    log = played.log.getvalue()
    assert "Traceback" in log
    assert '"level": "debug"' in log
    assert "urllib3" in log


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_and_no_person_is_in_any_log_at_debug(played: Played, form: str) -> None:
    text = (played.log if form == "json" else played.raw).getvalue()

    assert found(text, canaries()) == []
    assert found(text, PEOPLE) == []


def test_no_secret_is_anywhere_in_the_database(played: Played) -> None:
    with played.company.house.bridge.ledger.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = played.database.read_bytes()

    assert [it for it in canaries() if it.encode() in raw] == []


def test_no_person_is_in_the_audit_or_the_incidents(played: Played) -> None:
    connection = sqlite3.connect(played.database)
    tables = (
        "audit",
        "incident",
        "attempt",
        "pause",
        "occurrence",
        "watermark",
        "call",
        "lane",
        "link",
        "configuration",
    )
    for table in tables:
        text = repr(connection.execute(f"SELECT * FROM {table}").fetchall())
        assert found(text, PEOPLE) == [], table


def test_no_canary_is_in_metrics_or_health(played: Played) -> None:
    text = "".join(
        requests.get(f"{played.company.house.callouts.url}/{it}", timeout=10).text
        for it in ("metrics", "healthz", "readyz")
    )

    assert found(text, (*canaries(), *PEOPLE)) == []


@pytest.mark.parametrize("role", people.ROLES)
def test_no_page_shows_a_secret_and_only_who_corrects_values_sees_those_of_people(played: Played, role: str) -> None:
    """Operators, accountants and administrators see values on a message's page, and a Contact's name in the list.

    Anybody may see the name of a company.
    """
    house = played.company.house
    make_account(house.bridge.ledger, f"pat-{role}", role)
    browser = Browser(house.console.url)
    assert browser.sign_in(f"pat-{role}").status_code == 303
    with house.bridge.ledger.read() as connection:
        numbers = connection.exec_driver_sql("SELECT max(id) FROM message GROUP BY source_id, state").scalars().all()
    paths = ["/", "/figures", "/errors", "/approvals", "/schedules", "/mappings", "/messages", "/applications"]
    paths += [f"/messages/{it}" for it in numbers] + [f"/applications/{played.application}", "/messages.csv"]

    shown = {path: browser.follow(path) for path in paths}

    corrects = role in ("operator", "accountant", "administrator")
    for path, answer in shown.items():
        assert answer.status_code in (200, 403), path
        assert found(answer.text, canaries()) == [], path
        if not (corrects and re.fullmatch(r"/messages(/\d+)?", path)):
            assert found(answer.text, (FIRST, LAST, MAIL, PHONE)) == [], path
    assert any(MAIL in it.text for it in shown.values()) == corrects


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_of_the_audit_and_what_the_verbs_print_hold_neither(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    settings = played.company.house.bridge.settings
    for name in ("netsuite_account", "netsuite_url", "salesforce_url", "salesforce_org_id", "salesforce_client_id"):
        monkeypatch.setenv(f"BRIDGE_{name.upper()}", str(getattr(settings, name)))
    for name in ("netsuite_consumer_key", "netsuite_consumer_secret", "netsuite_token_id", "netsuite_token_secret",
                 "salesforce_client_secret", "audit_key"):  # fmt: skip
        monkeypatch.setenv(f"BRIDGE_{name.upper()}", SECRETS[name])
    monkeypatch.setenv("BRIDGE_SIGNING_KEYS", f'{{"sandbox": "{SIGNING}"}}')
    monkeypatch.setenv("BRIDGE_DATABASE_URL", settings.database_url)
    target = tmp_path / f"audit.{form}"
    run = CliRunner().invoke

    printed = [
        run(command_line, it)
        for it in (["audit", "export", str(target)], ["audit", "show", "bridge"], ["errors"], ["doctor"])
    ]

    text = target.read_text() + "".join(it.output for it in printed)
    assert "received" in text
    assert found(text, (*canaries(), *PEOPLE)) == []


def test_what_is_written_back_to_salesforce_holds_no_secret(played: Played) -> None:
    sf = played.company.sf
    text = "".join(repr(row) for kind in ("Account", "Contact", "Opportunity") for row in sf.rows(kind))

    assert found(text, canaries()) == []
    told = "".join(
        str(row.get("NetSuite_Error__c")) for kind in ("Account", "Contact", "Opportunity") for row in sf.rows(kind)
    )
    assert "REJECT" not in told
    assert found(told, (MAIL, PHONE, LAST)) == []


def test_a_key_that_cannot_sign_is_not_quoted(private_key_text: str) -> None:
    from bridge.errors import Misconfigured
    from bridge.salesforce.auth import JwtBearer

    with pytest.raises(Misconfigured) as caught:
        JwtBearer("acme.my", "id", "user", private_key_text).form("https://acme.my.salesforce.com", NOW)

    seen: BaseException | None = caught.value
    while seen is not None:
        assert "canary" not in repr(seen)
        seen = seen.__cause__ or seen.__context__


@pytest.fixture
def private_key_text() -> str:
    return "-----BEGIN RSA PRIVATE KEY-----\ncanary-private-key\n-----END RSA PRIVATE KEY-----\n"
