"""Every verb of the command line, against both fakes over real sockets, with settings from the environment."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from typer.testing import CliRunner

import salesforce_metadata
import suitetalk_wsdl
from bridge import playground, terminal
from bridge.cli import app
from bridge.cli_config import sealed, unsealed
from bridge.ledger import Ledger, marks
from bridge.sandbox.netsuite import NO_LATENCY, FakeNetSuite
from bridge.sandbox.salesforce import FakeSalesforce
from bridge.sandbox.wsgi import SandboxServer

ORG = "00D5e0000000001EAA"
DEMO = Path(__file__).parents[1] / "bridge" / "demo.toml"
START_S = 30


@dataclass
class Systems:
    """Both fakes, on ports of their own."""

    salesforce: FakeSalesforce
    netsuite: FakeNetSuite
    environment: dict[str, str]
    ahead: list[timedelta]  # by how much NetSuite's clock goes before ours

    def save(self, kind: str = "Account", **values: Any) -> str:
        """Save a record that no callout tells of."""
        return self.salesforce.insert(kind, **({"Name": f"Acme {time.monotonic_ns()}"} | values))

    def funded(self) -> tuple[str, str]:
        account = self.save()
        terms = {"StageName": "Approved", "Funding_Accepted__c": True, "CloseDate": "2026-12-01"}
        money = {"Funded_Amount__c": Decimal(40000), "Purchased_Amount__c": Decimal(52000)}
        application = self.save("Opportunity", AccountId=account, **terms, **money)
        self.salesforce.add_fee(application, "Wire Fee", Decimal(25))
        return account, application

    def made(self, kind: str, salesforce_id: str) -> list[Any]:
        found = self.netsuite.store.records[kind].values()
        return [it for it in found if (it.external_id or "").endswith(salesforce_id)]


@pytest.fixture(scope="module")
def systems() -> Iterator[Systems]:
    schema = Path(suitetalk_wsdl.__file__).parent / "2025_2"
    ahead = [timedelta(0)]
    netsuite = FakeNetSuite(schema_dir=schema, latency=NO_LATENCY, clock=lambda: datetime.now(UTC) + ahead[0])
    metadata = Path(salesforce_metadata.__file__).parent / "force-app" / "main" / "default"
    salesforce = FakeSalesforce(metadata_dir=metadata, org_id=ORG)
    with SandboxServer(netsuite) as theirs, SandboxServer(salesforce) as ours:
        environment = {
            "BRIDGE_NETSUITE_ACCOUNT": "1234567",
            "BRIDGE_NETSUITE_CONSUMER_KEY": "sandbox-consumer-key",
            "BRIDGE_NETSUITE_CONSUMER_SECRET": "sandbox-consumer-secret",
            "BRIDGE_NETSUITE_TOKEN_ID": "sandbox-token-id",
            "BRIDGE_NETSUITE_TOKEN_SECRET": "sandbox-token-secret",
            "BRIDGE_NETSUITE_URL": theirs.url,
            "BRIDGE_SALESFORCE_URL": ours.url,
            "BRIDGE_SALESFORCE_ORG_ID": ORG,
            "BRIDGE_SALESFORCE_CLIENT_ID": "sandbox-consumer-key",
            "BRIDGE_SALESFORCE_CLIENT_SECRET": "sandbox-consumer-secret",
            "BRIDGE_SIGNING_KEYS": '{"sandbox": {"secret": "sandbox-signing-key"}}',
            "BRIDGE_CONFIG": str(DEMO),
        }
        yield Systems(salesforce, netsuite, environment, ahead)
    salesforce.close()


def forget(systems: Systems) -> None:
    """Let Salesforce show of no record that it was delivered."""
    with systems.salesforce.org.lock:
        for kind in ("Account", "Opportunity"):
            for row in systems.salesforce.rows(kind):
                row["NetSuite_Synced_At__c"] = None


@pytest.fixture
def environment(systems: Systems, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of an instance with a database of its own."""
    for name in [it for it in os.environ if it.startswith("BRIDGE_") and "TEST" not in it]:
        monkeypatch.delenv(name)
    forget(systems)  # else its database, which is new, would seem to be an older copy
    given = systems.environment | {"BRIDGE_DATABASE_URL": f"sqlite:///{tmp_path / 'bridge.sqlite3'}"}
    for name, value in (given | {"COLUMNS": "200"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(terminal.out, "width", 200)  # it was made before, by the width of whoever started the run
    return given


BADGE = f" sandbox  {ORG} ⇄ 1234567\n"  # stands beside every answer
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def bridge(environment: dict[str, str]) -> Run:
    """Run a verb in this process; its exit code and all that it printed."""

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(words))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output.replace(BADGE, "")

    return run


# --- settings ---


@pytest.mark.parametrize("verb", ["serve", "doctor", "errors", "push Account 001"])
def test_wrong_settings_are_all_told_at_once(bridge: Run, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    monkeypatch.setenv("BRIDGE_PORT", "99999")
    monkeypatch.setenv("BRIDGE_ENVIRONMENT", "production")
    monkeypatch.delenv("BRIDGE_NETSUITE_TOKEN_SECRET")
    monkeypatch.delenv("BRIDGE_SIGNING_KEYS")

    code, text = bridge(*verb.split())

    assert code == 1
    for name in ("PORT", "NETSUITE_TOKEN_SECRET is missing", "SIGNING_KEYS is missing", "AUDIT_KEY is missing"):
        assert f"BRIDGE_{name}" in text
    assert "Traceback" not in text


def test_without_any_settings_nothing_starts_and_nothing_is_left_behind(
    bridge: Run, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in environment:
        monkeypatch.delenv(name)

    code, text = bridge("serve")

    assert code == 1
    assert "BRIDGE_NETSUITE_ACCOUNT is missing." in text
    assert "bridge sandbox" in text
    assert list(tmp_path.iterdir()) == []


def test_a_site_that_cannot_work_is_in_the_same_list(
    bridge: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "wrong.toml").write_text('[site]\ncurrency = "dollars"\n')
    monkeypatch.setenv("BRIDGE_CONFIG", str(tmp_path / "wrong.toml"))
    monkeypatch.delenv("BRIDGE_NETSUITE_TOKEN_ID")

    code, text = bridge("doctor")

    assert code == 1
    assert "site.currency" in text
    assert "BRIDGE_NETSUITE_TOKEN_ID is missing." in text


def test_a_mapping_that_cannot_work_stops_the_start(
    bridge: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "wrong.toml").write_text('[sync.salesorder.fields.memo]\ntext = "Name"\n')
    monkeypatch.setenv("BRIDGE_CONFIG", str(tmp_path / "wrong.toml"))

    code, text = bridge("serve")

    assert code == 1
    assert "sync.salesorder is not a sync" in text


def test_a_rule_for_fields_that_there_are_not_stops_the_start_with_all_of_them(
    bridge: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "wrong.toml").write_text(
        '[sync.customer.fields.coments]\ntext = "Description"\n'
        '[sync.customer.fields.comments]\ntext = "Descriptoin"\n'
        '[sync.customer.fields.creditLimit]\nmoney = "Taxable__c"\n'
        '[[sync.sales_order.gates]]\nfield = "Funding_Acepted__c"\noperator = "is true"\n'
    )
    monkeypatch.setenv("BRIDGE_CONFIG", str(tmp_path / "wrong.toml"))

    code, text = bridge("serve")

    assert code == 1
    words = " ".join(text.split())
    assert "NetSuite's customer has no field coments." in words
    assert "Descriptoin is read, and Account has no such field in Salesforce" in words
    assert "creditLimit: Taxable holds a flag in Salesforce, which a rule for money cannot read." in words
    assert "Funding_Acepted__c is asked for by a gate, and Application has no such field" in words
    assert "Traceback" not in text


# --- doctor ---


def test_doctor_says_what_is_reachable_and_permitted(bridge: Run) -> None:
    code, text = bridge("doctor")

    assert code == 0, text
    for words in (
        "Logged in at",
        "Application can be read and written",
        "Remittance can be read and written",
        "NetSuite accepts the bridge's credentials",
        "may read salesOrder records",
        "may read which records were deleted",
        "customrecord_broker_commission is number",
    ):
        assert words in text
    assert "✗" not in text
    assert "sandbox-token-secret" not in text


def test_doctor_names_a_wrong_credential_and_ends_with_one(bridge: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_SALESFORCE_CLIENT_SECRET", "not-this-one")

    code, text = bridge("doctor")

    assert code == 1
    assert "✗ Salesforce login" in text
    assert "NetSuite accepts" in text  # the other side is looked at all the same
    assert "not-this-one" not in text


@pytest.mark.parametrize(("operation", "name"), [("search", "customer"), ("getDeleted", "deletions")])
def test_doctor_names_what_the_role_may_not_do(bridge: Run, systems: Systems, operation: str, name: str) -> None:
    systems.netsuite.faults.add("permission", operation=operation)

    code, text = bridge("doctor")

    assert code == 1
    (line,) = (it for it in text.splitlines() if "✗" in it)
    assert f"NetSuite {name}: " in line
    assert "INSUFFICIENT_PERMISSION" in " ".join(text.split())
    assert "NetSuite accepts the bridge's credentials" in text  # and the rest was looked at


@pytest.mark.parametrize(
    ("away", "told", "there"),
    [("NetSuite", "cannot be reached", "Logged in at"), ("Salesforce", "is not available", "NetSuite accepts")],
)
def test_doctor_names_a_system_that_is_not_there(
    bridge: Run, monkeypatch: pytest.MonkeyPatch, away: str, told: str, there: str
) -> None:
    monkeypatch.setenv(f"BRIDGE_{away.upper()}_URL", "http://127.0.0.1:9")

    code, text = bridge("doctor")

    assert code == 1
    assert f"✗ {away} login: {away} {told}" in text
    assert "Not tried, because the login failed." in text
    assert there in text
    assert "Traceback" not in text


# --- push ---


def test_push_sends_one_record_and_says_what_was_made(bridge: Run, systems: Systems) -> None:
    account = systems.save()

    code, text = bridge("push", "Account", account)

    assert code == 0, text
    (customer,) = systems.made("customer", account)
    assert f"customer {customer.id}" in text
    assert (systems.salesforce.row(account) or {})["NetSuite_Customer_Id__c"] == customer.id


def test_push_of_an_application_sends_its_orders(bridge: Run, systems: Systems) -> None:
    _, application = systems.funded()

    code, text = bridge("push", "Application", application)

    assert code == 0, text
    (order,) = systems.made("salesOrder", application)
    assert order.fields["tranId"] in text
    assert len(systems.made("purchaseOrder", application)) == 1


def test_push_of_an_application_that_is_not_approved_says_why_not(bridge: Run, systems: Systems) -> None:
    application = systems.save("Opportunity", AccountId=systems.save(), StageName="New", CloseDate="2026-12-01")

    code, text = bridge("push", "Application", application)

    assert code == 0
    assert "Stage is New, needs Approved or Funded" in re.sub(r"[│\s]+", " ", text)  # it stands in a narrow cell


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("Opportunity", "0065e0000000001AAA"), "there are Account, Contact, Application"),
        (("Account", "0015e00000zzzzzAAA"), "Salesforce has no Account"),
    ],
)
def test_push_of_what_there_is_not_says_so(bridge: Run, words: tuple[str, str], sentence: str) -> None:
    code, text = bridge("push", *words)

    assert code == 1
    assert sentence in text


# --- pull ---


def test_pull_brings_orders_and_remittances(bridge: Run, systems: Systems) -> None:
    account, application = systems.funded()
    bridge("push", "Application", application)
    (order,), (customer,) = systems.made("salesOrder", application), systems.made("customer", account)
    systems.netsuite.admin.approve(kind="salesOrder", id=order.id)
    invoice = systems.netsuite.admin.bill(kind="salesOrder", id=order.id).id
    systems.netsuite.admin.pay(customer.id, "25.00", {invoice: "25.00"})

    systems.ahead[0] = timedelta(minutes=3)  # a window ends two minutes before NetSuite's clock
    results = [bridge("pull", what, "--since", "2026-01-01T00:00:00") for what in ("orders", "remittances")]
    systems.ahead[0] = timedelta(0)

    assert [code for code, _ in results] == [0, 0]
    mirrored = [it for it in systems.salesforce.rows("NetSuite_Order__c") if it["Application__c"] == application]
    remitted = [it for it in systems.salesforce.rows("Remittance__c") if it["Application__c"] == application]
    assert sorted(it["Record_Type__c"] for it in mirrored) == ["Purchase Order", "Sales Order"]
    assert [(it["Amount__c"], it["Running_Balance__c"]) for it in remitted] == [(Decimal(25), Decimal(51975))]


def test_pull_of_what_there_is_not_says_so(bridge: Run) -> None:
    code, text = bridge("pull", "estimates")

    assert code == 1
    assert "there are orders, remittances, invoices" in text


def test_sweep_receives_what_no_callout_brought(bridge: Run, systems: Systems) -> None:
    account = systems.save()
    time.sleep(1.1)  # a window ends with the last whole second of Salesforce's clock

    code, text = bridge("sweep")

    assert code == 0
    assert "came late" in text
    assert len(systems.made("customer", account)) == 1


# --- the error desk ---


def test_errors_lists_causes_and_replay_sends_again(bridge: Run, systems: Systems) -> None:
    assert bridge("errors") == (0, "Nothing needs a person.\n")
    assert bridge("waiting") == (0, "Nothing waits.\n")
    account = systems.save(Name=f"Acme !REJECT USER_ERROR {time.monotonic_ns()}")
    code, _ = bridge("push", "Account", account)
    assert code == 1

    code, text = bridge("errors")
    number = re.findall(r"│ +(\d+) +│$", text, re.MULTILINE)[-1]
    replayed = bridge("replay", number, "--reason", "tried again")

    assert code == 1
    assert "administrator" in text or "accounting" in text or "sales" in text
    assert replayed == (0, "1 of 1 are on their way again.\n")
    assert bridge("replay", "999999")[1] == (
        "0 of 1 are on their way again.\n"
        "✗ The others do not exist, or are on their way already: 'bridge errors' lists what waits for a person.\n"
    )


def test_adopt_lists_who_has_the_name_and_takes_the_one_that_is_said(bridge: Run, systems: Systems) -> None:
    name = f"Acme {time.monotonic_ns()}"
    there = systems.netsuite.admin.create("customer", companyName=name, subsidiary="1")
    account = systems.save(Name=name)
    bridge("push", "Account", account)
    number = re.findall(r"│ +(\d+) +│$", bridge("errors")[1], re.MULTILINE)[-1]

    code, text = bridge("adopt", number)
    wrong = bridge("adopt", number, "--id", "1")
    adopted = bridge("adopt", number, "--id", there.id, "--reason", "same")

    assert (code, there.id in text, name in text) == (0, True, True)
    assert wrong == (1, "✗ NetSuite has no such record of this name any more.\n")
    assert adopted == (0, "1 of 1 adopted and on their way.\n")
    assert there.external_id == f"sf-cus-{account}"
    assert bridge("adopt", number) == (1, "✗ Nothing can be adopted for this message.\n")
    assert bridge("adopt", "999999") == (1, "✗ There is no message 999999.\n")


def test_a_side_is_chosen_where_both_changed_a_shared_field(
    bridge: Run, systems: Systems, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shared = '\n[sync.customer.fields.phone]\ntext = "Phone"\nowner = "shared"\n'
    (tmp_path / "bridge.toml").write_text(DEMO.read_text() + shared)
    monkeypatch.setenv("BRIDGE_CONFIG", str(tmp_path / "bridge.toml"))
    account = systems.save(Phone="1")
    bridge("push", "Account", account)
    (made,) = systems.made("customer", account)
    with systems.netsuite.lock:
        made.fields["phone"] = "9"
        systems.netsuite.store.changed(made)
    systems.salesforce.update(account, Phone="2")

    code, text = bridge("push", "Account", account)
    number = re.findall(r"│ +(\d+) +│$", bridge("errors")[1], re.MULTILINE)[-1]
    shown = bridge("mapping", "show", "customer")[1]
    chosen = bridge("choose", "salesforce", number)

    assert code == 1
    assert "'2' in Salesforce, '9' in NetSuite" in " ".join(text.split())
    assert "written only while NetSuite has not changed it" in " ".join(re.sub("[│ \n]+", " ", shown).split())
    assert chosen == (0, "1 of 1 decided and on their way.\n")
    assert "already so, or do not ask for it" in " ".join(bridge("choose", "netsuite", number)[1].split())
    assert made.fields["phone"] == "2"
    assert bridge("choose", "both", number) == (1, "✗ Say whose value counts: salesforce or netsuite.\n")


def test_reconcile_shows_what_a_new_database_does_not_know_and_links_it_again(
    bridge: Run, systems: Systems, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    account = systems.save()
    bridge("push", "Account", account)
    (customer,) = systems.made("customer", account)
    systems.ahead[0] = timedelta(minutes=1)
    forget(systems)  # in a recovery it would be swept first, and be on its way
    monkeypatch.setenv("BRIDGE_DATABASE_URL", f"sqlite:///{tmp_path / 'new.sqlite3'}")

    found = bridge("reconcile", "--all")
    applied = bridge("reconcile", "--apply")
    again = bridge("reconcile", "--all")
    systems.ahead[0] = timedelta(0)

    assert found[0] == 1
    assert re.search(rf"customer.*unlinked.*{account}.*{customer.id}", found[1])
    assert "nothing was written" in found[1]
    assert applied[0] == 0
    assert "linked again" in applied[1]
    assert not re.search(rf"customer.*{account}", again[1])
    assert [it.id for it in systems.made("customer", account)] == [customer.id]


@pytest.mark.parametrize("verb", ["push", "replay", "reconcile --apply"])
def test_a_verb_that_writes_notices_an_older_copy_before_any_serve(
    bridge: Run,
    systems: Systems,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    verb: str,
) -> None:
    """An administrator restores a backup and tries something by hand before the bridge is started."""
    account = systems.save()
    bridge("push", "Account", account)
    ledger = Ledger(environment["BRIDGE_DATABASE_URL"])
    with ledger.read() as connection:
        number = str(connection.exec_driver_sql("SELECT min(id) FROM message").scalar())
    ledger.close()
    copy = tmp_path / "older.sqlite3"
    monkeypatch.setenv("BRIDGE_DATABASE_URL", f"sqlite:///{copy}")
    systems.ahead[0] = timedelta(minutes=1)
    calls = systems.netsuite.calls_by_operation.copy()
    words = {"push": ["push", "Account", account], "replay": ["replay", number]}.get(verb, verb.split())

    _, text = bridge(*words)

    systems.ahead[0] = timedelta(0)
    made = systems.netsuite.calls_by_operation - calls
    assert "Nothing is sent to NetSuite. Salesforce shows records that were delivered" in text
    if verb != "reconcile --apply":  # which compares first
        assert (made["upsert"], made["upsertList"]) == (0, 0)
    assert len(systems.made("customer", account)) == 1


def test_a_recovery_is_not_resumed_before_somebody_knows_of_it(
    bridge: Run, systems: Systems, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bridge("push", "Account", systems.save())
    monkeypatch.setenv("BRIDGE_DATABASE_URL", f"sqlite:///{tmp_path / 'older.sqlite3'}")

    first, second = bridge("resume", "*netsuite"), bridge("resume", "*netsuite")

    assert (first[0], second) == (1, (0, "*netsuite goes on.\n"))
    assert "the database knows nothing of it" in first[1]


def test_a_recovery_goes_on_until_all_was_compared(bridge: Run, systems: Systems, environment: dict[str, str]) -> None:
    bridge("push", "Account", systems.save())
    ledger = Ledger(environment["BRIDGE_DATABASE_URL"])
    with ledger.write() as writing:
        marks.start_pause(writing, "*netsuite", "RECOVERY", "It seems to be an older copy.", probe=False)
    systems.netsuite.faults.add("permission", operation="search")

    partly = bridge("reconcile", "--apply")
    systems.netsuite.faults.clear()
    with ledger.read() as connection:
        paused = [it.code for it in marks.pauses(connection)]
    whole = bridge("reconcile", "--apply")
    with ledger.read() as connection:
        after = marks.pauses(connection)
    ledger.close()

    assert "was not compared" in partly[1]
    assert "NetSuite stays paused" in partly[1]
    assert paused == ["RECOVERY"]
    assert "stays paused" not in whole[1]
    assert after == []


def test_pause_stops_one_sync_and_resume_goes_on(bridge: Run, systems: Systems) -> None:
    account = systems.save()
    assert bridge("pause", "customer") == (0, "customer is paused.\n")
    assert bridge("pause", "customer") == (0, "customer was paused already.\n")

    bridge("push", "Account", account)
    meanwhile = systems.made("customer", account)
    resumed = bridge("resume", "customer")
    bridge("push", "Account", account)

    assert meanwhile == []
    assert resumed == (0, "customer goes on.\n")
    assert len(systems.made("customer", account)) == 1
    assert bridge("resume", "customer") == (0, "customer was not paused.\n")


def test_pause_of_what_there_is_not_names_what_there_is(bridge: Run) -> None:
    code, text = bridge("pause", "customers")

    assert code == 1
    assert "customer" in text
    assert "*netsuite" in text


def test_the_audit_is_verified_and_a_forged_row_is_found(
    bridge: Run, systems: Systems, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_AUDIT_ANCHORS", str(tmp_path / "anchors.jsonl"))
    bridge("push", "Account", systems.save())
    assert bridge("audit", "anchor")[1].endswith("the end of the audit chains is in anchors.jsonl.\n")
    assert bridge("audit", "verify") == (0, "The audit trail holds, and agrees with its anchors.\n")

    with sqlite3.connect(tmp_path / "bridge.sqlite3") as database:
        database.execute("DROP TRIGGER audit_update")
        database.execute("UPDATE audit SET actor = 'somebody else' WHERE action = 'received'")
    database.close()

    code, text = bridge("audit", "verify")
    assert code == 1
    assert "is broken at row" in text


def test_auditors_find_one_record_and_export_a_period(bridge: Run, systems: Systems, tmp_path: Path) -> None:
    account = systems.save()
    bridge("push", "Account", account)
    (customer,) = systems.made("customer", account)

    for word in (account, customer.id):
        code, text = bridge("audit", "show", word)
        assert code == 0
        assert f"customer/{customer.id}" in text
    assert bridge("audit", "show", "001000000000000AAA")[0] == 1
    assert bridge("audit", "export", str(tmp_path / "all.csv"))[0] == 0
    assert bridge("audit", "export", str(tmp_path / "all.jsonl"), "--since", "2020-01-01")[0] == 0
    assert bridge("audit", "export", str(tmp_path / "none.jsonl"), "--until", "2020-01-01")[0] == 0

    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    (made,) = [it for it in rows if it["action"] == "delivered" and it["sync"] == "customer"]
    assert made["target"] == f"customer/{customer.id}"
    assert (made["before"], len(made["after"]), len(made["mapping"]), len(made["hash"])) == (None, 40, 12, 64)
    assert account in (tmp_path / "all.csv").read_text()
    assert (tmp_path / "none.jsonl").read_text() == ""
    (exported,) = [it for it in rows if it["action"] == "exported"]
    assert exported["detail"] == f"audit, the beginning to now: {len(rows) - 1} rows"


def test_a_record_is_erased(bridge: Run, systems: Systems) -> None:
    account = systems.save()
    bridge("push", "Account", account)

    code, text = bridge("audit", "erase", account, "--reason", "asked for")

    assert (code, text.endswith(f"messages of {account} were emptied.\n")) == (0, True)
    assert bridge("audit", "verify")[0] == 0


# --- the mapping ---


def test_mapping_show_prints_a_sync_with_the_sites_own_fields(bridge: Run) -> None:
    code, text = bridge("mapping", "show", "sales_order")

    assert code == 0
    assert "This is demo.toml; nothing was applied yet" in text
    assert "sales_order: Application → salesOrder" in text
    assert re.search(r"custbody_funded_amount +│ money Funded_Amount__c", text)
    assert "only when Stage is in this site's approval stages" in text
    assert "Opportunity" not in text


def test_mapping_show_of_what_there_is_not_says_so(bridge: Run) -> None:
    code, text = bridge("mapping", "show", "customers")

    assert code == 1
    assert "There is no sync 'customers'" in text


# --- what keeps running ---


@pytest.fixture
def running(environment: dict[str, str]) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Start a verb as a process and wait for its first lines up to one that matches; all are stopped at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, until: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "bridge", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        assert process.stdout is not None
        text, end = "", time.monotonic() + START_S
        while not re.search(until, text):
            assert time.monotonic() < end, text
            line = process.stdout.readline()
            assert line, text
            text += line
        return process, text

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_serve_answers_until_it_is_asked_to_stop(
    running: Callable[..., tuple[subprocess.Popen[str], str]], monkeypatch: pytest.MonkeyPatch, free_ports: list[int]
) -> None:
    monkeypatch.setenv("BRIDGE_PORT", str(free_ports[0]))
    monkeypatch.setenv("BRIDGE_CONSOLE_PORT", str(free_ports[1]))

    process, _ = running("serve", until="Callouts at")

    assert requests.get(f"http://127.0.0.1:{free_ports[0]}/readyz", timeout=10).text == "ready\n"
    assert "Schedule" in requests.get(f"http://127.0.0.1:{free_ports[1]}/", timeout=10).text
    assert requests.post(f"http://127.0.0.1:{free_ports[0]}/v1/push/Account", data=b"{}", timeout=10).status_code == 401
    process.send_signal(signal.SIGTERM)
    assert process.wait(START_S) == 0


def test_waiting_tells_what_is_paused(bridge: Run, systems: Systems) -> None:
    assert bridge("pause", "customer", "--reason", "year end")[0] == 0
    account = systems.save()
    bridge("push", "Account", account)

    text = " ".join(bridge("waiting")[1].split())

    assert re.search(r"customer is paused since \d{4}-\d\d-\d\d [\d:]{8} UTC: year end \(PAUSED_BY_PERSON\)", text), (
        text
    )
    assert re.search(r"│ customer │ 1 │ not known │ paused │", text), text
    bridge("resume", "customer")
    assert "paused" not in bridge("waiting")[1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--port", "65534"), "There are no four ports from 65534 on."),
        (("--database", "sqlite:///x"), "--database takes a PostgreSQL database: postgresql://…;"),
        (("--port", "0", "--database", "postgresql://u@127.0.0.1:1/x"), "cannot be used (OperationalError); see"),
    ],
)
def test_a_sandbox_that_cannot_start_says_why(bridge: Run, words: tuple[str, ...], sentence: str) -> None:
    code, text = bridge("sandbox", *words)

    assert (code, sentence in " ".join(text.split())) == (1, True), text


def test_a_sandbox_whose_port_is_taken_names_it(bridge: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, text = bridge("sandbox", "--port", str(port))

    assert (code, f"Port {port} of 127.0.0.1 cannot be used" in text) == (1, True), text


def test_a_worker_joins_a_sandbox_on_postgresql(
    running: Callable[..., tuple[subprocess.Popen[str], str]],
    environment: dict[str, str],
    bare_postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in environment:
        monkeypatch.delenv(name)
    database = bare_postgres_url.replace("+psycopg", "")
    running("sandbox", "--fast", "--empty", "--port", "0", "--folder", "t", "--database", database, until="Ctrl-C")
    monkeypatch.setenv("BRIDGE_SECRETS_DIR", str(tmp_path / "t" / "settings"))

    process, text = running("worker", until="Delivering")

    assert "Delivering, sandbox." in text
    process.send_signal(signal.SIGTERM)
    assert process.wait(START_S) == 0


def test_the_sandbox_serves_the_pages_of_all_three(running: Callable[..., tuple[subprocess.Popen[str], str]]) -> None:
    process, text = running("sandbox", "--fast", "--empty", "--port", "0", until="Ctrl-C")

    pages = dict(re.findall(r"^(\w+): (http://127\.0\.0\.1:\d+)$", text, re.MULTILINE))
    assert pages.keys() == {"Salesforce", "NetSuite", "Bridge"}
    for url in pages.values():
        answer = requests.get(url, timeout=10)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/html")
    process.send_signal(signal.SIGTERM)
    assert process.wait(START_S) == 0


@pytest.fixture
def free_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as other:
        for it in (one, other):
            it.bind(("127.0.0.1", 0))
        return [one.getsockname()[1], other.getsockname()[1]]


CHANGED = """
[sync.customer.fields.comments]
text = "Description"

[sync.customer.fields.phone]
remove = true
"""


def test_a_mapping_is_checked_compared_foreseen_applied_and_taken_back(
    bridge: Run, systems: Systems, tmp_path: Path
) -> None:
    account = systems.save(Phone="555-0100", Description="Likes ovens")
    bridge("push", "Account", account)
    draft = tmp_path / "draft.toml"
    draft.write_text(DEMO.read_text(encoding="utf-8") + CHANGED, encoding="utf-8")

    assert bridge("mapping", "check", str(draft))[0] == 0
    code, text = bridge("mapping", "check", str(draft), "--live")
    assert code == 0, text
    code, text = bridge("mapping", "diff", str(draft))
    assert (code, "text Phone, at most 32" in text, "text Description" in text) == (0, True, True)
    code, text = bridge("mapping", "preview", str(draft), "--sync", "customer", "--last", "1")
    assert (code, "Likes ovens" in text) == (0, True)
    assert "1 update, 0 unchanged, 0 reject, 0 held, 0 wait; 0 writes were made." in text
    code, text = bridge("mapping", "apply", str(draft), "--reason", "accounting asked")
    assert (code, "Account.Description is read now, and the package as shipped does not" in text) == (0, True)
    assert re.search(r"customer +│ 1 ", bridge("mapping", "affected", "1")[1])
    assert bridge("mapping", "diff", str(draft)) == (0, "Nothing differs.\n")
    code, text = bridge("mapping", "apply", str(DEMO), "--after", "0", "--reason", "too late")
    assert (code, "Another configuration was applied meanwhile" in text) == (1, True)
    systems.salesforce.update(account, Phone="555-0101")
    bridge("push", "Account", account)
    (customer,) = systems.made("customer", account)
    assert customer.fields["comments"] == "Likes ovens"
    assert "demo.toml says something else than configuration 2, which is live" in bridge("doctor")[1]
    code, text = bridge("mapping", "show", "customer")
    assert (code, "This is configuration 2, which " in text, "text Description" in text) == (0, True, True)
    code, text = bridge("mapping", "show", "customer", "--file", str(DEMO))
    assert (code, "demo.toml, which is not live: that is configuration 2." in text) == (0, True)
    assert "text Description" not in text
    code, text = bridge("salesforce", "fields")
    assert (code, "The mapping is configuration 2" in text, "Account.Description is read" in text) == (1, True, True)
    assert bridge("salesforce", "fields", "--file", str(DEMO))[0] == 0
    assert bridge("mapping", "revert", "--reason", "never mind")[0] == 0
    assert "says something else" not in bridge("doctor")[1]

    code, text = bridge("mapping", "history")

    assert code == 0
    assert ["back to 1: never mind" in text, "what the file said" in text, "accounting asked" in text] == [True] * 3


def test_what_one_version_of_the_mapping_has_sent_is_counted_and_summed(
    bridge: Run, systems: Systems, environment: dict[str, str]
) -> None:
    _, application = systems.funded()
    bridge("push", "Application", application)
    path = environment["BRIDGE_DATABASE_URL"].removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path)) as ledger:
        ((version,),) = ledger.execute("SELECT DISTINCT mapping FROM audit WHERE sync = 'sales_order'").fetchall()

    code, text = bridge("mapping", "affected", version, "--all")

    assert code == 0
    assert re.search(r"sales_order +│ 1 +│ 25.00 USD", text)
    assert re.search(r"purchase_order +│ 1 +│ 40,000.00 USD", text)
    assert f"sales_order: {application}" in text
    assert bridge("mapping", "affected", "none")[1] == "Nothing was sent by the mapping none.\n"


def test_the_catalogues_are_compared(bridge: Run) -> None:
    code, text = bridge("mapping", "items")

    assert "only in Salesforce, " in text
    assert "only in NetSuite." in text
    assert code in (0, 1)


def test_a_mapping_that_does_not_fit_is_refused_with_what_is_wrong(bridge: Run, tmp_path: Path) -> None:
    draft = tmp_path / "draft.toml"
    draft.write_text(DEMO.read_text(encoding="utf-8") + CHANGED.replace("comments", "commments"), encoding="utf-8")

    code, text = bridge("mapping", "check", str(draft))

    assert (code, "NetSuite's customer has no field commments." in text) == (1, True)
    code, text = bridge("mapping", "apply", str(draft), "--reason", "typo")
    assert (code, "sync.customer, commments: NetSuite's customer has no field commments." in text) == (1, True)
    draft.write_text("[schedule.jobs.nightly]\nevery_minutes = 5\n", encoding="utf-8")
    code, text = bridge("mapping", "apply", str(draft), "--reason", "more often")
    assert (code, "nightly" in text) == (1, True)
    draft.write_text("[sync.customers]", encoding="utf-8")
    for verb in ("check", "diff", "preview"):
        assert bridge("mapping", verb, str(draft))[0] == 1
    assert bridge("mapping", "apply", str(draft), "--reason", "x")[0] == 1
    assert bridge("mapping", "check", str(tmp_path / "none.toml"))[0] == 1


def test_a_configuration_is_promoted_with_its_difference_shown(bridge: Run, tmp_path: Path) -> None:
    """What another environment exported is compared with what is live here, and made live with a reason."""
    code, text = bridge("config", "export", "here.toml")
    assert (code, "its file of sandbox" in text) == (0, True)
    _, configuration = unsealed((tmp_path / "here.toml").read_text())
    changed = configuration.replace('sale_item = "Legal Fee"', 'sale_item = "Wire Fee"')
    (tmp_path / "there.toml").write_text(sealed(changed, "test", "configuration 4"))
    (tmp_path / "spoilt.toml").write_text((tmp_path / "here.toml").read_text() + "# more")

    assert "was changed since it was exported" in bridge("config", "promote", "spoilt.toml")[1]
    code, text = bridge("config", "promote", "there.toml")
    assert (code, "fees.Legal Fee.sale_item" in text, "Legal Fee" in text) == (0, True, True)
    assert "1 settings would change. Nothing was" in text
    assert bridge("config", "promote", "there.toml", "--apply")[0] == 1
    code, text = bridge("config", "promote", "there.toml", "--apply", "--reason", "tried for a week")
    assert (code, "Configuration 2 is live in sandbox" in text) == (0, True)
    assert "Nothing differs." in bridge("config", "promote", "there.toml")[1]


def test_the_bindings_are_fetched_compared_deployed_and_rolled_back(bridge: Run, systems: Systems) -> None:
    assert "Live: 2025_2, shipped, deployment 0. sandbox." in bridge("wsdl", "status")[1]
    code, text = bridge("wsdl", "fetch", "2025_2")
    assert (code, "files" in text) == (0, True), text
    assert "breaking, " in bridge("wsdl", "compare", "2025_2")[1]
    code, text = bridge("wsdl", "deploy", "2025_2")
    assert (code, "--reason" in text) == (1, True)
    code, text = bridge("wsdl", "deploy", "2025_2", "--dry-run")
    assert (code, "could go live." in text) == (0, True), text
    code, text = bridge("wsdl", "deploy", "2025_2", "--by", "ann", "--reason", "the account's own")
    assert (code, "is live, as deployment 1." in text) == (0, True), text
    code, text = bridge("wsdl", "status")
    assert (code, "ann" in text, "days left" in text) == (0, True, True)
    assert "live" in bridge("wsdl", "list")[1]
    code, text = bridge("wsdl", "rollback")
    assert (code, "2025_2 (of the settings) is live again, as deployment 2." in text) == (0, True), text
    code, text = bridge("wsdl", "fetch", "2031_1")
    assert (code, "does not offer bindings of this version" in text) == (1, True)


def test_a_database_of_another_organisation_is_refused(bridge: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bridge("errors")[0] == 0
    monkeypatch.setenv("BRIDGE_NETSUITE_ACCOUNT", "7654321")

    code, text = bridge("errors")

    assert (code, "belongs to the NetSuite account 1234567, but BRIDGE_NETSUITE_ACCOUNT is 7654321" in text) == (
        1,
        True,
    )


def test_commands_reach_a_sandbox_by_the_settings_that_it_leaves(
    bridge: Run, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in environment:
        monkeypatch.delenv(name)
    house = playground.start(tmp_path / "bridge.sqlite3")
    try:
        house.keep_settings(tmp_path / "settings")
        monkeypatch.setenv("BRIDGE_SECRETS_DIR", str(tmp_path / "settings"))
        account = house.salesforce.insert("Account", Name="Quarry Road Tyres")

        assert bridge("doctor")[0] == 0
        code, text = bridge("push", "Account", account)

        assert (code, "customer 901" in text) == (0, True), text
    finally:
        house.stop()
