"""Logs: fields that machines find, lines that people read, and no secret in either."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest

from bridge import logs

SECRET = "canary-token-secret"


def line(form: str, message: str, *args: object, error: BaseException | None = None, **about: object) -> str:
    record = logging.LogRecord("bridge.events", logging.INFO, __file__, 1, message, args, None)
    if error is not None:
        record.exc_info = (type(error), error, error.__traceback__)
    for name, value in about.items():
        setattr(record, name, value)
    formatter = logs.Json(secrets=[SECRET]) if form == "json" else logs.Starred(logs.TEXT, [SECRET])
    return formatter.format(record)


def test_json_has_the_fields_that_lead_from_the_click_to_netsuite():
    about = {"correlation": "c1", "sync": "customer", "source_id": "001", "target": "customer/5", "code": None}

    said = json.loads(line("json", "%s", "delivered", **about, payload="never"))

    assert said.pop("at").endswith("+00:00")
    assert said == {
        "level": "info", "logger": "bridge.events", "message": "delivered",
        "correlation": "c1", "sync": "customer", "source_id": "001", "target": "customer/5",
    }  # fmt: skip


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_secret_is_never_written(form):
    try:
        raise ValueError(f"wrong token {SECRET}")
    except ValueError as error:
        text = line(form, "failed with %s", SECRET, error=error)

    assert SECRET not in text
    assert "***" in text


@pytest.mark.parametrize("form", ["json", "text"])
def test_what_somebody_typed_cannot_begin_a_line_of_its_own(form):
    text = line(form, "name %s", "Acme\n2026-11-20 ERROR forged")

    assert "\n" not in text


def test_a_traceback_has_its_lines_and_what_somebody_typed_still_has_one():
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        record = logging.LogRecord("bridge", logging.ERROR, "", 1, "name %s", ("Acme\nforged",), sys.exc_info())

    lines = logs.Starred(logs.TEXT).format(record).splitlines()

    assert lines[0].endswith("name Acme\\nforged")
    assert lines[1] == "Traceback (most recent call last):"


def test_text_tells_what_it_is_about():
    said = line("text", "delivered", correlation="c1", sync="customer")

    assert said.endswith("delivered correlation=c1 sync=customer")


def test_a_line_that_cannot_be_written_tells_nothing_of_what_was_being_handled(monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    closed, terminal = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", closed)
    logs.start("info", "text", [])
    closed.close()
    monkeypatch.setattr(sys, "stderr", terminal)

    try:
        raise ConnectionError(f"no answer from https://alerts.example.com/{SECRET}")
    except ConnectionError:
        root.warning("an alert reached nobody")

    assert SECRET not in terminal.getvalue()
