"""Signing in to the console and what each role may do there, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import requests
from sqlalchemy import select, update

from bridge import handling, playground
from bridge.errors import Rejected
from bridge.ledger import accounts, incidents, people, triage
from bridge.ledger.desk_models import account, session
from bridge.ledger.models import audit
from bridge.operators import console
from bridge.playground import Playground
from bridge.serving import Served
from bridge.web.access import PUBLIC, RULES
from bridge.web.signing_in import Tries
from tests.web.people import PASSWORD, Browser, make_account


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    """A bridge with one local account for each role, named like it."""
    made = playground.start(tmp_path_factory.mktemp("access") / "bridge.sqlite3")
    made.salesforce.insert("Account", Name="Acme !REJECT USER_ERROR")
    made.salesforce.drain()
    for role in people.ROLES:
        make_account(made.bridge.ledger, role, role)
    yield made
    made.stop()


@pytest.fixture
def browser(house: Playground) -> Browser:
    return Browser(house.console.url)


@pytest.fixture(scope="module")
def browsers(house: Playground) -> dict[str, Browser]:
    found = {role: Browser(house.console.url) for role in people.ROLES}
    for role, one in found.items():
        assert one.sign_in(role).status_code == 303
    return found


def routes(house: Playground) -> list[tuple[str, str, str]]:
    """Every (endpoint, method, path) of the console, with 1 for each number and a word for each text."""
    app = console(house.bridge, house.schedule)
    found = []
    for rule in app.url_map.iter_rules():  # type: ignore[attr-defined]
        values = {
            name: 1 if type(rule._converters[name]).__name__ == "IntegerConverter" else "x" for name in rule.arguments
        }
        adapter = app.url_map.bind("127.0.0.1")  # type: ignore[attr-defined]
        methods = sorted(rule.methods - {"HEAD", "OPTIONS"})
        found += [(rule.endpoint, it, adapter.build(rule.endpoint, values, method=it)) for it in methods]
    return found


# --- every route, every role ---


def test_every_route_has_a_rule_and_every_rule_a_route(house: Playground) -> None:
    """A route without a rule is refused to everybody; it must not come to that."""
    assert {endpoint for endpoint, _, _ in routes(house)} == set(RULES)


def test_every_role_is_let_in_exactly_where_the_table_says(house: Playground, browsers: dict[str, Browser]) -> None:
    wrong = []
    for endpoint, method, path in routes(house):
        rule = RULES[endpoint]
        if rule is PUBLIC:
            continue
        for role, one in browsers.items():
            if endpoint == "sign_out":
                continue
            # Without the form's token: what a role may not do is refused before the token is looked at.
            answer = one.get(path) if method == "GET" else one.session.post(f"{house.console.url}{path}", timeout=20)
            is_refused_for_role = answer.status_code == 403 and f"Your role is {role}" in answer.text
            if is_refused_for_role == (role in rule) or answer.status_code >= 500:
                wrong.append((endpoint, method, role, answer.status_code))

    assert wrong == []


def test_nobody_who_has_not_signed_in_sees_or_does_anything(house: Playground, browser: Browser) -> None:
    wrong = []
    for endpoint, method, path in routes(house):
        if RULES[endpoint] is PUBLIC:
            continue
        if method == "GET":
            answer = browser.get(path)
            if answer.status_code != 303 or not answer.headers["Location"].startswith("/sign-in"):
                wrong.append((endpoint, answer.status_code))
        else:
            answer = browser.session.post(f"{house.console.url}{path}", timeout=20, allow_redirects=False)
            if answer.status_code != 401:
                wrong.append((endpoint, answer.status_code))

    assert wrong == []


def test_no_form_counts_without_the_sessions_token(house: Playground, browsers: dict[str, Browser]) -> None:
    wrong = []
    for endpoint, method, path in routes(house):
        if RULES[endpoint] is PUBLIC or method == "GET":
            continue
        for data in ({}, {"token": "guess"}, {"token": browsers["viewer"].token}):
            answer = browsers["administrator"].session.post(
                f"{house.console.url}{path}", data=data, timeout=20, allow_redirects=False
            )
            if answer.status_code != 403 and "administrator" in RULES[endpoint]:
                wrong.append((endpoint, data, answer.status_code))

    assert wrong == []


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["other origin", "hidden origin", "other site"],
)
def test_a_form_from_another_site_is_refused_even_with_the_token(
    house: Playground, browsers: dict[str, Browser], headers: dict[str, str]
) -> None:
    one = browsers["administrator"]

    answer = one.session.post(
        f"{house.console.url}/jobs/probe/run", data={"token": one.token}, headers=headers, timeout=20
    )

    assert answer.status_code == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_do_nothing(browsers: dict[str, Browser], method: str) -> None:
    one = browsers["administrator"]

    assert one.session.request(method, f"{one.url}/messages/1", timeout=20).status_code == 405


# --- signing in ---


def test_a_local_account_signs_in_sees_its_role_and_signs_out(browser: Browser) -> None:
    answer = browser.sign_in("operator")
    page = browser.get("/")
    out = browser.post("/sign-out")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "operator" in page.text
    assert out.status_code == 303
    assert browser.get("/").headers["Location"].startswith("/sign-in")


def test_the_cookie_is_not_for_scripts_nor_for_other_sites(browser: Browser) -> None:
    cookie = browser.sign_in("operator").headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


def test_each_signing_in_gives_a_new_word_whatever_the_browser_had(house: Playground, browser: Browser) -> None:
    """A word that somebody planted in the browser must not become a session's."""
    planted = "planted" * 6
    browser.session.cookies.set("bridge", planted, domain="127.0.0.1", path="/")
    words = []
    for _ in range(2):
        browser.sign_in("viewer")
        words.append(browser.session.cookies["bridge"])
        browser.post("/sign-out")

    assert len({planted, *words}) == 3
    for word in (planted, *words):
        thief = Browser(house.console.url)
        thief.session.cookies.set("bridge", word)
        assert thief.get("/").status_code == 303


