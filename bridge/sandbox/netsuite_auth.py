"""Who may call: the token passport of a request, its signature, nonce and time, and the lock after five failures.

Sources: section_4395630653 (algorithm), subsect_156935170194 (limits and the login audit trail), section_1509544929
(one credential only).

Must not know: records, HTTP beyond a cookie's name.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml import etree

NONCE = re.compile(r"[A-Za-z0-9]{6,64}\Z")
WINDOW_S = 300
FAILURES_TO_LOCK = 5
LOCKED_FOR = timedelta(minutes=30)
INVALID_LOGIN = "Invalid login attempt."
AMBIGUOUS = "Ambiguous authentication"


class SoapFault(Exception):
    """The whole call fails with a SOAP fault; *element* None has no NetSuite detail."""

    def __init__(self, element: str | None, code: str | None, message: str, *, status: int = 500) -> None:
        super().__init__(message)
        self.element, self.code, self.message, self.status = element, code, message, status


@dataclass
class Credentials:
    """One integration and token, as an administrator makes them once."""

    account: str
    consumer_key: str
    consumer_secret: str = field(repr=False)
    token_id: str
    token_secret: str = field(repr=False)


class Gate:
    """Checks passports. *audit* is the login audit trail: the only place that tells why a login failed."""

    def __init__(self, credentials: Credentials, clock: Callable[[], datetime]) -> None:
        self.credentials = credentials
        self.audit: list[tuple[datetime, str]] = []
        self._clock = clock
        self._nonces: set[tuple[str, str]] = set()  # no expiry is documented, so none
        self._failures = 0
        self._locked_until: datetime | None = None

    def check(self, header: etree._Element | None, *, session_cookie: bool) -> None:
        """Raise a fault unless *header* holds exactly one good credential. Call with the account's lock held."""
        parts = {} if header is None else {_local(child): child for child in header if isinstance(child.tag, str)}
        if "passport" in parts:
            self._refuse("password login ended with 2020.2")
        passport = parts.get("tokenPassport")
        if passport is None:
            # A session cookie alone is no login here: sessions were made by the removed login operation.
            self._refuse("MissingTokenPassportRequiredFields")
        if "applicationInfo" in parts or session_cookie:
            self.audit.append((self._clock(), "ambiguous"))
            raise SoapFault("invalidCredentialsFault", "USER_ERROR", AMBIGUOUS)
        now = self._clock()
        if self._locked_until and now < self._locked_until:
            self._refuse("temporary_locked", counts=False)
        reason = self._reason(passport, now)
        if reason:
            self._refuse(reason)
        self._failures = 0

    def _reason(self, passport: etree._Element, now: datetime) -> str | None:
        values = {_local(child): (child.text or "").strip() for child in passport if isinstance(child.tag, str)}
        signature = next((child for child in passport if _local(child) == "signature"), None)
        if signature is None or set(values) != {"account", "consumerKey", "token", "nonce", "timestamp", "signature"}:
            return "MissingTokenPassportRequiredFields"
        own = self.credentials
        if values["account"] != own.account:
            return "account_mismatch"  # credentials keep upper case and underscore, unlike the host
        if values["consumerKey"] != own.consumer_key:
            return "consumer_key_unknown"
        if values["token"] != own.token_id:
            return "token_rejected"
        if signature.get("algorithm") != "HMAC-SHA256":
            return "UnknownAlgorithm"  # SHA-1 ended with 2023.1
        if not NONCE.match(values["nonce"]):
            return "InvalidNonce"
        if not values["timestamp"].isdigit() or abs(int(values["timestamp"]) - now.timestamp()) > WINDOW_S:
            return "InvalidTimestamp"
        base = "&".join(values[name] for name in ("account", "consumerKey", "token", "nonce", "timestamp"))
        key = f"{own.consumer_secret}&{own.token_secret}"
        digest = hmac.new(key.encode(), base.encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(base64.b64encode(digest).decode(), values["signature"]):
            return "InvalidSignature"
        used = (values["nonce"], values["timestamp"])
        if used in self._nonces:
            return "NonceUsed"
        self._nonces.add(used)
        return None

    def _refuse(self, reason: str, *, counts: bool = True) -> NoReturn:
        now = self._clock()
        self.audit.append((now, reason))
        if counts:
            self._failures += 1
            if self._failures >= FAILURES_TO_LOCK:
                self._locked_until, self._failures = now + LOCKED_FOR, 0
        raise SoapFault("invalidCredentialsFault", "INVALID_LOGIN_CREDENTIALS", INVALID_LOGIN)


def _local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]
