"""A SuiteTalk client of a few lines for the tests of the fake: it writes the XML by hand and validates every answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from lxml import etree

from bridge.sandbox.netsuite_schema import load_schema
from bridge.sandbox.wsgi import WsgiAdapter

if TYPE_CHECKING:
    from bridge.sandbox.netsuite import FakeNetSuite

ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("BRIDGE_SHARED", ROOT.parent / "shared")) / "suitetalk"
SUBSET = ROOT / "suitetalk_wsdl" / "2025_2"
BASE = "https://1234567.suitetalk.api.netsuite.com"

NAMESPACES = {
    "core": "urn:core_{v}.platform.webservices.netsuite.com",
    "msg": "urn:messages_{v}.platform.webservices.netsuite.com",
    "common": "urn:common_{v}.platform.webservices.netsuite.com",
    "rel": "urn:relationships_{v}.lists.webservices.netsuite.com",
    "sales": "urn:sales_{v}.transactions.webservices.netsuite.com",
    "purch": "urn:purchases_{v}.transactions.webservices.netsuite.com",
    "cust": "urn:customers_{v}.transactions.webservices.netsuite.com",
    "setup": "urn:customization_{v}.setup.webservices.netsuite.com",
}
ENVELOPE = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" {ns}><s:Header>{header}</s:Header><s:Body>{body}</s:Body>'
    "</s:Envelope>"
)


def full_set(version: str) -> Path:
    """The full schemas of *version*, or a visible skip."""
    folder = SHARED / version
    if not folder.is_dir():
        pytest.skip(f"the full {version} schemas are not next to the checkout")
    return folder


def problems(envelopes: list[bytes], version: str) -> list[str]:
    """What is wrong with *envelopes* by the full set of *version*, their namespaces rewritten to it."""
    schema = load_schema(full_set(version))
    found = []
    for envelope in envelopes:
        rewritten = re.sub(rb"(urn:[a-z.]+_)\d{4}_\d(\.)", rb"\g<1>" + version.encode() + rb"\g<2>", envelope)
        reason = schema.error(etree.fromstring(rewritten))
        if reason:
            found.append(reason)
    return found


class SteadyClock:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def tick(self, **delta: float) -> None:
        self.time += timedelta(**delta)


class Parsed:
    """An answer, read by local name."""

    def __init__(self, response: requests.Response) -> None:
        self.http = response.status_code
        self.content = response.content
        self.root = etree.fromstring(response.content)

    def all(self, name: str) -> list[etree._Element]:
        return list(self.root.iter("{*}" + name))

    def text(self, name: str) -> str | None:
        found = [item.text for item in self.all(name) if item.get("isSuccess") is None]
        return found[0] if found else None

    def texts(self, name: str) -> list[str | None]:
        return [item.text for item in self.all(name)]

    @property
    def code(self) -> str | None:
        """The first status or fault code."""
        return self.text("code")

    @property
    def ok(self) -> bool:
        return all(item.get("isSuccess") == "true" for item in self.all("status") if item.get("isSuccess"))

    @property
    def internal_id(self) -> str | None:
        return self.all("baseRef")[0].get("internalId")


@dataclass
class Soap:
    """Calls the fake with a fresh passport each time."""

    fake: FakeNetSuite
    version: str = "2025_2"
    base: str = BASE
    session: requests.Session = field(default_factory=requests.Session)
    timeout: Any = None

    def __post_init__(self) -> None:
        self.session.trust_env = False
        self.session.mount(self.base, WsgiAdapter(self.fake))

    def passport(self, **changes: Any) -> str:
        own = self.fake.gate.credentials
        values = {
            "account": own.account,
            "consumerKey": own.consumer_key,
            "token": own.token_id,
            "nonce": secrets.token_hex(10),
            "timestamp": str(int(self.fake.clock().timestamp())),
        } | changes
        algorithm = values.pop("algorithm", "HMAC-SHA256")
        signature = values.pop("signature", None)
        if signature is None:
            key = f"{own.consumer_secret}&{own.token_secret}".encode()
            digest = hmac.new(key, "&".join(values.values()).encode(), hashlib.sha256).digest()
            signature = base64.b64encode(digest).decode()
        inner = "".join(f"<core:{name}>{value}</core:{name}>" for name, value in values.items())
        inner += f'<core:signature algorithm="{algorithm}">{signature}</core:signature>'
        return f"<msg:tokenPassport>{inner}</msg:tokenPassport>"

    def envelope(self, body: str, header: str) -> bytes:
        ns = " ".join(f'xmlns:{key}="{value.format(v=self.version)}"' for key, value in NAMESPACES.items())
        return ENVELOPE.format(ns=ns, header=header, body=body).encode()

    def raw(
        self, operation: str, inner: str, *, header: str | None = None, extra: str = "", **send: Any
    ) -> requests.Response:
        """The untouched answer to ``<msg:operation>inner</msg:operation>``."""
        head = (self.passport() if header is None else header) + extra
        data = self.envelope(f"<msg:{operation}>{inner}</msg:{operation}>", head)
        headers = {"SOAPAction": f'"{operation}"', "Content-Type": "text/xml; charset=utf-8"} | send.pop("headers", {})
        url = f"{self.base}/services/NetSuitePort_{self.version}"
        self.session.cookies.clear()
        return self.session.post(url, data=data, headers=headers, timeout=self.timeout, **send)

    def call(self, operation: str, inner: str, **options: Any) -> Parsed:
        parsed = Parsed(self.raw(operation, inner, **options))
        folder = SHARED / self.version
        if folder.is_dir():  # the subset knows only some status codes, so answers are held against the full set
            reason = load_schema(folder).error(parsed.root)
            assert reason is None, reason
        return parsed

    def upsert(self, *records: str) -> Parsed:
        """One record with upsert, several with upsertList."""
        if len(records) == 1:
            return self.call("upsert", records[0])
        return self.call("upsertList", "".join(records))

    def get(self, kind: str, *, external_id: str | None = None, internal_id: str | None = None) -> Parsed:
        name, value = ("externalId", external_id) if external_id else ("internalId", internal_id)
        return self.call("get", f'<msg:baseRef xsi:type="core:RecordRef" type="{kind}" {name}="{value}"/>')

    def search(self, inner: str, *, size: int | None = None, body_only: bool | None = None) -> Parsed:
        return self.call("search", f"{inner}", extra=preferences(size, body_only))


def preferences(size: int | None, body_only: bool | None) -> str:
    """The searchPreferences header."""
    parts = "" if body_only is None else f"<msg:bodyFieldsOnly>{str(body_only).lower()}</msg:bodyFieldsOnly>"
    parts += "" if size is None else f"<msg:pageSize>{size}</msg:pageSize>"
    return f"<msg:searchPreferences>{parts}</msg:searchPreferences>" if parts else ""


def customer(key: str, name: str | None = None, inner: str = "", *, subsidiary: str = "1") -> str:
    """A customer whose external id is *key*."""
    body = f'<rel:companyName>{name or key}</rel:companyName>{{}}<rel:subsidiary internalId="{subsidiary}"/>'
    return f'<msg:record xsi:type="rel:Customer" externalId="{key}">{body.format("")}{inner}</msg:record>'


def vendor(key: str, name: str | None = None, inner: str = "") -> str:
    """A vendor whose external id is *key*."""
    return (
        f'<msg:record xsi:type="rel:Vendor" externalId="{key}"><rel:companyName>{name or key}</rel:companyName>'
        f'<rel:subsidiary internalId="1"/>{inner}</msg:record>'
    )


def sale_line(item: str = "101", rate: str = "100.00", *, quantity: str = "1", line: str = "") -> str:
    """A sales order line at a custom price."""
    number = f"<sales:line>{line}</sales:line>" if line else ""
    level = '<sales:price internalId="-1"/>'
    return (
        f'<sales:item><sales:item internalId="{item}"/><sales:quantity>{quantity}</sales:quantity>{level}'
        f"<sales:rate>{rate}</sales:rate>{number}</sales:item>"
    )


def sales_order(key: str, entity: str, *lines: str, inner: str = "", replace_all: str = "") -> str:
    """A sales order of *entity* (external id) with *lines*."""
    flag = f' replaceAll="{replace_all}"' if replace_all else ""
    items = f"<sales:itemList{flag}>{''.join(lines)}</sales:itemList>" if lines else ""
    return (
        f'<msg:record xsi:type="sales:SalesOrder" externalId="{key}"><sales:entity externalId="{entity}"/>'
        f"<sales:tranDate>2026-11-20T00:00:00-08:00</sales:tranDate>{inner}{items}</msg:record>"
    )
