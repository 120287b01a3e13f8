"""A callout as Apex sends it, and keys to sign it with."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from bridge.settings import SigningKey

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def noon() -> datetime:
    return NOON


@pytest.fixture(scope="session")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def keys(private_key: rsa.RSAPrivateKey) -> dict[str, SigningKey]:
    """Two HMAC keys that overlap for a day, an expired one, a future one, and a certificate."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "salesforce")])
    day = timedelta(days=1)
    certificate = x509.CertificateBuilder(name, name, private_key.public_key(), 1, NOON - day, NOON + day).sign(
        private_key, hashes.SHA256()
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return {
        "old": SigningKey.model_validate({"secret": "the old secret", "not_after": NOON + day}),
        "new": SigningKey.model_validate({"secret": "the new secret", "not_before": NOON - day}),
        "expired": SigningKey.model_validate({"secret": "expired", "not_after": NOON}),
        "future": SigningKey.model_validate({"secret": "future", "not_before": NOON + day}),
        "cert": SigningKey(kind="certificate", certificate=pem),
    }


@pytest.fixture(scope="session")
def sign(keys: dict[str, SigningKey], private_key: rsa.RSAPrivateKey) -> Callable[..., str]:
    """Return the header for a body: ``sign(body, kid)``; ``form`` is hex, HEX or base64."""

    def made(body: bytes, kid: str = "new", form: str = "hex") -> str:
        if kid == "cert":
            return f"k=cert,s1={base64.b64encode(private_key.sign(body, PKCS1v15(), hashes.SHA256())).decode()}"
        secret = keys[kid].secret
        assert secret is not None
        mac = hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256).digest()
        texts = {"hex": mac.hex(), "HEX": mac.hex().upper(), "base64": base64.b64encode(mac).decode()}
        return f"k={kid},v1={texts[form]}"

    return made


@pytest.fixture
def callout() -> Callable[..., bytes]:
    """Return a good body, with top-level keys replaced, or left out where the value is ``...``."""

    def made(**changes: Any) -> bytes:
        body = {
            "id": "3f2b8c1e-5a4d-4e6f-9b7a-0c1d2e3f4a5b",
            "sentAt": "2026-11-20T12:00:00Z",
            "org": "00D000000000001EAA",
            "user": "005000000000001AAA",
            "records": [account()],
            **changes,
        }
        return json.dumps({name: value for name, value in body.items() if value is not ...}).encode()

    return made


def account(**changes: Any) -> dict[str, Any]:
    record = {
        "Id": "001000000000001AAA",
        "SystemModstamp": "2026-11-20T11:59:59.000Z",
        "Bridge_Version__c": 7,
        "Name": "Acme",
        **changes,
    }
    return {name: value for name, value in record.items() if value is not ...}
