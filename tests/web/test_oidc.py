"""Signing in at an OpenID Connect provider, over real HTTP on both sides, and what a hostile one cannot do."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from pydantic import SecretStr

from bridge import playground
from bridge.ledger import people
from bridge.playground import Playground
from bridge.web.oidc import Oidc
from bridge.web.provider import NotSignedIn
from bridge.web.provider import Provider as Given
from tests.web.fake_provider import CLIENT, SECRET, Provider
from tests.web.people import Browser, make_account

SITE = """
[console]
claim = "groups"
[console.people]
"Anna@example.com" = "administrator"
[console.groups]
"Accounting" = "accountant"
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Playground]:
    folder = tmp_path_factory.mktemp("oidc")
    config = folder / "bridge.toml"
    config.write_text((Path(playground.__file__).parent / "demo.toml").read_text() + SITE)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "oidc_issuer": provider.url,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SecretStr(SECRET),
        "console_url": f"http://127.0.0.1:{port}",
    }
    made = playground.start(folder / "bridge.sqlite3", config=config, settings=settings, console_port=port)
    yield made
    made.stop()


@pytest.fixture
def browser(house: Playground, provider: Provider) -> Browser:
    provider.reset()
    provider.redirect_uri = f"{house.console.url}/sign-in/back"
    return Browser(house.console.url)


def test_the_page_offers_the_provider_and_nobody_just_enters(browser: Browser) -> None:
    assert browser.get("/").headers["Location"].startswith("/sign-in")
    assert "Sign in with 127.0.0.1" in browser.get("/sign-in").text


@pytest.mark.parametrize(
    ("who", "role", "name"),
    [
        ({"sub": "1", "email": "anna@example.com", "email_verified": True}, "administrator", "anna@example.com"),
        ({"sub": "2", "preferred_username": "ben", "groups": ["Sales", "Accounting"]}, "accountant", "ben"),
    ],
    ids=["by address", "by group"],
)
def test_a_person_signs_in_and_has_the_role_of_the_table(
    browser: Browser, provider: Provider, who: dict[str, Any], role: str, name: str
) -> None:
    provider.who = who

    page = browser.follow("/sign-in/there", next="/messages")

    assert page.url.endswith("/messages")
    assert name in page.text
    assert role in page.text


@pytest.mark.parametrize(
    "who",
    [
        {"sub": "3", "email": "eve@example.com", "email_verified": True},
        {"sub": "3", "email": "anna@example.com"},
        {"sub": "3", "email": "anna@example.com", "email_verified": "true"},
        {"sub": "3", "groups": "accounting"},
    ],
    ids=["not listed", "address not verified", "verified as a word", "other group"],
)
def test_who_has_no_role_here_stays_outside(browser: Browser, provider: Provider, who: dict[str, Any]) -> None:
    provider.who = who

    page = browser.follow("/sign-in/there")

    assert page.status_code == 403
    assert "no role here" in page.text
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another application"},
        {"exp": int(time.time()) - 3600},
        {"exp": ...},
        {"nonce": "of another sign-in"},
        {"nonce": ...},
        {"sub": ...},
        {"aud": [CLIENT, "other"], "azp": "other"},
    ],
    ids=["issuer", "audience", "expired", "no expiry", "nonce", "no nonce", "nobody", "issued to another"],
)
def test_a_token_that_is_not_for_this_sign_in_is_not_believed(
    browser: Browser, provider: Provider, claims: dict[str, Any]
) -> None:
    provider.claims = claims

    assert browser.follow("/sign-in/there").status_code == 403
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize("fault", ["stranger", "none"])
def test_a_signature_that_is_not_the_providers_is_not_believed(
    browser: Browser, provider: Provider, fault: str
) -> None:
    if fault == "none":
        provider.algorithm = "none"
    else:
        provider.signed_by = provider.stranger

    assert browser.follow("/sign-in/there").status_code == 403


def test_a_sign_in_that_was_begun_elsewhere_is_refused(house: Playground, browser: Browser) -> None:
    """Else somebody could have you use the console as them."""
    begun = browser.get("/sign-in/there").headers["Location"]
    back = browser.session.get(begun, allow_redirects=False, timeout=20).headers["Location"]
    victim = Browser(house.console.url)
    victim.get("/sign-in/there")

    there = parse_qs(urlsplit(back).query)
    answer = victim.get("/sign-in/back", code=there["code"][0], state=there["state"][0])

    assert answer.status_code == 403
    assert victim.get("/").status_code == 303


def test_what_came_back_counts_once(browser: Browser) -> None:
    begun = browser.get("/sign-in/there").headers["Location"]
    back = urlsplit(browser.session.get(begun, allow_redirects=False, timeout=20).headers["Location"])
    path = f"{back.path}?{back.query}"

    first, second = browser.get(path), browser.get(path)

    assert first.status_code == 303
    assert second.status_code == 403


def test_a_refusal_at_the_provider_is_told_in_a_sentence(browser: Browser) -> None:
    state = parse_qs(urlsplit(browser.get("/sign-in/there").headers["Location"]).query)["state"][0]

    answer = browser.get("/sign-in/back", error="access_denied", error_description="<script>", state=state)

    assert answer.status_code == 403
    assert "did not sign you in" in answer.text
    assert "<script>" not in answer.text


