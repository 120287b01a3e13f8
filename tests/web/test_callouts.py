"""Callouts over a real socket, as Apex sends them: what is believed, what is refused, what is answered."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import SecretStr
from sqlalchemy import event, func, select

from bridge import configuring, playground
from bridge.app import Bridge, web
from bridge.ledger.models import audit, call, message
from bridge.playground import ORG_ID, Playground
from bridge.sandbox.netsuite import Latency
from bridge.sandbox.wsgi import WsgiAdapter
from bridge.settings import SigningKey
from bridge.web.callouts import create_callouts

GOLDEN = Path(__file__).parents[1] / "contract" / "apex"
STATES = {"delivered", "unchanged", "superseded", "held", "queued", "rejected", "dead"}


class Apex:
    """Signs and sends callouts to a running bridge."""

    def __init__(self, house: Playground) -> None:
        self.house = house
        secret = house.bridge.settings.signing_keys["sandbox"].secret
        assert secret is not None
        self._secret = secret.get_secret_value().encode()

    def body(self, *records: dict[str, Any], **changes: Any) -> bytes:
        """A good body, with top-level keys replaced."""
        now = datetime.now(UTC)
        body = {
            "id": str(uuid.uuid4()),
            "sentAt": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "org": ORG_ID,
            "user": "0055e0000000002AAA",
            "records": list(records),
        }
        return json.dumps(body | changes).encode()

    def account(self, number: int = 1, **values: Any) -> dict[str, Any]:
        stamp = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}"
        record_id = identity("001", number)
        fixed = {"Id": record_id, "SystemModstamp": stamp, "Bridge_Version__c": 1, "Name": f"Acme {number}"}
        return fixed | values

    def sign(self, body: bytes) -> str:
        return f"k=sandbox,v1={hmac.new(self._secret, body, hashlib.sha256).hexdigest()}"

    def post(
        self, body: bytes, word: str = "Account", *, header: str | None = "", by: requests.Session | None = None
    ) -> requests.Response:
        """Send *body*, signed unless another *header* is given; None sends none. *by* a session to another bridge."""
        value = self.sign(body) if header == "" else header
        headers = {"Content-Type": "application/json"} | ({"X-Bridge-Signature": value} if value else {})
        address = "http://bridge.example" if by else self.house.callouts.url
        return (by or requests).post(f"{address}/v1/push/{word}", data=body, headers=headers, timeout=60)

    def stored(self) -> int:
        """How many calls and messages the ledger holds."""
        with self.house.bridge.ledger.read() as connection:
            return sum(connection.execute(select(func.count()).select_from(it)).scalar_one() for it in (call, message))


def identity(prefix: str, number: int) -> str:
    """An 18-character id; small letters and digits need no other check than AAA."""
    return f"{prefix}5e00000{number:05d}AAA"


@pytest.fixture(scope="module")
def apex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apex]:
    house = playground.start(tmp_path_factory.mktemp("callouts") / "bridge.sqlite3")
    yield Apex(house)
    house.stop()


def assert_refused(answer: requests.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    told = answer.json()
    assert told["error"]["code"] == code
    assert told["error"]["message"].endswith(".")
    assert told["correlation"]
    assert told["results"] == []


# --- refused, before anything is stored ---


@pytest.mark.parametrize(
    "header",
    [None, "k=sandbox", "k=sandbox,v1=" + "0" * 64, "k=other,v1=" + "0" * 64, "Bearer 1"],
    ids=["none", "half", "wrong", "unknown key", "another scheme"],
)
def test_a_call_that_is_not_signed_by_a_key_of_ours_is_refused(apex: Apex, header: str | None) -> None:
    before = apex.stored()

    answer = apex.post(apex.body(apex.account()), header=header)

    assert_refused(answer, 401, "NOT_SIGNED")
    assert apex.stored() == before


def test_a_signature_of_another_body_is_refused(apex: Apex) -> None:
    before = apex.stored()
    body = apex.body(apex.account())

    answer = apex.post(body.replace(b"Acme", b"Evil"), header=apex.sign(body))

    assert_refused(answer, 401, "NOT_SIGNED")
    assert apex.stored() == before


@pytest.mark.parametrize("seconds", [-301, -86_400, 301])
def test_a_call_of_another_time_is_refused(apex: Apex, seconds: int) -> None:
    before = apex.stored()
    sent = datetime.now(UTC) + timedelta(seconds=seconds)

    answer = apex.post(apex.body(apex.account(), sentAt=f"{sent:%Y-%m-%dT%H:%M:%SZ}"))

    assert_refused(answer, 401, "NOT_SIGNED")
    assert apex.stored() == before


def test_a_call_of_another_organisation_is_refused(apex: Apex) -> None:
    before = apex.stored()
    answer = apex.post(apex.body(apex.account(), org="00D5e0000000002EAA"))

    assert_refused(answer, 401, "NOT_SIGNED")
    assert apex.stored() == before


def test_the_answer_to_a_call_that_is_not_believed_does_not_say_why(apex: Apex) -> None:
    before = apex.stored()
    body = apex.body(apex.account())
    late = apex.body(apex.account(), sentAt="2020-01-01T00:00:00Z")

    answers = [apex.post(body, header=None), apex.post(body, header="k=x,v1=" + "0" * 64), apex.post(late)]

    assert len({json.dumps(it.json()["error"]) for it in answers}) == 1
    assert apex.stored() == before


def test_a_call_of_more_than_two_megabytes_is_refused(apex: Apex) -> None:
    before = apex.stored()

    answer = apex.post(apex.body(apex.account(Name="x" * 2_000_001)))

    assert_refused(answer, 413, "TOO_LARGE")
    assert apex.stored() == before


def test_more_than_two_hundred_records_are_refused(apex: Apex) -> None:
    before = apex.stored()
    answer = apex.post(apex.body(*(apex.account(number) for number in range(201))))

    assert_refused(answer, 413, "TOO_MANY_RECORDS")
    assert apex.stored() == before


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"id": 1}', b'{"a": NaN}', b"\xff\xfe", b"[" * 100_000],
    ids=["empty", "half", "a list", "incomplete", "not a number", "not text", "deep"],
)
def test_a_malformed_call_is_refused(apex: Apex, body: bytes) -> None:
    before = apex.stored()

    answer = apex.post(body)

    assert_refused(answer, 400, "MALFORMED")
    assert apex.stored() == before


@pytest.mark.parametrize("word", ["Opportunity", "Lead", "account"])
def test_a_call_for_an_unknown_object_is_refused(apex: Apex, word: str) -> None:
    before = apex.stored()
    answer = apex.post(apex.body(apex.account()), word)

    assert_refused(answer, 404, "UNKNOWN_OBJECT")
    assert apex.stored() == before


def test_a_record_of_another_object_is_refused(apex: Apex) -> None:
    before = apex.stored()
    answer = apex.post(apex.body(apex.account(Id=identity("003", 1))))

    assert_refused(answer, 400, "MALFORMED")
    assert apex.stored() == before


def test_a_call_is_refused_while_nothing_can_be_stored(tmp_path: Path) -> None:
    database = tmp_path / "bridge.sqlite3"
    house = playground.start(database)
    ledger = house.bridge.ledger
    event.listen(ledger.engine, "connect", lambda raw, record: raw.execute("PRAGMA busy_timeout = 200"))
    ledger.close()  # what is opened from now on waits only so long for a lock
    apex = Apex(house)
    body = apex.body(apex.account())
    try:
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = apex.post(body)
            other.execute("ROLLBACK")

        assert_refused(answer, 503, "LEDGER_UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) > 0
        assert apex.post(body).json()["results"][0]["state"] == "delivered"  # the same call, later, is taken
    finally:
        house.stop()


def test_an_organisation_that_floods_is_told_when_to_come_back(apex: Apex) -> None:
    """Nothing of a refused call is stored; the sweep brings it, or the next call that fits."""
    bridge = apex.house.bridge
    slow = replace(bridge, settings=bridge.settings.model_copy(update={"records_per_minute": 120}))
    session = requests.Session()
    session.mount("http://bridge.example", WsgiAdapter(web(slow)))
    flood = [[apex.account(5_000 + 60 * n + i) for i in range(60)] for n in range(3)]

    taken = [apex.post(apex.body(*records), by=session) for records in flood[:2]]
    refused = apex.post(apex.body(*flood[2]), by=session)
    time.sleep(0.6)  # the time of one record
    small = apex.post(apex.body(apex.account(7_000)), by=session)

    assert {it.status_code for it in taken} == {202}
    assert_refused(refused, 429, "TOO_MANY_RECORDS")
    assert 20 <= int(refused.headers["Retry-After"]) <= 30
    with bridge.ledger.read() as connection:
        ids = [it["Id"] for it in flood[2]]
        assert connection.execute(select(message.c.id).where(message.c.source_id.in_(ids))).first() is None
    assert small.status_code in (200, 202)


# --- accepted ---


def test_an_accepted_call_is_answered_with_what_became_of_each_record(apex: Apex) -> None:
    answer = apex.post(apex.body(apex.account(11), apex.account(12)))

    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [(it["id"], it["state"]) for it in results] == [
        (identity("001", 11), "delivered"),
        (identity("001", 12), "delivered"),
    ]
    assert [it["netsuite"][0]["record"] for it in results] == ["customer", "customer"]
    assert all(it["netsuite"][0]["url"].startswith("http") for it in results)


def test_the_same_call_again_gets_the_same_answer_and_writes_nothing(apex: Apex) -> None:
    body = apex.body(apex.account(21))
    first = apex.post(body)
    calls, stored = len(apex.house.netsuite.calls), apex.stored()

    second = apex.post(body)

    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert (len(apex.house.netsuite.calls), apex.stored()) == (calls, stored)


def test_the_same_call_twice_at_once_writes_once(apex: Apex) -> None:
    body = apex.body(apex.account(22))
    answers: list[requests.Response] = []
    callers = [threading.Thread(target=lambda: answers.append(apex.post(body))) for _ in range(8)]

    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert {it.status_code for it in answers} == {200}
    assert len({it.content for it in answers}) == 1
    made = [it for it in apex.house.netsuite.calls if f"sf-cus-{identity('001', 22)}" in it.external_ids]
    assert len(made) == 1


def test_one_save_told_a_hundred_times_at_once_is_one_record_and_ninety_nine_repetitions(apex: Apex) -> None:
    """F-77: as a client that retries too eagerly does, each time by a call of its own."""
    number = 24
    bodies = [apex.body(apex.account(number, SystemModstamp="2026-11-20T10:00:00.000Z")) for _ in range(100)]
    answers: list[requests.Response] = []
    left = iter(bodies)
    lock = threading.Lock()

    def caller() -> None:
        with requests.Session() as session:
            while True:
                with lock:
                    body = next(left, None)
                if body is None:
                    return
                headers = {"Content-Type": "application/json", "X-Bridge-Signature": apex.sign(body)}
                address = f"{apex.house.callouts.url}/v1/push/Account"
                answers.append(session.post(address, data=body, headers=headers, timeout=60))

    callers = [threading.Thread(target=caller) for _ in range(25)]
    for it in callers:
        it.start()
    for it in callers:
        it.join()

    external_id = f"sf-cus-{identity('001', number)}"
    assert {it.status_code for it in answers} == {200}
    assert {it.json()["results"][0]["state"] for it in answers} == {"delivered"}
    assert len([it for it in apex.house.netsuite.calls if external_id in it.external_ids]) == 1
    with apex.house.bridge.ledger.read() as connection:
        query = select(audit.c.action, func.count()).where(audit.c.source_id == identity("001", number))
        told = dict(connection.execute(query.group_by(audit.c.action)).all())
    assert (told["received"], told["repeated"], told["delivered"]) == (1, 99, 1)


def test_the_same_id_with_another_body_is_refused(apex: Apex) -> None:
    call_id = str(uuid.uuid4())
    apex.post(apex.body(apex.account(23), id=call_id))
    before = apex.stored()

    answer = apex.post(apex.body(apex.account(23, Name="Other"), id=call_id))

    assert_refused(answer, 409, "CALL_ID_REUSED")
    assert apex.stored() == before


def test_an_older_version_is_superseded(apex: Apex) -> None:
    apex.post(apex.body(apex.account(24, Bridge_Version__c=5, Phone="new")))

    answer = apex.post(apex.body(apex.account(24, Bridge_Version__c=4, Phone="old")))

    (result,) = answer.json()["results"]
    assert result["state"] == "superseded"
    (customer,) = [
        it
        for it in apex.house.netsuite.store.records["customer"].values()
        if it.external_id == f"sf-cus-{identity('001', 24)}"
    ]
    assert customer.fields["phone"] == "new"


def test_a_record_that_cannot_be_mapped_is_rejected_alone(apex: Apex) -> None:
    answer = apex.post(apex.body(apex.account(25), apex.account(26, Payment_Terms__c="Net 45")))

    good, bad = answer.json()["results"]
    assert good["state"] == "delivered"
    assert bad["state"] == "rejected"
    assert bad["error"].keys() == {"code", "message", "who", "field"}
    assert bad["error"]["field"] == "Payment_Terms__c"
    assert "Net 45" in bad["error"]["message"]


def test_many_records_are_accepted_and_delivered_in_the_background(apex: Apex) -> None:
    numbers = range(1000, 1200)

    answer = apex.post(apex.body(*(apex.account(number) for number in numbers)))

    assert answer.status_code == 202
    wanted = {f"sf-cus-{identity('001', number)}" for number in numbers}

    def arrived() -> bool:
        return wanted <= {it.external_id for it in apex.house.netsuite.store.records["customer"].values()}

    until(arrived)


def test_a_mass_update_follows_a_configuration_that_was_applied_since_the_start(apex: Apex) -> None:
    engine = apex.house.bridge.engine
    before = engine.syncs
    numbers = range(1300, 1311)
    configuring.use(
        engine, replace(before, pushes={it: push for it, push in before.pushes.items() if it != "customer"})
    )
    try:
        apex.post(apex.body(*(apex.account(number) for number in numbers)))
    finally:
        configuring.use(engine, before)

    ids = [identity("001", number) for number in numbers]
    with apex.house.bridge.ledger.read() as connection:
        assert connection.execute(select(message.c.sync).where(message.c.source_id.in_(ids))).all() == []


def until(holds: Callable[[], bool], within_s: float = 30) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, f"it did not happen within {within_s} s"
        threading.Event().wait(0.05)


def test_what_takes_longer_than_the_budget_is_written_back_by_the_bridge_once(tmp_path: Path) -> None:
    house = playground.start(
        tmp_path / "bridge.sqlite3", latency=Latency(1.5, 0, 0, 0), settings={"request_budget_s": 0.5}
    )
    try:
        house.salesforce.callouts.url = None
        account = house.salesforce.insert("Account", Name="Slow")
        row = house.salesforce.row(account)
        assert row is not None
        stamp = f"{row['SystemModstamp']:%Y-%m-%dT%H:%M:%S.000Z}"
        apex = Apex(house)

        record = {"Id": account, "SystemModstamp": stamp, "Bridge_Version__c": 1, "Name": "Slow"}
        answer = apex.post(apex.body(record))

        assert answer.status_code == 202
        assert answer.json()["results"][0]["state"] == "queued"
        until(lambda: (house.salesforce.row(account) or {}).get("NetSuite_Status__c") == "delivered")
        with house.bridge.ledger.read() as connection:
            write_backs = connection.execute(select(func.count()).where(message.c.sync == "status")).scalar_one()
        assert write_backs == 1
        assert len(house.netsuite.store.records["customer"]) == 1
    finally:
        house.stop()


# --- the golden files that the Apex tests also assert ---


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Playground, Any]]:
    """A bridge of the golden files' organisation and day, and a client for it."""
    house = playground.start(tmp_path_factory.mktemp("golden") / "bridge.sqlite3")
    signed = json.loads((GOLDEN / "signature.json").read_text())
    keys = {signed["kid"]: SigningKey(secret=SecretStr(signed["key"]))}
    first = json.loads((GOLDEN / "request_account.json").read_text())
    sent = datetime.fromisoformat(first["sentAt"])
    bridge: Bridge = house.bridge
    app = create_callouts(
        bridge.engine, lambda: keys, org=first["org"], budget_s=2, clock=lambda: sent + timedelta(seconds=2)
    )
    yield house, app.test_client()
    house.stop()


