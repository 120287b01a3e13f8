"""Answers come back as exact plain values, record by record, whatever NetSuite has added to them."""

from __future__ import annotations

import resource
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from bridge.errors import Deferred
from bridge.netsuite import Bindings
from bridge.netsuite.envelopes import Page
from bridge.netsuite.reading import Reader, Unreadable
from bridge.ports import Ref
from tests.netsuite.conftest import SUBSET, VERSIONS, Replies, answers_of, envelope, full_set

CORE = "urn:core_2025_2.platform.webservices.netsuite.com"
SALES = "urn:sales_2025_2.transactions.webservices.netsuite.com"
STATM = Path("/proc/self/statm")
SINCE, UNTIL = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)
LINE = (
    '<t:item><t:item internalId="7"><c:name>Fee</c:name></t:item><t:quantity>1.0</t:quantity><t:rate>120.50</t:rate>'
    "<t:amount>0.1</t:amount><t:isTaxable>false</t:isTaxable><t:line>{n}</t:line></t:item>"
)


def order(number: int, extra: str = "", lines: int = 5) -> str:
    """A sales order as it stands in a page."""
    return (
        f'<c:record internalId="{number}" externalId="sf-so-{number}" xsi:type="t:SalesOrder" xmlns:t="{SALES}">'
        '<t:entity internalId="973"><c:name>Acme</c:name></t:entity>'
        "<t:tranDate>2026-11-20T00:00:00.000-08:00</t:tranDate>"
        f"<t:tranId>SO{number}</t:tranId><t:total>120.5</t:total>{extra}"
        "<t:lastModifiedDate>2026-11-20T17:59:01.000-08:00</t:lastModifiedDate><t:status>Pending Fulfillment</t:status>"
        f"<t:itemList>{''.join(LINE.format(n=n + 1) for n in range(lines))}</t:itemList>"
        '<t:customFieldList><c:customField scriptId="custbody_a" xsi:type="c:StringCustomFieldRef"><c:value>x</c:value>'
        "</c:customField></t:customFieldList></c:record>"
    )


def page(*orders: str, total: int | None = None, pages: int = 1, search_id: str = "S1") -> bytes:
    """An answer to a search."""
    count = len(orders) if total is None else total
    return envelope(
        '<searchResponse xmlns="urn:messages_2025_2.platform.webservices.netsuite.com"><c:searchResult>'
        f'<c:status isSuccess="true"/><c:totalRecords>{count}</c:totalRecords><c:pageSize>1000</c:pageSize>'
        f"<c:totalPages>{pages}</c:totalPages><c:pageIndex>1</c:pageIndex><c:searchId>{search_id}</c:searchId>"
        f"<c:recordList>{''.join(orders)}</c:recordList></c:searchResult></searchResponse>"
    )


def resident() -> int:
    """Bytes of memory this process holds."""
    return int(STATM.read_text().split()[1]) * resource.getpagesize()


def read(bindings, body, piece=4096):
    return list(Page((body[n : n + piece] for n in range(0, len(body), piece)), Reader(bindings), "salesOrder"))


def test_values_are_exact_and_typed(bindings):
    [record] = read(bindings, page(order(1, lines=1)))

    assert record.ref == Ref("salesOrder", id="1", external_id="sf-so-1")
    assert record.modified_at == datetime(2026, 11, 21, 1, 59, 1, tzinfo=UTC)
    assert record.fields == {
        "entity": Ref("entity", id="973", name="Acme"),
        "tranDate": datetime(2026, 11, 20, 8, tzinfo=UTC),
        "tranId": "SO1",
        "total": Decimal("120.5"),
        "lastModifiedDate": datetime(2026, 11, 21, 1, 59, 1, tzinfo=UTC),
        "status": "Pending Fulfillment",
        "itemList": [
            {
                "item": Ref("item", id="7", name="Fee"),
                "quantity": Decimal("1.0"),
                "rate": "120.50",
                "amount": Decimal("0.1"),
                "isTaxable": False,
                "line": 1,
            }
        ],
        "custbody_a": "x",
    }


@pytest.mark.parametrize("piece", [1, 7, 64, 10**6])
def test_it_does_not_matter_how_the_bytes_arrive(bindings, piece):
    body = page(order(1), order(2))

    assert read(bindings, body, piece) == read(bindings, body)


@pytest.mark.parametrize(
    ("before", "encoding"),
    [
        ("", "utf-8"),
        ("\ufeff", "utf-8"),
        ('<?xml version="1.0" encoding="UTF-8" standalone="yes"?>', "utf-8"),
        ('\ufeff<?xml version="1.0"?>\n<!-- one --><?other thing?>\n', "utf-8"),
        (" \n", "utf-8"),
        ('<?xml version="1.0" encoding="UTF-16"?>', "utf-16"),
        ('<?xml version="1.0"?><!--' + " long" * 400 + "-->", "utf-8"),
        ("<!--" + " long" * 400 + "-->", "utf-8"),
    ],
)
@pytest.mark.parametrize("piece", [1, 4096])
def test_whatever_stands_before_the_root_element_the_records_are_read(bindings, before, encoding, piece):
    body = page(order(1), order(2))
    plain = body.decode().partition("?>")[2]

    found = read(bindings, (before + plain).encode(encoding), piece)

    assert found == read(bindings, body)


