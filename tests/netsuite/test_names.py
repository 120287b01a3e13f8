"""Names become ids by asking NetSuite once an hour, and an unknown name is a person's to correct."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest

from bridge.errors import Deferred, Misconfigured, Rejected
from bridge.netsuite.transport import Limits
from bridge.ports import Record, Ref, Written
from tests.netsuite.conftest import NOW, Replies, customer, envelope, saved, write_answer

ACCOUNTING = "urn:accounting_2025_2.lists.webservices.netsuite.com"
M = "xmlns='urn:m'"


def choices(*rows: tuple[str, str], pages: int = 1) -> bytes:
    """An answer to getSelectValue."""
    refs = "".join(
        f'<c:baseRef xsi:type="c:RecordRef" internalId="{id_}"><c:name>{name}</c:name></c:baseRef>'
        for id_, name in rows
    )
    return envelope(
        f"<getSelectValueResponse {M}><c:getSelectValueResult><c:status isSuccess='true'/><c:totalRecords>{len(rows)}"
        f"</c:totalRecords><c:totalPages>{pages}</c:totalPages><c:baseRefList>{refs}</c:baseRefList>"
        "</c:getSelectValueResult></getSelectValueResponse>"
    )


def currencies(*rows: tuple[str, str, str]) -> bytes:
    """An answer to getAll(currency)."""
    records = "".join(
        f'<c:record internalId="{id_}" xsi:type="a:Currency" xmlns:a="{ACCOUNTING}">'
        f"<a:name>{name}</a:name><a:symbol>{symbol}</a:symbol><a:isInactive>false</a:isInactive></c:record>"
        for id_, name, symbol in rows
    )
    return envelope(
        f"<getAllResponse {M}><c:getAllResult><c:status isSuccess='true'/><c:recordList>{records}</c:recordList>"
        "</c:getAllResult></getAllResponse>"
    )


OK = write_answer(saved("1", "sf-cus-1"))
THROTTLE = envelope(
    "<s:Fault><faultstring>Blocked.</faultstring><detail><f:exceededConcurrentRequestLimitFault xmlns:f='urn:f'>"
    "<f:code>WS_REQUEST_BLOCKED</f:code></f:exceededConcurrentRequestLimitFault></detail></s:Fault>"
)


def test_a_name_is_asked_for_once_and_kept_for_an_hour(connect):
    now = [NOW]
    replies = Replies(choices(("2", "Net 30")), OK, OK, choices(("3", "Net 30")), OK)
    netsuite = connect(replies, clock=lambda: now[0])
    record = customer("sf-cus-1", terms=Ref("term", name="net 30"))

    netsuite.upsert([record])
    now[0] += timedelta(minutes=59)
    netsuite.upsert([record])
    now[0] += timedelta(minutes=2)
    netsuite.upsert([record])

    asked = ["getSelectValue" if b"getSelectValue" in one else "upsert" for one in replies.requests]
    assert asked == ["getSelectValue", "upsert", "upsert", "getSelectValue", "upsert"]
    assert b'terms internalId="2"' in re.sub(rb"ns\d+:| xmlns:\w+=\"[^\"]*\"", b"", replies.requests[1])
    assert b'terms internalId="3"' in re.sub(rb"ns\d+:| xmlns:\w+=\"[^\"]*\"", b"", replies.requests[4])


def test_the_question_names_the_record_the_list_and_the_field(connect):
    replies = Replies(choices(("7", "Wire Fee")), OK)
    order = Record(Ref("salesOrder", external_id="sf-cus-1"), {"itemList": [{"item": Ref("item", name="Wire Fee")}]})

    connect(replies).upsert([order])

    question = re.sub(rb"ns\d+:| xmlns:\w+=\"[^\"]*\"", b"", replies.requests[0])
    for part in (
        b"<recordType>salesOrder</recordType>", b"<sublist>itemList</sublist>", b"<field>item</field>",
        b'<filter operator="contains"><filterValue>Wire Fee</filterValue></filter>', b"<pageIndex>1</pageIndex>",
    ):  # fmt: skip
        assert part in question


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([("1", "Parent : US"), ("2", "US Holding")], "1"),
        ([("1", "Parent : US"), ("2", "US")], "2"),
        ([("2", "us")], "2"),
    ],
)
def test_the_full_name_wins_over_the_last_part_of_a_nested_one(connect, rows, found):
    replies = Replies(choices(*rows), OK)

    connect(replies).upsert([customer("sf-cus-1", subsidiary=Ref("subsidiary", name="US"))])

    assert f'internalId="{found}"'.encode() in replies.requests[1]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([], "TERM_UNKNOWN"),
        ([("1", "Net 300")], "TERM_UNKNOWN"),
        ([("1", "A : Net 30"), ("2", "B : Net 30")], "TERM_AMBIGUOUS"),
    ],
)
def test_a_name_without_one_answer_is_accountings_to_correct(connect, rows, code):
    replies = Replies(choices(*rows), OK)

    [result] = connect(replies).upsert([customer("sf-cus-1", terms=Ref("term", name="Net 30"))])

    assert isinstance(result, Rejected)
    assert (result.code, result.who, result.field) == (code, "accounting", "terms")
    assert "Net 30" in result.message
    assert len(replies.requests) == 1


def test_an_unknown_name_is_asked_for_once_in_a_batch_and_again_later(connect):
    now = [NOW]
    replies = Replies(choices(), choices(("2", "Net 30")), OK)
    netsuite = connect(replies, clock=lambda: now[0])
    record = customer("sf-cus-1", terms=Ref("term", name="Net 30"))

    first = netsuite.upsert([record] * 50)
    now[0] += timedelta(seconds=11)
    [second] = netsuite.upsert([record])

    assert {type(one) for one in first} == {Rejected}
    assert isinstance(second, Written)
    assert len(replies.requests) == 3


@pytest.mark.parametrize("name", ["USD", "usd", "US Dollar"])
def test_a_currency_is_found_by_symbol_or_name(connect, name):
    replies = Replies(currencies(("1", "US Dollar", "USD"), ("2", "Euro", "EUR")), OK)

    connect(replies).upsert([customer("sf-cus-1", currency=Ref("currency", name=name))])

    assert b'internalId="1"' in replies.requests[1]


def test_an_unknown_currency_is_not_asked_for_at_every_save(connect):
    now = [NOW]
    replies = Replies(currencies(("1", "US Dollar", "USD")), currencies(("2", "Euro", "EUR")), OK)
    netsuite = connect(replies, clock=lambda: now[0])
    record = customer("sf-cus-1", currency=Ref("currency", name="EUR"))

    results = [netsuite.upsert([record])[0] for _ in range(3)]
    now[0] += timedelta(minutes=2)
    last = netsuite.upsert([record])[0]

    assert {type(one).__name__ for one in results} == {"Rejected"}
    assert results[0].code == "CURRENCY_UNKNOWN"
    assert isinstance(last, Written)
    assert len(replies.requests) == 3


def test_a_name_that_cannot_be_looked_up_now_is_deferred(connect, slots):
    [result] = connect(Replies(THROTTLE, status=500)).upsert([customer("sf-cus-1", terms=Ref("term", name="Net 30"))])

    assert isinstance(result, Deferred)
    assert result.throttled
    assert slots.throttles == 1


def test_one_record_with_an_unknown_name_does_not_hold_up_the_others(connect):
    replies = Replies(choices(), write_answer(saved("2", "sf-cus-2")))
    records = [customer("sf-cus-1", terms=Ref("term", name="Net 30")), customer("sf-cus-2")]

    first, second = connect(replies).upsert(records)

    assert isinstance(first, Rejected)
    assert second == Written(Ref("customer", id="2", external_id="sf-cus-2"))


def test_a_custom_record_type_that_is_not_there_pauses_its_sync(connect):
    nothing = envelope(
        f"<getCustomizationIdResponse {M}><c:getCustomizationIdResult><c:status isSuccess='true'/>"
        "</c:getCustomizationIdResult></getCustomizationIdResponse>"
    )

    [result] = connect(Replies(nothing)).upsert([Record(Ref("customrecord_x", external_id="sf-bc-1"), {})])

    assert isinstance(result, Misconfigured)
    assert result.code == "CUSTOM_RECORD_TYPE_UNKNOWN"


class Slow(Replies):
    """Takes its time over every answer."""

    def send(self, request, **values):
        time.sleep(0.06)
        return super().send(request, **values)


def test_a_write_is_put_off_when_its_names_took_long(connect):
    """The right to write a record is good for one call: somebody else may have it by then."""
    replies = Slow(choices(("2", "Net 30")), write_answer(saved("1", "sf-cus-1")))
    netsuite = connect(replies, limits=Limits(single_s=5, list_s=5, names_s=0.05))
    record = customer("sf-cus-1", terms=Ref("term", name="Net 30"))

    (first,) = netsuite.upsert([record])
    (second,) = netsuite.upsert([record])

    assert isinstance(first, Deferred)
    assert (first.code, first.throttled) == ("NAMES_FIRST", True), "it costs no try"
    assert second == Written(Ref("customer", id="1", external_id="sf-cus-1"))
    assert len(replies.requests) == 2
