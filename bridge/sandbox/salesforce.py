"""Fake Salesforce: a WSGI app that speaks the REST data API, remembers, and fires signed callouts like our Apex.

``FakeSalesforce`` is the app; its methods are what a person would do in the user interface. It is never kinder than
the real system: unknown routes and options are answered 501, and every behaviour names its source where it lives
(``salesforce_*.py``, ``soql.py``).

Must not know: anything of ``bridge`` outside this package.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import requests

from bridge.sandbox.answers import Answer, Environ, read_body
from bridge.sandbox.salesforce_bulk import Bulk
from bridge.sandbox.salesforce_callouts import Callouts
from bridge.sandbox.salesforce_collections import Collections
from bridge.sandbox.salesforce_faults import Faults
from bridge.sandbox.salesforce_http import Reply, Request
from bridge.sandbox.salesforce_login import Login
from bridge.sandbox.salesforce_org import Org
from bridge.sandbox.salesforce_pages import Pages
from bridge.sandbox.salesforce_people import People
from bridge.sandbox.salesforce_rest import Rest
from bridge.sandbox.salesforce_schema import Schema
from bridge.sandbox.salesforce_tables import Row, User
from bridge.sandbox.salesforce_triggers import PackageTriggers, watched_fields
from bridge.sandbox.salesforce_values import NotImitated, Refused, as_id, from_json, to_json
from bridge.sandbox.soql import parse
from bridge.sandbox.soql_run import Run

NEWEST = 68  # v68.0 is Winter '27, the newest released API; 60 to 68 are played here
OLDEST = 60
RETIRED = range(7, 31)  # answer 410 (Metadata API Guide, "API End-of-Life"); lower ones never existed
MAX_URL = 16384  # bytes of a request URI, then 414 (REST API Developer Guide, "URI Length and Header Size")
JSON = "application/json;charset=UTF-8"
MIRRORS = frozenset(
    {
        *("NetSuite_Order__c", "NetSuite_Order_Line__c", "Remittance__c"),
        *("NetSuite_Document__c", "NetSuite_Document_Line__c"),
    }
)
KNOWN_HEADERS = frozenset({"sforce-call-options", "sforce-query-options", "sforce-auto-assign"})
CONDITIONAL = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "x-http-method-override")


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


class FakeSalesforce:
    """One org: WSGI app, schema, records, users, callouts.

    Args:
        metadata_dir: the package's source folder; its ``objects/**`` become the custom schema.
        org_id: 18 characters, as the bridge pins it.
        callout_url: where the bridge listens; None sends nothing.
        signing_key: key id and secret of the callouts' signature.
        watched: fields that the bridge reads, by object; None takes the package's own list, as the Apex does.
        callout_session: a session whose adapters carry callouts without a socket.
        inline_callouts: send within the saving thread instead of in the background.
        instance_url: what a login answers; worked out from the request when None.
        api_limit: calls per day before REQUEST_LIMIT_EXCEEDED.
    """

    def __init__(
        self,
        *,
        metadata_dir: Path,
        org_id: str = "00D5e0000000001EAA",
        callout_url: str | None = None,
        signing_key: tuple[str, str] = ("sandbox", "sandbox-signing-key"),
        clock: Callable[[], datetime] = utc_now,
        watched: Mapping[str, Sequence[str]] | None = None,
        callout_session: requests.Session | None = None,
        inline_callouts: bool = False,
        callout_workers: int = 8,
        callout_timeout_s: float = 20.0,
        consumer_key: str = "sandbox-consumer-key",
        consumer_secret: str = "sandbox-consumer-secret",
        instance_url: str | None = None,
        my_domain: str = "sandbox-org",
        api_limit: int = 100_000,
        multi_currency: bool = False,
        user_zone: str = "America/Los_Angeles",
    ) -> None:
        if len(org_id) != 18 or not org_id.startswith("00D"):
            raise ValueError(f"org_id must be an 18-character id, not {org_id!r}")
        self.schema = Schema.load(Path(metadata_dir), multi_currency=multi_currency)
        self.org_id, self.clock = org_id, clock
        self.api_limit, self.api_usage = api_limit, 0
        self._count = threading.Lock()
        self._instance_url, self._my_domain = instance_url, my_domain
        self.org = Org(self.schema, org_id=org_id, clock=clock, mirrors=MIRRORS)
        self.people = People(self.org, zone=user_zone)
        self.integration_user: User = self.people.users["integration@sandbox.example"]
        self.sales_user: User = self.people.users["sales@sandbox.example"]
        self.controller: User = self.people.users["controller@sandbox.example"]
        self.faults = Faults()
        self.org.before_write = self.faults.before_write
        self.org.before_job = self.faults.before_job
        fields = watched_fields(self.schema, watched)
        self.callouts = Callouts(
            self.org,
            url=callout_url,
            key=signing_key,
            watched=fields,
            session=callout_session,
            inline=inline_callouts,
            workers=callout_workers,
            timeout_s=callout_timeout_s,
        )
        self.triggers = PackageTriggers(self.schema, fields, self.callouts.enqueue)
        self.org.triggers = self.triggers
        self.triggers.credits.row = self.org.row
        self.login = Login(
            org_id=org_id,
            users=self.people.users.get,
            clock=clock,
            consumer_key=consumer_key,
            consumer_secret=consumer_secret,
            run_as=self.integration_user.username,
            audiences=frozenset({"https://login.salesforce.com", "https://test.salesforce.com"}),
        )
        self.rest = Rest(self.org, usage=lambda: (self.api_usage, self.api_limit))
        Collections(self.rest, self.org)
        self.bulk = Bulk(self.rest, self.org)
        self.pages = Pages(self)

    # --- what a person does -------------------------------------------------------------------------------------

    def insert(self, kind: str, *, user: User | None = None, **values: Any) -> str:
        """Save a new record and return its id. Raises ``Refused``."""
        with self.org.transaction(user or self.sales_user) as transaction:
            return self.org.insert(transaction, kind, values)

    def update(self, record_id: str, *, user: User | None = None, **values: Any) -> None:
        """Save a change of one record."""
        kind = self.schema.by_prefix(record_id)
        with self.org.transaction(user or self.sales_user) as transaction:
            self.org.update(transaction, kind.name if kind else "", record_id, values)

    def delete(self, record_id: str, *, user: User | None = None) -> None:
        """Delete one record."""
        kind = self.schema.by_prefix(record_id)
        with self.org.transaction(user or self.sales_user) as transaction:
            self.org.delete(transaction, kind.name if kind else "", record_id)

    def undelete(self, record_id: str, *, user: User | None = None) -> None:
        """Bring one record back from the recycle bin."""
        with self.org.transaction(user or self.sales_user) as transaction:
            self.org.undelete(transaction, record_id)

    def merge(self, winner_id: str, *loser_ids: str, user: User | None = None) -> None:
        """Merge Accounts or Contacts."""
        with self.org.transaction(user or self.sales_user) as transaction:
            self.org.merge(transaction, winner_id, list(loser_ids))

    def add_fee(self, application_id: str, fee: str, unit_price: Any, *, quantity: Any = 1, **values: Any) -> str:
        """Add a fee line, with the price book entry of its fee type."""
        entry = self.people.entries[fee]
        fixed = {"OpportunityId": application_id, "PricebookEntryId": entry, "Quantity": quantity}
        if "fee_type__c" in self.schema.type("OpportunityLineItem").fields:
            fixed["Fee_Type__c"] = fee
        return self.insert("OpportunityLineItem", **fixed, UnitPrice=unit_price, **values)

    def approve(self, application_id: str) -> None:
        """Underwriting says yes."""
        self.update(application_id, StageName="Approved")

    def accept(self, application_id: str) -> None:
        """The merchant accepts the funding."""
        self.update(application_id, Funding_Accepted__c=True)

    def approve_credit(self, request_id: str) -> None:
        """Somebody else than the person who asked approves a credit request."""
        self.update(request_id, user=self.controller, Approved__c=True)

    def send_again(self, record_id: str) -> None:
        """The package's "Send again" action: a raised version alone sends a record."""
        version = (self.row(record_id) or {}).get("Bridge_Version__c") or 0
        self.update(record_id, Bridge_Version__c=version + 1)

    def row(self, record_id: str) -> Row | None:
        """The live record with this id, or None. Empty fields are absent."""
        self.org.derived.turn(self.org)
        return self.org.row(as_id(record_id) or record_id)

    def rows(self, kind: str) -> list[Row]:
        """All live records of one object."""
        self.org.derived.turn(self.org)
        return list(self.org.table(kind).all(deleted=False))

    def query(self, soql: str) -> list[Row]:
        """The records of a query, unpaged."""
        self.org.derived.turn(self.org)
        return Run(self.org, parse(soql), version=f"{NEWEST}.0", deleted=False).records()

    def drain(self, timeout_s: float = 60.0) -> None:
        """Wait until every callout and every bulk job so far is done."""
        self.bulk.drain(timeout_s)
        self.callouts.drain(timeout_s)

    def close(self) -> None:
        """Stop the background threads."""
        self.bulk.close()
        self.callouts.close()

    # --- HTTP ---------------------------------------------------------------------------------------------------

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        answer = self._answer(environ)
        # Clients read the org's clock from this header; it must be the clock that stamps the rows.
        dated = ("Date", format_datetime(self.clock().astimezone(UTC), usegmt=True))
        return replace(answer, headers=(*answer.headers, dated))(environ, start_response)

    def _answer(self, environ: Environ) -> Answer:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        raw = read_body(environ)
        if len(environ["PATH_INFO"]) + len(environ.get("QUERY_STRING", "")) > MAX_URL:
            return Answer(414, b"URI Too Long", content_type="text/plain")
        self.org.derived.turn(self.org)
        try:
            if path == "/sandbox/faults":
                return _made(self.faults.answer(method, from_json(raw) if raw else None))
            if not path.startswith("/services/"):
                return self.pages.answer(environ, path, raw)
            early = self.faults.strike_before(method, path)
            if early is not None:
                return replace(early, headers=(*early.headers, self._limit_header()))
            answer = _made(self._service(environ, method, path, raw))
            if not path.startswith("/services/oauth2/"):
                answer = replace(answer, headers=(*answer.headers, self._limit_header()))
            return self.faults.strike_after(method, path, answer)
        except NotImitated as error:
            words = f"The sandbox does not imitate this: {error}"
            return _made(Reply(501, [{"errorCode": "SANDBOX_NOT_IMPLEMENTED", "message": words}]))
        except Refused as error:
            return _made(Reply(error.status, [error.as_error()]))

    def _service(self, environ: Environ, method: str, path: str, raw: bytes) -> Reply:
        steps = path.strip("/").split("/")[1:]
        if steps == ["oauth2", "token"]:
            if method != "POST":
                raise Refused("METHOD_NOT_ALLOWED", "POST only", status=405)
            form = dict(parse_qsl(raw.decode("utf-8", "replace")))
            host = environ.get("HTTP_HOST", "localhost")
            return self.login.token(form, instance_url=self.instance_url(environ), host=host)
        if steps == ["data"]:
            return Reply(200, [_version(number) for number in range(OLDEST, NEWEST + 1)])
        version = self._check_version(steps) if steps[0] == "data" else f"{NEWEST}.0"
        user = self._authenticate(environ)
        with self._count:
            if self.api_usage >= self.api_limit:
                raise Refused("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", status=403)
            self.api_usage += 1
        if steps == ["oauth2", "userinfo"]:
            return Reply(200, self._userinfo(user))
        if steps[0] != "data":
            raise NotImitated(path)
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        headers = {key[5:].replace("_", "-").lower(): v for key, v in environ.items() if key.startswith("HTTP_")}
        headers["content-type"] = environ.get("CONTENT_TYPE", "")
        for name in headers:
            if name in CONDITIONAL or (name.startswith("sforce-") and name not in KNOWN_HEADERS):
                raise NotImitated(f"header {name}")
        request = Request(method, tuple(steps[2:]), query, headers, raw, version, user)
        return self.rest.handle(request)

    def _check_version(self, steps: list[str]) -> str:
        number, _, rest = steps[1].removeprefix("v").partition(".")
        if not steps[1].startswith("v") or not number.isdigit() or rest != "0":
            raise Refused("NOT_FOUND", "The requested resource does not exist", status=404)
        if int(number) in RETIRED:
            raise Refused("UNSUPPORTED_API_VERSION", f"API version {number}.0 is retired", status=410)
        if int(number) > NEWEST or int(number) < RETIRED.start:
            raise Refused("NOT_FOUND", "The requested resource does not exist", status=404)
        if int(number) < OLDEST:
            # A real org still answers these; a client that asks for one has forgotten to set its version.
            raise NotImitated(f"API version {number}.0; use {OLDEST}.0 to {NEWEST}.0")
        return f"{number}.0"

    def _authenticate(self, environ: Environ) -> User:
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        user = self.login.user(token.strip()) if scheme.lower() in ("bearer", "oauth") else None
        if user is None:
            raise Refused("INVALID_SESSION_ID", "Session expired or invalid", status=401)
        return user

    def _limit_header(self) -> tuple[str, str]:
        return "Sforce-Limit-Info", f"api-usage={self.api_usage}/{self.api_limit}"

    def instance_url(self, environ: Environ) -> str:
        """Where the data API answers: the My Domain host, never the login host."""
        if self._instance_url:
            return self._instance_url
        host = environ.get("HTTP_HOST", "localhost")
        if host.endswith(".salesforce.com"):
            return f"https://{self._my_domain}.my.salesforce.com"
        return f"{environ.get('wsgi.url_scheme', 'http')}://{host}"

    def _userinfo(self, user: User) -> Row:
        row = self.org.tables["User"].rows[user.id]
        made: Row = {"user_id": user.id, "organization_id": self.org_id, "preferred_username": user.username}
        made |= {"name": row.get("Name"), "email": row.get("Email"), "active": True, "user_type": "STANDARD"}
        return made | {"zoneinfo": row.get("TimeZoneSidKey")}


def _made(reply: Reply) -> Answer:
    return Answer(reply.status, reply.raw(), content_type=reply.content_type, headers=reply.headers)


def _version(number: int) -> Row:
    return {"label": f"Version {number}.0", "url": f"/services/data/v{number}.0", "version": f"{number}.0"}


__all__ = ["FakeSalesforce", "Refused", "User", "to_json"]
