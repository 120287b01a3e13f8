"""The second factor of local accounts, and the very first account, over a real socket."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from pydantic import SecretStr
from sqlalchemy import select, update

from bridge import playground
from bridge.ledger import accounts, second_factor
from bridge.ledger.desk_models import account, session
from bridge.ledger.models import audit
from bridge.operators import invitation
from bridge.playground import Playground
from tests.web.people import PASSWORD, Browser, hidden, make_account

KEY = "the audit key of this test"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    made = playground.start(
        tmp_path_factory.mktemp("factor") / "bridge.sqlite3",
        settings={"environment": "test", "audit_key": SecretStr(KEY)},
    )
    yield made
    made.stop()


@pytest.fixture
def browser(house: Playground) -> Browser:
    return Browser(house.console.url)


@pytest.fixture
def name(house: Playground, request: pytest.FixtureRequest) -> str:
    """A fresh account for each test."""
    made = request.node.name[-30:]
    make_account(house.bridge.ledger, made, "viewer")
    return made


def give(browser: Browser, code: str) -> requests.Response:
    page = browser.get("/sign-in/code")
    data = {"token": hidden(page.text, "token"), "code": code}
    return browser.session.post(f"{browser.url}/sign-in/code", data=data, timeout=20, allow_redirects=False)


def enrol(browser: Browser, name: str) -> bytes:
    """Sign in for the first time with an app that is set up by the key that is shown; return the app's secret."""
    assert browser.sign_in(name).headers["Location"] == "/sign-in/code"
    typed = re.search(r"<code>([A-Z2-7 ]+)</code>", browser.get("/sign-in/code").text)
    assert typed is not None
    text = typed[1].replace(" ", "")
    secret = base64.b32decode(text + "=" * (-len(text) % 8))
    # The code of the step before counts too, which leaves the one of now for the next sign-in.
    assert give(browser, code(secret, -second_factor.STEP_S)).headers["Location"] == "/"
    return secret


def code(secret: bytes, seconds: int = 0) -> str:
    return second_factor.code_at(secret, datetime.now(UTC) + timedelta(seconds=seconds))


def failures(house: Playground, name: str) -> int:
    with house.bridge.ledger.read() as connection:
        return connection.execute(select(account.c.failures).where(account.c.name == name)).scalar_one()


# --- the second factor ---


@pytest.mark.parametrize(("at", "code"), [(59, "287082"), (1111111109, "081804"), (2000000000, "279037")])
def test_codes_are_those_of_the_standard(at: int, code: str) -> None:
    """RFC 6238, appendix B, the last six of its eight digits."""
    secret = b"12345678901234567890"

    assert second_factor.code_at(secret, datetime.fromtimestamp(at, UTC)) == code


def test_a_password_alone_lets_nobody_in(house: Playground, browser: Browser, name: str) -> None:
    secret = enrol(browser, name)
    other = Browser(house.console.url)

    assert other.sign_in(name).headers["Location"] == "/sign-in/code"
    assert other.get("/").headers["Location"].startswith("/sign-in")
    page = other.get("/sign-in/code").text
    assert second_factor.to_type(secret) not in page
    assert "otpauth" not in page
    assert give(other, "000000").status_code == 403
    assert other.get("/").status_code == 303
    assert give(other, code(secret)).status_code == 303
    assert other.get("/").status_code == 200
    assert failures(house, name) == 0


def test_a_code_counts_once(house: Playground, browser: Browser, name: str) -> None:
    secret = enrol(browser, name)
    first, second = Browser(house.console.url), Browser(house.console.url)
    shown = code(secret)
    for one in (first, second):
        one.sign_in(name)

    assert give(first, shown).status_code == 303
    assert give(second, shown).status_code == 403
    with house.bridge.ledger.read() as connection:
        told = select(audit.c.code).where(audit.c.actor == name, audit.c.action == "not_signed_in")
        assert list(connection.execute(told).scalars()) == ["WRONG_CODE"]


def test_a_right_password_makes_guessing_the_code_no_quicker(house: Playground, browser: Browser, name: str) -> None:
    secret = enrol(browser, name)
    guesser = Browser(house.console.url)
    answers = []
    for _ in range(accounts.FREE_TRIES):
        guesser.sign_in(name)
        answers.append(give(guesser, "000000").status_code)

    assert answers == [403] * accounts.FREE_TRIES
    assert guesser.sign_in(name).status_code == 429
    assert give(guesser, code(secret)).status_code == 429
    with house.bridge.ledger.write() as writing:
        past = {"failed_at": writing.now - timedelta(hours=1)}
        writing.connection.execute(update(account).where(account.c.name == name).values(past))
    owner = Browser(house.console.url)
    assert owner.sign_in(name).status_code == 303
    assert give(owner, code(secret)).status_code == 303


def test_many_tries_at_once_are_counted_like_one_after_the_other(house: Playground, name: str) -> None:
    found: list[Any] = []

    def guess() -> None:
        found.append(accounts.check_password(house.bridge.ledger, name, "wrong"))

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()

    assert found.count(None) == accounts.FREE_TRIES
    assert sum(isinstance(it, timedelta) for it in found) == 12 - accounts.FREE_TRIES


def test_another_password_ends_what_was_begun_with_the_old_one(house: Playground, browser: Browser, name: str) -> None:
    """And the second factor is set up anew: the way back for who lost the phone."""
    secret = enrol(browser, name)
    thief = Browser(house.console.url)
    thief.sign_in(name)
    fresh = Browser(house.console.url)
    make_account(house.bridge.ledger, "another", "viewer")
    fresh.sign_in("another")

    make_account(house.bridge.ledger, name, "viewer")
    make_account(house.bridge.ledger, "another", "viewer")

    assert browser.get("/").status_code == 303
    assert give(thief, code(secret)).status_code == 403
    typed = re.search(r"<code>([A-Z2-7 ]+)</code>", fresh.get("/sign-in/code").text)
    assert typed is not None
    assert give(fresh, code(base64.b32decode(typed[1].replace(" ", "")))).status_code == 403
    assert "never again" in Browser.follow(fresh, "/sign-in/code").text
    assert enrol(Browser(house.console.url), name) != secret


