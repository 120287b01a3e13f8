"""The OpenAPI document says what the callout port answers, and nothing that is made from it breaks the bridge."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

import bridge.web
from bridge import playground
from bridge.app import web
from bridge.ledger.models import audit, call, message
from bridge.playground import ORG_ID, Playground

DOCUMENT = json.loads((Path(bridge.web.__file__).parent / "openapi.json").read_text())
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
TIMES = int(os.environ.get("BRIDGE_CHAOS", "1"))
few = settings(
    max_examples=40 * TIMES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=TIMES == 1,
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    made = playground.start(tmp_path_factory.mktemp("openapi") / "bridge.sqlite3")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def front(house: Playground) -> Any:
    return web(house.bridge)


def sign(house: Playground, body: bytes) -> str:
    secret = house.bridge.settings.signing_keys["sandbox"].secret
    assert secret is not None
    return f"k=sandbox,v1={hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()}"


def stored(house: Playground) -> list[int]:
    with house.bridge.ledger.read() as connection:
        return [connection.execute(select(func.count()).select_from(it)).scalar_one() for it in (call, message, audit)]


def test_the_document_names_every_route_and_no_other(front: Any) -> None:
    routes = {
        (re.sub(r"<[^>]+>", "{}", rule.rule), method.lower())
        for rule in front.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    written = {(re.sub(r"{[^}]+}", "{}", path), method) for path, it in DOCUMENT["paths"].items() for method in it}

    assert written == routes


def test_the_document_is_served_where_it_counts(front: Any) -> None:
    assert front.test_client().get("/openapi.json").get_json() == DOCUMENT


@SCHEMA.parametrize()
@few
def test_whatever_the_document_allows_is_answered_as_it_says(case: Any, house: Playground, front: Any) -> None:
    """Signed by the right key and sent now, by the right organisation: only the rest is made up."""
    if case.method.upper() != "POST":
        answer = front.test_client().open(case.formatted_path, method=case.method)
    else:
        body = case.body
        if isinstance(body, dict):
            body = {**body, "sentAt": datetime.now(UTC).isoformat(), "org": ORG_ID}
        raw = json.dumps(body, default=str).encode() if not isinstance(body, bytes) else body
        signed = {"X-Bridge-Signature": sign(house, raw)}
        answer = front.test_client().post(case.formatted_path, data=raw, headers=signed)
        # Flask's own word about an address or a method that there is not, the bridge's about everything else.
        assert answer.status_code in (404, 405) or answer.get_json()["correlation"]

    assert answer.status_code < 500
    if case.method.lower() in DOCUMENT["paths"].get(case.path, {}):
        assert str(answer.status_code) in DOCUMENT["paths"][case.path][case.method.lower()]["responses"]


header_values = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=300)
signatures = header_values | st.from_regex(r"k=[\w.-]{0,50},[vs]1=[A-Za-z0-9+/=]{0,400}", fullmatch=True)


def test_refused_calls_leave_nothing_behind(house: Playground, front: Any) -> None:
    """Neither rows nor anything in memory that grows with their number."""
    client = front.test_client()
    before = stored(house)

    @few
    @given(signature=signatures, body=st.binary(max_size=400), word=st.sampled_from(["Account", "Contact", "Nothing"]))
    def refuse(signature: str, body: bytes, word: str) -> None:
        answer = client.post(f"/v1/push/{word}", data=body, headers={"X-Bridge-Signature": signature})
        assert answer.status_code in (401, 404)

    @few
    @given(body=st.binary(max_size=300) | st.recursive(st.none() | st.text(), st.lists, max_leaves=20).map(
        lambda it: json.dumps({"id": str(uuid.uuid4()), "records": it}).encode()))  # fmt: skip
    def refuse_signed(body: bytes) -> None:
        answer = client.post("/v1/push/Account", data=body, headers={"X-Bridge-Signature": sign(house, body)})
        assert answer.status_code in (400, 413)

    refuse()
    refuse_signed()

    calls, messages, audit_rows = (now - then for now, then in zip(stored(house), before, strict=True))
    assert (calls, messages) == (0, 0)
    assert audit_rows <= 1, "one incident tells of all of them"
