"""Plain values come back exactly as they were; a hash says the same for what means the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.ledger import plain
from bridge.ports import Ref

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(["$d", "$t", "$y", "$r", "$o"])
refs = st.builds(Ref, names, st.none() | names, st.none() | names, st.none() | names)
zones = st.sampled_from([UTC, timezone(timedelta(hours=-8)), timezone(timedelta(hours=5, minutes=30))])
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | names
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.dates()
    | st.datetimes(timezones=zones).map(lambda it: it.replace(fold=0))
    | refs
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)
quick = settings(deadline=None, max_examples=80)


@quick
@given(values)
def test_what_is_stored_comes_back_exactly(value):
    """Also the number of decimals, the zone, and a dict that looks like one of our own tags."""
    back = plain.loads(plain.dumps(value))

    assert back == value
    assert repr(back) == repr(value)


@pytest.mark.parametrize("value", [0.1, {"a": 1.5}, [float("nan")], {"a": [{"b": 2.0}]}])
def test_a_float_is_never_stored(value):
    with pytest.raises(TypeError):
        plain.dumps(value)
    with pytest.raises(TypeError):
        plain.fingerprint(value)


@quick
@given(st.dictionaries(names, scalars, max_size=6), st.randoms())
def test_a_fingerprint_does_not_depend_on_the_order_of_fields(fields, random):
    shuffled = list(fields.items())
    random.shuffle(shuffled)

    assert plain.fingerprint(dict(shuffled)) == plain.fingerprint(fields)


@quick
@given(st.decimals(allow_nan=False, allow_infinity=False, places=2), st.integers(0, 6))
def test_a_fingerprint_does_not_depend_on_trailing_zeros(amount, zeros):
    longer = Decimal(f"{amount}{'0' * zeros}")

    assert plain.fingerprint({"a": amount}) == plain.fingerprint({"a": longer})


@quick
@given(st.decimals(allow_nan=False, allow_infinity=False, places=2), st.integers(1, 9))
def test_a_cent_more_is_another_fingerprint(amount, cents):
    """Also far behind the 28 digits to which Python rounds by itself."""
    more = Decimal(f"{10**30}.0{cents}")

    assert plain.fingerprint(Decimal(f"{10**30}.00")) != plain.fingerprint(more)
    assert plain.fingerprint(amount) != plain.fingerprint(str(amount))


def test_a_callout_and_a_query_of_the_same_record_have_the_same_mark():
    """A callout carries text and numbers as written, a query typed values, neither an order of lines."""
    called = {
        "Name": "Acme", "Amount": 1000, "CloseDate": "2026-11-20", "Seen__c": "2026-11-20T10:00:00.000Z", "Phone": None,
        "Lines": [{"Id": "2", "UnitPrice": Decimal("25.50")}, {"Id": "1", "UnitPrice": 3}],
    }  # fmt: skip
    queried = {
        "Name": "Acme", "Amount": Decimal("1000.00"), "CloseDate": date(2026, 11, 20),
        "Seen__c": datetime(2026, 11, 20, 10, tzinfo=UTC), "Other": "not read",
        "Lines": [{"Id": "1", "UnitPrice": Decimal("3.0")}, {"Id": "2", "UnitPrice": Decimal("25.5")}],
    }  # fmt: skip
    reads = ("Name", "Amount", "CloseDate", "Seen__c", "Phone", "Lines.Id", "Lines.UnitPrice")

    assert plain.source_mark(called, reads) == plain.source_mark(queried, reads)
    assert plain.source_mark({**called, "Name": "Acme 2"}, reads) != plain.source_mark(called, reads)


def test_a_number_of_a_million_digits_costs_nothing():
    assert plain.source_mark({"Amount": Decimal("1e9999999")}, ["Amount"])
