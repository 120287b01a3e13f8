"""Health and the operators' console, over a real socket: what they show, and what they let nobody do."""

from __future__ import annotations

import csv
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import func, insert, select, update

from bridge import playground
from bridge.ledger import differences
from bridge.ledger.desk_models import backlog
from bridge.ledger.models import audit, message
from bridge.playground import Playground

HOSTILE = "<script>alert(1)</script> \"'><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    """A bridge that has delivered, held and rejected something."""
    made = playground.start(tmp_path_factory.mktemp("console") / "bridge.sqlite3")
    sf = made.salesforce
    account = sf.insert("Account", Name=HOSTILE)
    sf.insert("Account", Name="Acme !REJECT USER_ERROR")
    sf.insert("Opportunity", Name="Oven", AccountId=account, StageName="New", CloseDate="2026-12-01")
    sf.drain()
    yield made
    made.stop()


def page(house: Playground, path: str = "/", **query: str) -> requests.Response:
    return requests.get(f"{house.console.url}{path}", params=query, timeout=10)


def numbers(text: str) -> list[str]:
    return re.findall(r'<td><a href="/messages/(\d+)">', text)


def first(house: Playground, **query: str) -> str:
    return numbers(page(house, "/messages", **query).text)[0]


def token(house: Playground) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page(house, "/schedules").text)
    assert found is not None
    return found[1]


# --- health ---


def test_the_process_says_that_it_lives_and_that_it_can_work(house: Playground) -> None:
    alive, ready = (requests.get(f"{house.callouts.url}/{it}", timeout=10) for it in ("healthz", "readyz"))

    assert (alive.status_code, alive.text) == (200, "alive\n")
    assert (ready.status_code, ready.text) == (200, "ready\n")


def test_the_metrics_count_messages_by_state(house: Playground) -> None:
    text = requests.get(f"{house.callouts.url}/metrics", timeout=10).text

    found = dict(re.findall(r'^bridge_messages\{state="(\w+)"\} (\d+)$', text, re.MULTILINE))
    assert int(found["delivered"]) >= 1
    assert int(found["rejected"]) == 1
    assert re.search(r'^bridge_latency_seconds\{sync="customer",quantile="0\.95"\} [\d.]+$', text, re.MULTILINE)


def test_what_both_systems_allow_is_shown_beside_what_is_used(house: Playground) -> None:
    """F-105: on the overview and in the metrics."""
    text = requests.get(f"{house.callouts.url}/metrics", timeout=10).text
    page = requests.get(f"{house.console.url}/", timeout=10).text
    used, allowed = house.bridge.salesforce.usage or (0, 0)

    found = dict(re.findall(r"^bridge_(slots\w*|salesforce_calls\w*) ([\d.]+)$", text, re.MULTILINE))
    assert int(found["slots_taken"]) <= int(found["slots"]) == 5
    assert 0 < int(found["salesforce_calls"]) <= used
    assert int(found["salesforce_calls_allowed"]) == allowed == house.salesforce.api_limit
    assert re.search(r"[0-5] of 5 calls at once", page)
    assert re.search(rf"\d+ of {allowed:,} calls a day", page)


def test_the_console_is_not_reachable_at_the_address_of_callouts(house: Playground) -> None:
    assert requests.get(f"{house.callouts.url}/messages", timeout=10).status_code == 404


# --- pages ---


def test_the_overview_says_how_long_bulk_work_takes(house: Playground) -> None:
    ledger = house.bridge.ledger
    with ledger.write() as writing:
        rows = [{"sync": "customer", "waiting": 3600, "done": 60, "within_s": 60, "at": writing.now},
                {"sync": "contact", "waiting": 50, "done": 2, "within_s": 60, "at": writing.now}]  # fmt: skip
        writing.connection.execute(insert(backlog), rows)

    text = " ".join(re.sub(r"<[^>]+>", " ", page(house).text).split())

    assert "Customer 3,600 60 1 h 0 min" in text
    assert "Contact 50 – not known" in text


def test_the_overview_shows_counts_causes_and_next_runs(house: Playground) -> None:
    text = page(house).text

    assert re.search(r"<b>1</b> needs a person", text)
    assert re.search(r"<b>[1-9]\d*</b> held", text)
    for job in ("sweep", "orders", "remittances", "probe"):
        assert re.search(rf"<tr><td>{job}<br>.*?\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC", text, re.DOTALL)


@pytest.mark.parametrize("state", ["needs a person", "held", "done"])
def test_messages_are_listed_by_state(house: Playground, state: str) -> None:
    wanted = {"needs a person": {"rejected"}, "held": {"held"}, "done": {"delivered", "unchanged", "superseded"}}

    text = page(house, "/messages", state=state).text

    found = re.findall(r'<span class="state (\w+)">', text)
    assert found
    assert set(found) <= wanted[state]


def test_a_message_is_found_by_the_id_of_either_system(house: Playground) -> None:
    (customer,) = house.netsuite.store.records["customer"].values()
    salesforce_id = str(customer.external_id)[-18:]

    by_ours, by_theirs = (page(house, "/messages", search=it).text for it in (salesforce_id, customer.id))

    assert numbers(by_ours)
    assert numbers(by_theirs)


def test_a_message_shows_its_attempts_links_and_history(house: Playground) -> None:
    (customer,) = house.netsuite.store.records["customer"].values()

    text = page(house, f"/messages/{first(house, search=str(customer.external_id)[-18:], state='done')}").text

    assert f"/app/common/entity/custjob.nl?id={customer.id}" in text
    assert str(customer.external_id) in text
    assert re.search(r"<h2>Attempts</h2>\s*<div[^>]*><table>.*?<td>delivered</td>", text, re.DOTALL)
    assert re.search(r"<h2>What happened</h2>.*?<td>received</td>.*?<td>delivered</td>", text, re.DOTALL)
    assert "after the save" in text


def test_a_rejected_message_says_why_and_who_can_act(house: Playground) -> None:
    text = page(house, f"/messages/{first(house, state='needs a person')}").text

    found = re.search(r'<p class="alert">(.+?)</p>', text)
    assert found is not None
    assert re.search(r"<code>\w+</code> – for (sales|accounting|administrator)", found[1])


def test_an_application_is_never_called_otherwise(house: Playground) -> None:
    number = first(house, state="held")

    text = page(house, f"/messages/{number}").text

    assert "<dd>Application " in text
    assert "Opportunity" not in re.sub(r'href="[^"]*"|<dt>\w+</dt>', "", text)


def test_every_page_has_the_badge_of_its_environment(house: Playground) -> None:
    """F-118: nobody takes what stands in a sandbox for real money."""
    start = page(house, "/").text
    paths = {"/", *re.findall(r'href="(/[\w/-]+)"', start)}

    assert len(paths) > 5
    for path in sorted(paths):
        assert '<span class="badge sandbox">sandbox</span>' in page(house, path).text, path


def test_a_message_that_there_is_not_is_not_found(house: Playground) -> None:
    assert page(house, "/messages/999999").status_code == 404


# --- what nobody may do ---


def test_a_hostile_name_is_shown_as_text_on_every_page(house: Playground) -> None:
    for path in ("/", "/messages", *(f"/messages/{it}" for it in numbers(page(house, "/messages").text))):
        text = page(house, path).text
        assert "<script>" not in text
        assert "<img" not in text
    shown = page(house, f"/messages/{first(house, sync='customer', state='done')}").text
    assert HOSTILE in unescape(shown)


def test_a_hostile_search_is_shown_as_text(house: Playground) -> None:
    text = page(house, "/messages", search=HOSTILE, state=HOSTILE).text

    assert "<script>" not in text
    assert "<img" not in text


@pytest.mark.parametrize("path", ["/", "/messages", "/messages/1", "/messages/999999", "/static/console.css"])
def test_every_answer_forbids_foreign_content(house: Playground, path: str) -> None:
    headers = page(house, path).headers

    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_no_page_needs_an_inline_script_or_style(house: Playground) -> None:
    for path in ("/", "/messages", "/messages/1"):
        assert not re.search(r"<script(?! src=)|<style|<[a-z][^>]*\s(?:style|on\w+)=", page(house, path).text)


@pytest.mark.parametrize("given", [{}, {"token": ""}, {"token": "guess"}], ids=["none", "empty", "wrong"])
def test_a_button_needs_the_pages_own_token(house: Playground, given: dict[str, Any]) -> None:
    number = first(house, state="needs a person")

    answers = [
        requests.post(f"{house.console.url}{path}", data=given, allow_redirects=False, timeout=10)
        for path in ("/plans", "/jobs/sweep/run")
    ]

    assert [it.status_code for it in answers] == [403, 403]
    assert "rejected" in page(house, f"/messages/{number}").text


def test_a_name_that_somebody_else_points_at_this_machine_opens_nothing(house: Playground) -> None:
    """Otherwise a foreign page could read the console, and its token, by a name of its own for 127.0.0.1."""
    answer = requests.get(house.console.url, headers={"Host": "evil.example"}, timeout=10)

    assert answer.status_code == 400
    assert "token" not in answer.text


def test_a_message_is_sent_again_by_its_button_and_the_audit_knows(house: Playground) -> None:
    number = first(house, state="needs a person")
    form = {"token": token(house), "message": number, "action": "retry"}

    preview = requests.post(f"{house.console.url}/plans", data=form, timeout=10)
    assert "<b>1</b> message" in preview.text
    answer = requests.post(f"{preview.url}/confirm", data={"token": token(house)}, timeout=10)

    assert answer.status_code == 200  # after the redirect to what was done
    assert "1 of 1 on their way again." in answer.text
    assert "<td>replay</td><td>console</td>" in page(house, f"/messages/{number}").text
    for _ in range(100):
        if numbers(page(house, "/messages", state="needs a person").text) == [number]:
            break
        threading.Event().wait(0.1)
    else:
        pytest.fail("it was not refused again")


def test_a_job_runs_by_its_button(house: Playground) -> None:
    answer = requests.post(f"{house.console.url}/jobs/probe/run", data={"token": token(house)}, timeout=10)
    unknown = requests.post(f"{house.console.url}/jobs/nothing/run", data={"token": token(house)}, timeout=10)

    assert answer.status_code == 200
    assert unknown.status_code == 404


def test_the_dashboard_asks_for_metrics_that_there_are(house: Playground) -> None:
    text = requests.get(f"{house.callouts.url}/metrics", timeout=10).text
    told = set(re.findall(r"^# TYPE (bridge_\w+) gauge$", text, re.MULTILINE))
    asked = set(re.findall(r"bridge_\w+", (Path(__file__).parents[2] / "docs" / "grafana.json").read_text()))

    assert asked - told <= {"bridge_latency_seconds", "bridge_attempts_last_hour"}, "these need something to tell of"
    assert {it for it in told if "slots" in it} == {"bridge_slots", "bridge_slots_taken"}
    assert all(
        re.fullmatch(r'bridge_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[\d.]+', it)
        for it in text.splitlines()
        if not it.startswith("#")
    )


def test_what_differs_between_both_sides_stands_beside_the_errors(house: Playground) -> None:
    said = "Sales order SO1 is in NetSuite no longer."
    with house.bridge.ledger.write() as writing:
        differences.keep(
            writing, [differences.Difference("sales_order", "sf-so-1", "1", "missing", said, "administrator")]
        )

    text = page(house, "/errors").text

    assert said in text
    assert "bridge reconcile --apply" in text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", '=HYPERLINK("https://evil.example")', "＝1+1"])
def test_nothing_in_an_export_is_a_formula(house: Playground, text: str) -> None:
    """Who opens it in a spreadsheet would run what somebody else typed."""
    number = first(house)
    form = {"token": token(house), "message": number, "action": "assign", "value": text}
    requests.post(f"{house.console.url}/plans", data=form, timeout=10)

    rows = list(csv.DictReader(page(house, "/messages.csv", assignee=text).text.splitlines()))

    assert [it["assignee"] for it in rows] == [f"'{text}"]


# --- the audit ---


def test_an_auditor_sees_what_happened_to_a_record_and_in_a_time(house: Playground) -> None:
    account = house.salesforce.rows("Account")[0]["Id"]
    today = datetime.now(UTC).date()

    about = page(house, "/audit", search=account).text
    now = page(house, "/audit", since=str(today)).text
    before = page(house, "/audit", until=str(today - timedelta(days=1))).text

    assert f"<code>{account}</code>" in about
    assert "<td>delivered</td>" in about
    assert "<td>delivered</td>" in now
    assert "The audit says nothing of this." in before
    correlation = re.findall(r"/audit\?search=([0-9a-f-]{32,36})", about)[0]
    assert f"<code>{account}</code>" in page(house, "/audit", search=correlation).text
    assert page(house, "/audit", since="2026-02-30").status_code == 400


def test_the_audit_of_a_time_is_exported_whole_and_the_export_is_audited(house: Playground) -> None:
    with house.bridge.ledger.read() as connection:
        count = connection.execute(select(func.count()).select_from(audit)).scalar_one()

    rows = list(csv.DictReader(page(house, "/audit.csv").text.splitlines()))
    none = list(csv.DictReader(page(house, "/audit.csv", until="2020-01-01").text.splitlines()))

    assert len(rows) >= count
    assert none == []
    assert {it["action"] for it in rows} >= {"received", "delivered", "rejected"}
    assert all(it["hash"] for it in rows)
    assert "audit, the beginning to now, at the console" in page(house, "/audit").text


def test_the_trail_is_verified_from_the_page(house: Playground) -> None:
    said = requests.post(f"{house.console.url}/audit/verify", data={"token": token(house)}, timeout=10)

    assert "It is being verified" in said.text
    for _ in range(100):
        if "the audit trail holds" in page(house, "/audit").text:
            break
        threading.Event().wait(0.05)
    assert re.search(r"Verified .* ago: the audit trail holds", page(house, "/audit").text)


def test_a_message_that_is_sent_again_still_shows_when_it_arrived(house: Playground) -> None:
    number = int(first(house, state="rejected"))

    def arrived() -> str:
        found = re.search(r"<dt>Arrived</dt><dd>([\d: -]+UTC) by callout", page(house, f"/messages/{number}").text)
        assert found is not None
        return found[1]

    before = arrived()
    with house.bridge.ledger.write() as writing:
        oldest = select(func.min(audit.c.at)).where(audit.c.message_id == number)
        assert writing.connection.execute(oldest).scalar_one() < writing.now
        writing.connection.execute(
            update(message).where(message.c.id == number).values(created_at=writing.now + timedelta(hours=1))
        )

    assert arrived() == before
    assert "oldest due since" not in page(house).text
