"""One organisation, called by any number of threads: simple-salesforce with its traps closed, and the daily quota.

``Connection.call`` makes one JSON call, ``text`` one of the bulk interface; both log in again once, repeat the call
once, and raise one of the port's errors. ``Quota`` remembers how many calls are left today.

simple-salesforce is given a session id, so that it never logs in by itself: its own renewal loops without end, drops
custom headers and cannot be shared between threads.

Must not know: records, SOQL.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceError

from bridge.errors import Deferred, Misconfigured
from bridge.salesforce import faults
from bridge.salesforce.auth import Auth, Token, Tokens
from bridge.salesforce.transport import Limits, Session, adapters

T = TypeVar("T")

CLIENT = {"Sforce-Call-Options": "client=salesforce-netsuite-bridge"}
# Assignment rules would hand the record to somebody each time the bridge stamps it.
WRITING = {"Sforce-Auto-Assign": "FALSE", "Content-Type": "application/json; charset=UTF-8"}
SLOW_AT, STOP_AT = 0.8, 0.9  # shares of the daily quota at which background work slows down and stops
SLOWEST_S = 2.0  # pause before each background call just below STOP_AT
STALE_S = 300.0  # a count older than this is asked for again before work is refused for it


class Quota:
    """Calls used and allowed in the last 24 hours, from the header that every answer carries."""

    def __init__(self, sleep: Callable[[float], object]) -> None:
        self.used: int | None = None
        self.allowed: int | None = None
        self._seen_at = 0.0
        self._sleep = sleep

    def note(self, header: str | None) -> None:
        """Remember ``api-usage=18/15000``."""
        usage = Salesforce.parse_api_usage(header).get("api-usage") if header else None
        if usage is not None and usage.total > 0:
            self.used, self.allowed, self._seen_at = usage.used, usage.total, time.monotonic()

    @property
    def share(self) -> float:
        """How much of the quota is used, 0 when not known."""
        return self.used / self.allowed if self.used is not None and self.allowed else 0.0

    @property
    def is_stale(self) -> bool:
        """Whether some calls may have come back since."""
        return time.monotonic() - self._seen_at > STALE_S

    def pace(self) -> None:
        """Wait, or refuse, before a background call. Raises Deferred at 90 %: the rest is for people's saves."""
        if self.share >= STOP_AT:
            raise Deferred(
                "Nine tenths of Salesforce's daily calls are used; background work waits.",
                code="QUOTA_RESERVED",
                detail=f"{self.used} of {self.allowed}",
                throttled=True,
                retry_after_s=faults.QUOTA_PAUSE_S,
            )
        if self.share >= SLOW_AT:
            self._sleep(SLOWEST_S * (self.share - SLOW_AT) / (STOP_AT - SLOW_AT))


class _Local(threading.local):
    """What this thread owns: its session, and its simple-salesforce object for one token."""

    session: Session | None = None
    serial = 0
    client: Salesforce | None = None


class Connection:
    """Calls Salesforce. Safe to share between threads."""

    def __init__(
        self,
        *,
        auth: Auth,
        org_id: str,
        version: str,
        mount: Mapping[str, requests.adapters.BaseAdapter] | None,
        allow_loopback: bool,
        pool_size: int,
        limits: Limits,
        clock: Callable[[], datetime],
        sleep: Callable[[float], object],
    ) -> None:
        self.version = version
        self.limits = limits
        self.quota = Quota(sleep)
        self._carriers = adapters(pool_size, mount, plain_http=allow_loopback)
        self._local = _Local()
        self.tokens = Tokens(auth, org_id=org_id, session=self._session, clock=clock, allow_loopback=allow_loopback)

    def _session(self) -> Session:
        if self._local.session is None:
            self._local.session = Session(self._carriers, self.limits)
        return self._local.session

    def _client(self, token: Token) -> Salesforce:
        """Return this thread's simple-salesforce object for *token*."""
        if self._local.client is None or self._local.serial != token.serial:
            client = Salesforce(
                session_id=token.access_token,
                instance_url=token.instance_url,
                session=self._session(),
                version=self.version,
                parse_float=Decimal,
                object_pairs_hook=dict,
            )
            # It always writes https, which a sandbox on loopback does not speak.
            client.base_url = f"{token.instance_url}/services/data/v{self.version}/"
            client.headers.pop("X-PrettyPrint", None)
            client.headers.update(CLIENT)
            self._local.client, self._local.serial = client, token.serial
        return self._local.client

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        write: bool = False,
    ) -> Any:
        """Make one call below ``/services/data/vXX.X/`` and return its JSON; None for an empty list or no content.

        *write* says that records may change. Raises Deferred, Misconfigured, and for a write Uncertain or Rejected.
        """

        def once(client: Salesforce) -> Any:
            return client.restful(
                path, params=dict(params or {}), method=method, data=body, headers=WRITING if body is not None else {}
            )

        return self._twice(once, write=write)

    def text(self, method: str, path: str, *, body: bytes | None = None, content_type: str, write: bool = False) -> str:
        """Make one call of the bulk interface that carries or answers CSV, and return the answer as text."""

        def once(client: Salesforce) -> str:
            headers = {**client.headers, "Accept": "text/csv", "Content-Type": content_type}
            response = client.session.request(method, client.base_url + path, data=body, headers=headers)
            if response.status_code >= 300:
                try:
                    content: Any = response.json()
                except ValueError:
                    content = response.text[:500]
                raise SalesforceError(path, response.status_code, path, content)
            return response.content.decode("utf-8")

        return self._twice(once, write=write)

    def _twice(self, once: Callable[[Salesforce], T], *, write: bool) -> T:
        token = self.tokens.current()
        try:
            return self._once(once, token, write=write)
        except _Expired:
            token = self.tokens.renewed(token)
        try:
            return self._once(once, token, write=write)
        except _Expired as error:
            raise Misconfigured(
                "Salesforce refuses the bridge's session right after a login.",
                code="INVALID_SESSION_ID",
                detail=str(error),
            ) from error

    def _once(self, once: Callable[[Salesforce], T], token: Token, *, write: bool) -> T:
        try:
            return once(self._client(token))
        except SalesforceError as error:
            if error.status == 401:
                raise _Expired(str(error.content)[:200]) from error
            judged = faults.of_errors(int(error.status), error.content, write=write)
            if isinstance(judged, Deferred) and judged.retry_after_s is None:
                judged.retry_after_s = self._retry_after()
            raise judged from error
        except (requests.RequestException, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise faults.of_exception(error, write=write) from error
        finally:
            answered = self._session().answered
            if answered is not None:
                self.quota.note(answered.headers.get("Sforce-Limit-Info"))

    def _retry_after(self) -> float | None:
        answered = self._session().answered
        asked = answered.headers.get("Retry-After", "") if answered is not None else ""
        return min(float(asked), faults.QUOTA_PAUSE_S) if asked.isascii() and asked.isdigit() else None

    def pace(self) -> None:
        """Let a background call through, late or not at all. Raises Deferred when the quota is nearly used up."""
        if self.quota.share >= SLOW_AT and self.quota.is_stale:
            self.call("GET", "limits")
        self.quota.pace()

    def now(self) -> datetime:
        """Return Salesforce's clock from the Date header of a cheap call; it is precise to the second."""
        self.call("GET", "limits")
        answered = self._session().answered
        header = answered.headers.get("Date") if answered is not None else None
        try:
            found = parsedate_to_datetime(header or "")
        except ValueError as error:
            raise faults.unreadable(write=False, detail=f"Date: {header!r}") from error
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


class _Expired(Exception):
    """The token is no longer good; nothing was executed."""
