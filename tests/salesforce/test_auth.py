"""Logging in: which hosts and organisations are accepted, and how often a token is asked for."""

from __future__ import annotations

import threading
import time

import pytest

from bridge.errors import Deferred, Misconfigured
from bridge.ports import Record, Ref
from bridge.salesforce import ClientCredentials, JwtBearer, RestSalesforce
from bridge.salesforce.auth import login_url
from bridge.sandbox.wsgi import SandboxServer, WsgiAdapter

DOMAIN = "sandbox-org.my.salesforce.com"
HOST = f"https://{DOMAIN}"
ORG = "00D5e0000000001EAA"
OTHER_ORG = "00D5e0000000002EAA"
INTEGRATION = "integration@sandbox.example"


def connect(app, clock, *, auth=None, org_id=ORG, **options):
    auth = auth or ClientCredentials(DOMAIN, "sandbox-consumer-key", "sandbox-consumer-secret")
    return RestSalesforce(auth=auth, org_id=org_id, mount={"https://": WsgiAdapter(app)}, clock=clock, **options)


def test_a_jwt_signed_with_our_key_logs_in(fake, wire, clock, private_pem, public_pem):
    fake.login.register(public_pem)
    auth = JwtBearer(DOMAIN, "sandbox-consumer-key", INTEGRATION, private_pem)

    assert connect(wire, clock, auth=auth).now() == clock()


def test_a_jwt_signed_with_another_key_is_misconfigured(fake, wire, clock, private_pem):
    auth = JwtBearer(DOMAIN, "sandbox-consumer-key", INTEGRATION, private_pem)

    with pytest.raises(Misconfigured) as caught:
        connect(wire, clock, auth=auth).now()

    assert caught.value.who == "administrator"


def test_a_private_key_that_is_none_says_so_and_does_not_show_it(wire, clock):
    auth = JwtBearer(DOMAIN, "sandbox-consumer-key", INTEGRATION, "my-obvious-key")

    with pytest.raises(Misconfigured) as caught:
        connect(wire, clock, auth=auth).now()

    assert caught.value.code == "BAD_PRIVATE_KEY"
    assert "my-obvious-key" not in f"{caught.value} {caught.value.detail}"


def test_client_credentials_with_a_wrong_secret_are_misconfigured(wire, clock):
    auth = ClientCredentials(DOMAIN, "sandbox-consumer-key", "wrong")

    with pytest.raises(Misconfigured) as caught:
        connect(wire, clock, auth=auth).now()

    assert caught.value.code == "INVALID_CLIENT"


def test_secrets_are_not_in_a_repr(private_pem):
    shown = repr(JwtBearer(DOMAIN, "key-of-the-app", INTEGRATION, private_pem))
    shown += repr(ClientCredentials(DOMAIN, "key-of-the-app", "the-secret"))

    assert "PRIVATE KEY" not in shown
    assert "the-secret" not in shown
    assert "key-of-the-app" not in shown


HOSTILE = [
    "http://169.254.169.254",
    "https://169.254.169.254",
    "https://evil.com/.my.salesforce.com",
    "https://my.salesforce.com.evil.com",
    "https://acme.my.salesforce.com.evil.com",
    "https://evil.com?.my.salesforce.com",
    "https://evil.com#.my.salesforce.com",
    "https://xn--acme-9ua.com",
    "https://аcme.my.salesforce.com",
    "https://acme.my.salesforce.com:8443",
    "https://user@acme.my.salesforce.com",
    "https://acme.my.salesforce.com@evil.com",
    "https://ACME.my.salesforce.com",
    "https://acme.my.salesforce.com.",
    "https://acme.my.salesforce.com/",
    "https://acme.my.salesforce.com\n",
    "https://a.b.my.salesforce.com",
    "http://acme.my.salesforce.com",
    "http://127.0.0.1:8080",
    "ftp://acme.my.salesforce.com",
    "",
    None,
    7,
]


@pytest.mark.parametrize("instance_url", HOSTILE)
def test_a_login_that_names_a_foreign_host_is_refused_before_any_call(script, scripted, instance_url):
    script.token["instance_url"] = instance_url

    with pytest.raises(Misconfigured) as caught:
        scripted.now()

    assert caught.value.code == "BAD_INSTANCE_URL"
    assert [path for _, path, _ in script.calls] == ["/services/oauth2/token"]


@pytest.mark.parametrize("domain", [it for it in HOSTILE if isinstance(it, str)])
def test_a_login_is_never_sent_to_a_foreign_host(clock, domain):
    if domain == "https://acme.my.salesforce.com/":
        domain += "x"  # one closing slash in a setting is harmless

    with pytest.raises(Misconfigured) as caught:
        RestSalesforce(auth=ClientCredentials(domain, "key", "secret"), org_id=ORG, clock=clock)

    assert caught.value.code == "BAD_DOMAIN"


@pytest.mark.parametrize(
    ("domain", "url"),
    [
        ("login", "https://login.salesforce.com"),
        ("test.salesforce.com", "https://test.salesforce.com"),
        ("acme.my", "https://acme.my.salesforce.com"),
        ("acme--uat.sandbox.my.salesforce.com", "https://acme--uat.sandbox.my.salesforce.com"),
        ("https://acme.my.salesforce.com/", "https://acme.my.salesforce.com"),
    ],
)
def test_a_domain_may_be_written_short(domain, url):
    assert login_url(domain, allow_loopback=False) == url