@pytest.mark.parametrize("before", ['<?xml version="1.0"?>', " "])
def test_comments_and_instructions_among_the_records_are_passed_over(bindings, before):
    body = page("<!-- a --><?one thing?>", order(1, "<?two?><!-- b -->"), "<!-- c -->", order(2), "<?three?>", total=2)
    plain = body.decode().partition("?>")[2]

    assert read(bindings, (before + plain).encode(), 64) == read(bindings, page(order(1), order(2)))


def test_a_name_that_was_changed_between_two_pages_is_the_new_one(bindings):
    reader = Reader(bindings)
    first, second = page(order(1)), page(order(1)).replace(b"Acme", b"Acme Holdings")

    names = [record.fields["entity"].name for body in (first, second) for record in Page([body], reader, "salesOrder")]

    assert names == ["Acme", "Acme Holdings"]


def test_references_without_an_id_are_told_apart_by_their_names(bindings):
    named = [order(n, f"<t:location><c:name>Place {n}</c:name></t:location>") for n in (1, 2)]

    assert [it.fields["location"].name for it in read(bindings, page(*named))] == ["Place 1", "Place 2"]


def test_an_internal_and_an_external_id_are_not_taken_for_one_another(bindings):
    ids = [order(n, f'<t:location {name}="5"/>') for n, name in ((1, "internalId"), (2, "externalId"))]

    found = [it.fields["location"] for it in read(bindings, page(*ids))]

    assert found == [Ref("location", id="5"), Ref("location", external_id="5")]


def test_custom_fields_of_every_type_are_flattened(bindings):
    def field(name, kind, value):
        return f'<c:customField scriptId="{name}" xsi:type="c:{kind}CustomFieldRef">{value}</c:customField>'

    fields = (
        field("custbody_s", "Select", '<c:value internalId="5" typeId="9"><c:name>N</c:name></c:value>')
        + field("custbody_m", "MultiSelect", '<c:value internalId="5"/><c:value internalId="6"/>')
        + field("custbody_l", "Long", "<c:value>12</c:value>")
        + field("custbody_d", "Double", "<c:value>0.10</c:value>")
        + field("custbody_b", "Boolean", "<c:value>true</c:value>")
        + field("custbody_t", "Date", "<c:value>2026-11-20T00:00:00.000-08:00</c:value>")
    )
    body = page(
        f'<c:record internalId="1" xsi:type="t:Invoice" xmlns:t="{SALES}">'
        f"<t:customFieldList>{fields}</t:customFieldList></c:record>"
    )

    [record] = read(bindings, body)

    assert record.ref.kind == "invoice"
    assert record.fields == {
        "custbody_s": Ref("custbody_s", id="5", name="N"),
        "custbody_m": [Ref("custbody_m", id="5"), Ref("custbody_m", id="6")],
        "custbody_l": 12,
        "custbody_d": Decimal("0.10"),
        "custbody_b": True,
        "custbody_t": datetime(2026, 11, 20, 8, tzinfo=UTC),
    }


def test_an_element_netsuite_has_added_is_text_and_reported(bindings):
    reader = Reader(bindings)
    added = "<t:moonPhase>full</t:moonPhase><t:tide><t:low>1</t:low><t:high>2</t:high></t:tide>"

    [record] = list(Page([page(order(1, added))], reader, "salesOrder"))

    assert record.fields["moonPhase"] == "full"
    assert record.fields["tide"] == "1 2"
    assert record.fields["tranId"] == "SO1"
    assert reader.unknown == {"SalesOrder.moonPhase", "SalesOrder.tide"}


def test_a_record_of_an_unknown_type_is_read_as_text(bindings):
    [record] = read(
        bindings, page(f'<c:record internalId="1" xsi:type="t:Zeppelin" xmlns:t="{SALES}"><t:a>1</t:a></c:record>')
    )

    assert record.ref.kind == "zeppelin"
    assert record.fields == {"a": "1"}


@pytest.mark.parametrize("value", ["1.2.3", "NaN", "INF", " ", "1e400x"])
def test_a_number_that_is_none_is_not_guessed(bindings, value):
    with pytest.raises(Unreadable):
        read(bindings, page(order(1, f"<t:balance>{value}</t:balance>")))


def test_an_empty_element_is_no_value(bindings):
    [record] = read(bindings, page(order(1, "<t:balance/><t:shipDate/><t:toBePrinted/>")))

    assert [record.fields[name] for name in ("balance", "shipDate", "toBePrinted")] == [None, None, None]


