"""Sign-in at an OpenID Connect provider: Salesforce, Entra, Okta, Keycloak and others.

Authorization code with PKCE, state and nonce; the identity token's signature, issuer, audience and times are checked.
Who somebody is there gives their role here: by a claim's value, or by name; nobody gets a role by default.

Must not know: Flask, sessions.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bridge.web.provider import Identified, Leaving, NotSignedIn, Provider

ALGORITHMS: Final = ["RS256", "RS384", "RS512", "ES256", "ES384", "PS256"]  # never "none", never one with our secret
FRESH_S: Final = 3600.0  # how long the provider's addresses and keys are kept
TIMEOUT_S: Final = (5.0, 10.0)
LEEWAY_S: Final = 60
SCOPE: Final = "openid profile email"


class Oidc:
    """One provider. Its addresses and keys are fetched when they are first needed."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._lock = threading.Lock()
        self._known: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    @property
    def title(self) -> str:
        """Return what the button says."""
        host = urlsplit(self.provider.issuer).hostname or ""
        return "Salesforce" if host.endswith(".salesforce.com") else host

    def leave(self, *, again: bool = False) -> Leaving:
        """Return the address of the provider's own page, with fresh secrets for this one sign-in.

        *again*: the provider shall ask for the password even of somebody it knows (OpenID Connect Core, 3.1.2.1).
        """
        asked = {"prompt": "login", "max_age": "0"} if again else {}
        verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        with self._session() as session:
            url, state = session.create_authorization_url(
                self._metadata()["authorization_endpoint"], nonce=nonce, code_verifier=verifier, **asked
            )
        return Leaving(url, state, nonce, verifier, time.time() if again else None)

    def arrive(self, answer: Mapping[str, str], leaving: Leaving) -> Identified:
        """Exchange what the browser brought back for an identity. Raises NotSignedIn."""
        if not secrets.compare_digest(answer.get("state", "").encode(), leaving.state.encode()):
            raise NotSignedIn("This sign-in was not begun here, or it took too long. Try again.")
        if "error" in answer or not answer.get("code"):
            raise NotSignedIn(f"{self.title} did not sign you in.")
        try:
            with self._session() as session:
                token = session.fetch_token(
                    self._metadata()["token_endpoint"],
                    code=answer["code"],
                    code_verifier=leaving.verifier,
                    timeout=TIMEOUT_S,
                    allow_redirects=False,
                )
            claims = self._claims(str(token["id_token"]), leaving.nonce)
        except (AuthlibBaseError, JoseError, requests.RequestException, KeyError, ValueError, TypeError) as error:
            raise NotSignedIn(f"What {self.title} answered cannot be believed. Try again.") from error
        asked_at = claims.get("auth_time")
        asked_at = float(asked_at) if isinstance(asked_at, int | float) and not isinstance(asked_at, bool) else None
        if leaving.since is not None:
            # "max_age" makes the claim a duty (OpenID Connect Core, 3.1.2.1); a silent provider may have asked nobody.
            if asked_at is None and self.provider.asks_again:
                asked_at = leaving.since
            if asked_at is None or asked_at < leaving.since - LEEWAY_S:
                raise NotSignedIn(
                    f"{self.title} did not ask for your password again, or does not say so. Sign out there, and try "
                    "again; an administrator finds more in the guide to the console."
                )
        return self._identified(claims, asked_at)

    def _session(self) -> OAuth2Session:
        session = OAuth2Session(
            self.provider.client_id,
            self.provider.client_secret,
            scope=SCOPE,
            redirect_uri=self.provider.redirect_uri,
            code_challenge_method="S256",
        )
        session.trust_env = False
        return session

    def _claims(self, id_token: str, nonce: str) -> dict[str, Any]:
        registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self.provider.issuer},
            aud={"essential": True, "value": self.provider.client_id},
            sub={"essential": True},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            decoded = jwt.decode(id_token, self._key_set(), algorithms=ALGORITHMS)
        except (JoseError, ValueError):  # the provider may have new keys
            decoded = jwt.decode(id_token, self._key_set(anew=True), algorithms=ALGORITHMS)
        registry.validate(decoded.claims)
        others = decoded.claims.get("azp")
        if others is not None and others != self.provider.client_id:
            raise ValueError("the token was issued to another application")
        return decoded.claims

    def _identified(self, claims: Mapping[str, Any], asked_at: float | None) -> Identified:
        given = self.provider
        user, mail = str(claims.get("preferred_username") or ""), str(claims.get("email") or "")
        # Many let people choose their user name: one that is another's address must not make them that person.
        # In Salesforce all user names look like addresses, and are given by an administrator.
        is_anothers = "@" in user and mail and mail.casefold() != user.casefold() and self.title != "Salesforce"
        names = [user] if user and not is_anothers else []
        # An address that nobody verified may be anybody's.
        names += [mail] if mail and claims.get("email_verified") is True else []
        names.append(str(claims["sub"]))
        known = {name.casefold(): role for name, role in given.people.items()}
        found = claims.get(given.claim)
        values = found if isinstance(found, list) else [found]
        roles = [known[name.casefold()] for name in names if name.casefold() in known]
        roles += [given.groups[str(value)] for value in values if str(value) in given.groups]
        if not roles:
            raise NotSignedIn("You are known, but have no role here. An administrator can add you to bridge.toml.")
        return Identified(str(claims["sub"]), names[0], roles[0], asked_at)

    # --- the provider's addresses and keys ---

    def _metadata(self) -> dict[str, Any]:
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] > FRESH_S:
                found = self._fetch(f"{self.provider.issuer.rstrip('/')}/.well-known/openid-configuration")
                if found.get("issuer") != self.provider.issuer:
                    raise NotSignedIn("The provider calls itself by another name than BRIDGE_OIDC_ISSUER says.")
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    self._check_address(str(found.get(name)))
                self._known = (time.monotonic(), found)
            return self._known[1]

    def _key_set(self, *, anew: bool = False) -> KeySet:
        address = self._metadata()["jwks_uri"]
        with self._lock:
            if self._keys is None or time.monotonic() - self._keys[0] > (10.0 if anew else FRESH_S):
                self._keys = (time.monotonic(), KeySet.import_key_set(self._fetch(address)))  # type: ignore[arg-type]
            return self._keys[1]

    def _check_address(self, url: str) -> None:
        parts = urlsplit(url)
        is_here = self.provider.allow_loopback and parts.hostname in ("127.0.0.1", "localhost")
        if not (parts.scheme == "https" or is_here) or not parts.hostname or "@" in parts.netloc:
            raise NotSignedIn("The provider names an address that is not HTTPS.")

    def _fetch(self, url: str) -> dict[str, Any]:
        self._check_address(url)
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(url, timeout=TIMEOUT_S, allow_redirects=False)
            found = answer.json() if answer.status_code == 200 and len(answer.content) < 500_000 else None
        except (requests.RequestException, ValueError) as error:
            raise NotSignedIn(f"{self.title} does not answer. Try again, or use a local account.") from error
        if not isinstance(found, dict):
            raise NotSignedIn(f"{self.title} does not answer as an OpenID Connect provider does.")
        return found