def test_what_the_ledger_keeps_of_a_session_opens_nothing(house: Playground, browser: Browser) -> None:
    browser.sign_in("auditor")
    with house.bridge.ledger.read() as connection:
        keys = list(connection.execute(select(session.c.key).where(session.c.name == "auditor")).scalars())

    for key in keys:
        thief = Browser(house.console.url)
        thief.session.cookies.set("bridge", key)
        assert thief.get("/").status_code == 303


@pytest.mark.parametrize(("column", "age"), [("seen_at", people.IDLE), ("until", people.LONGEST)], ids=["idle", "long"])
def test_a_session_ends_when_it_is_idle_or_old(
    house: Playground, browser: Browser, column: str, age: timedelta
) -> None:
    browser.sign_in("accountant")
    mine = session.c.key == people.key_of(browser.session.cookies["bridge"])
    assert browser.get("/").status_code == 200

    with house.bridge.ledger.write() as writing:
        at = writing.now - (age if column == "seen_at" else timedelta(seconds=1))
        writing.connection.execute(update(session).where(mine).values({column: at}))

    assert browser.get("/").status_code == 303


def test_a_wrong_password_is_refused_in_the_same_words_as_a_wrong_name(browser: Browser) -> None:
    for name in ("operator", "nobody"):
        answer = browser.sign_in(name, "wrong password")
        assert answer.status_code == 403
        assert "Name or password is wrong." in answer.text
        assert "bridge=" not in answer.headers.get("Set-Cookie", "").replace("bridge-form=", "")


def test_guessing_is_slowed_down_and_told_in_the_audit(house: Playground) -> None:
    ledger = house.bridge.ledger
    make_account(ledger, "guessed", "viewer")
    for _ in range(accounts.FREE_TRIES):
        assert accounts.check_password(ledger, "guessed", "wrong") is None

    wait = accounts.check_password(ledger, "guessed", PASSWORD)  # the right one, and still not yet

    assert isinstance(wait, timedelta)
    with ledger.read() as connection:
        told = connection.execute(
            select(audit.c.code).where(audit.c.actor == "guessed", audit.c.action == "not_signed_in")
        )
        assert list(told.scalars()) == ["WRONG_PASSWORD"] * accounts.FREE_TRIES
    with ledger.write() as writing:
        past = {"failed_at": writing.now - timedelta(hours=1)}
        writing.connection.execute(update(account).where(account.c.name == "guessed").values(past))
    found = accounts.check_password(ledger, "guessed", PASSWORD)
    assert getattr(found, "role", None) == "viewer"


def test_one_address_cannot_try_many_names_nor_fill_the_memory() -> None:
    tries = Tries(most=3)

    assert [tries.are_too_many("10.0.0.1") for _ in range(4)] == [False, False, False, True]
    assert not tries.are_too_many("10.0.0.2")
    for _ in range(10):  # an office behind one address signs in
        assert not tries.are_too_many("10.0.0.3")
        tries.came_in("10.0.0.3")
    for n in range(5_000):
        tries.are_too_many(f"10.1.{n // 250}.{n % 250}")
    assert len(tries._seen) <= 2_000


