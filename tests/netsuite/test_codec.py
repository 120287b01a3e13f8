"""What we send: valid against NetSuite's own schemas, exact, and never a wipe."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from bridge.errors import Misconfigured, Rejected
from bridge.netsuite import Bindings, codec
from bridge.netsuite.kinds import CUSTOM_RECORD, KINDS, kind_of
from bridge.netsuite.passport import TokenCredentials, passport
from bridge.netsuite.shapes import Holds
from bridge.ports import Record, Ref
from tests.netsuite.conftest import SUBSET

SENT = Bindings.load(SUBSET, "2025_2")
WRITTEN = ("customer", "vendor", "contact", "salesOrder", "purchaseOrder", "vendorBill")

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
numbers = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12)
ids = st.integers(1, 10**9).map(str)
refs = st.one_of(ids.map(lambda id_: Ref("any", id=id_)), ids.map(lambda id_: Ref("any", external_id=f"sf-cus-{id_}")))
dates = st.dates(date(1990, 1, 1), date(2100, 1, 1))
times = st.integers(631152000, 4102444800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
customs = st.one_of(
    texts, st.integers(-(2**40), 2**40), numbers, st.booleans(), dates, times, refs, st.lists(refs, min_size=1)
)


def values_of(field, shapes):
    """Every value the port may carry for one field of the schema."""
    match field.holds:
        case Holds.TEXT:
            return st.one_of(texts, numbers)
        case Holds.DECIMAL:
            return st.one_of(numbers, st.integers(-(10**9), 10**9))
        case Holds.WHOLE:
            return st.integers(0, 2**31 - 1)
        case Holds.FLAG:
            return st.booleans()
        case Holds.TIME:
            return st.one_of(dates, times)
        case Holds.REF:
            return refs
        case Holds.CHOICE:
            return st.sampled_from(sorted(field.choices))
        case Holds.LIST:
            repeated = shapes.shape(field.type).repeated
            if repeated.holds is Holds.REF:
                return st.lists(refs, min_size=1, max_size=3)
            return st.lists(fields_of(shapes.shape(repeated.type), "custcol", shapes), min_size=1, max_size=3)
    return st.nothing()


def fields_of(shape, custom, shapes):
    """Any choice of a type's fields with values, and some custom fields."""
    possible = {name: values_of(field, shapes) for name, field in shape.fields.items()}
    known = st.fixed_dictionaries({}, optional={name: found for name, found in possible.items() if not found.is_empty})
    if "customFieldList" not in shape.fields:
        return known
    more = st.dictionaries(st.sampled_from([f"{custom}_{n}" for n in range(5)]), customs, max_size=3)
    return st.tuples(known, more).map(lambda pair: {**pair[0], **pair[1]})


@st.composite
def records(draw):
    name = draw(st.sampled_from((*WRITTEN, "customrecord_broker_commission")))
    kind = kind_of(name)
    shape = SENT.shape(kind)
    custom = "custrecord" if kind is CUSTOM_RECORD else "custbody"
    fields = draw(fields_of(shape, custom, SENT.shapes))
    plain = [one.name for one in shape.fields.values() if one.holds in (Holds.TEXT, Holds.REF)]
    cleared = draw(st.lists(st.sampled_from(plain), max_size=3))
    fields |= dict.fromkeys(cleared)
    fields.pop("recType", None)
    return Record(Ref(name, external_id=f"sf-x-{draw(ids)}"), fields)


def built(record, bindings=SENT):
    kind = kind_of(record.ref.kind)
    type_id = "139" if kind is CUSTOM_RECORD else None
    return bindings.message("upsert", record=codec.encode(bindings, kind, record, type_id=type_id))


def xml(record):
    return etree.fromstring(etree.tostring(built(record)))


def first(root, name):
    return next(root.iter(f"{{*}}{name}"))


@pytest.mark.full_schemas
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(record=records())
def test_whatever_the_mapping_hands_over_what_is_sent_is_valid(full_schema, record):
    schema = full_schema("2025_2")

    message = etree.fromstring(etree.tostring(built(record)))

    schema.assertValid(message)


@pytest.mark.full_schemas
def test_a_whole_message_with_its_passport_is_valid(full_schema):
    envelope = built(Record(Ref("customer", external_id="sf-cus-1"), {"companyName": "Acme"}))
    header = etree.Element("{http://schemas.xmlsoap.org/soap/envelope/}Header")
    credentials = TokenCredentials("1234567", "a", "b", "c", "d")
    header.append(passport(credentials, timestamp=1, messages=SENT.namespace("messages"), core=SENT.namespace("core")))
    envelope.insert(0, header)

    full_schema("2025_2").assertValid(etree.fromstring(etree.tostring(envelope)))


@settings(max_examples=200, deadline=None)
@given(day=dates)
def test_a_date_is_midnight_pacific_with_the_offset_of_that_very_day(day):
    written = datetime.fromisoformat(codec.day(day))

    assert written.astimezone(codec.PACIFIC).date() == day
    assert (written.hour, written.minute) == (0, 0)
    assert written.utcoffset() in (timedelta(hours=-8), timedelta(hours=-7))


