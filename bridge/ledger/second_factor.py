"""The second factor of a local account: codes of an authenticator app (TOTP, RFC 6238), a new one every 30 seconds.

The secret is kept sealed with AES-GCM under a key that is derived from the audit's, which is never in the database:
whoever reads the database, and finds out a password, cannot make codes. A code counts once.

Must not know: HTTP, who signs in.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP_S: Final = 30
DIGITS: Final = 6
AROUND: Final = 1  # steps before and after now that count too: a phone's clock is a little off, and typing takes time
_PURPOSE: Final = b"bridge: second factor of console accounts"


class NotReadable(Exception):
    """The secret was sealed under another audit key. An administrator gives the account another password."""


def sealed(key: bytes, name: str, secret: bytes | None = None) -> str:
    """Return a secret of the account *name* as it is kept, a new one where none is given."""
    nonce = secrets.token_bytes(12)
    made = AESGCM(_own(key)).encrypt(nonce, secret or secrets.token_bytes(20), name.encode())
    return base64.b64encode(nonce + made).decode()


def opened(key: bytes, name: str, kept: str) -> bytes:
    """Return a kept secret. Raises NotReadable."""
    raw = base64.b64decode(kept)
    try:
        return AESGCM(_own(key)).decrypt(raw[:12], raw[12:], name.encode())
    except InvalidTag as error:
        raise NotReadable from error


def step_of(secret: bytes, code: str, now: datetime, after: int | None) -> int | None:
    """Return which step's *code* it is, None for a wrong one. One of *after* or before was used already."""
    totp, here = _totp(secret), int(now.timestamp()) // STEP_S
    given = code.replace(" ", "").encode()
    fits = [
        step
        for step in range(here - AROUND, here + AROUND + 1)
        if hmac.compare_digest(totp.generate(step * STEP_S), given)
    ]
    fresh = [step for step in fits if after is None or step > after]
    return fresh[0] if fresh else None


def code_at(secret: bytes, now: datetime) -> str:
    """Return the code that an app shows at *now*."""
    return _totp(secret).generate(int(now.timestamp())).decode()


def to_type(secret: bytes) -> str:
    """Return a secret as a person types it into an app."""
    text = base64.b32encode(secret).decode().rstrip("=")
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def address(secret: bytes, name: str, issuer: str) -> str:
    """Return the ``otpauth:`` address that opens an app on the same device."""
    return _totp(secret).get_provisioning_uri(name, issuer)


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP_S)  # noqa: S303 - what apps understand; HMAC-SHA1 is not broken


def _own(key: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(key)
