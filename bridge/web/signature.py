"""Who sent a callout: the header ``X-Bridge-Signature`` over the raw bytes of the body.

``k=<key id>,v1=<HMAC-SHA256, hex or base64>`` or ``k=<key id>,s1=<RSA PKCS#1 v1.5 with SHA-256, base64>``: what the
formula functions HMAC and SIGN_WITH_CERTIFICATE of a Named Credential make. Which of the two a key is for is a property
of the key on our side. `verify` looks at the bytes, `check_claims` afterwards at what the signed body says of itself.

Must not know: JSON, Flask, the ledger. A repeated call is the ledger's business.

Source: Salesforce Developers, "Named Credentials Reference", formula functions.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate

from bridge.settings import SigningKey

HEADER: Final = "X-Bridge-Signature"
WINDOW: Final = timedelta(seconds=300)  # that a callout may be old, or our clock and Salesforce's apart

_GRAMMAR: Final = re.compile(
    r"k=(?P<kid>[A-Za-z0-9_-]{1,40}),"
    r"(?:v1=(?:(?P<hex>[0-9a-f]{64}|[0-9A-F]{64})|(?P<mac>[A-Za-z0-9+/]{43}=))|s1=(?P<signed>[A-Za-z0-9+/]{300,1400}={0,2}))"
)
_NOBODY: Final = b"an unknown key costs as much time as a known one"


class Unsigned(Exception):
    """The callout is not believed. *reason* is for the log alone: the caller gets one answer, whatever it was."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def verify(header: str | None, body: bytes, keys: Mapping[str, SigningKey], now: datetime) -> str:
    """Return the id of the key that signed *body*.

    Raises:
        Unsigned: the header is not exactly as above, or the key is unknown, of the other kind or not of today, or the
            bytes are not those that were signed. An administrator compares the key on both sides.
    """
    found = _GRAMMAR.fullmatch(header or "")
    if found is None:
        raise Unsigned("no signature" if not header else "the header is not a signature")
    kid = found["kid"]
    key = keys.get(kid)
    if found["signed"]:
        right = _is_signed(key, _bytes(found["signed"]), body)
    else:
        given = bytes.fromhex(found["hex"]) if found["hex"] else _bytes(found["mac"])
        secret = key.secret.get_secret_value().encode() if key is not None and key.secret is not None else None
        made = hmac.digest(secret or _NOBODY, body, "sha256")
        right = hmac.compare_digest(made, given) and secret is not None
    # Asked after the comparison, so that the time taken does not tell which keys there are.
    if key is None:
        raise Unsigned("unknown key")
    if not key.is_valid(now):
        raise Unsigned(f"key {kid} is not valid at this time")
    if not right:
        raise Unsigned(f"not what key {kid} signed")
    return kid


def check_claims(*, sent_at: datetime, org: str, expected_org: str | None, now: datetime) -> None:
    """Check what a signed body says: sent within 300 s of now, by the organisation this instance works for.

    Raises:
        Unsigned: it is late, early or another organisation's. An administrator looks at the clocks or the settings.
    """
    if abs(now - sent_at) > WINDOW:
        raise Unsigned(f"sent {(now - sent_at).total_seconds():+.0f} s ago, outside of {WINDOW.total_seconds():.0f} s")
    if expected_org is not None and org != expected_org:
        raise Unsigned("sent by another organisation")


def _bytes(text: str) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Unsigned("the signature is not base64") from error
    if base64.b64encode(decoded).decode() != text:  # spare bits would make several texts of one signature
        raise Unsigned("the signature is not base64 in its one form")
    return decoded


def _is_signed(key: SigningKey | None, given: bytes, body: bytes) -> bool:
    if key is None or key.certificate is None:
        return False
    try:
        _public(key.certificate).verify(given, body, PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=16)  # our own certificates, never what a caller sent
def _public(certificate: str) -> RSAPublicKey:
    key = load_pem_x509_certificate(certificate.encode()).public_key()
    if not isinstance(key, RSAPublicKey):
        raise TypeError("the settings let only RSA certificates through")
    return key