@pytest.mark.parametrize(
    ("day", "written"),
    [
        (date(2026, 3, 8), "2026-03-08T00:00:00-08:00"),  # the clocks go forward at two
        (date(2026, 3, 9), "2026-03-09T00:00:00-07:00"),
        (date(2026, 11, 1), "2026-11-01T00:00:00-07:00"),  # and back at two
        (date(2026, 11, 2), "2026-11-02T00:00:00-08:00"),
    ],
)
def test_midnight_follows_the_clocks_of_california(day, written):
    assert codec.day(day) == written


def test_a_time_is_sent_in_utc_and_whole_seconds():
    assert codec.instant(datetime(2026, 11, 20, 10, 0, 1, 999999, tzinfo=codec.PACIFIC)) == "2026-11-20T18:00:01Z"


def test_numbers_are_written_exactly_and_without_an_exponent():
    root = xml(
        Record(
            Ref("salesOrder", external_id="x"),
            {"exchangeRate": Decimal("1E+3"), "custbody_a": Decimal("1E-7"), "itemList": [{"rate": Decimal("0.10")}]},
        )
    )

    assert first(root, "exchangeRate").text == "1000"
    assert first(root, "value").text == "0.0000001"
    assert first(root, "rate").text == "0.10"


def test_control_characters_are_left_out_and_everything_else_stays():
    root = xml(Record(Ref("customer", external_id="x"), {"companyName": "A\x0bc\x00me <&> \U0001f600 \ufffe\n"}))

    assert first(root, "companyName").text == "Acme <&> \U0001f600 \n"


def test_none_clears_a_field_and_a_missing_one_is_left_alone():
    root = xml(Record(Ref("customer", external_id="x"), {"phone": None, "custentity_a": None}))

    assert [one.text for one in root.iter("{*}name")] == ["phone", "custentity_a"]
    assert next(root.iter("{*}phone"), None) is None
    assert next(root.iter("{*}email"), None) is None


@pytest.mark.parametrize("lines", [[], None, ()])
def test_a_list_without_lines_is_refused_because_it_would_wipe_them(lines):
    with pytest.raises(Rejected) as caught:
        built(Record(Ref("salesOrder", external_id="x"), {"itemList": lines}))

    assert caught.value.code == "EMPTY_LINES"


def test_lines_replace_the_whole_list_and_keep_their_keys():
    root = xml(
        Record(
            Ref("purchaseOrder", external_id="x"),
            {
                "itemList": [
                    {"line": 3, "item": Ref("item", id="7"), "@id": "00k", "custcol_a": "b"},
                    {"amount": Decimal(1)},
                ]
            },
        )
    )

    listed = first(root, "itemList")
    assert listed.get("replaceAll") == "true"
    assert [one.text for one in listed.iter("{*}line")] == ["3"]
    assert len(listed) == 2
    assert listed[0].find("{*}item").get("internalId") == "7"


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        ("a", "String", "a"),
        (7, "Long", "7"),
        (Decimal("7.50"), "Double", "7.50"),
        (True, "Boolean", "true"),
        (date(2026, 7, 1), "Date", "2026-07-01T00:00:00-07:00"),
        (Ref("vendor", id="5"), "Select", None),
        ([Ref("vendor", id="5"), Ref("vendor", external_id="x")], "MultiSelect", None),
    ],
)
def test_a_custom_field_has_the_type_of_its_value(value, type_, text):
    root = xml(Record(Ref("customrecord_x", external_id="x"), {"custrecord_a": value}))

    field = first(root, "customField")
    kind = field.get("{http://www.w3.org/2001/XMLSchema-instance}type").partition(":")[2]
    assert kind == f"{type_}CustomFieldRef"
    assert field.get("scriptId") == "custrecord_a"
    assert field[0].text == text


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        ("customer", {"stage": "customer"}, "CHOICE_UNKNOWN"),
        ("customer", {"companyName": Ref("customer", id="1")}, "VALUE_TYPE"),
        ("customer", {"taxable": "yes"}, "VALUE_TYPE"),
        ("salesOrder", {"exchangeRate": 1.5}, "VALUE_TYPE"),
        ("salesOrder", {"exchangeRate": Decimal("NaN")}, "VALUE_TYPE"),
        ("salesOrder", {"tranDate": datetime(2026, 1, 1)}, "VALUE_TYPE"),  # noqa: DTZ001 - the point of the case
        ("salesOrder", {"itemList": [{"quantity": True}]}, "VALUE_TYPE"),
        ("salesOrder", {"custbody_a": 1.5}, "VALUE_TYPE"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused_before_it_is_sent(kind, fields, code):
    with pytest.raises(Rejected) as caught:
        codec.encode(SENT, KINDS[kind], Record(Ref(kind, external_id="x"), fields))

    assert caught.value.code == code
    assert caught.value.who == "administrator"


@pytest.mark.parametrize("value", ["44", None])
def test_a_field_that_the_bindings_do_not_have_is_for_whoever_changed_them(value):
    with pytest.raises(Misconfigured) as caught:
        codec.encode(SENT, KINDS["customer"], Record(Ref("customer", external_id="x"), {"shoeSize": value}))

    assert (caught.value.code, caught.value.field) == ("FIELD_UNKNOWN", "shoeSize")
