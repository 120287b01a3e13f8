"""Alerts reach people: through Apprise and a webhook, over real HTTP."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from bridge.alerts import Event, through_apprise, to_log, to_webhook

SINCE = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
BEGAN = Event("production", "lag:", "LAG", "It is late.", "administrator", SINCE, None)
OVER = Event("production", "lag:", "LAG", "It is late.", "administrator", SINCE, SINCE)


class Listener:
    """Somebody's server: it keeps what it got, and answers with *status*."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((dict(self.headers), body))
                self.send_response(outer.status)
                if outer.status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *words: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_the_webhook_gets_signed_json(listener):
    tell = to_webhook(f"http://{listener.address}/hook", b"a secret of the receiver")

    assert tell(BEGAN)
    assert tell(OVER)

    (headers, body), (_, over) = listener.got
    mac = hmac.new(b"a secret of the receiver", body, hashlib.sha256).hexdigest()
    assert headers["X-Bridge-Signature"] == f"v1={mac}"
    assert json.loads(body) == {
        "event": "incident.began", "environment": "production", "key": "lag:", "code": "LAG",
        "sentence": "It is late.", "who": "administrator", "since": "2026-11-20T18:00:00+00:00", "endedAt": None,
    }  # fmt: skip
    assert json.loads(over)["event"] == "incident.over"


@pytest.mark.parametrize("status", [302, 404, 500])
def test_only_a_2xx_means_that_it_was_told(listener, status):
    listener.status = status

    assert not to_webhook(f"http://{listener.address}/hook", b"")(BEGAN)
    assert len(listener.got) == 1, "a redirect is not followed"


def test_a_webhook_that_is_away_is_no_crash(listener):
    listener.server.shutdown()
    listener.server.server_close()

    assert not to_webhook(f"http://{listener.address}/hook", b"")(BEGAN)


def test_apprise_carries_title_and_sentence(listener):
    tell = through_apprise([f"json://{listener.address}/alerts"])

    assert tell(BEGAN)
    assert tell(OVER)

    said = [json.loads(body) for _, body in listener.got]
    assert [(it["title"], it["message"], it["type"]) for it in said] == [
        ("[production] LAG", "It is late.", "warning"),
        ("[production] Over: LAG", "It is late.", "success"),
    ]


def test_an_address_that_apprise_does_not_know_is_refused_without_repeating_it():
    with pytest.raises(ValueError, match="number 2 of BRIDGE_ALERT_URLS") as caught:
        through_apprise(["json://localhost", "nothing://user:password@host"])

    assert "password" not in str(caught.value)


def test_the_log_always_takes_it(caplog):
    assert to_log(BEGAN)

    assert caplog.messages == ["[production] LAG: It is late."]
