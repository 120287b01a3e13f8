"""OAuth as the bridge uses it: JWT bearer and client credentials; tokens that expire without saying when.

``Login`` checks assertions against registered public keys and hands out tokens; ``user`` answers for a token.

Sources: Salesforce Help, "OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration" (RS256; iss, sub, aud, exp at
most 3 minutes ahead) and "OAuth 2.0 Client Credentials Flow". Errors are an object, not the REST array.

Must not know: records, routes of the data API.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from bridge.sandbox.salesforce_http import Reply
from bridge.sandbox.salesforce_tables import User

MAX_AHEAD = timedelta(minutes=5)  # 3 minutes are documented; the rest is room for clocks that differ
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Denied(Exception):
    """An OAuth error: *error* is its code."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error, self.description = error, description


class Login:
    """Who may log in, and which tokens live."""

    def __init__(
        self,
        *,
        org_id: str,
        users: Callable[[str], User | None],
        clock: Callable[[], datetime],
        consumer_key: str,
        consumer_secret: str,
        run_as: str,
        audiences: frozenset[str],
    ) -> None:
        self.org_id, self.clock, self.audiences = org_id, clock, audiences
        self.token_calls: int | None = None  # a token dies after this many calls
        self.token_lifetime = timedelta(hours=2)  # the default session timeout
        self.granted = 0
        self._users, self._key, self._secret, self._run_as = users, consumer_key, consumer_secret, run_as
        self._public_keys: dict[str, RSAPublicKey] = {}
        self._tokens: dict[str, tuple[User, datetime, int]] = {}
        self._lock = threading.Lock()

    def register(self, pem: str | bytes, *, consumer_key: str | None = None) -> None:
        """Trust assertions of *consumer_key* signed by this public key or certificate (PEM)."""
        raw = pem.encode() if isinstance(pem, str) else pem
        is_certificate = b"BEGIN CERTIFICATE" in raw
        key = load_pem_x509_certificate(raw).public_key() if is_certificate else load_pem_public_key(raw)
        if not isinstance(key, RSAPublicKey):
            raise ValueError("the JWT bearer flow needs an RSA key")
        self._public_keys[consumer_key or self._key] = key

    def issue(self, user: User) -> str:
        """A token for *user*, for tests and pages; the same kind that a login gives."""
        token = f"{self.org_id[:15]}!{secrets.token_urlsafe(48)}"
        with self._lock:
            self._tokens[token] = (user, self.clock() + self.token_lifetime, 0)
        return token

    def rotate(self, consumer_secret: str) -> None:
        """Give the app another secret, as an administrator can; the old one is refused from now on."""
        self._secret = consumer_secret

    def revoke_all(self) -> None:
        """End every session, as an administrator can."""
        with self._lock:
            self._tokens.clear()

    def user(self, token: str) -> User | None:
        """The user of a live token; counts the call."""
        with self._lock:
            user, until, calls = self._tokens.get(token, (None, self.clock(), 0))
            if user is None:
                return None
            if until <= self.clock() or (self.token_calls is not None and calls >= self.token_calls):
                del self._tokens[token]
                return None
            self._tokens[token] = (user, until, calls + 1)
            return user

    def token(self, form: dict[str, str], *, instance_url: str, host: str) -> Reply:
        """Answer ``POST /services/oauth2/token``."""
        try:
            grant = form.get("grant_type", "")
            if grant == JWT_GRANT:
                user = self._by_assertion(form.get("assertion", ""), instance_url)
            elif grant == "client_credentials":
                user = self._by_secret(form, host)
            else:
                raise Denied("unsupported_grant_type", "grant type not supported")
        except Denied as error:
            return Reply(400, {"error": error.error, "error_description": error.description})
        self.granted += 1
        token = self.issue(user)
        login_host = "https://test.salesforce.com" if host.startswith("test.") else "https://login.salesforce.com"
        # No expires_in: a client learns that a session ended from a 401.
        body = {"access_token": token, "scope": "api", "instance_url": instance_url, "token_type": "Bearer"}
        body["id"] = f"{login_host}/id/{self.org_id}/{user.id}"
        return Reply(200, body, headers=(("Cache-Control", "no-cache, no-store"),))

    def _by_secret(self, form: dict[str, str], host: str) -> User:
        if host.split(":", maxsplit=1)[0] in ("login.salesforce.com", "test.salesforce.com"):
            # The flow is served by the My Domain host only.
            raise Denied("invalid_grant", "request not supported on this domain")
        if not hmac.compare_digest(form.get("client_id", ""), self._key):
            raise Denied("invalid_client_id", "client identifier invalid")
        if not hmac.compare_digest(form.get("client_secret", ""), self._secret):
            raise Denied("invalid_client", "invalid client credentials")
        return self._known(self._run_as)

    def _by_assertion(self, assertion: str, instance_url: str) -> User:
        try:
            head, claims, signature = assertion.split(".")
            header, claim = json.loads(_decoded(head)), json.loads(_decoded(claims))
            mac = _decoded(signature)
        except (ValueError, binascii.Error):
            raise Denied("invalid_grant", "invalid assertion") from None
        if header.get("alg") != "RS256":
            raise Denied("invalid_grant", "algorithm type not supported")
        key = self._public_keys.get(str(claim.get("iss")))
        if key is None:
            raise Denied("invalid_client_id", "client identifier invalid")
        try:
            key.verify(mac, f"{head}.{claims}".encode(), PKCS1v15(), SHA256())
        except InvalidSignature:
            raise Denied("invalid_grant", "invalid assertion") from None
        if str(claim.get("aud")).rstrip("/") not in self.audiences | {instance_url.rstrip("/")}:
            raise Denied("invalid_grant", "audience is invalid")
        self._check_time(claim)
        return self._known(str(claim.get("sub")))

    def _check_time(self, claim: dict[str, Any]) -> None:
        try:
            expires = float(claim["exp"])
        except (KeyError, TypeError, ValueError):
            raise Denied("invalid_grant", "invalid assertion") from None
        now = self.clock().timestamp()
        if expires <= now:
            raise Denied("invalid_grant", "expired authorization code")
        if expires > now + MAX_AHEAD.total_seconds():
            raise Denied("invalid_grant", "invalid assertion")

    def _known(self, username: str) -> User:
        user = self._users(username)
        if user is None:
            raise Denied("invalid_grant", "user hasn't approved this consumer")
        return user


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
