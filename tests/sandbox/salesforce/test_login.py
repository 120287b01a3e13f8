"""OAuth: JWT bearer and client credentials. Source: Salesforce Help, the pages of both flows."""

from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

TOKEN = "https://login.salesforce.com/services/oauth2/token"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def ask(fake, client, key):
    """Ask for a token with an assertion."""
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    fake.login.register(public)

    def send(signer=key, algorithm="RS256", **changes):
        now = fake.clock().timestamp()
        claims = {
            "iss": "sandbox-consumer-key",
            "sub": "integration@sandbox.example",
            "aud": "https://login.salesforce.com",
            "exp": now + 180,
        }
        assertion = jwt.encode(claims | changes, signer, algorithm=algorithm)
        form = {"grant_type": GRANT, "assertion": assertion}
        return client.session.post(TOKEN, data=form, headers={"Authorization": None}, timeout=5)

    return send


def test_a_signed_assertion_gets_a_token_that_works(ask, client, fake):
    answer = ask().json()

    who = client.session.get(
        answer["instance_url"] + "/services/oauth2/userinfo",
        headers={"Authorization": f"Bearer {answer['access_token']}"},
        timeout=5,
    ).json()
    assert "expires_in" not in answer
    assert answer["instance_url"] == "https://sandbox-org.my.salesforce.com"
    assert (who["preferred_username"], who["organization_id"]) == ("integration@sandbox.example", fake.org_id)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"aud": "https://elsewhere.example"}, "invalid_grant"),
        ({"sub": "nobody@sandbox.example"}, "invalid_grant"),
        ({"iss": "another app"}, "invalid_client_id"),
        ({"exp": 1}, "invalid_grant"),
        ({"exp": 4102444800}, "invalid_grant"),
    ],
)
def test_a_wrong_claim_gets_an_oauth_error_object(ask, changes, error):
    response = ask(**changes)

    assert (response.status_code, response.json()["error"]) == (400, error)


def test_another_key_or_algorithm_is_refused(ask):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    assert ask(signer=other).json()["error"] == "invalid_grant"
    assert ask(signer="shared-secret-of-at-least-32-bytes!", algorithm="HS256").json()["error"] == "invalid_grant"


def test_client_credentials_work_on_the_my_domain_host_only(client):
    form = {
        "grant_type": "client_credentials",
        "client_id": "sandbox-consumer-key",
        "client_secret": "sandbox-consumer-secret",
    }

    own = client.session.post("https://sandbox-org.my.salesforce.com/services/oauth2/token", data=form, timeout=5)
    generic = client.session.post(TOKEN, data=form, timeout=5)
    wrong = client.session.post(own.request.url, data=form | {"client_secret": "x"}, timeout=5)

    assert own.json()["token_type"] == "Bearer"
    assert generic.json()["error"] == "invalid_grant"
    assert wrong.json()["error"] == "invalid_client"


def test_a_session_ends_by_calls_by_time_and_by_an_administrator(client, fake, clock):
    fake.login.token_calls = 1
    by_calls = [client.get("limits").status_code for _ in range(2)]
    fake.login.token_calls = None
    client.session.headers["Authorization"] = f"Bearer {fake.login.issue(fake.integration_user)}"
    clock.move(hours=2)
    by_time = client.get("limits")
    client.session.headers["Authorization"] = f"Bearer {fake.login.issue(fake.integration_user)}"
    fake.login.revoke_all()

    assert by_calls == [200, 401]
    assert by_time.json() == [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
    assert client.get("limits").status_code == 401
