"""Whatever somebody types into the console's forms and addresses: an answer, none of it a fault of ours, none a script.

Bytes, not values: a browser need not be the one that sends.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_from_bytes, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridge import playground
from bridge.operators import console
from bridge.playground import Playground

SLOWEST_S = 10.0
MARK = b"<zq onload=alert(1)>"
HOSTILE = [
    b"", b"0", b"-1", b"1", b"2", b"99999999999999999999999999", b"1e400", b"NaN", b"Infinity", b"1_000",
    "１２".encode(), MARK, b"'\"><script>" + MARK, b"javascript:alert(1)", b"//evil.example", b"/\\evil.example",
    b"\t//evil.example",
    b"/\r\nSet-Cookie: a=b", b"\r\nX: y", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"%00", b"%s%n", b"{{7*7}}", b"${7*7}",
    b"' OR 1=1 --", b"%", b"_", b"\\", b"=1+1", b"me", b"-", b"a" * 5_000,
    "\U0010ffff".encode() * 50, "İ".encode() * 90,
    b"#1", b"#99999999999999999999", b"needs a person", b"on the way", b"sf-cus-001000000000001AAA", b"*/0 * * * *",
    b"0 0 31 2 *", b"* * * * * *", b"99999999999 * * * *", b"2026-02-30", b"9999-12-31T23:59:59+14:00",
    b"[", b"[1]", b"{}",
]  # fmt: skip
VALUES = st.one_of(st.sampled_from(HOSTILE), st.binary(max_size=60), st.text(max_size=40).map(lambda it: it.encode(
    "utf-8", "surrogatepass")))  # fmt: skip
FIELDS = (
    b"search since until sync code who origin assignee tag before said next again wrong message action value reason "
    b"all page path text kind answer name password word once_more"
).split()
ACTIONS = [b"retry", b"hold", b"dismiss", b"edit", b"assign", b"tag", b"fresh", b"nothing"]
KINDS = [b"minutes", b"cron", b"off", b"site", b"nothing"]
LOOKED_AT = ["/", "/figures", "/errors", "/messages", "/messages.csv", "/messages/1", "/applications", "/approvals",
             "/schedules", "/mappings", "/bindings", "/audit", "/audit.csv", "/sign-in", "/sign-in/there",
             "/sign-in/back", "/sign-in/code", "/plans/1", "/applications/{}", "/messages/{}", "/plans/{}"]  # fmt: skip
SENT_TO = ["/plans", "/plans/1/confirm", "/plans/1/decide", "/messages/1/edit", "/messages/{}/edit",
           "/jobs/sweep/cadence", "/jobs/{}/run", "/jobs/{}/cadence",
           "/sign-in/local", "/sign-in/first", "/sign-in/code"]  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    """On both databases: they differ in which texts and numbers they take at all."""
    given: dict[str, str] = {}
    if request.param == "postgresql":
        url = request.getfixturevalue("new_postgres_database")()
        given["database_url"] = url.render_as_string(hide_password=False)
    made = playground.start(tmp_path_factory.mktemp("forms") / "bridge.sqlite3", settings=given)
    made.salesforce.insert("Account", Name="Acme !REJECT USER_ERROR", Phone="555-0100")
    made.salesforce.insert("Account", Name="Harbor Lane Bakery")
    made.salesforce.drain()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def client(house: Playground) -> Any:
    """A browser at the console of a trial, where everybody is its administrator."""
    one = console(house.bridge, house.schedule).test_client()  # type: ignore[attr-defined]
    one.set_cookie("bridge-form", "word-of-the-form")
    return one


@pytest.fixture(scope="module")
def token(client: Any) -> bytes:
    found = re.search(rb'name="token" value="([^"]+)"', client.get("/schedules").data)
    assert found is not None
    return bytes(found[1])


def encoded(fields: list[tuple[bytes, bytes]]) -> str:
    return "&".join(f"{quote_from_bytes(name)}={quote_from_bytes(value)}" for name, value in fields)


def judge(answer: Any, taken_s: float) -> None:
    assert answer.status_code < 500, answer.data[:400]
    assert taken_s < SLOWEST_S
    body = answer.data
    assert b"<zq" not in body.lower()
    if answer.mimetype == "text/html":
        assert body.lower().count(b"<script") <= 1  # our own file
    for name, value in answer.headers:
        assert "\r" not in name + value
        assert "\n" not in name + value
    if "Location" in answer.headers:
        to = urlsplit(answer.headers["Location"])
        # Two slashes in a path are made one, by the whole address of this console.
        assert (to.scheme, to.netloc) in (("", ""), ("http", "localhost")), answer.headers["Location"]
        assert not answer.headers["Location"].startswith(("//", "/\\"))


FORMS = st.lists(st.tuples(st.sampled_from(FIELDS), VALUES), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(LOOKED_AT), part=VALUES, fields=FORMS)
@example(place="/messages", part=b"", fields=[(b"search", MARK), (b"said", MARK)])
@example(place="/messages", part=b"", fields=[(b"before", b"9" * 26)])
@example(place="/messages", part=b"", fields=[(b"before", b"-9")])
@example(place="/messages", part=b"", fields=[(b"search", b"\x00")])
@example(place="/messages", part=b"", fields=[(b"search", b"#" + b"9" * 40)])
@example(place="/messages.csv", part=b"", fields=[(b"tag", b"\x00"), (b"assignee", b"\x00")])
@example(place="/applications", part=b"", fields=[(b"search", b"a\x00")])
@example(place="/applications/{}", part=b"\x00", fields=[])
@example(place="/sign-in", part=b"", fields=[(b"again", b"1"), (b"next", b"/\t//evil.example")])
@example(place="/sign-in", part=b"", fields=[(b"again", b"1"), (b"next", b"/%09/evil.example")])
def test_no_address_breaks_a_page(client: Any, place: str, part: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    path = place.format(quote_from_bytes(part, safe="") or "x")

    began = time.monotonic()
    answer = client.get(f"{path}?{encoded(fields)}")

    judge(answer, time.monotonic() - began)


@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.sampled_from(SENT_TO),
    part=VALUES,
    fields=FORMS,
    action=st.sampled_from(ACTIONS),
    kind=st.sampled_from(KINDS),
    path=st.sampled_from([b"Name", b"Phone", b"Id", b"Lines[1].Id", b"Lines[99].X", b"__class__"]),
    text=VALUES,
)
@example("/plans", b"", [], b"dismiss", b"", b"", b"\x00")
@example("/plans", b"", [], b"assign", b"", b"", b"\x00")
@example("/plans", b"", [(b"all", b"1"), (b"search", b"\x00")], b"hold", b"", b"", b"x")
@example("/messages/1/edit", b"", [], b"", b"", b"Name", b"\x00")
@example("/jobs/sweep/cadence", b"", [], b"", b"cron", b"", b"\x00")
@example("/jobs/sweep/cadence", b"", [], b"", b"minutes", b"", b"9" * 26)
@example("/sign-in/local", b"", [(b"name", b"\x00"), (b"password", b"x")], b"", b"", b"", b"")
@example("/sign-in/first", b"", [(b"name", b"a"), (b"password", b"x" * 20), (b"once_more", b"x" * 20),
                                 (b"word", b"\x00")], b"", b"", b"", b"")  # fmt: skip
def test_no_form_breaks_a_page(
    client: Any,
    token: bytes,
    place: str,
    part: bytes,
    fields: list[tuple[bytes, bytes]],
    action: bytes,
    kind: bytes,
    path: bytes,
    text: bytes,
) -> None:
    usual = [(b"token", token), (b"form", b"word-of-the-form"), (b"message", b"1"), (b"action", action),
             (b"kind", kind), (b"path", path), (b"text", text), (b"value", text), (b"reason", text)]  # fmt: skip

    began = time.monotonic()
    answer = client.post(
        place.format(quote_from_bytes(part, safe="") or "x"),
        data=encoded([*fields, *usual]),
        content_type="application/x-www-form-urlencoded",
    )

    judge(answer, time.monotonic() - began)


def test_what_was_typed_breaks_no_page_afterwards(client: Any) -> None:
    """It is kept: in plans, cadences, tags and names of people."""
    for path in LOOKED_AT:
        answer = client.get(path.format(1))
        judge(answer, 0)
        assert answer.status_code in (200, 403) or "/sign-in" in path or "{}" in path or path == "/plans/1"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n', "multipart/form-data; boundary=x"),
        (b"--", "multipart/form-data; boundary="),
        (b"{}", "application/json"),
        (b"&" * 100_000, "application/x-www-form-urlencoded"),
        (b"a=1&" * 20_000, "application/x-www-form-urlencoded"),
        (b"a=" + b"x" * 600_000, "application/x-www-form-urlencoded"),
        (b"a=1", "application/x-www-form-urlencoded; charset=utf-16"),
    ],
    ids=["cut off", "no boundary", "json", "empty fields", "many fields", "too large", "charset"],
)  # fmt: skip
def test_a_form_of_another_shape_is_refused(client: Any, body: bytes, kind: str) -> None:
    for path in ("/plans", "/sign-in/local"):
        began = time.monotonic()
        answer = client.post(path, data=body, content_type=kind)

        assert answer.status_code in (400, 403, 413)
        assert time.monotonic() - began < SLOWEST_S
