"""Real bytes in and out of the adapter: recorded answers, the loaded bindings, the full schemas where they are."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
import urllib3
from lxml import etree
from requests.adapters import BaseAdapter

from bridge.netsuite import Bindings, SoapNetSuite, TokenCredentials
from bridge.netsuite.transport import Limits
from bridge.ports import Record, Ref

ROOT = Path(__file__).parents[2]
SUBSET = ROOT / "suitetalk_wsdl" / "2025_2"
FULL = Path(os.environ.get("BRIDGE_SHARED") or ROOT.parent / "shared") / "suitetalk"
VERSIONS = ("2023_2", "2025_2")
NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


def full_set(version: str) -> Path:
    """The folder of a full set of schemas; the test is skipped where there is none."""
    folder = FULL / version
    if not (folder / "netsuite.wsdl").exists():
        pytest.skip("the full SuiteTalk schemas are not next to the checkout")
    return folder


def answers_of(version: str) -> Path:
    """The folder of recorded answers of *version*."""
    folder = FULL / "responses" / version
    if not folder.exists():
        pytest.skip("the recorded SuiteTalk answers are not next to the checkout")
    return folder


@dataclass
class CountingSlots:
    """Slots without a limit that remember how they were used."""

    leased: list[bool] = field(default_factory=list)
    open: int = 0
    throttles: int = 0

    @contextmanager
    def lease(self, *, interactive: bool, unless: Callable[[], bool] | None = None) -> Iterator[bool]:
        self.leased.append(interactive)
        self.open += 1
        try:
            yield True
        finally:
            self.open -= 1

    def throttled(self) -> None:
        self.throttles += 1


class Replies(BaseAdapter):
    """Answers every request with the next of its *bodies*, the last one again and again."""

    def __init__(self, *bodies: bytes, status: int = 200, **headers: str) -> None:
        super().__init__()
        self.bodies = list(bodies)
        self.status = status
        self.headers = {"Content-Type": "text/xml; charset=utf-8"}
        self.headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.requests: list[bytes] = []

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:
        body = request.body or b""
        assert isinstance(body, bytes)
        self.requests.append(body)
        body = self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]
        raw = urllib3.HTTPResponse(io.BytesIO(body), self.headers, self.status, preload_content=False)
        response = requests.Response()
        response.status_code, response.raw, response.request = self.status, raw, request
        response.headers.update(self.headers)
        return response

    def close(self) -> None:
        """Nothing is held open."""


Make = Callable[..., SoapNetSuite]


@pytest.fixture(scope="session")
def bindings() -> Bindings:
    return Bindings.load(SUBSET, "2025_2")


@pytest.fixture
def slots() -> CountingSlots:
    return CountingSlots()


@pytest.fixture
def connect(bindings: Bindings, slots: CountingSlots) -> Make:
    """Make an adapter that talks to a ``requests`` transport adapter of the test."""

    def make(adapter: BaseAdapter, *, using: Bindings = bindings, **options: object) -> SoapNetSuite:
        session = requests.Session()
        session.mount("https://", adapter)
        defaults = {
            "limits": Limits(single_s=5, list_s=5),
            "clock": lambda: NOW,
            "credentials": TokenCredentials("1234567", "consumer", "consumer secret", "token", "token secret"),
        }
        return SoapNetSuite(account="1234567", bindings=using, slots=slots, session=session, **(defaults | options))

    return make


@pytest.fixture(scope="session")
def full_schema() -> Callable[[str], etree.XMLSchema]:
    """Compile the full schemas of a version once (1.4 s), with a SOAP envelope around them."""
    compiled: dict[str, etree.XMLSchema] = {}

    def of(version: str) -> etree.XMLSchema:
        if version not in compiled:
            compiled[version] = _compile(full_set(version))
        return compiled[version]

    return of


def _compile(folder: Path) -> etree.XMLSchema:
    wsdl = etree.parse(str(folder / "netsuite.wsdl"))
    places = {
        one.get("namespace"): (folder / one.get("schemaLocation")).as_uri()
        for one in wsdl.iter("{http://www.w3.org/2001/XMLSchema}import")
    }
    imports = "".join(f'<xs:import namespace="{name}" schemaLocation="{place}"/>' for name, place in places.items())
    envelope = f"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified"
      targetNamespace="http://schemas.xmlsoap.org/soap/envelope/">{imports}
      <xs:element name="Envelope"><xs:complexType><xs:sequence>
        <xs:element name="Header" minOccurs="0"><xs:complexType><xs:sequence>
          <xs:any processContents="strict" maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element>
        <xs:element name="Body"><xs:complexType><xs:sequence>
          <xs:any processContents="strict"/></xs:sequence></xs:complexType></xs:element>
      </xs:sequence></xs:complexType></xs:element></xs:schema>"""
    return etree.XMLSchema(etree.fromstring(envelope.encode()))


def customer(external_id: str = "sf-cus-001000000000001AAA", **fields: object) -> Record:
    """A customer as the bridge sends it."""
    return Record(Ref("customer", external_id=external_id), {"companyName": "Acme", **fields})


def write_answer(*members: str, operation: str = "upsert") -> bytes:
    """An answer to a write with one ``writeResponse`` for each of *members*."""
    inside = "".join(f"<writeResponse>{member}</writeResponse>" for member in members)
    if operation == "upsertList":
        inside = f'<writeResponseList><c:status isSuccess="true"/>{inside}</writeResponseList>'
    return envelope(f"<{operation}Response xmlns='urn:messages_2025_2.platform.webservices.netsuite.com'>"
                    f"{inside}</{operation}Response>")  # fmt: skip


def saved(internal_id: str, external_id: str, kind: str = "customer") -> str:
    """The inside of a ``writeResponse`` that confirms a record."""
    return (
        f'<c:status isSuccess="true"/><baseRef xsi:type="c:RecordRef" internalId="{internal_id}" '
        f'externalId="{external_id}" type="{kind}"/>'
    )


def refused(code: str, message: str = "No.", extra: str = "") -> str:
    """The inside of a ``writeResponse`` that refuses a record."""
    return (
        f'<c:status isSuccess="false"><c:statusDetail type="ERROR">{extra}<c:code>{code}</c:code>'
        f"<c:message>{message}</c:message></c:statusDetail></c:status>"
    )


def envelope(body: str) -> bytes:
    """A SOAP answer around *body*, in the 2025_2 namespaces."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xmlns:c="urn:core_2025_2.platform.webservices.netsuite.com"><s:Body>{body}</s:Body></s:Envelope>'
    ).encode()
