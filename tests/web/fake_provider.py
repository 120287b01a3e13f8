"""A fake OpenID Connect provider, over a real socket: stricter than most, and with faults on request.

It asks for what the standard asks for: exact redirect address, PKCE with S256, client secret, a code used once.
Source: OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3; RFC 7636.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "bridge-console", "a secret of the provider"


class Provider:
    """Signs in whoever `who` says. *claims* change what the token says; *key* with which key it is signed."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "1"}, private=True)
        self.stranger = RSAKey.generate_key(2048, {"kid": "1"}, private=True)
        self.who: dict[str, Any] = {"sub": "1", "email": "anna@example.com", "email_verified": True}
        self.claims: dict[str, Any] = {}
        self.signed_by: Any = None
        self.algorithm = "RS256"
        self.metadata: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.redirect_uri = ""
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._get(self)

            def do_POST(self) -> None:
                provider._token(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def reset(self) -> None:
        self.claims, self.signed_by, self.algorithm, self.metadata = {}, None, "RS256", {}
        self.who = {"sub": "1", "email": "anna@example.com", "email_verified": True}

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _get(self, it: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(it.path)
        if parts.path == "/.well-known/openid-configuration":
            found = {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                **self.metadata,
            }
            return _json(it, found)
        if parts.path == "/keys":
            return _json(it, {"keys": [self.key.as_dict(private=False)]})
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        is_right = (
            parts.path == "/authorize"
            and asked.get("response_type") == "code"
            and asked.get("client_id") == CLIENT
            and asked.get("redirect_uri") == self.redirect_uri
            and asked.get("code_challenge_method") == "S256"
            and "openid" in asked.get("scope", "").split()
            and all(asked.get(name) for name in ("state", "nonce", "code_challenge"))
        )
        if not is_right:
            return _json(it, {"error": "invalid_request", "asked": asked}, 400)
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        it.send_response(302)
        it.send_header("Location", f"{self.redirect_uri}?{urlencode({'code': code, 'state': asked['state']})}")
        it.end_headers()
        return None

    def _token(self, it: BaseHTTPRequestHandler) -> None:
        form = parse_qs(it.rfile.read(int(it.headers["Content-Length"])).decode())
        given = {name: values[0] for name, values in form.items()}
        asked = self.codes.pop(given.get("code", ""), None)
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(given.get("code_verifier", "").encode()).digest())
        if asked is None or it.headers.get("Authorization") != basic or given.get("redirect_uri") != self.redirect_uri:
            return _json(it, {"error": "invalid_grant"}, 400)
        if challenge.rstrip(b"=").decode() != asked["code_challenge"]:
            return _json(it, {"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims = {name: value for name, value in {**claims, **self.who, **self.claims}.items() if value is not ...}
        if self.algorithm == "none":
            parts = [_b64(json.dumps({"alg": "none"}).encode()), _b64(json.dumps(claims).encode()), ""]
            token = ".".join(parts)
        else:
            token = jwt.encode({"alg": self.algorithm, "kid": "1"}, claims, self.signed_by or self.key)
        return _json(it, {"access_token": "x", "token_type": "Bearer", "id_token": token})


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(it: BaseHTTPRequestHandler, found: Any, status: int = 200) -> None:
    body = json.dumps(found).encode()
    it.send_response(status)
    it.send_header("Content-Type", "application/json")
    it.send_header("Content-Length", str(len(body)))
    it.end_headers()
    it.wfile.write(body)
