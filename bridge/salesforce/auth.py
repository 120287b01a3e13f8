"""Logging in to Salesforce: JWT bearer or client credentials, one token per process, one pinned organisation.

``JwtBearer`` and ``ClientCredentials`` say how; ``Tokens`` holds the one token, renews it once for all threads, and
refuses an answer that names another host or another organisation.

simple-salesforce's own login is not used: its hosts are hard-wired, it trusts ``instance_url`` as given, and it drops
the ``id`` in which the answer names the organisation.

Sources: Salesforce Help, "OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration" and "OAuth 2.0 Client
Credentials Flow for Server-to-Server Integration".

Must not know: records, SOQL.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bridge.errors import Misconfigured
from bridge.salesforce import faults
from bridge.salesforce.values import NotAnId, id18

JWT_LIFE = timedelta(minutes=3)  # the longest that Salesforce documents
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
MY_DOMAIN = re.compile(r"https://[a-z0-9-]+(\.sandbox|\.develop|\.scratch)?\.my\.salesforce\.com")
LOGIN_HOSTS = ("https://login.salesforce.com", "https://test.salesforce.com")
LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
_IDENTITY = re.compile(r"/id/([A-Za-z0-9]{15,18})/[A-Za-z0-9]{15,18}")


class Auth(Protocol):
    """A way to log in. *domain* is the host that gives tokens: the My Domain host, or ``login`` or ``test``."""

    domain: str

    def form(self, audience: str, now: datetime) -> Mapping[str, str]:
        """Return the form for the token endpoint. Raises Misconfigured for a key that cannot sign."""
        ...


@dataclass(frozen=True)
class JwtBearer:
    """Log in as *username* with a key whose certificate the app in Salesforce holds. *private_key* is PEM text."""

    domain: str
    client_id: str = field(repr=False)
    username: str
    private_key: str = field(repr=False)

    def form(self, audience: str, now: datetime) -> Mapping[str, str]:
        """Return a fresh assertion, valid for three minutes."""
        claims = {
            "iss": self.client_id,
            "sub": self.username,
            "aud": audience,
            "exp": int((now + JWT_LIFE).timestamp()),
        }
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in ({"alg": "RS256"}, claims))
        signature = self._key().sign(signed.encode(), PKCS1v15(), SHA256())
        return {"grant_type": JWT_GRANT, "assertion": f"{signed}.{_base64url(signature)}"}

    def _key(self) -> RSAPrivateKey:
        try:
            key = load_pem_private_key(self.private_key.encode(), password=None)
        except (ValueError, TypeError) as error:
            # The library's words may quote the key.
            raise _unusable_key() from error
        if not isinstance(key, RSAPrivateKey):
            raise _unusable_key()
        return key


@dataclass(frozen=True)
class ClientCredentials:
    """Log in as the app's run-as user. Served by the My Domain host only."""

    domain: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)

    def form(self, audience: str, now: datetime) -> Mapping[str, str]:
        """Return the app's credentials."""
        return {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.client_secret}


def _unusable_key() -> Misconfigured:
    return Misconfigured("The private key for Salesforce is not an unencrypted RSA key in PEM.", code="BAD_PRIVATE_KEY")


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True)
class Token:
    """One live session. *serial* counts the logins of this process."""

    serial: int
    instance_url: str
    org_id: str
    access_token: str = field(repr=False)


def login_url(domain: str, *, allow_loopback: bool) -> str:
    """Return the address of a host where a login may be sent. Raises Misconfigured for any other.

    *domain* is a host, or its part before ``.salesforce.com``: ``login``, ``acme.my``.
    """
    url = domain.rstrip("/") if "://" in domain else f"https://{domain.removesuffix('.salesforce.com')}.salesforce.com"
    if url in LOGIN_HOSTS or _is_instance(url, allow_loopback=allow_loopback):
        return url
    raise Misconfigured(
        "The Salesforce domain must be a My Domain host such as acme.my.salesforce.com.",
        code="BAD_DOMAIN",
        detail=repr(domain)[:200],
    )


def _is_instance(url: Any, *, allow_loopback: bool) -> bool:
    if not isinstance(url, str):
        return False
    return bool(MY_DOMAIN.fullmatch(url) or (allow_loopback and LOOPBACK.fullmatch(url)))