def test_a_page_of_thousands_of_orders_takes_the_memory_of_one(bindings):
    if not STATM.exists():
        pytest.skip("this system does not tell how much memory a process has")
    body = page(*(order(n) for n in range(4000)))
    reader = Reader(bindings)
    pieces = (body[n : n + 65536] for n in range(0, len(body), 65536))
    list(Page([page(order(1))], reader, "salesOrder"))  # the tables are made once

    before = resident()
    peaks = [resident() for record in Page(pieces, reader, "salesOrder") if int(record.ref.id or 0) % 100 == 0]

    assert len(peaks) == 40
    assert max(peaks) - before < 2 * 2**20 < len(body)  # libxml2's memory counts too, unlike with tracemalloc


def test_records_are_handed_on_before_the_page_has_ended(bindings):
    body = page(*(order(n) for n in range(100)))
    sent = []

    def pieces():
        for start in range(0, len(body), 4096):
            sent.append(start)
            yield body[start : start + 4096]

    records = iter(Page(pieces(), Reader(bindings), "salesOrder"))
    next(records)

    assert len(sent) <= 2


def test_a_page_that_breaks_off_is_an_error_after_its_whole_records(bindings):
    body = page(*(order(n) for n in range(50)))
    page_ = Page([body[: len(body) // 2]], Reader(bindings), "salesOrder")

    with pytest.raises(Unreadable):
        list(page_)

    assert 20 < page_.read < 26


@pytest.mark.full_schemas
@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_searches_are_read(connect, version):
    using = Bindings.load(SUBSET if version == "2025_2" else full_set(version), version)
    answers = [
        (answers_of(version) / f"{name}.xml").read_bytes() for name in ("search_so_page1", "searchMoreWithId_so_page2")
    ]
    replies = Replies(*answers)

    found = list(connect(replies, using=using).changed("salesOrder", SINCE, UNTIL))

    assert [one.ref.id for one in found] == ["1", "2", "3"]
    assert found[0].fields["itemList"][0]["lineUniqueKey"] == 9001
    assert all(b"<ns" in sent or b"bodyFieldsOnly>false<" in sent for sent in replies.requests)


CURRENCIES = b"""<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>
<getAllResponse xmlns="urn:messages_2025_2.platform.webservices.netsuite.com">
<core:getAllResult xmlns:core="urn:core_2025_2.platform.webservices.netsuite.com">
<core:status isSuccess="true"/><core:totalRecords>1</core:totalRecords><core:recordList>
<core:record internalId="1" xsi:type="accounting:Currency"
 xmlns:accounting="urn:accounting_2025_2.lists.webservices.netsuite.com">
<accounting:name>US Dollar</accounting:name><accounting:symbol>USD</accounting:symbol></core:record>
</core:recordList></core:getAllResult></getAllResponse></soapenv:Body></soapenv:Envelope>"""


@pytest.mark.full_schemas
def test_a_recorded_payment_tells_what_it_is_applied_to(connect):
    """A record names its currency in the account's words; the bridge asks once what their symbols are."""
    body = (answers_of("2025_2") / "search_customerpayment.xml").read_bytes()

    [payment] = connect(Replies(body, CURRENCIES)).changed("customerPayment", SINCE, UNTIL)

    assert payment.fields["applyList"][0] == {
        "apply": True, "doc": 1929, "line": 0, "type": "Invoice", "refNum": "INV1", "total": Decimal("150.0"),
        "due": Decimal("0.0"), "currency": "USD", "amount": Decimal("150.0"),
    }  # fmt: skip
    assert payment.fields["unapplied"] == Decimal("50.0")


@pytest.mark.full_schemas
def test_recorded_answers_without_records_are_read(connect):
    folder = answers_of("2025_2")

    assert list(connect(Replies((folder / "search_empty.xml").read_bytes())).changed("salesOrder", SINCE, UNTIL)) == []
    [gone] = connect(Replies((folder / "getDeleted.xml").read_bytes())).deleted("salesOrder", SINCE, UNTIL)
    assert gone.ref == Ref("salesOrder", id="50123", external_id="sf-opp-001")
    assert connect(Replies((folder / "getServerTime.xml").read_bytes())).now() == datetime(2026, 11, 21, 2, tzinfo=UTC)


@pytest.mark.full_schemas
def test_a_search_that_netsuite_forgot_is_asked_again_later(connect):
    body = (answers_of("2025_2") / "searchMoreWithId_expired.xml").read_bytes()
    netsuite = connect(Replies(body))

    with pytest.raises(Deferred) as caught:
        list(netsuite.search_page("salesOrder", SINCE, UNTIL, search_id="old", index=2))

    assert caught.value.code == "INVALID_JOB_ID"
