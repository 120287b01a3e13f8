"""A callout is accepted in one shape, and whatever else arrives is refused with one sentence."""

import contextlib
import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.web.wire import Answer, ErrorShown, NetSuiteRecord, Refused, Result, encode, encode_refusal, parse

Body = Callable[..., bytes]
GOOD: dict[str, Any] = {
    "Id": "001000000000001AAA",
    "SystemModstamp": "2026-11-20T11:59:59.000Z",
    "Bridge_Version__c": 7,
    "Name": "Acme",
}
reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def refused(body: bytes, word: str = "Account") -> Refused:
    with pytest.raises(Refused) as caught:
        parse(word, body)
    assert caught.value.sentence.endswith(".")
    return caught.value


def test_a_save_becomes_plain_values(callout: Body) -> None:
    call = parse("Account", callout(records=[{**GOOD, "Amount": 10.10, "Phone": None, "Taxable__c": True}]))

    (one,) = call.received
    assert (one.kind, one.id, one.version, one.user) == ("Account", "001000000000001AAA", 7, "005000000000001AAA")
    assert one.modified_at == datetime(2026, 11, 20, 11, 59, 59, tzinfo=UTC)
    assert one.fields == {"Name": "Acme", "Amount": Decimal("10.1"), "Phone": None, "Taxable__c": True}
    assert call.sent_at == datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_an_amount_keeps_its_cents(callout: Body) -> None:
    body = callout(records=[{**GOOD, "Amount": 12345}]).replace(b"12345", b"90071992547409.93")

    (one,) = parse("Account", body).received

    assert one.fields["Amount"] == Decimal("90071992547409.93")


def test_an_application_is_the_opportunity_object_with_its_lines(callout: Body) -> None:
    record = {**GOOD, "Id": "006000000000001AAA", "Lines": [{"Id": "00k000000000001", "UnitPrice": 5}]}

    (one,) = parse("Application", callout(records=[record])).received

    assert one.kind == "Opportunity"
    assert one.fields["Lines"] == [{"Id": "00k000000000001AAA", "UnitPrice": Decimal(5)}]


def test_an_id_of_15_characters_becomes_one_of_18(callout: Body) -> None:
    (one,) = parse("Account", callout(records=[{**GOOD, "Id": "001D000000IqhSL"}])).received

    assert one.id == "001D000000IqhSLIAZ"


def test_a_deletion_comes_after_every_save(callout: Body) -> None:
    gone = {"Id": "001000000000002AAA", "MasterRecordId": "001000000000001AAA"}

    saved, deleted = parse("Account", callout(deleted=[gone])).received

    assert deleted.deleted
    assert deleted.merged_into == "001000000000001AAA"
    assert deleted.version > saved.version


def test_the_same_bytes_have_the_same_hash(callout: Body) -> None:
    assert parse("Account", callout()).body_hash == parse("Account", callout()).body_hash
    assert parse("Account", callout()).body_hash != parse("Account", callout() + b" ").body_hash


@pytest.mark.parametrize("word", ["Opportunity", "account", "Lead", ""])
def test_another_address_does_not_exist(callout: Body, word: str) -> None:
    assert refused(callout(), word).status == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ...},
        {"id": "17"},
        {"id": 17},
        {"sentAt": "2026-11-20T12:00:00"},
        {"sentAt": "2026-11-20"},
        {"sentAt": "2026-13-20T12:00:00Z"},
        {"sentAt": "0001-01-01T00:00:00+12:00"},
        {"sentAt": 1},
        {"org": "001000000000001AAA"},
        {"org": "00D000000000001AAB"},
        {"org": None},
        {"user": ...},
        {"records": {}},
        {"records": []},
        {"records": ...},
        {"records": [1]},
        {"records": [GOOD, GOOD]},
        {"records": [GOOD, {**GOOD, "Id": "001000000000001"}]},
        {"records": [{**GOOD, "Id": "003000000000001AAA"}]},
        {"records": [{**GOOD, "Id": "00100000000000é"}]},
        {"records": [{**GOOD, "SystemModstamp": None}]},
        {"records": [{**GOOD, "SystemModstamp": "\u0662026-11-20T12:00:00Z"}]},
        {"records": [{**GOOD, "Bridge_Version__c": -1}]},
        {"records": [{**GOOD, "Bridge_Version__c": 1.5}]},
        {"records": [{**GOOD, "Bridge_Version__c": "7"}]},
        {"records": [{**GOOD, "Bridge_Version__c": True}]},
        {"records": [{**GOOD, "Name": "a\0b"}]},
        {"records": [{**GOOD, "Name": "\ud83d"}]},
        {"records": [{**GOOD, "Name": {"$r": ["customer", "1", None, None]}}]},
        {"records": [{**GOOD, "@deleted": True}]},
        {"records": [{**GOOD, "Lines": []}]},
        {"records": [{**GOOD, "Amount": float("nan")}]},
        {"records": [{**GOOD, "Amount": float("inf")}]},
        {"records": [{**GOOD, "Amount": 10**40}]},
        {"deleted": [{"Id": "001000000000002AAA", "Name": "x"}]},
        {"deleted": [{"Id": "001000000000001AAA"}]},
        {"deleted": [{"Id": "001000000000002AAA", "MasterRecordId": "003000000000001AAA"}]},
        {"more": 1},
    ],
)
def test_another_shape_is_refused(callout: Body, changes: dict[str, Any]) -> None:
    assert refused(callout(**changes)).status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b"{'id': 1}",
        b'{"id": 1, "id": 2}',
        b'{"id": "a", "records": [{"Id": 1, "Id": 2}]}',
        b'{"id": 1e400}',
        b'{"id": 1e99999999999999999999}',
        b'{"id": -1e-400}',
        b'{"id": NaN}',
        b'{"id": ' + b"9" * 100_000 + b"}",
        b'{"records": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"records": ' + b"[" * 21 + b"]" * 21 + b"}",
        b'{"a":' * 500 + b"1" + b"}" * 500,
    ],
)
def test_what_is_not_strict_json_is_refused(body: bytes) -> None:
    assert refused(body).code == "MALFORMED"