class Tokens:
    """The one token of this process.

    Args:
        auth: how to log in.
        org_id: the pinned organisation; a refreshed sandbox pointed at production is refused by it.
        session: opens a session for the calling thread.
    """

    def __init__(
        self,
        auth: Auth,
        *,
        org_id: str,
        session: Callable[[], requests.Session],
        clock: Callable[[], datetime],
        allow_loopback: bool,
    ) -> None:
        try:
            self.org_id = id18(org_id)
        except NotAnId as error:
            raise Misconfigured("The Salesforce organisation id is not an id.", code="BAD_ORG_ID") from error
        self._auth, self._session, self._clock, self._allow_loopback = auth, session, clock, allow_loopback
        self.login_url = login_url(auth.domain, allow_loopback=allow_loopback)
        self._token: Token | None = None
        self._lock = threading.Lock()

    @property
    def instance_url(self) -> str | None:
        """Where the organisation lives, as far as it is known without asking."""
        token = self._token
        if token is not None:
            return token.instance_url
        return None if self.login_url in LOGIN_HOSTS else self.login_url

    def log_in_as(self, auth: Auth) -> None:
        """Log in as *auth* says from the next login on; the session that is open lasts until Salesforce ends it.

        Raises:
            Misconfigured: *auth* leads to another host. An operator starts the bridge anew for that.
        """
        if login_url(auth.domain, allow_loopback=self._allow_loopback) != self.login_url:
            raise Misconfigured("Another Salesforce domain needs a restart.", code="BAD_DOMAIN")
        with self._lock:
            self._auth = auth

    def current(self) -> Token:
        """Return the live token, logging in if there is none. Raises Deferred or Misconfigured."""
        return self._token or self.renewed(None)

    def renewed(self, stale: Token | None) -> Token:
        """Return a token newer than *stale*: whoever comes first logs in, the others get what it got."""
        with self._lock:
            if self._token is None or self._token is stale:
                self._token = None
                self._token = self._login(0 if stale is None else stale.serial)
            return self._token

    def _login(self, serial: int) -> Token:
        answer = self._ask()
        access_token, instance_url = answer.get("access_token"), answer.get("instance_url")
        if not isinstance(access_token, str) or not access_token or not access_token.isascii():
            raise faults.unreadable(write=False, detail="the token answer holds no token")
        if not _is_instance(instance_url, allow_loopback=self._allow_loopback):
            # Before any call: the token itself would travel to that host.
            raise Misconfigured(
                "Salesforce's login named a host that is not a My Domain host.",
                code="BAD_INSTANCE_URL",
                detail=repr(instance_url)[:200],
            )
        org_id = self._org_id(answer.get("id"), str(instance_url), access_token)
        if org_id != self.org_id:
            raise Misconfigured(
                f"This login leads to the Salesforce organisation {org_id}, not to {self.org_id}.",
                code="WRONG_ORG",
            )
        return Token(serial + 1, str(instance_url), org_id, access_token)

    def _ask(self) -> Mapping[str, Any]:
        # The audience is the host itself; External Client Apps refuse the general hosts' names.
        form = self._auth.form(self.login_url, self._clock())
        try:
            response = self._session().post(f"{self.login_url}/services/oauth2/token", data=dict(form))
            answer = response.json()
        except (requests.RequestException, ValueError, RecursionError) as error:
            raise faults.of_exception(error, write=False) from error
        if not isinstance(answer, Mapping):
            raise faults.of_http(response.status_code, write=False, detail="a login answer that is no object")
        if response.status_code != 200:
            raise faults.of_login(response.status_code, answer)
        return answer

    def _org_id(self, identity: Any, instance_url: str, access_token: str) -> str:
        """Read the organisation's id from the identity URL, else ask who we are."""
        match = _IDENTITY.fullmatch(urlsplit(identity).path) if isinstance(identity, str) else None
        try:
            if match is not None:
                return id18(match.group(1))
            response = self._session().get(
                f"{instance_url}/services/oauth2/userinfo", headers={"Authorization": f"Bearer {access_token}"}
            )
            if response.status_code != 200:
                raise faults.of_http(response.status_code, write=False, detail="userinfo")
            return id18(response.json()["organization_id"])
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise faults.of_exception(error, write=False) from error