def test_an_authlib_session_never_follows_the_provider_off_https(provider: Provider) -> None:
    given = Given("https://login.example.com", CLIENT, SECRET, "https://bridge.example.com/sign-in/back")
    strict = Oidc(given)

    for url in (
        "http://login.example.com/token",
        "https://user@login.example.com/",
        "ftp://login.example.com",
        "/token",
    ):
        with pytest.raises(NotSignedIn):
            strict._check_address(url)


@pytest.mark.parametrize(
    "metadata",
    [{"issuer": "https://evil.example"}, {"token_endpoint": "http://evil.example/"}],
    ids=["name", "address"],
)
def test_a_provider_that_says_it_is_another_or_points_elsewhere_is_refused(
    provider: Provider, metadata: dict[str, Any]
) -> None:
    provider.reset()
    provider.metadata = metadata
    one = Oidc(Given(provider.url, CLIENT, SECRET, "http://127.0.0.1/sign-in/back", allow_loopback=True))

    with pytest.raises(NotSignedIn):
        one.leave()


def test_a_provider_that_is_away_is_told_in_a_sentence(provider: Provider) -> None:
    one = Oidc(Given("http://127.0.0.1:9", CLIENT, SECRET, "http://127.0.0.1/sign-in/back", allow_loopback=True))

    with pytest.raises(NotSignedIn, match="does not answer"):
        one.leave()


def test_salesforce_is_called_by_its_name() -> None:
    given = Given("https://acme.my.salesforce.com", CLIENT, SECRET, "https://bridge.example.com/sign-in/back")

    assert Oidc(given).title == "Salesforce"
    assert SECRET not in repr(given)


@pytest.mark.parametrize(
    ("asked_s_ago", "status"), [(0, 200), (600, 403), (None, 403)], ids=["now", "before", "silent"]
)
def test_signing_in_again_has_the_provider_ask_for_the_password(
    browser: Browser, provider: Provider, asked_s_ago: int | None, status: int
) -> None:
    """One that does not say when it asked may have let in whoever sits before the browser."""
    provider.claims = {} if asked_s_ago is None else {"auth_time": int(time.time()) - asked_s_ago}

    leaving = parse_qs(urlsplit(browser.get("/sign-in/there", again="1").headers["Location"]).query)
    page = browser.follow("/sign-in/there", again="1")

    assert (leaving["prompt"], leaving["max_age"]) == (["login"], ["0"])
    assert page.status_code == status


def test_a_silent_provider_is_believed_where_the_site_says_that_it_asks(provider: Provider) -> None:
    provider.reset()
    given = Given(
        provider.url, CLIENT, SECRET, "http://127.0.0.1/back", people={"anna@example.com": "viewer"}, asks_again=True,
        allow_loopback=True,
    )  # fmt: skip
    provider.redirect_uri = given.redirect_uri
    one = Oidc(given)
    leaving = one.leave(again=True)
    back = requests.get(leaving.url, allow_redirects=False, timeout=10).headers["Location"]

    who = one.arrive({name: it[0] for name, it in parse_qs(urlsplit(back).query).items()}, leaving)

    assert who.asked_at == leaving.since


@pytest.mark.parametrize(
    ("asked_s_ago", "is_fresh"), [(0, True), (3600, False), (None, False)], ids=["now", "an hour ago", "unknown"]
)
def test_whom_the_provider_still_knew_has_not_signed_in_just_now(
    house: Playground, browser: Browser, provider: Provider, asked_s_ago: int | None, is_fresh: bool
) -> None:
    """Else who finds a desk unattended signs out and in again, and the provider asks for nothing."""
    provider.claims = {} if asked_s_ago is None else {"auth_time": int(time.time()) - asked_s_ago}
    browser.follow("/sign-in/there")

    found = people.find_session(house.bridge.ledger, browser.session.cookies["bridge"])

    assert found is not None
    assert found.is_fresh == is_fresh


def test_a_user_name_that_is_anothers_address_makes_nobody_that_person(browser: Browser, provider: Provider) -> None:
    provider.who = {"sub": "9", "preferred_username": "anna@example.com", "email": "eve@example.com",
                    "email_verified": True}  # fmt: skip

    page = browser.follow("/sign-in/there")

    assert page.status_code == 403
    assert "no role here" in page.text


def test_a_person_keeps_their_name_here_and_nobody_else_gets_it(house: Playground, provider: Provider) -> None:
    """Else one person could ask under one name and approve under another; nor is it that of a local account."""
    provider.reset()
    make_account(house.bridge.ledger, "glass", "viewer")
    seen = []
    for subject, name in (("s1", "carl"), ("s1", "carla"), ("s2", "carl"), ("s3", "glass")):
        provider.redirect_uri = f"{house.console.url}/sign-in/back"
        provider.who = {"sub": subject, "preferred_username": name, "groups": ["Accounting"]}
        browser = Browser(house.console.url)
        browser.follow("/sign-in/there")
        found = people.find_session(house.bridge.ledger, browser.session.cookies["bridge"])
        assert found is not None
        seen.append(found.name)

    assert seen == ["carl", "carl", "carl 2", "glass 2"]


def test_a_link_that_begins_a_sign_in_ends_nobodys_session(browser: Browser) -> None:
    """Any page may have a browser open it."""
    browser.follow("/sign-in/there")
    assert browser.get("/").status_code == 200

    browser.get("/sign-in/there")

    assert browser.get("/").status_code == 200
