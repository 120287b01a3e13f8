"""Anchors tell what the chain alone cannot: that an older copy was put back, or all of it written anew."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import delete, select, update

from bridge.ledger import Ledger, anchors, audit
from bridge.ledger.models import audit as rows
from bridge.ledger.models import audit_head
from tests.ledger.test_audit import broken, disarm


def say(ledger: Ledger, count: int = 1) -> None:
    for _ in range(count):
        with ledger.write() as writing:
            writing.say("delivered", "005user", sync="customer", source_id="001", target="customer/1")


def anchored(ledger: Ledger, lines: list[str]) -> list[str]:
    with ledger.read() as connection:
        previous = lines[-1] if lines else None
        lines.append(anchors.line(connection, ledger.audit_key, ledger.now(connection), previous))
    return lines


def checked(ledger: Ledger, lines: list[str]) -> list[str]:
    with ledger.read() as connection:
        return list(anchors.check(connection, ledger.audit_key, lines))


@pytest.fixture
def lines(ledger: Ledger) -> list[str]:
    kept: list[str] = []
    for _ in range(3):
        say(ledger, 2)
        anchored(ledger, kept)
    return kept


def test_a_trail_that_only_grew_agrees(ledger, lines):
    say(ledger, 3)

    assert checked(ledger, lines) == []


def test_an_older_copy_that_was_put_back_is_found(ledger, lines):
    """Its chain holds by itself: only the anchors know that there was more."""
    with ledger.write() as writing:
        disarm(writing.connection)
        writing.connection.execute(delete(rows).where(rows.c.seq > 3))
        last = writing.connection.execute(select(rows.c.hash).where(rows.c.seq == 3)).scalar_one()
        writing.connection.execute(update(audit_head).where(audit_head.c.chain == 0).values(seq=3, hash=last))
    assert broken(ledger) == []

    (sentence,) = checked(ledger, lines)

    assert sentence.startswith("Chain 0 had row 4 at ")
    assert "ends at row 3" in sentence


def test_a_trail_written_anew_with_the_key_is_found(ledger, lines):
    with ledger.write() as writing:
        disarm(writing.connection)
        previous = audit.START
        for row in writing.connection.execute(select(rows).order_by(rows.c.seq)).all():
            values = [getattr(row, name) for name in audit.FIELDS]
            values[1] = "nobody"
            previous = audit.digest(ledger.audit_key, previous, row.at, [row.chain, row.seq, *audit._hashed(values)])
            change = update(rows).where(rows.c.seq == row.seq).values(actor="nobody", hash=previous)
            writing.connection.execute(change)
        writing.connection.execute(update(audit_head).where(audit_head.c.chain == 0).values(hash=previous))
    assert broken(ledger) == []

    (sentence,) = checked(ledger, lines)

    assert sentence.startswith("Chain 0 had row 2 at ")
    assert "written anew" in sentence


def test_lines_that_were_changed_or_removed_are_found(ledger, lines):
    changed = [lines[0].replace('"0":[2', '"0":[1'), *lines[1:]]
    assert changed[0] != lines[0]

    assert checked(ledger, changed) == ["Line 1 of the anchors was changed, or made with another key."]
    assert checked(ledger, [lines[0], lines[2]]) == ["Before line 2 of the anchors a line is missing or changed."]
    assert checked(ledger, lines[1:]) == ["Before line 1 of the anchors a line is missing or changed."]
    assert checked(ledger, ["not a line"]) == ["Line 1 of the anchors cannot be read."]
    assert checked(ledger, [json.dumps({"at": "x"})]) == ["Line 1 of the anchors cannot be read."]
