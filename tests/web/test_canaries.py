"""Canary secrets and canary people through the whole main job: where they may turn up, and nowhere else.

A secret turns up nowhere. Personal data is in the database's payloads, in both systems, and on the console's page of a
message for those who may correct a value there; never in logs, metrics, exports, tracebacks or the audit.
"""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import Result
from pydantic import SecretStr
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool
from typer.testing import CliRunner

from bridge import handling, logs, playground
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
DATABASE_PASSWORD = "canary-database-password"
SIGNING = "canary-signing-key-of-more-than-32-characters"


class Played:
    """One run of the main job, and everything that it said anywhere."""

    def __init__(self, company: Company, database: Path, log: io.StringIO, raw: io.StringIO) -> None:
        self.company, self.database, self.log, self.raw = company, database, log, raw
        self.application = ""

    def kept(self) -> str:
        """Return all that the database holds: SQLite's file as it is, PostgreSQL's rows."""
        ledger = self.company.house.bridge.ledger
        if ledger.is_sqlite:
            with ledger.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            return self.database.read_bytes().decode("latin-1")
        return "".join(map(self.rows, inspect(ledger.engine).get_table_names()))

    def rows(self, table: str) -> str:
        with self.company.house.bridge.ledger.read() as connection:
            return repr(connection.exec_driver_sql(f'SELECT * FROM "{table}"').all())


