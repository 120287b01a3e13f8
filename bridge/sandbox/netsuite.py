"""A fake NetSuite: a WSGI app that speaks SuiteTalk SOAP, remembers, enforces limits, and is never kinder.

``FakeNetSuite`` is one account. ``calls`` is its honest memory of what was asked, ``faults`` the failures to come,
``accounting`` what people there do. Every behaviour names its Oracle help page id, or says "assumption".

Must not know: anything of ``bridge`` outside ``bridge.sandbox``, zeep.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lxml import etree

from bridge.sandbox.answers import Answer, Environ, base_url, read_body
from bridge.sandbox.faults import Fault, FaultBook
from bridge.sandbox.netsuite_admin import Admin
from bridge.sandbox.netsuite_auth import Credentials, Gate, SoapFault
from bridge.sandbox.netsuite_damage import cut_before, damage, fault_for
from bridge.sandbox.netsuite_operations import NAMES, WRITES, Call, Operations, children, local
from bridge.sandbox.netsuite_pages import Pages
from bridge.sandbox.netsuite_rules import NotSimulated
from bridge.sandbox.netsuite_schema import SOAP, Schema, load_schema
from bridge.sandbox.netsuite_seed import seed
from bridge.sandbox.netsuite_store import Store
from bridge.sandbox.netsuite_transactions import Accounting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

PORT = re.compile(r"/services/NetSuitePort_(\d{4}_\d)\Z")
WSDL = re.compile(r"/wsdl/v(\d{4}_\d)_0/+(netsuite\.wsdl|xsd/+([\w.]+\.xsd))\Z")
MAX_REQUEST = 100 * 1024 * 1024  # section_N3418637
XML = "text/xml; charset=utf-8"


@dataclass(frozen=True)
class Latency:
    """How long NetSuite takes, in seconds: figures to measure with (assumption)."""

    single_write_s: float = 0.8
    list_base_s: float = 0.55
    list_record_s: float = 0.25
    read_s: float = 0.4

    def of(self, operation: str, records: int) -> float:
        if operation not in WRITES:
            return self.read_s
        return self.list_base_s + self.list_record_s * records if operation.endswith("List") else self.single_write_s


LATENCY = Latency()
NO_LATENCY = Latency(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Seen:
    """One call as it happened. *status* is ok, partial, or what went wrong; *in_flight* counts itself."""

    operation: str
    kinds: tuple[str, ...]
    external_ids: tuple[str, ...]
    status: str
    at: datetime
    in_flight: int


class FakeNetSuite:
    """One NetSuite account.

    Args:
        schema_dir: folder with ``netsuite.wsdl`` and ``xsd/``; several for several endpoint versions.
        account: as in credentials, ``1234567_SB1``.
        concurrency: calls in flight over the whole account (section_1500275531).
        latency: waits are real; pass ``NO_LATENCY`` in tests.
        clock: aware time; NetSuite's own.
        default_page_size: the company's preference for searches without one (section_N3422217).
        record_requests: keep every raw envelope in ``requests``.
    """

    def __init__(
        self,
        *,
        schema_dir: Path | Sequence[Path],
        account: str = "1234567",
        consumer_key: str = "sandbox-consumer-key",
        consumer_secret: str = "sandbox-consumer-secret",
        token_id: str = "sandbox-token-id",
        token_secret: str = "sandbox-token-secret",
        concurrency: int = 5,
        latency: Latency = LATENCY,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        default_page_size: int = 1000,
        record_requests: bool = False,
    ) -> None:
        folders = [schema_dir] if isinstance(schema_dir, Path) else list(schema_dir)
        self.schemas: dict[str, Schema] = {}
        for folder in folders:
            schema = load_schema(folder)
            self.schemas[schema.version] = schema
        self.account, self.concurrency, self.latency, self.clock = account, concurrency, latency, clock
        self.record_requests = record_requests
        self.requests: list[bytes] = []
        self.calls: list[Seen] = []
        self.faults = FaultBook()
        self.lock = threading.RLock()
        self.store = Store(clock)
        seed(self.store)
        self.accounting = Accounting(self.store)
        credentials = Credentials(account, consumer_key, consumer_secret, token_id, token_secret)
        self.gate = Gate(credentials, clock)
        self.operations = {
            version: Operations(
                schema, self.store, self.accounting, default_page_size=default_page_size, concurrency=concurrency
            )
            for version, schema in self.schemas.items()
        }
        self.in_flight = 0
        self.peak_in_flight = 0
        self.admin = Admin(self)
        self.pages = Pages(self)

    @property
    def calls_by_operation(self) -> Counter[str]:
        return Counter(seen.operation for seen in self.calls)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if PORT.match(path):
            answer = self._soap(environ, path)
        elif WSDL.match(path):
            answer = self._wsdl(environ, path)
        elif path.startswith("/sandbox"):
            answer = self.admin.answer(environ)
        else:
            answer = self.pages.answer(environ)
        return answer(environ, start_response)

    def _wsdl(self, environ: Environ, path: str) -> Answer:
        """The WSDL with this server's address, and its XSDs."""
        found = WSDL.match(path)
        schema = self.schemas.get(found.group(1)) if found else None
        if found is None or schema is None:
            return Answer(404, b"no such endpoint version")
        if found.group(3):
            file = schema.folder / "xsd" / found.group(3)
            return Answer(200, file.read_bytes(), content_type=XML) if file.is_file() else Answer(404, b"no such file")
        address = f'soap:address location="{base_url(environ)}/services/NetSuitePort_{schema.version}"'
        text = re.sub(rb'soap:address location="[^"]*"', address.encode(), schema.wsdl)
        return Answer(200, text, content_type=XML)

    def _soap(self, environ: Environ, path: str) -> Answer:
        found = PORT.match(path)
        version = found.group(1) if found else ""
        operations = self.operations.get(version) or next(iter(self.operations.values()))
        call: Call | None = None
        status = "ok"
        in_flight = 0
        try:
            if version not in self.operations:
                raise SoapFault("invalidVersionFault", "INVALID_WS_VERSION", f"The version {version} is not supported.")
            call, header, root = self._read(environ, operations)
            if call.operation == "getDataCenterUrls":
                inner = operations.data_center_urls(base_url(environ))
                return self._ok(operations, call, inner)
            with self.lock:
                cookie = "JSESSIONID=" in environ.get("HTTP_COOKIE", "")
                self.gate.check(header, session_cookie=cookie)
                if self.in_flight >= self.concurrency:
                    raise fault_for(Fault("throttle"))
                self.in_flight += 1
                in_flight = self.in_flight
                self.peak_in_flight = max(self.peak_in_flight, in_flight)
            try:
                answer, status = self._work(operations, call, root)
            finally:
                with self.lock:
                    self.in_flight -= 1
            return answer
        except SoapFault as fault:
            status = f"fault:{fault.code or 'none'}"
            body = operations.writer.fault(fault.element, fault.code, fault.message)
            # The status of faults is undocumented; Axis answers 500 (assumption).
            return Answer(fault.status, body, content_type=XML)
        except NotSimulated as unknown:
            status = "not simulated"
            body = operations.writer.fault(None, None, f"The sandbox does not simulate {unknown}.")
            return Answer(501, body, content_type=XML)
        except BaseException as error:
            status = type(error).__name__.lower()
            raise
        finally:
            self._remember(call, status, in_flight)

    def _remember(self, call: Call | None, status: str, in_flight: int) -> None:
        kinds = tuple(call.kinds()) if call else ()
        ids = tuple(call.external_ids()) if call else ()
        operation = call.operation if call else "unreadable"
        self.calls.append(Seen(operation, kinds, ids, status, self.clock(), in_flight))

    def _read(self, environ: Environ, operations: Operations) -> tuple[Call, Any, Any]:
        """The operation of a request. Whatever cannot be read is a fault without a NetSuite code, as Axis gives."""
        body = read_body(environ)
        if len(body) > MAX_REQUEST:
            raise SoapFault("exceededRequestSizeFault", "USER_ERROR", "The request is larger than 100 MB.")
        if self.record_requests:
            self.requests.append(body)
        if environ["REQUEST_METHOD"] != "POST":
            raise SoapFault(None, None, "SOAP needs POST.", status=405)
        try:
            parser = etree.XMLParser(
                resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True, remove_pis=True
            )
            root = etree.fromstring(body, parser)
        except etree.XMLSyntaxError as error:
            raise SoapFault(None, None, f"org.xml.sax.SAXParseException: {error.msg}") from error
        if b"<!DOCTYPE" in body[:2000] or root.tag != f"{{{SOAP}}}Envelope":
            raise SoapFault(None, None, "The request is not a SOAP 1.1 envelope.")
        parts = {local(child): child for child in children(root)}
        bodies = children(parts["Body"]) if "Body" in parts else []
        if len(bodies) != 1:
            raise SoapFault(None, None, "The SOAP body must hold one element.")
        element, header = bodies[0], parts.get("Header")
        operation = local(element)
        if not str(element.tag).startswith(f"{{{operations.schema.ns('messages')}}}"):
            raise SoapFault("invalidVersionFault", "INVALID_WS_VERSION", "The namespace is of another version.")
        action = environ.get("HTTP_SOAPACTION", "").strip('"')
        if operation not in operations.schema.operations or action != operation:
            raise SoapFault(None, None, f"No such operation: {action or '(no SOAPAction)'} / {operation}")
        headers = {local(child): child for child in children(header)} if header is not None else {}
        return Call(operation, element, headers), header, root

    def _work(self, operations: Operations, call: Call, root: etree._Element) -> tuple[Answer, str]:
        reason = operations.schema.error(root)
        if reason:
            raise SoapFault(None, None, f"org.xml.sax.SAXException: {reason}")
        if call.preference("preferences", "runServerSuiteScriptAndTriggerWorkflows") is not None:
            # It needs a permission of its own, else the whole request fails (section_4170181850).
            raise SoapFault("insufficientPermissionFault", "INSUFFICIENT_PERMISSION", "Permission Violation.")
        operations.read(call)
        self._take_faults(call)
        records = len(call.records) or len(children(call.element))
        self._wait(self.latency.of(call.operation, records))
        self._slow(call, after=False)
        early = cut_before(call.faults)
        if early:
            return early, "replaced"
        with self.lock:
            inner = operations.run(call)
        self._slow(call, after=True)
        late = cut_before(call.faults, after=True)
        if late:
            return late, "replaced after commit"
        answer = self._ok(operations, call, inner)
        status = "partial" if b'isSuccess="false"' in inner else "ok"
        return damage(answer, call.faults), status

    def _take_faults(self, call: Call) -> None:
        call.faults = self.faults.take(call.operation, [*call.kinds(), *(item.kind.name for item in call.records)])
        for record in call.records:
            texts = [value for value in (record.fields.get(name) for name in NAMES) if isinstance(value, str)]
            if any("!" in text for text in texts):
                for fault in self.faults.marked(texts, f"{record.kind.name} {record.external_id}"):
                    fault.options.setdefault("external_id", record.external_id)
                    call.faults.append(fault)

    def _slow(self, call: Call, *, after: bool) -> None:
        slow = [fault for fault in call.faults if fault.action == "slow" and fault.after is after]
        self._wait(sum(float(fault.options.get("seconds", 5)) for fault in slow))

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            # Not time.sleep: it cannot be used under a faked clock.
            threading.Event().wait(seconds)

    def _ok(self, operations: Operations, call: Call, inner: bytes) -> Answer:
        body = operations.writer.envelope(call.operation, inner, f"WEBSERVICES_{self.account}_{len(self.calls):012d}")
        # Axis starts a session for whoever asks; sending it back next to a passport is ambiguous (section_1509544929).
        # Whether NetSuite does so for token calls is undocumented; Secure keeps it from clients on plain loopback.
        cookie = f"JSESSIONID=sandbox{len(self.calls)}; Path=/; Secure; HttpOnly"
        return Answer(200, body, content_type=XML, headers=(("Set-Cookie", cookie),))