def shape(value: Any) -> Any:
    """The keys and types of an answer; of a list the shapes of its entries."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return type(value).__name__


def fits(answer: Any, golden: list[Any]) -> bool:
    """Whether every part of *answer* stands in one of the golden answers, in the same type."""
    if isinstance(answer, dict):
        return all(
            any(key in it for it in golden) and fits(one, [it[key] for it in golden if key in it])
            for key, one in answer.items()
        )
    if isinstance(answer, list):
        entries = [one for it in golden for one in it]
        return all(fits(one, entries) for one in answer)
    return answer in golden


@pytest.mark.parametrize("name", ["account", "contact", "application"])
def test_a_golden_request_is_accepted_and_answered_in_the_golden_shape(
    golden: tuple[Playground, Any], name: str
) -> None:
    _, client = golden
    signed = json.loads((GOLDEN / "signature.json").read_text())
    body = (GOLDEN / f"request_{name}.json").read_bytes().removesuffix(b"\n")
    mac = hmac.new(signed["key"].encode(), body, hashlib.sha256).hexdigest()
    shapes = [shape(json.loads(it.read_text())) for it in GOLDEN.glob("response_*.json")]

    answer = client.post(
        f"/v1/push/{name.title()}", data=body, headers={"X-Bridge-Signature": f"k={signed['kid']},v1={mac}"}
    )

    assert answer.status_code in (200, 202)
    told = answer.get_json()
    sent = json.loads(body)
    wanted = [it["Id"] for it in (*sent["records"], *sent.get("deleted", ()))]
    assert [it["id"] for it in told["results"]] == wanted
    assert {it["state"] for it in told["results"]} <= STATES
    assert fits(shape(told), shapes)


def test_the_golden_signature_opens_the_door(golden: tuple[Playground, Any]) -> None:
    _, client = golden
    signed = json.loads((GOLDEN / "signature.json").read_text())
    body = (GOLDEN / signed["body"]).read_bytes().removesuffix(b"\n")

    answer = client.post("/v1/push/Account", data=body, headers={"X-Bridge-Signature": signed["header"]})

    assert answer.status_code in (200, 202)
