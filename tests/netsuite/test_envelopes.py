"""A damaged, foreign or mismatched answer is never taken for a confirmation or a refusal."""

from __future__ import annotations

import gzip
import zlib

import pytest

from bridge.errors import Deferred, Misconfigured, Rejected, Uncertain
from bridge.ports import Record, Ref, Written
from tests.netsuite.conftest import Replies, customer, envelope, refused, saved, write_answer

SAVED = write_answer(saved("973", "sf-cus-1"))
REFUSED = write_answer(refused("DUP_ENTITY"))
RECORD = customer("sf-cus-1")


def settle(connect, body, **options):
    return connect(Replies(body, **options)).upsert([RECORD])[0]


@pytest.mark.parametrize("whole", [SAVED, REFUSED])
def test_an_answer_cut_at_any_byte_leaves_the_write_uncertain(connect, whole):
    for length in range(len(whole)):
        result = settle(connect, whole[:length])

        assert isinstance(result, Uncertain), length


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_an_answer_to_a_list_cut_at_any_byte_settles_none_of_its_records(connect, packed):
    """Not even those whose own part has arrived whole."""
    members = (saved("973", "sf-cus-1"), refused("DUP_ENTITY"), saved("974", "sf-cus-3"))
    plain = write_answer(*members, operation="upsertList")
    whole = gzip.compress(plain) if packed else plain
    replies = Replies(whole, **({"Content_Encoding": "gzip"} if packed else {}))
    netsuite, records = connect(replies), [customer(f"sf-cus-{n}") for n in (1, 2, 3)]

    assert [type(it) for it in netsuite.upsert(records)] == [Written, Rejected, Written]
    for length in range(len(whole)):
        replies.bodies[0] = whole[:length]

        assert {type(it) for it in netsuite.upsert(records)} == {Uncertain}, length


def test_a_compressed_answer_cut_at_any_byte_leaves_the_write_uncertain(connect):
    packed = gzip.compress(SAVED)

    for length in range(len(packed)):  # the last eight bytes are the trailer
        assert isinstance(settle(connect, packed[:length], Content_Encoding="gzip"), Uncertain), length
    assert isinstance(settle(connect, packed, Content_Encoding="gzip"), Written)


def test_a_compressed_answer_with_any_byte_flipped_is_uncertain_or_the_very_same(connect):
    packed = gzip.compress(SAVED)
    whole = settle(connect, packed, Content_Encoding="gzip")

    for position in range(len(packed)):
        damaged = bytearray(packed)
        damaged[position] ^= 0x11
        result = settle(connect, bytes(damaged), Content_Encoding="gzip")

        assert isinstance(result, Uncertain) or result == whole, position


def test_a_flipped_byte_never_turns_a_confirmation_into_a_refusal(connect):
    for position in range(len(SAVED)):
        for mask in (0x01, 0x20, 0x80):
            damaged = bytearray(SAVED)
            damaged[position] ^= mask

            assert isinstance(settle(connect, bytes(damaged)), Written | Uncertain | Misconfigured), position


def test_a_flipped_byte_never_turns_a_refusal_into_a_confirmation(connect):
    for position in range(len(REFUSED)):
        for mask in (0x01, 0x20, 0x80):
            damaged = bytearray(REFUSED)
            damaged[position] ^= mask

            assert not isinstance(settle(connect, bytes(damaged)), Written), position


@pytest.mark.parametrize(
    ("body", "options"),
    [
        (b"", {}),
        (b"\x00" * 50, {}),
        (b"OK", {"Content_Type": "text/plain"}),
        (SAVED, {"Content_Type": "application/json"}),
        (SAVED, {"Content_Encoding": "br"}),
        (SAVED, {"Content_Encoding": "gzip"}),
        (gzip.compress(SAVED) + b"more", {"Content_Encoding": "gzip"}),
        (zlib.compress(SAVED), {"Content_Encoding": "gzip"}),
        (SAVED + b"<more/>", {}),
        (SAVED + SAVED, {}),
        (SAVED.replace(b"973", b"97\xff"), {}),
        (SAVED.replace(b"upsertResponse", b"getResponse"), {}),
        (SAVED.replace(b"soap/envelope/", b"soap/other/"), {}),
        (SAVED.replace(b'isSuccess="true"', b""), {}),
        (SAVED.replace(b'isSuccess="true"', b'isSuccess="yes"'), {}),
        (SAVED.replace(b'internalId="973"', b""), {}),
        (SAVED.replace(b'internalId="973"', b'internalId=""'), {}),
        (SAVED.replace(b"sf-cus-1", b"sf-cus-2"), {}),
        (SAVED.replace(b"<s:Envelope", b"<!DOCTYPE x><s:Envelope"), {}),
        (SAVED.replace(b"<s:Envelope", b'<!DOCTYPE x [<!ENTITY a "b">]><s:Envelope').replace(b"973", b"&a;"), {}),
        (envelope(""), {}),
        (write_answer(), {}),
        (write_answer(saved("1", "sf-cus-1"), saved("2", "sf-cus-1")), {}),
        (SAVED, {"status": 500}),
        (SAVED, {"status": 204}),
    ],
)
def test_what_is_not_the_answer_leaves_the_write_uncertain(connect, body, options):
    assert isinstance(settle(connect, body, **options), Uncertain)


