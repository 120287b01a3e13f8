"""Real protocols: what goes over the wire to NetSuite and Salesforce, judged by others than the code that sent it."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree
from pydantic import SecretStr

from bridge import playground
from bridge.app import run_job
from bridge.records import PUSHES
from bridge.site import read
from tests.e2e.company import Company
from tests.sandbox.netsuite.suitetalk_client import problems

DEMO = Path(__file__).parents[2] / "bridge" / "demo.toml"
# What SuiteTalk needs around fields: the key of a line, the type of a custom record.
FRAME = {"line", "recType"}


def play(company: Company) -> str:
    """The whole story: saves, a funding with a broker, a correction, billing, a payment, both pulls."""
    account = company.account(Phone="555-0100", Website="harbor.example", Payment_Terms__c="Net 30")
    broker = company.account("Wayfinder Brokers")
    company.sf.insert("Contact", FirstName="Maren", LastName="Holt", Email="m@x.example", AccountId=account)
    application, fees = company.application(account, broker=broker)
    company.save(fees["Wire Fee"], UnitPrice=Decimal("30.00"))
    company.sf.delete(fees["Legal Fee"])
    company.save(account, Phone=None)
    order = company.made("salesOrder", application)
    company.ns.admin.approve(kind="salesOrder", id=order.id)
    invoice = company.ns.admin.bill(kind="salesOrder", id=order.id).id
    company.ns.admin.pay(company.made("customer", account).id, "400.00", {invoice: "400.00"})
    company.pull("orders", lambda: len(company.sf.rows("NetSuite_Order__c")) == 3)
    company.pull("remittances", lambda: company.row(application).get("Remaining_Balance__c") == Decimal("51600.00"))
    company.save(application, Broker__c=None)
    assert company.status(application) in ("delivered", "unchanged")
    return application


@pytest.fixture(scope="module")
def envelopes(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Every request that the story sends to NetSuite."""
    house = playground.start(tmp_path_factory.mktemp("story") / "bridge.sqlite3", record_requests=True)
    try:
        play(Company(house))
    finally:
        house.stop()
    return house.netsuite.requests


@pytest.mark.full_schemas
@pytest.mark.parametrize("version", ["2025_2", "2023_2"])
def test_every_request_of_the_story_is_valid_by_the_full_schemas(
    envelopes: list[bytes], full_schemas: Path, version: str
) -> None:
    assert len(envelopes) > 20
    assert problems(envelopes, version) == []


@pytest.mark.full_schemas
def test_the_story_also_runs_on_a_full_set_of_bindings(
    open_company: Callable[..., Company], full_schemas: Path
) -> None:
    full = full_schemas / "2025_2"
    company = open_company(schema_dir=full, record_requests=True, settings={"suitetalk_wsdl": full})

    play(company)

    assert problems(company.ns.requests, "2025_2") == []
    assert company.house.bridge.netsuite.unknown == frozenset()


def test_every_attempt_has_a_passport_of_its_own(envelopes: list[bytes]) -> None:
    passports = [etree.fromstring(it).find(".//{*}tokenPassport/{*}nonce") for it in envelopes]

    nonces = [it.text for it in passports if it is not None]
    assert len(nonces) == len(set(nonces)) == len(envelopes)


def test_no_field_is_sent_that_the_mapping_does_not_name(envelopes: list[bytes]) -> None:
    site, _ = read(DEMO)
    mapped: dict[str, set[str]] = {}
    for push in PUSHES:
        kind = "CustomRecord" if push.target.startswith("customrecord") else push.target[0].upper() + push.target[1:]
        lines = {name for rule in push.fields.values() for name in getattr(rule, "fields", {})}
        first = {name for rule in push.fields.values() for row in getattr(rule, "first", ()) for name in row}
        extra = site.sync[push.name].fields.keys() if push.name in site.sync else set()
        mapped[kind] = {*push.fields, *lines, *first, *extra, *FRAME}

    sent = [field for it in envelopes for field in fields_of(it)]

    assert {kind for kind, _ in sent} == {
        "Customer",
        "Vendor",
        "Contact",
        "SalesOrder",
        "PurchaseOrder",
        "CustomRecord",
    }
    assert [(kind, name) for kind, name in sent if name not in mapped[kind]] == []


def fields_of(envelope: bytes) -> list[tuple[str, str]]:
    """Type and field of everything that a write carries, custom fields by script id, fields of lines too."""
    found = []
    for record in etree.fromstring(envelope).iter("{*}record"):
        kind = record.get("{http://www.w3.org/2001/XMLSchema-instance}type", "").partition(":")[2]
        if not kind:
            continue  # the name of a type in a getAll
        for one in record:
            name = etree.QName(one).localname
            if name == "nullFieldList":
                found += [(kind, str(it.text)) for it in one]
            elif name == "customFieldList":
                found += [(kind, str(it.get("scriptId"))) for it in one]
            else:
                found.append((kind, name))
                found += [(kind, etree.QName(part).localname) for line in one.iter("{*}item") for part in line]
    return found


def test_netsuite_never_calls_out(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is initiated from Salesforce's side; nothing is installed in NetSuite that could call."""
    callers: list[list[str]] = []
    connect = socket.socket.connect

    def watched(self: socket.socket, address: Any) -> None:
        callers.append([frame.filename for frame in traceback.extract_stack()])
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)

    play(company)

    assert callers
    assert [stack for stack in callers if any("/sandbox/netsuite" in name for name in stack)] == []


def test_salesforce_lets_the_bridge_in_with_a_signed_assertion(open_company: Callable[..., Company]) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    login = {
        "salesforce_client_secret": None,
        "salesforce_jwt_key": SecretStr(pem),
        "salesforce_username": "integration@sandbox.example",
    }
    company = open_company(settings=login)
    company.sf.login.register(public)

    play(company)

    assert company.sf.login.granted >= 1


def test_salesforce_ends_every_session_and_the_bridge_logs_in_again(company: Company) -> None:
    company.account()
    run_job(company.house.bridge, "sweep")
    before = company.sf.login.granted

    company.sf.login.revoke_all()
    report = run_job(company.house.bridge, "sweep")

    assert "looked at" in report
    assert company.sf.login.granted == before + 1