@pytest.fixture(scope="module")
def server_with_password(request: pytest.FixtureRequest) -> Iterator[URL]:
    """A database of a role that has a canary for its password."""
    url: URL = request.getfixturevalue("new_postgres_database")()
    role = f"canary_{url.database}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD '{DATABASE_PASSWORD}'")
        connection.exec_driver_sql(f'ALTER DATABASE "{url.database}" OWNER TO {role}')
    yield url.set(username=role, password=DATABASE_PASSWORD)
    with create_engine(
        request.getfixturevalue("postgres_server"), isolation_level="AUTOCOMMIT"
    ).connect() as connection:
        connection.exec_driver_sql(f'DROP DATABASE "{url.database}" WITH (FORCE)')
        connection.exec_driver_sql(f"DROP ROLE {role}")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Everything a funding needs, a refusal on either side, lost answers, a fault of our own, and pulls; at DEBUG."""
    database = tmp_path_factory.mktemp("canaries") / "bridge.sqlite3"
    given: dict[str, Any] = {name: SecretStr(text) for name, text in SECRETS.items()}
    if request.param == "postgresql":
        there = request.getfixturevalue("server_with_password").set(drivername="postgresql")
        given["database_url"] = there.render_as_string(hide_password=False)
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
    return (*parts, SIGNING, DATABASE_PASSWORD)


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
    raw = played.kept()

    assert MAIL in raw
    assert found(raw, canaries()) == []


def test_no_person_is_in_the_audit_or_the_incidents(played: Played) -> None:
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
        assert found(played.rows(table), PEOPLE) == [], table


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
        (refused,) = connection.exec_driver_sql(
            "SELECT id FROM message WHERE source_kind = 'Contact' AND state = 'rejected'"
        ).scalars()
    edit = json.dumps({"path": "Email", "text": f"other.{MAIL}"})
    plans = [
        handling.draft(
            house.bridge.engine, action, [refused], value=value, reason="", actor="pat", guard=lambda count, sums: False
        )
        for action, value in (("retry", None), ("edit", edit))
    ]
    paths = ["/", "/figures", "/errors", "/approvals", "/schedules", "/mappings", "/messages", "/applications"]
    paths += ["/bindings", "/audit", "/audit.csv", "/messages/0", "/sign-in", *(f"/plans/{it}" for it in plans)]
    paths += [f"/messages/{it}" for it in numbers] + [f"/applications/{played.application}", "/messages.csv"]

    shown = {path: browser.follow(path) for path in paths}

    corrects = role in ("operator", "accountant", "administrator")
    for path, answer in shown.items():
        assert answer.status_code in (200, 403) or path == "/messages/0", path
        assert found(answer.text, canaries()) == [], path
        if not (corrects and re.fullmatch(r"/(messages|plans)(/\d+)?", path)):
            assert found(answer.text, (FIRST, LAST, MAIL, PHONE)) == [], path
    assert any(MAIL in it.text for it in shown.values()) == corrects


VERBS = (
    ["audit", "show", "bridge"], ["audit", "verify"], ["audit", "export"], ["errors"], ["doctor"], ["suspense"],
    ["mapping", "show"], ["mapping", "history"], ["mapping", "items"], ["shadow", "show"], ["config", "export"],
    ["wsdl", "status"], ["console", "accounts"], ["replay", "999999"], ["push", "Account", "001000000000001AAA"],
    ["drift"], ["sweep"], ["pull", "orders"], ["pause", "contact"], ["resume", "contact"], ["salesforce", "fields"],
)  # fmt: skip


@pytest.fixture
def command(played: Played, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Return how a verb is run on this house, with all that it prints and logs at DEBUG."""
    settings = played.company.house.bridge.settings
    for name in ("netsuite_account", "netsuite_url", "salesforce_url", "salesforce_org_id", "salesforce_client_id"):
        monkeypatch.setenv(f"BRIDGE_{name.upper()}", str(getattr(settings, name)))
    for name in ("netsuite_consumer_key", "netsuite_consumer_secret", "netsuite_token_id", "netsuite_token_secret",
                 "salesforce_client_secret", "audit_key", "alert_urls"):  # fmt: skip
        monkeypatch.setenv(f"BRIDGE_{name.upper()}", SECRETS[name])
    monkeypatch.setenv("BRIDGE_SIGNING_KEYS", f'{{"sandbox": "{SIGNING}"}}')
    monkeypatch.setenv("BRIDGE_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("BRIDGE_CONFIG", str(settings.config))
    # The tests' own handlers see every record as it is; a verb would put its stars in their place.
    monkeypatch.setattr(logs, "start", lambda *given: None)

    def run(*words: str, **environment: str) -> Result:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(command_line, list(words))

    return run


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_of_the_audit_holds_neither(command: Callable[..., Result], tmp_path: Path, form: str) -> None:
    target = tmp_path / f"audit.{form}"

    command("audit", "export", str(target))

    assert "received" in target.read_text()
    assert found(target.read_text(), (*canaries(), *PEOPLE)) == []


def test_no_verb_prints_a_secret_or_a_person(command: Callable[..., Result], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    printed = {" ".join(words): command(*words) for words in VERBS}

    for words, it in printed.items():
        assert it.exception is None or isinstance(it.exception, SystemExit), (words, it.exception)
        told = it.output.replace(BROKER, "") if words == "errors" else it.output  # a company's name may be told
        assert found(told, (*canaries(), FIRST, LAST, MAIL, PHONE)) == [], words
    assert "Underwriting" in printed["mapping show"].output or "companyName" in printed["mapping show"].output
    assert found(caplog.text, (*canaries(), *PEOPLE)) == []


@pytest.mark.parametrize("wrong", ["host", "port", "sign", "name"])
def test_a_database_that_cannot_be_opened_does_not_tell_its_password(
    command: Callable[..., Result], caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    """Also where the address was typed wrong, with a sign in the password that stands for something else there."""
    address = {
        "host": f"postgresql://user:{DATABASE_PASSWORD}@127.0.0.1:9/there",
        "port": f"postgresql://user:{DATABASE_PASSWORD}@127.0.0.1:port/there",
        "sign": f"postgresql://user:pa@ss:{DATABASE_PASSWORD}@127.0.0.1:9/there",
        "name": f"mysql://user:{DATABASE_PASSWORD}@127.0.0.1/there",
    }[wrong]

    for verb in ("errors", "doctor"):
        it = command(verb, BRIDGE_DATABASE_URL=address)
        assert it.exit_code == 1
        assert isinstance(it.exception, SystemExit), it.exception
        assert found(it.output + caplog.text, (DATABASE_PASSWORD,)) == []
    assert "BRIDGE_DATABASE_URL" in it.output


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