XHTML = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body>Maintenance</body></html>'


@pytest.mark.parametrize(
    ("body", "options"),
    [
        (b"<html><body>Maintenance<br></body></html>", {"Content_Type": "text/html", "status": 503}),
        (b"<html><body>Sign in</body></html>", {"Content_Type": "text/html"}),
        (XHTML, {"Content_Type": "text/html"}),
        (XHTML, {"Content_Type": "text/xml"}),
        (XHTML, {"Content_Type": "text/xml", "status": 503}),
        (b"", {"status": 302, "Location": "http://127.0.0.1:9/"}),
    ],
)
def test_a_page_instead_of_soap_pauses_the_sync(connect, body, options):
    assert isinstance(settle(connect, body, **options), Misconfigured)


def test_a_bomb_is_stopped_and_the_write_is_uncertain(connect):
    bomb = gzip.compress(b"<a>" + b" " * 50_000_000)

    result = settle(connect, bomb, Content_Encoding="gzip")

    assert isinstance(result, Uncertain)
    assert result.code == "ANSWER_TOO_LARGE"


def test_external_ids_are_compared_without_case(connect):
    assert isinstance(settle(connect, write_answer(saved("973", "SF-CUS-1"))), Written)


def test_each_member_of_a_list_is_settled_on_its_own(connect):
    records = [customer(f"sf-cus-{n}") for n in range(1, 5)]
    answer = write_answer(
        saved("1", "sf-cus-1"),
        refused("USER_ERROR", "Please enter value(s) for: Subsidiary"),
        refused("UNEXPECTED_ERROR"),
        saved("4", "sf-cus-4"),
        operation="upsertList",
    )

    results = connect(Replies(answer)).upsert(records)

    assert [type(one) for one in results] == [Written, Rejected, Uncertain, Written]
    assert results[3] == Written(Ref("customer", id="4", external_id="sf-cus-4"))


@pytest.mark.parametrize(
    "members",
    [
        (saved("1", "sf-cus-1"),),
        (saved("1", "sf-cus-1"), saved("2", "sf-cus-2"), saved("3", "sf-cus-3")),
        (saved("2", "sf-cus-2"), saved("1", "sf-cus-1")),
        (saved("1", "sf-cus-1"), refused("DUP_ENTITY") + '<baseRef externalId="sf-cus-9"/>'),
    ],
)
def test_answers_that_do_not_match_the_requests_leave_all_uncertain(connect, members):
    records = [customer("sf-cus-1"), customer("sf-cus-2")]

    results = connect(Replies(write_answer(*members, operation="upsertList"))).upsert(records)

    assert [type(one) for one in results] == [Uncertain, Uncertain]


def test_a_throttled_member_slows_everyone_down(connect, slots):
    answer = write_answer(saved("1", "sf-cus-1"), refused("SSS_REQUEST_LIMIT_EXCEEDED"), operation="upsertList")

    results = connect(Replies(answer)).upsert([customer("sf-cus-1"), customer("sf-cus-2")])

    assert isinstance(results[1], Deferred)
    assert results[1].throttled
    assert slots.throttles == 1


def test_a_custom_record_is_settled_by_its_external_id_alone(connect):
    answer = write_answer(
        '<c:status isSuccess="true"/>'
        '<baseRef xsi:type="c:CustomRecordRef" internalId="5" externalId="sf-bc-1" typeId="139"/>'
    )
    types = envelope(
        "<getCustomizationIdResponse xmlns='urn:m'><c:getCustomizationIdResult><c:status isSuccess='true'/>"
        "<c:customizationRefList><c:customizationRef internalId='139' scriptId='CUSTOMRECORD_BC'/>"
        "</c:customizationRefList></c:getCustomizationIdResult></getCustomizationIdResponse>"
    )

    [result] = connect(Replies(types, answer)).upsert([Record(Ref("customrecord_bc", external_id="sf-bc-1"), {})])

    assert result == Written(Ref("customrecord_bc", id="5", external_id="sf-bc-1"))