def test_a_code_from_another_site_or_another_sign_in_does_not_count(browser: Browser, name: str) -> None:
    browser.sign_in(name)
    url = f"{browser.url}/sign-in/code"

    assert browser.session.post(url, data={"code": "123456"}, timeout=20).status_code == 403
    headers = {"Origin": "https://evil.example"}
    data = {"code": "123456", "token": hidden(browser.get("/sign-in/code").text, "token")}
    assert browser.session.post(url, data=data, headers=headers, timeout=20).status_code == 403
    assert requests.get(url, timeout=20).status_code == 403
    assert browser.get("/sign-in/back", code="1", state="2").status_code == 403


def test_the_database_holds_no_secret_of_an_app(house: Playground, browser: Browser, name: str) -> None:
    secret = enrol(browser, name)
    with house.bridge.ledger.read() as connection:
        kept = connection.execute(select(account.c.factor).where(account.c.name == name)).scalar_one()
        rows = repr(connection.execute(select(session)).all()) + repr(connection.execute(select(audit)).all())

    raw = base64.b64decode(kept)
    assert secret not in raw
    for text in (secret.hex(), base64.b32encode(secret).decode(), base64.b64encode(secret).decode()):
        assert text not in rows
    assert second_factor.opened(KEY.encode(), name, kept) == secret
    for key, other in ((b"another key", name), (KEY.encode(), "another name")):
        with pytest.raises(second_factor.NotReadable):
            second_factor.opened(key, other, kept)


def test_a_password_of_before_still_counts_and_is_kept_anew(house: Playground, name: str) -> None:
    import hashlib

    salt = b"0123456789abcdef"
    made = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=2**15, r=8, p=3, maxmem=2**26, dklen=32)
    old = f"scrypt$15$8$3${base64.b64encode(salt).decode()}${base64.b64encode(made).decode()}"
    ledger = house.bridge.ledger
    with ledger.write() as writing:
        writing.connection.execute(update(account).where(account.c.name == name).values(password=old))

    assert accounts.check_password(ledger, name, "wrong password") is None
    found = accounts.check_password(ledger, name, PASSWORD)

    assert getattr(found, "password", "").startswith("$argon2id$")
    assert getattr(accounts.check_password(ledger, name, PASSWORD), "name", None) == name


# --- the first account ---


@pytest.fixture
def unowned(tmp_path: Any) -> Iterator[Playground]:
    made = playground.start(tmp_path / "bridge.sqlite3", settings={"environment": "test", "audit_key": SecretStr(KEY)})
    yield made
    made.stop()


def claim(browser: Browser, word: str, **form: str) -> requests.Response:
    browser.get("/sign-in")
    data = {"form": browser.session.cookies["bridge-form"], "word": word, "name": "anna",
            "password": PASSWORD, "once_more": PASSWORD, **form}  # fmt: skip
    return browser.session.post(f"{browser.url}/sign-in/first", data=data, timeout=20, allow_redirects=False)


def test_the_word_of_the_start_makes_one_account_once(unowned: Playground, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    ledger, browser = unowned.bridge.ledger, Browser(unowned.console.url)
    assert "Word of the start" not in browser.get("/sign-in").text
    assert claim(browser, "a guess of somebody").status_code == 403
    word = (invitation(unowned.bridge) or "").split()[-1]

    assert "Word of the start" in browser.get("/sign-in").text
    assert word not in browser.get("/sign-in").text
    assert claim(browser, word, password="short").status_code == 400
    assert claim(browser, word, once_more="another password").status_code == 400
    assert claim(browser, f"{word}x").status_code == 403
    assert claim(browser, word).status_code == 303
    assert claim(browser, word, name="eve").status_code == 403
    second = accounts.first_word(ledger)
    assert claim(browser, second, name="eve").status_code == 403
    with ledger.read() as connection:
        assert [(row.name, row.role) for row in accounts.accounts(connection)] == [("anna", "administrator")]
        assert word not in repr(connection.execute(select(audit)).all())
    assert "Word of the start" not in browser.get("/sign-in").text
    assert word not in caplog.text
    assert invitation(unowned.bridge) is None
    enrol(browser, "anna")


def test_the_word_of_the_start_ends_after_an_hour_and_is_no_session(unowned: Playground) -> None:
    ledger, browser = unowned.bridge.ledger, Browser(unowned.console.url)
    word = accounts.first_word(ledger)
    for cookie in ("bridge", "bridge-way"):
        browser.session.cookies.set(cookie, word)
    assert browser.get("/").status_code == 303
    assert browser.get("/sign-in/code").status_code == 403
    with ledger.write() as writing:
        late = {"until": writing.now - timedelta(seconds=1)}
        writing.connection.execute(update(session).where(session.c.way == "first").values(late))

    assert claim(browser, word).status_code == 403


def test_a_key_that_was_changed_is_told_in_a_sentence(unowned: Playground) -> None:
    ledger = unowned.bridge.ledger
    make_account(ledger, "anna", "viewer")
    enrol(Browser(unowned.console.url), "anna")
    ledger.audit_key = b"another one"
    browser = Browser(unowned.console.url)
    browser.sign_in("anna")
    answer = give(browser, "123456")

    assert answer.status_code == 403
    assert "the audit key was changed" in answer.text
