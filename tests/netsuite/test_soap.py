"""The port as the engine sees it: calls of bounded weight, each in a slot, each attempt signed anew."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from lxml import etree

from bridge.errors import Deferred, Misconfigured, Uncertain
from bridge.netsuite import SoapNetSuite, TokenCredentials
from bridge.netsuite.transport import Limits
from bridge.ports import Record, Ref, System, Written
from tests.netsuite.conftest import Replies, customer, envelope, refused, saved, write_answer
from tests.netsuite.test_reading import order, page

SINCE = datetime(2026, 11, 20, 0, 0, 0, 900000, tzinfo=UTC)
UNTIL = datetime(2026, 11, 21, 0, 0, 0, 100000, tzinfo=UTC)
FAULT = (
    "<s:Fault><faultstring>?</faultstring><detail>"
    "<f:{name} xmlns:f='urn:f'><f:code>{code}</f:code></f:{name}></detail></s:Fault>"
)


class Echo(Replies):
    """Confirms every record of every request, with ids in the order they came."""

    def __init__(self) -> None:
        super().__init__(b"")
        self.sizes: list[int] = []

    def send(self, request, **options):
        records = list(etree.fromstring(request.body).iter("{*}record"))
        self.sizes.append(len(records))
        members = [saved(str(n), one.get("externalId"), "any") for n, one in enumerate(records)]
        operation = "upsert" if request.headers["SOAPAction"] == '"upsert"' else "upsertList"
        self.bodies = [write_answer(*members, operation=operation)]
        return super().send(request, **options)


def sales_order(number: int) -> Record:
    lines = [{"item": Ref("item", id="7"), "amount": Decimal(1)}]
    return Record(Ref("salesOrder", external_id=f"sf-so-{number}"), {"itemList": lines})


def plain(request: bytes) -> str:
    """A request without prefixes and namespaces."""
    return re.sub(r"\w+:(?=\w+[ >=/])| xmlns:\w+=\"[^\"]*\"", "", request.decode())


def test_the_adapter_is_a_system(connect):
    netsuite: System = connect(Echo())

    assert netsuite.name == "netsuite"


@pytest.mark.parametrize(
    ("kinds", "sizes"),
    [
        ("c", [1]),
        ("s" * 20, [20]),
        ("s" * 21, [20, 1]),
        ("c" * 120, [50, 50, 20]),
        ("x" * 150, [100, 50]),
        ("s" * 10 + "c" * 25 + "x", [35, 1]),
    ],
)
def test_a_call_carries_no_more_weight_than_netsuite_advises(connect, slots, kinds, sizes):
    made = {
        "c": lambda n: customer(f"sf-cus-{n}"),
        "s": sales_order,
        "x": lambda n: Record(Ref("customrecord_x", external_id=f"sf-bc-{n}"), {}),
    }
    echo = Echo()
    netsuite = connect(echo)
    netsuite._names._types["customrecord_x"] = (datetime.max.replace(tzinfo=UTC), "139")
    records = [made[kind](n) for n, kind in enumerate(kinds)]

    results = netsuite.upsert(records, interactive=True)

    assert echo.sizes == sizes
    assert [one.ref.external_id for one in results] == [one.ref.external_id for one in records]
    assert slots.leased == [True] * len(sizes)
    assert slots.open == 0


def test_every_attempt_has_a_passport_of_its_own(connect):
    echo = Echo()
    netsuite = connect(echo)

    for _ in range(3):
        netsuite.upsert([customer()])

    nonces = {re.search(r"<nonce>(\w+)</nonce>", plain(one))[1] for one in echo.requests}
    assert len(nonces) == 3
    assert all("<timestamp>1795197600</timestamp>" in plain(one) for one in echo.requests)
    assert not any("secret" in plain(one) or "applicationInfo" in plain(one) for one in echo.requests)


def test_after_a_refused_login_nothing_more_is_sent(connect):
    replies = Replies(envelope(FAULT.format(name="invalidCredentialsFault", code="INVALID_LOGIN_CREDENTIALS")))

    results = connect(replies).upsert([sales_order(n) for n in range(60)])

    assert len(replies.requests) == 1
    assert {type(one) for one in results} == {Misconfigured}
    assert len(results) == 60


def test_after_an_uncertain_call_the_others_are_sent(connect):
    first = [sales_order(n) for n in range(20)]
    replies = Replies(b"rubbish", write_answer(saved("1", "sf-so-20", "salesOrder")))

    results = connect(replies).upsert([*first, sales_order(20)])

    assert {type(one) for one in results[:20]} == {Uncertain}
    assert isinstance(results[20], Written)


def test_a_record_without_an_external_id_is_never_sent(connect):
    replies = Replies(b"")

    [result] = connect(replies).upsert([Record(Ref("customer", id="7"), {"companyName": "Acme"})])

    assert isinstance(result, Misconfigured)
    assert replies.requests == []


def test_an_unknown_kind_is_a_matter_of_configuration(connect):
    [result] = connect(Replies(b"")).upsert([Record(Ref("zeppelin", external_id="x"), {})])

    assert isinstance(result, Misconfigured)


def found(*members: str) -> bytes:
    inside = "".join(f"<readResponse>{one}</readResponse>" for one in members)
    return envelope(
        "<getListResponse xmlns='urn:m'><readResponseList><c:status isSuccess='true'/>"
        f"{inside}</readResponseList></getListResponse>"
    )


def member(number: int) -> str:
    element = order(number, lines=1).replace("c:record", "record", 1).replace("</c:record>", "</record>")
    return f'<c:status isSuccess="true"/>{element}'


def test_records_come_back_in_the_order_they_were_asked_for(connect):
    replies = Replies(found(member(1), refused("RCRD_DSNT_EXIST"), member(3)))
    refs = [Ref("salesOrder", id="1"), Ref("salesOrder", external_id="sf-so-2"), Ref("salesOrder", id="3")]

    records = connect(replies).get(refs)

    assert [one and one.ref.id for one in records] == ["1", None, "3"]
    assert 'externalId="sf-so-2" type="salesOrder"' in plain(replies.requests[0])


@pytest.mark.parametrize("members", [(member(1),), (member(1), refused("UNEXPECTED_ERROR"))])
def test_a_read_that_is_not_whole_is_asked_again_later(connect, members):
    with pytest.raises(Deferred):
        connect(Replies(found(*members))).get([Ref("salesOrder", id="1"), Ref("salesOrder", id="2")])


@pytest.mark.parametrize("operation", ["get", "getList"])
def test_a_look_up_cut_at_any_byte_finds_nothing_out(connect, operation):
    """Neither that a record is there nor that it is not: both would settle a write that is in doubt."""
    whole = found(member(1), refused("RCRD_DSNT_EXIST"))
    refs = [Ref("salesOrder", id="1"), Ref("salesOrder", external_id="sf-so-2")]
    if operation == "get":
        refs, inside = refs[1:], refused("RCRD_DSNT_EXIST")
        whole = envelope(f"<getResponse xmlns='urn:m'><readResponse>{inside}</readResponse></getResponse>")
    replies = Replies(whole)
    netsuite = connect(replies)

    assert netsuite.get(refs)[-1] is None
    for length in range(len(whole)):
        replies.bodies[0] = whole[:length]

        with pytest.raises(Deferred):
            netsuite.get(refs)


def test_a_permission_that_is_missing_for_reading_is_a_matter_of_configuration(connect):
    with pytest.raises(Misconfigured):
        connect(Replies(found(refused("INSUFFICIENT_PERMISSION"), member(2)))).get(
            [Ref("salesOrder", id="1"), Ref("salesOrder", id="2")]
        )


def test_a_list_that_is_too_large_is_asked_for_in_halves(connect):
    big, one, two = found(member(1), member(2)), found(member(1)), found(member(2))
    singles = [body.replace(b"getList", b"get").replace(b"readResponseList>", b"x>") for body in (one, two)]
    singles = [re.sub(rb"</?x>|<c:status isSuccess='true'/>", b"", body) for body in singles]

    records = connect(Replies(big, *singles), limits=Limits(answer_bytes=len(big) - 1)).get(
        [Ref("salesOrder", id="1"), Ref("salesOrder", id="2")]
    )

    assert [one.ref.id for one in records if one] == ["1", "2"]


def test_a_search_asks_for_whole_seconds_and_whole_records(connect):
    replies = Replies(page())

    list(connect(replies).changed("salesOrder", SINCE, UNTIL))

    asked = plain(replies.requests[0])
    assert "<searchValue>2026-11-20T00:00:00Z</searchValue><searchValue2>2026-11-21T00:00:01Z</searchValue2>" in asked
    assert '<type operator="anyOf"><searchValue>_salesOrder</searchValue></type>' in asked
    assert "<bodyFieldsOnly>false</bodyFieldsOnly><pageSize>1000</pageSize>" in asked


def test_further_pages_are_asked_with_the_same_preferences_and_no_record_comes_twice(connect, slots):
    replies = Replies(
        page(order(1), order(2), total=4, pages=2, search_id="S7"),
        page(order(2), order(3), total=4, pages=2, search_id="S7").replace(
            b"searchResponse", b"searchMoreWithIdResponse"
        ),
    )

    records = list(connect(replies, page_size=5).changed("salesOrder", SINCE, UNTIL))

    assert [one.ref.id for one in records] == ["1", "2", "3"]
    assert "<searchId>S7</searchId><pageIndex>2</pageIndex>" in plain(replies.requests[1])
    assert "<bodyFieldsOnly>false</bodyFieldsOnly><pageSize>5</pageSize>" in plain(replies.requests[1])
    assert (slots.leased, slots.open) == ([False, False], 0)


def test_a_page_that_is_too_large_is_asked_for_again_in_smaller_ones(connect):
    big = page(*(order(n) for n in range(8)))
    small = page(*(order(n) for n in range(8)))[: len(big) - 1]
    replies = Replies(big, page(*(order(n, lines=1) for n in range(8))))

    records = list(connect(replies, limits=Limits(page_bytes=len(small))).changed("salesOrder", SINCE, UNTIL))

    assert [one.ref.id for one in records] == [str(n) for n in range(8)]
    assert "<pageSize>500</pageSize>" in plain(replies.requests[1])


def test_a_search_whose_reader_stops_gives_its_slot_back(connect, slots):
    records = connect(Replies(page(*(order(n) for n in range(50))))).changed("salesOrder", SINCE, UNTIL)

    next(records)
    held = slots.open
    records.close()

    assert (held, slots.open) == (1, 0)


def test_one_page_tells_the_totals_of_its_search(connect):
    searched = connect(Replies(page(order(1), total=41, pages=3))).search_page("salesOrder", SINCE, UNTIL)

    next(iter(searched))

    assert (searched.head.total_records, searched.head.total_pages, searched.head.search_id) == (41, 3, "S1")


@pytest.mark.parametrize("kind", ["customer", "vendor", "contact", "customerPayment", "invoice", "creditMemo"])
def test_every_kind_can_be_searched_for(connect, kind):
    assert list(connect(Replies(page())).changed(kind, SINCE, UNTIL)) == []


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (Ref("salesOrder", id="4711"), "/app/accounting/transactions/salesord.nl?id=4711"),
        (Ref("purchaseOrder", id="1"), "/app/accounting/transactions/purchord.nl?id=1"),
        (Ref("customer", id="1"), "/app/common/entity/custjob.nl?id=1"),
        (Ref("vendor", id="1"), "/app/common/entity/vendor.nl?id=1"),
        (Ref("contact", id="1"), "/app/common/entity/contact.nl?id=1"),
    ],
)
def test_a_record_has_a_page(connect, ref, path):
    assert connect(Echo()).url(ref) == f"https://1234567.app.netsuite.com{path}"
    assert connect(Echo(), application_base_url="http://127.0.0.1:1").url(ref) == f"http://127.0.0.1:1{path}"


@pytest.mark.parametrize(
    "ref", [Ref("customer"), Ref("customer", external_id="x"), Ref("zeppelin", id="1"), Ref("customer", id="1&x=2")]
)
def test_what_has_no_page_has_no_address(connect, ref):
    assert connect(Echo()).url(ref) is None


def adapter(bindings, slots, **options):
    credentials = TokenCredentials("1234567_SB1", "a", "b", "c", "d")
    return SoapNetSuite(account="1234567_SB1", credentials=credentials, bindings=bindings, slots=slots, **options)


def test_the_address_is_derived_from_the_account(bindings, slots):
    url = adapter(bindings, slots)._wire.transport.url

    assert url == "https://1234567-sb1.suitetalk.api.netsuite.com/services/NetSuitePort_2025_2"


@pytest.mark.parametrize(
    "address",
    [
        "http://1234567.suitetalk.api.netsuite.com",
        "https://1234567.suitetalk.api.netsuite.com.example.com",
        "https://example.com/.suitetalk.api.netsuite.com",
        "https://user@1234567.suitetalk.api.netsuite.com",
        "https://1234567.suitetalk.api.netsuite.com:8443",
        "https://1234567.suitetalk.api.netsuite.com/",
        "https://1234567.suitetalk.api.netsuite.com\n",
        "https://A.suitetalk.api.netsuite.com",
        "https://169.254.169.254",
        "http://127.0.0.1:8080",
    ],
)
def test_no_other_address_is_talked_to(bindings, slots, address):
    with pytest.raises(Misconfigured) as caught:
        adapter(bindings, slots, base_url=address)

    assert caught.value.code == "NETSUITE_HOST"


def test_credentials_of_another_account_are_refused(bindings, slots):
    production = TokenCredentials("1234567", "a", "b", "c", "d")

    with pytest.raises(Misconfigured) as caught:
        SoapNetSuite(account="1234567_SB1", credentials=production, bindings=bindings, slots=slots)

    assert caught.value.code == "NETSUITE_ACCOUNT"


def test_the_sandbox_on_this_machine_is_talked_to_only_when_allowed(bindings, slots):
    assert adapter(bindings, slots, base_url="http://127.0.0.1:8080", allow_loopback=True)
    with pytest.raises(Misconfigured):
        adapter(bindings, slots, base_url="http://127.0.0.1.example.com", allow_loopback=True)


def test_the_clock_of_netsuite_decides_what_is_now(connect):
    answer = envelope(
        "<getServerTimeResponse xmlns='urn:m'><c:getServerTimeResult><c:status isSuccess='true'/>"
        "<c:serverTime>2026-11-20T10:00:00.000-08:00</c:serverTime></c:getServerTimeResult></getServerTimeResponse>"
    )

    assert connect(Replies(answer)).now() == datetime(2026, 11, 20, 18, tzinfo=UTC)
    assert connect(Replies(answer)).now().utcoffset() == timedelta(0)


def test_a_refused_login_is_tried_once_by_the_doctor(connect):
    replies = Replies(envelope(FAULT.format(name="invalidCredentialsFault", code="INVALID_LOGIN_CREDENTIALS")))

    findings = list(connect(replies).check())

    assert len(replies.requests) == 1
    assert findings[0].ok is False
    assert {one.ok for one in findings[1:]} == {None}