def test_a_large_body_is_refused_before_it_is_read() -> None:
    assert refused(b"[" * 2_000_001).status == 413


def test_two_hundred_records_are_the_limit(callout: Body) -> None:
    records = [{**GOOD, "Id": f"001{number:012}"} for number in range(201)]

    assert len(parse("Account", callout(records=records[:200])).received) == 200
    assert refused(callout(records=records)).code == "TOO_MANY_RECORDS"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(body=st.binary(max_size=300) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_body_does_anything_but_be_refused(body: bytes) -> None:
    refused(body)


@reuse
@given(data=st.data())
def test_no_damage_to_a_good_callout_does_anything_but_be_accepted_or_refused(
    callout: Body, data: st.DataObject
) -> None:
    """One value anywhere in a good callout is replaced, removed or added."""
    top = json.loads(callout(records=[{**copy.deepcopy(GOOD)}], deleted=[{"Id": "001000000000002AAA"}]))
    where = data.draw(st.sampled_from([top, top["records"][0], top["deleted"][0]]))
    name = data.draw(st.sampled_from([*where, "Extra__c"]) | st.text(max_size=10))
    where[name] = data.draw(VALUES)

    try:
        call = parse("Account", json.dumps(top).encode())
    except Refused:
        return

    assert all(len(one.id) == 18 and one.modified_at.tzinfo is UTC for one in call.received)


@reuse
@given(places=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_no_damaged_byte_does_anything_but_be_accepted_or_refused(callout: Body, places: list[tuple[int, int]]) -> None:
    body = bytearray(callout())
    for place, value in places:
        body[place % len(body)] = value

    with contextlib.suppress(Refused):
        parse("Account", bytes(body))


def test_an_answer_leaves_out_what_is_not_known() -> None:
    answer = Answer(
        "c0ffee",
        (
            Result("006000000000001AAA", "delivered", (NetSuiteRecord("salesOrder", "4711", "SO1001"),)),
            Result("006000000000002AAA", "rejected", error=ErrorShown("ITEM_UNKNOWN", "Fee 'Wire' …", "accounting")),
        ),
    )

    assert answer.status == 200
    assert json.loads(encode(answer)) == {
        "correlation": "c0ffee",
        "results": [
            {
                "id": "006000000000001AAA",
                "state": "delivered",
                "netsuite": [{"record": "salesOrder", "id": "4711", "number": "SO1001"}],
            },
            {
                "id": "006000000000002AAA",
                "state": "rejected",
                "netsuite": [],
                "error": {"code": "ITEM_UNKNOWN", "message": "Fee 'Wire' …", "who": "accounting"},
            },
        ],
    }


def test_an_answer_says_when_a_record_is_on_its_way() -> None:
    assert Answer("c", (Result("a", "delivered"), Result("b", "queued"))).status == 202


def test_a_refusal_is_a_code_and_a_sentence() -> None:
    body = json.loads(encode_refusal("c", Refused(400, "MALFORMED", "The body is not JSON.")))

    assert body["error"] == {"code": "MALFORMED", "message": "The body is not JSON."}
