"""Chosen failures: each looks as it does on a real org, and strikes as often as it was told."""

from __future__ import annotations

import pytest
import requests


def choose(client, **fault):
    """Choose a fault over the admin endpoint."""
    response = client.call("POST", "/sandbox/faults", fault)
    assert response.status_code == 200
    return response


def test_a_lock_error_hits_the_nth_write(client, fake):
    """UNABLE_TO_LOCK_ROW, "Status Codes and Error Responses"."""
    choose(client, kind="lock", after=1)

    items = client.post(
        "composite/sobjects", {"records": [{"attributes": {"type": "Account"}, "Name": n} for n in "abc"]}
    ).json()

    assert [one["success"] for one in items] == [True, False, True]
    assert items[1]["errors"][0]["statusCode"] == "UNABLE_TO_LOCK_ROW"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("limit", 403, "REQUEST_LIMIT_EXCEEDED"),
        ("concurrent", 403, "REQUEST_LIMIT_EXCEEDED"),
        ("unauthorized", 401, "INVALID_SESSION_ID"),
        ("server_error", 500, "UNKNOWN_EXCEPTION"),
    ],
)
def test_a_refused_call_carries_its_code_and_ends(client, kind, status, code):
    choose(client, kind=kind, times=2)

    answers = [client.get("limits") for _ in range(3)]

    assert [one.status_code for one in answers] == [status, status, 200]
    assert answers[0].json()[0]["errorCode"] == code


def test_unavailable_is_a_page_and_not_json(client):
    choose(client, kind="unavailable", path="/limits")

    response = client.get("limits")

    assert response.status_code == 503
    assert response.text.startswith("<!DOCTYPE html>")


def test_slow_headers_run_into_the_callers_timeout(client):
    choose(client, kind="slow", seconds=2)

    with pytest.raises(requests.ReadTimeout):
        client.session.get(f"{client.base}/limits", timeout=0.2)


def test_a_reset_after_commit_leaves_the_record_behind(client, fake):
    """The maker of duplicates: the caller cannot know that it worked."""
    choose(client, kind="reset_after_commit", method="POST", path="/sobjects/")

    with pytest.raises(requests.ConnectionError):
        client.post("sobjects/Account", {"Name": "Harbor"})

    assert [row["Name"] for row in fake.rows("Account")] == ["Harbor"]


def test_a_truncated_answer_is_not_json(client):
    choose(client, kind="truncate")

    with pytest.raises(requests.exceptions.JSONDecodeError):
        client.get("limits").json()


def test_an_unknown_fault_is_refused_loudly(client):
    assert client.call("POST", "/sandbox/faults", {"kind": "nonsense"}).status_code == 501
    assert client.call("POST", "/sandbox/faults", {"kind": "limit", "often": 3}).status_code == 501
    assert client.call("POST", "/sandbox/faults", {"kind": "limit", "times": "3"}).status_code == 400


def test_a_storm_of_401_leaves_logging_in_alone(client, fake):
    """A client that logs in again for each 401 then shows whether it ever stops."""
    choose(client, kind="unauthorized", times=1000)
    form = {
        "grant_type": "client_credentials",
        "client_id": "sandbox-consumer-key",
        "client_secret": "sandbox-consumer-secret",
    }

    login = client.session.post("https://sandbox-org.my.salesforce.com/services/oauth2/token", data=form, timeout=5)

    assert (login.status_code, client.get("limits").status_code) == (200, 401)


def test_faults_are_shown_and_cleared(client):
    choose(client, kind="limit", times=3)
    shown = client.call("GET", "/sandbox/faults").json()
    cleared = client.call("DELETE", "/sandbox/faults").json()

    assert [(one["kind"], one["times"]) for one in shown] == [("limit", 3)]
    assert cleared == []
