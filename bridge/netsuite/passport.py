"""Token-based authentication: one signed passport for each attempt, never for two.

``TokenCredentials`` are the five values of an integration record and its token, ``Identity`` holds those that count
now; ``passport`` makes the SOAP header.

Must not know: what the request asks for.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

ALGORITHM = "HMAC-SHA256"  # the only one since 2023.1 (NetSuite Help subsect_156935170194)


@dataclass(frozen=True, slots=True)
class TokenCredentials:
    """Who the bridge is in NetSuite. The account keeps its own spelling here: ``1234567_SB1``."""

    account: str
    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    token_id: str = field(repr=False)
    token_secret: str = field(repr=False)


class Identity:
    """Who the bridge is just now, for every way to the account: replaced as a whole when there is a new token."""

    def __init__(self, credentials: TokenCredentials) -> None:
        self.current = credentials
        self._known: tuple[TokenCredentials, ...] = (credentials,)

    def become(self, credentials: TokenCredentials) -> None:
        """Sign by *credentials* from the next attempt on. What is on its way was signed before."""
        self._known = (credentials, *self._known[:3])  # answers to the old ones may still come
        self.current = credentials

    def secrets(self) -> Iterator[str]:
        """Yield what must not be repeated to anybody, of these credentials and of the last ones."""
        for it in self._known:
            yield from filter(None, (it.consumer_key, it.consumer_secret, it.token_id, it.token_secret))


def signature(credentials: TokenCredentials, nonce: str, timestamp: int) -> str:
    """Sign *nonce* and *timestamp* (Unix seconds), without any percent-encoding.

    Source: NetSuite Help section_4395630653; unlike OAuth 1 for REST nothing is encoded.
    """
    parts = (credentials.account, credentials.consumer_key, credentials.token_id, nonce, str(timestamp))
    key = f"{credentials.consumer_secret}&{credentials.token_secret}"
    digest = hmac.new(key.encode(), "&".join(parts).encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def passport(credentials: TokenCredentials, *, timestamp: int, messages: str, core: str) -> etree._Element:
    """Make a ``tokenPassport`` header with a nonce that was never used; a retry needs a new one.

    *messages* and *core* are the namespaces of the endpoint version. NetSuite accepts a timestamp within five minutes
    of its own clock, so sign just before sending.
    """
    nonce = secrets.token_hex(16)  # 32 letters and digits; 6 to 64 are allowed
    header = etree.Element(f"{{{messages}}}tokenPassport", nsmap={"m": messages, "c": core})
    values = {
        "account": credentials.account,
        "consumerKey": credentials.consumer_key,
        "token": credentials.token_id,
        "nonce": nonce,
        "timestamp": str(timestamp),
        "signature": signature(credentials, nonce, timestamp),
    }
    for name, value in values.items():
        etree.SubElement(header, f"{{{core}}}{name}").text = value
    header[-1].set("algorithm", ALGORITHM)
    return header
