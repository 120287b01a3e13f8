"""Ids, numbers, dates and quoting: what is written is what is read, digit by digit."""

from __future__ import annotations

import json
import string
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simple_salesforce.format import format_soql

from bridge.errors import Rejected
from bridge.ports import Ref
from bridge.salesforce.values import (
    NotAnId,
    id18,
    instant,
    is_name,
    plain,
    row_bytes,
    scaled,
    soql_instant,
    wire_fields,
    wire_instant,
)
from bridge.sandbox.salesforce_values import id18 as foreign_id18
from bridge.sandbox.soql import parse

IDS = st.text(string.ascii_letters + string.digits, min_size=15, max_size=15)
MONEY = st.decimals(min_value=-(10**16), max_value=10**16, places=2, allow_nan=False, allow_infinity=False)


@given(IDS)
def test_an_id_of_15_characters_becomes_the_same_18_as_elsewhere(text):
    assert id18(text) == foreign_id18(text)
    assert id18(id18(text)) == id18(text)


@given(IDS)
def test_an_18_character_id_survives_any_change_of_case(text):
    full = id18(text)

    assert id18(full.lower()) == full
    assert id18(full.upper()) == full


@given(IDS.filter(lambda it: it.swapcase() != it))
def test_ids_that_differ_only_in_case_are_different_records(text):
    assert id18(text).lower() != id18(text.swapcase()).lower()


@pytest.mark.parametrize(
    "text",
    ["", "001", "001'OR''='", "001000000000000000", "0" * 16, "001Z0000000000ÄÖÜ", "001000000000001AA9", None, 7],
)
def test_what_is_no_id_is_refused(text):
    with pytest.raises(NotAnId):
        id18(text)


@given(MONEY)
def test_money_is_written_and_read_with_every_digit(amount):
    written = row_bytes({"Total__c": amount})

    read = json.loads(written, parse_float=Decimal, parse_int=Decimal)["Total__c"]
    assert read == amount
    assert plain(read, "currency", 2) == amount


@given(st.decimals(min_value=-(10**17), max_value=10**17, allow_nan=False, allow_infinity=False, places=4))
def test_a_number_is_never_written_with_an_exponent(amount):
    assert b"e" not in row_bytes({"": amount}).lower()


def test_a_number_reads_the_same_whichever_way_it_was_printed():
    """REST prints Java doubles, Apex the field's decimals; a sweep must not take that for a change."""
    assert str(plain(Decimal("50000.0"), "currency", 2)) == "50000.00"
    assert str(plain(Decimal("1.0E7"), "currency", 2)) == "10000000.00"
    assert plain(Decimal("7.0"), "double", 0) == 7
    assert isinstance(plain(Decimal("7.0"), "double", 0), int)


def test_no_decimal_is_lost_when_a_field_holds_more_than_it_says():
    assert scaled(Decimal("0.125"), 2) == Decimal("0.125")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**18), max_value=10**18), st.integers(0, 18))
def test_giving_a_number_its_decimals_never_changes_it(value, scale):
    assert scaled(value, scale) == value


def test_a_number_that_would_fill_the_memory_is_refused():
    with pytest.raises(ValueError, match="no field can hold"):
        plain(Decimal("1E999999"), "currency", 2)


@given(
    st.integers(0, 30_000_000_000_000_000).map(lambda it: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=it))
)
def test_a_moment_is_written_in_milliseconds_and_read_back(moment):
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    assert instant(wire_instant(moment)) == moment
    assert instant(wire_instant(moment).replace("Z", "+0000")) == moment


def test_a_moment_of_another_zone_is_written_in_utc():
    pacific = datetime(2026, 11, 20, 4, 0, tzinfo=timezone(timedelta(hours=-8)))

    assert wire_instant(pacific) == "2026-11-20T12:00:00.000Z"
    assert soql_instant(pacific) == "2026-11-20T12:00:00Z"


def test_values_are_typed_by_the_description_of_their_field():
    assert plain("2026-11-20", "date", 0) == date(2026, 11, 20)
    assert plain("2026-11-20T12:00:00.000+0000", "datetime", 0) == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert plain("2026-11-20", "string", 0) == "2026-11-20"
    assert plain("001000000000001", "reference", 0) == "001000000000001AAA"
    assert plain(None, "date", 0) is None
    assert plain(True, "boolean", 0) is True


@given(st.text())
def test_a_quoted_text_is_one_literal_and_keeps_its_value(text):
    query = parse(f"SELECT Id FROM Account WHERE {format_soql('Name = {}', text)}")

    assert query.where.value.kind == "string"
    assert query.where.value.value == text


@pytest.mark.parametrize("name", ["", "Name ", "Name,Id", "A.B", "1a", "Na'me", "Id FROM User--", "Ä", "x" * 81])
def test_only_plain_names_enter_a_query(name):
    assert not is_name(name)


def test_references_become_ids_or_relationships_by_key():
    fields = wire_fields(
        {
            "Application__c": Ref("Opportunity", id="006000000000001"),
            "Order__c": Ref("NetSuite_Order__c", external_id="salesOrder-1"),
            "AccountId": Ref("Account", external_id="x"),
        }
    )

    assert fields == {
        "Application__c": "006000000000001AAA",
        "Order__r": {"NetSuite_Key__c": "salesOrder-1"},
        "Account": {"NetSuite_Key__c": "x"},
    }


@pytest.mark.parametrize(
    "value",
    [0.1, Decimal("NaN"), Decimal("1E30"), datetime(2026, 1, 1), object(), Ref("term", name="Net 30"), 10**20],  # noqa: DTZ001
)
def test_a_value_that_cannot_be_written_is_refused_with_its_field(value):
    with pytest.raises(Rejected) as caught:
        wire_fields({"Total__c": value})

    assert caught.value.field == "Total__c"


def test_text_that_is_no_unicode_is_refused_and_not_damaged():
    with pytest.raises(Rejected):
        row_bytes({"Name": "\ud800"})