@pytest.mark.parametrize(
    "instance_url",
    [
        "https://acme.my.salesforce.com",
        "https://acme--uat.sandbox.my.salesforce.com",
        "https://acme-dev-ed.develop.my.salesforce.com",
        "https://page-app-4.scratch.my.salesforce.com",
    ],
)
def test_every_kind_of_my_domain_host_is_accepted(script, scripted, instance_url):
    script.token["instance_url"] = instance_url

    scripted.check()
    assert next(scripted.check()).ok


def test_a_login_into_another_organisation_is_misconfigured(wire, clock):
    """A sandbox made from production still holds production's secrets, or the reverse."""
    with pytest.raises(Misconfigured) as caught:
        connect(wire, clock, org_id=OTHER_ORG).now()

    assert caught.value.code == "WRONG_ORG"
    assert not wire.paths("/services/data")


def test_an_organisation_of_15_characters_in_the_answer_is_the_same(script, scripted):
    script.token["id"] = f"https://login.salesforce.com/id/{ORG[:15]}/0055e0000000001AAA"

    assert next(scripted.check()).ok


def test_without_an_identity_in_the_answer_we_ask_who_we_are(script, scripted):
    del script.token["id"]
    script.on("userinfo", 200, {"organization_id": OTHER_ORG})

    with pytest.raises(Misconfigured) as caught:
        scripted.now()

    assert caught.value.code == "WRONG_ORG"


@pytest.mark.parametrize("token", [[], "text", {"access_token": ""}, {"access_token": None}, {}, {"access_token": "ü"}])
def test_a_login_answer_without_a_token_is_asked_again_later(script, scripted, token):
    script.token = token

    with pytest.raises(Deferred):
        scripted.now()


@pytest.mark.parametrize(
    ("status", "error", "description", "outcome"),
    [
        (400, "invalid_grant", "user hasn't approved this consumer", Misconfigured),
        (400, "invalid_grant", "login rate exceeded", Deferred),
        (401, "invalid_client", "invalid client credentials", Misconfigured),
        (400, "app_not_found", "External client app is not installed in this org", Misconfigured),
        (500, "server_error", "", Deferred),
        (503, "unheard_of", "", Deferred),
        (400, "unheard_of", "", Misconfigured),
    ],
)
def test_a_refused_login_is_judged_by_its_code(script, scripted, status, error, description, outcome):
    script.token_status, script.token = status, {"error": error, "error_description": description}

    with pytest.raises(outcome):
        scripted.now()


def test_an_expired_session_is_renewed_once_and_the_call_repeated(fake, wire, salesforce):
    salesforce.now()
    fake.login.revoke_all()

    assert salesforce.get([Ref("Account", id="001000000000001")], ("Name",)) == [None]
    assert len(wire.paths("/token")) == 2


def test_a_session_that_is_refused_for_ever_is_not_renewed_for_ever(script, scripted):
    script.on("/services/data", 401, [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}])

    with pytest.raises(Misconfigured) as caught:
        scripted.now()

    assert caught.value.code == "INVALID_SESSION_ID"
    assert script.count("/token") == 2
    assert script.count("limits") == 2


def test_a_401_that_is_no_json_ends_as_well(script, scripted):
    script.on("/services/data", 401, b"<html>Unauthorized</html>", "text/html")

    with pytest.raises(Misconfigured):
        scripted.now()

    assert script.count("/token") == 2


def test_headers_are_kept_when_a_call_is_repeated(fake, wire, salesforce):
    account = fake.insert("Account", Name="Acme")
    salesforce.now()
    fake.login.revoke_all()
    salesforce.upsert([Record(Ref("Account", id=account), {"NetSuite_Status__c": "delivered"})], interactive=True)

    writes = [wire.headers[n] for n, (_, path, _) in enumerate(wire.calls) if "composite" in path]
    assert [it["HTTP_SFORCE_AUTO_ASSIGN"] for it in writes] == ["FALSE", "FALSE"]
    assert len({it["HTTP_AUTHORIZATION"] for it in writes}) == 2


def test_many_threads_with_an_expired_session_log_in_once(fake, wire, salesforce):
    salesforce.now()
    fake.login.revoke_all()
    failed = []

    def ask():
        try:
            salesforce.now()
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()

    assert not failed
    assert len(wire.paths("/token")) == 2


def test_plain_http_on_loopback_needs_permission(fake, clock):
    with SandboxServer(fake) as server:
        auth = ClientCredentials(server.url, "sandbox-consumer-key", "sandbox-consumer-secret")

        with pytest.raises(Misconfigured):
            RestSalesforce(auth=auth, org_id=ORG, clock=clock)
        system = RestSalesforce(auth=auth, org_id=ORG, clock=clock, allow_loopback=True)

        assert system.get([Ref("Account", id="001000000000001")], ("Name",)) == [None]
        assert system.url(Ref("Account", id="001000000000001")) == f"{server.url}/001000000000001AAA"


def test_a_page_is_known_without_a_login(clock):
    started = time.monotonic()
    system = RestSalesforce(auth=ClientCredentials("acme.my.salesforce.com", "k", "s"), org_id=ORG, clock=clock)

    assert system.url(Ref("Account", id="001000000000001")) == "https://acme.my.salesforce.com/001000000000001AAA"
    assert system.url(Ref("Account", external_id="x")) is None
    assert time.monotonic() - started < 1
