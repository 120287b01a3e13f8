"""Which line is which in NetSuite, and whether what is found there is what was sent."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from bridge.comparing import agrees
from bridge.mapping import LINE_ID
from bridge.ports import Record, Ref
from bridge.sending import keyed, without_line_ids

ORDER = Ref("salesOrder", external_id="sf-so-006")


def order(*ids):
    return Record(ORDER, {"itemList": [{LINE_ID: it, "amount": Decimal(1)} for it in ids]})


def found(*keys):
    return Record(Ref("salesOrder", id="1"), {"itemList": [{"line": it} for it in keys]})


@pytest.mark.parametrize(
    ("ours", "theirs", "known", "pairs"),
    [
        (["a", "b"], [1, 2], {}, {"a": 1, "b": 2}),
        (["a", "b"], [2, 1], {"a": 1, "b": 2}, {"a": 1, "b": 2}),  # NetSuite shows them in another order
        (["b", "c"], [2, 3], {"a": 1, "b": 2}, {"b": 2, "c": 3}),  # one removed, one added
        (["c", "a"], [1, 3], {"a": 1, "b": 2}, {"c": 3, "a": 1}),  # the new one comes first with us, last there
        (["a", "b"], [7, 8], {"a": 1, "b": 2}, {"a": 7, "b": 8}),  # all were made anew
        (["a", "b"], [1], {"a": 1}, {"a": 1}),  # one is missing there
        ([], [1], {"a": 1}, {}),
    ],
)
def test_a_line_keeps_its_key_and_a_new_one_gets_a_free_one(ours, theirs, known, pairs):
    assert keyed(order(*ours), found(*theirs), known) == pairs


def test_what_is_sent_carries_netsuites_keys_and_not_ours():
    ready = without_line_ids(order("a", "b"), {"a": 4})

    assert ready.fields["itemList"] == [{"line": 4, "amount": Decimal(1)}, {"amount": Decimal(1)}]


@pytest.mark.parametrize(
    ("sent", "there"),
    [
        ("Acme", "Acme"),
        (None, None),
        ("", None),
        (True, True),
        (Decimal("10.50"), Decimal("10.5")),
        (date(2026, 11, 20), datetime(2026, 11, 20, 8, tzinfo=UTC)),
        (date(2026, 11, 20), date(2026, 11, 20)),
        (Ref("customer", id="7"), Ref("customer", id="7", name="Acme")),
        (Ref("currency", name="usd"), Ref("currency", id="1", name="USD")),
        (Ref("customer", external_id="sf-CUS-1"), Ref("customer", external_id="sf-cus-1")),
        ([{LINE_ID: "a", "amount": Decimal(1), "rate": Decimal(1)}], [{"amount": Decimal("1.0"), "rate": "1"}]),
    ],
)
def test_what_is_there_already_is_not_sent_again(sent, there):
    assert agrees(Record(ORDER, {"f": sent}), Record(ORDER, {"f": there, "other": 1}))


@pytest.mark.parametrize(
    ("sent", "there"),
    [
        ("Acme", "Acme 2"),
        ("Acme", None),
        (None, "Acme"),
        (True, False),
        (False, None),
        (Decimal("10.50"), Decimal("10.51")),
        (Decimal(1), True),
        (Decimal(1), "1"),
        (date(2026, 11, 20), datetime(2026, 11, 20, 7, 59, tzinfo=UTC)),
        (Ref("customer", id="7"), Ref("customer", id="8", name="Acme")),
        (Ref("customer", external_id="sf-cus-1"), Ref("customer", id="7")),
        (Ref("customer", id="7"), "7"),
        ([{"amount": Decimal(1)}], []),
        ([{"amount": Decimal(1)}], [{"amount": Decimal(2)}]),
        ([{"amount": Decimal(1)}], None),
    ],
)
def test_what_differs_or_cannot_be_compared_is_sent_again(sent, there):
    assert not agrees(Record(ORDER, {"f": sent}), Record(ORDER, {"f": there}))