def test_each_use_of_a_local_account_is_an_incident_and_audited(house: Playground, browser: Browser) -> None:
    ledger = house.bridge.ledger
    make_account(ledger, "glass", "auditor")

    browser.sign_in("glass")

    with ledger.read() as connection:
        (found,) = [it for it in incidents.open_ones(connection) if it.key == "local:glass"]
        query = select(audit.c.code).where(audit.c.actor == "glass", audit.c.action == "signed_in")
        assert set(connection.execute(query).scalars()) == {"LOCAL"}
    assert found.sentence == "The local account glass was used to sign in to the console."
    browser.post("/sign-out")
    with ledger.read() as connection:
        assert "local:glass" not in {it.key for it in incidents.open_ones(connection)}


def test_a_password_is_kept_only_as_argon2id(house: Playground) -> None:
    with house.bridge.ledger.read() as connection:
        kept = connection.execute(select(account.c.password).where(account.c.name == "viewer")).scalar_one()

    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in kept


@pytest.mark.parametrize(
    ("wanted", "onward"),
    [
        ("/messages?state=held", "/messages?state=held"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil", "/"),
    ],
)
def test_after_signing_in_the_wanted_page_comes_if_it_is_ours(browser: Browser, wanted: str, onward: str) -> None:
    assert browser.sign_in("viewer", next=wanted).headers["Location"] == onward


def test_behind_https_the_cookie_is_for_this_host_alone(house: Playground) -> None:
    import dataclasses

    settings = house.bridge.settings.model_copy(update={"console_url": "https://bridge.example.com"})
    app = console(dataclasses.replace(house.bridge, settings=settings), house.schedule)
    client = app.test_client()  # type: ignore[attr-defined]

    page = client.get("/sign-in", base_url="https://bridge.example.com")
    assert page.headers["Set-Cookie"].startswith("__Host-bridge-form=")
    form = page.get_data(as_text=True).split('name="form" value="')[1].split('"')[0]
    data = {"form": form, "name": "viewer", "password": PASSWORD}
    answer = client.post("/sign-in/local", data=data, base_url="https://bridge.example.com")

    (cookie,) = [it for it in answer.headers.getlist("Set-Cookie") if it.startswith("__Host-bridge=")]
    assert "Secure" in cookie
    assert answer.headers["Strict-Transport-Security"]
    assert client.get("/", base_url="https://other.example").status_code == 400


def test_a_console_in_production_never_lets_anybody_in_without_signing_in(house: Playground) -> None:
    import dataclasses

    settings = house.bridge.settings.model_copy(update={"environment": "production"})
    with house.bridge.ledger.write() as writing:
        kept = writing.connection.execute(select(account)).mappings().all()
        writing.connection.execute(account.delete())
    try:
        app = console(dataclasses.replace(house.bridge, settings=settings), house.schedule)
        answer = app.test_client().get("/")  # type: ignore[attr-defined]
        page = app.test_client().get("/sign-in")  # type: ignore[attr-defined]
    finally:
        with house.bridge.ledger.write() as writing:
            writing.connection.execute(account.insert(), [dict(row) for row in kept])

    assert answer.status_code == 303
    assert "bridge console account" in page.get_data(as_text=True)


def test_a_page_that_fails_shows_no_inner_words(house: Playground, browsers: dict[str, Browser]) -> None:
    answer = browsers["viewer"].get("/messages/99999999999999999999999999")

    assert answer.status_code in (404, 500, 503)
    assert "Traceback" not in answer.text
    assert "sqlite" not in answer.text.lower()


def test_static_files_need_no_sign_in_and_nothing_else_is_served_there(house: Playground) -> None:
    assert requests.get(f"{house.console.url}/static/console.css", timeout=20).status_code == 200
    assert requests.get(f"{house.console.url}/static/../console.py", timeout=20).status_code == 404


# --- signing in again, and behind a proxy ---


def grow_old(house: Playground, browser: Browser) -> None:
    mine = session.c.key == people.key_of(browser.session.cookies["bridge"])
    with house.bridge.ledger.write() as writing:
        past = writing.now - people.RECENT - timedelta(seconds=1)
        writing.connection.execute(update(session).where(mine).values(asked_at=past))


def plan(house: Playground, count: int, *, is_guarded: bool) -> int:
    with house.bridge.ledger.write() as writing:
        return triage.draft(
            writing, action="retry", value=None, reason="", ids=list(range(900_000, 900_000 + count)), sums={},
            is_guarded=is_guarded, actor="operator",
        )  # fmt: skip


def state_of(house: Playground, number: int) -> str:
    with house.bridge.ledger.read() as connection:
        found = triage.find(connection, number)
    assert found is not None
    return found.state


@pytest.mark.parametrize(("count", "is_guarded"), [(21, False), (2, True)], ids=["many", "second person"])
def test_a_mass_decision_needs_a_recent_sign_in(
    house: Playground, browser: Browser, count: int, is_guarded: bool
) -> None:
    """Who finds a desk unattended confirms nothing large."""
    browser.sign_in("operator")
    number = plan(house, count, is_guarded=is_guarded)
    grow_old(house, browser)

    asked = browser.post(f"/plans/{number}/confirm")

    assert asked.headers["Location"] == f"/sign-in?again=1&next=/plans/{number}"
    assert state_of(house, number) == triage.DRAFTED
    assert "Sign in again" in browser.get(asked.headers["Location"]).text
    assert browser.sign_in("operator", next=f"/plans/{number}", again="1").headers["Location"] == f"/plans/{number}"
    browser.post(f"/plans/{number}/confirm")
    assert state_of(house, number) == (triage.WAITING if is_guarded else triage.DONE)


def test_an_approval_needs_a_recent_sign_in_and_a_refusal_does_not(house: Playground, browser: Browser) -> None:
    browser.sign_in("accountant")
    number = plan(house, 2, is_guarded=True)
    with house.bridge.ledger.write() as writing:
        triage.move(writing, number, triage.DRAFTED, triage.WAITING)
    grow_old(house, browser)

    asked = browser.post(f"/plans/{number}/decide", answer="approve")

    assert asked.headers["Location"].startswith("/sign-in?again=1")
    assert state_of(house, number) == triage.WAITING
    browser.post(f"/plans/{number}/decide", answer="refuse")
    assert state_of(house, number) == triage.REFUSED


def test_a_few_messages_are_decided_about_without_signing_in_again(house: Playground, browser: Browser) -> None:
    browser.sign_in("operator")
    number = plan(house, 20, is_guarded=False)
    grow_old(house, browser)

    browser.post(f"/plans/{number}/confirm")

    assert state_of(house, number) == triage.DONE


@pytest.mark.parametrize(("proxy", "counted"), [(None, "127.0.0.1"), ("127.0.0.1", "203.0.113.9")])
def test_a_forwarded_address_counts_only_from_the_proxy_that_is_trusted(
    house: Playground, proxy: str | None, counted: str
) -> None:
    """Otherwise a guesser gives each try an address of its own, or a proxy makes one address of all people."""
    served = Served(console(house.bridge, house.schedule), "127.0.0.1", 0, threads=2, proxy=proxy)
    served.start()
    try:
        browser = Browser(served.url)
        browser.session.headers["X-Forwarded-For"] = "198.51.100.1, 203.0.113.9"
        browser.sign_in("auditor")
    finally:
        browser.session.close()
        served.stop()

    query = select(audit.c.detail).where(audit.c.actor == "auditor", audit.c.action == "signed_in")
    with house.bridge.ledger.read() as connection:
        last = connection.execute(query.order_by(audit.c.at.desc(), audit.c.seq.desc()).limit(1)).scalar_one()
    assert last == f"from {counted}"


def test_who_has_two_ways_in_is_not_two_people(house: Playground) -> None:
    """A local account and one at the provider may be the same person's."""
    engine = house.bridge.engine
    with house.bridge.ledger.write() as writing:
        number = triage.draft(
            writing, action="retry", value=None, reason="", ids=[900_001], sums={}, is_guarded=True, actor="anna",
            way="oidc",
        )  # fmt: skip
        triage.move(writing, number, triage.DRAFTED, triage.WAITING)
    with house.bridge.ledger.read() as connection:
        plan = triage.find(connection, number)
    assert plan is not None

    with pytest.raises(Rejected, match="in the way in which it was asked for"):
        handling.decide(engine, plan, actor="break glass", approve=True, way="local")

    assert state_of(house, number) == triage.WAITING
    handling.decide(engine, plan, actor="ben", approve=True, way="oidc")
    assert state_of(house, number) == triage.DONE
