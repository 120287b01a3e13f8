"""Who may call the fake NetSuite, how often, and what it says to what it does not understand."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.netsuite import NO_LATENCY, FakeNetSuite, Latency
from tests.sandbox.netsuite.suitetalk_client import SUBSET, Soap, customer, full_set, problems, sale_line, sales_order

if TYPE_CHECKING:
    from tests.sandbox.netsuite.suitetalk_client import SteadyClock


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"account": "1234567_SB1"}, "account_mismatch"),
        ({"consumerKey": "other"}, "consumer_key_unknown"),
        ({"token": "other"}, "token_rejected"),
        ({"nonce": "abc"}, "InvalidNonce"),
        ({"nonce": "abc-def-ghi"}, "InvalidNonce"),
        ({"timestamp": "1439829974"}, "InvalidTimestamp"),
        ({"algorithm": "HMAC-SHA1"}, "UnknownAlgorithm"),
        ({"signature": "AAAA"}, "InvalidSignature"),
    ],
)
def test_a_wrong_passport_is_refused_and_only_the_audit_trail_knows_why(
    soap: Soap, fake: FakeNetSuite, changes: dict[str, str], reason: str
) -> None:
    answer = soap.call("getServerTime", "", header=soap.passport(**changes))

    assert (answer.http, answer.code) == (500, "INVALID_LOGIN_CREDENTIALS")
    assert answer.text("faultstring") == "Invalid login attempt."
    assert fake.gate.audit[-1][1] == reason


def test_a_passport_is_good_for_one_request(soap: Soap, fake: FakeNetSuite) -> None:
    header = soap.passport()
    assert soap.call("getServerTime", "", header=header).ok

    again = soap.call("getServerTime", "", header=header)

    assert again.code == "INVALID_LOGIN_CREDENTIALS"
    assert fake.gate.audit[-1][1] == "NonceUsed"


def test_five_failures_lock_the_user_for_half_an_hour(soap: Soap, clock: SteadyClock) -> None:
    for _ in range(5):
        soap.call("getServerTime", "", header=soap.passport(signature="AAAA"))

    assert soap.call("getServerTime", "").code == "INVALID_LOGIN_CREDENTIALS"
    clock.tick(minutes=29)
    assert soap.call("getServerTime", "").code == "INVALID_LOGIN_CREDENTIALS"
    clock.tick(minutes=2)
    assert soap.call("getServerTime", "").ok


def test_two_credentials_are_ambiguous(soap: Soap) -> None:
    application = "<msg:applicationInfo><msg:applicationId>1</msg:applicationId></msg:applicationInfo>"

    with_application = soap.call("getServerTime", "", extra=application)
    with_cookie = soap.call("getServerTime", "", headers={"Cookie": "JSESSIONID=sandbox0"})

    for answer in (with_application, with_cookie):
        assert (answer.code, answer.text("faultstring")) == ("USER_ERROR", "Ambiguous authentication")


def test_every_answer_sets_a_session_cookie(soap: Soap) -> None:
    answer = soap.raw("getServerTime", "")

    assert answer.cookies["JSESSIONID"]


@pytest.mark.full_schemas
def test_data_center_urls_need_no_login(full_soap: Soap) -> None:
    answer = full_soap.call("getDataCenterUrls", "<msg:account>other</msg:account>", header="")

    assert answer.text("webservicesDomain") == full_soap.base


def test_one_call_too_many_at_once_is_blocked_and_was_not_executed(clock: SteadyClock) -> None:
    fake = FakeNetSuite(schema_dir=SUBSET, clock=clock, concurrency=2, latency=Latency(0.4, 0, 0, 0.4))
    codes: list[str | None] = []
    threads = [
        threading.Thread(target=lambda key=key: codes.append(Soap(fake).upsert(customer(f"c-{key}")).code))
        for key in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(codes, key=str) == [None, None, "WS_REQUEST_BLOCKED", "WS_REQUEST_BLOCKED"]
    assert len(fake.store.records["customer"]) == 2
    assert fake.peak_in_flight == 2


def test_a_list_that_is_too_long_is_refused_whole(soap: Soap, fake: FakeNetSuite) -> None:
    answer = soap.upsert(*(customer(f"c-{key}") for key in range(101)))

    assert answer.code == "MAX_RCRDS_EXCEEDED"
    assert not fake.store.records["customer"]


@pytest.mark.parametrize("size", [4, 1001])
def test_a_page_size_out_of_bounds_is_refused(soap: Soap, size: int) -> None:
    extra = f"<msg:searchPreferences><msg:pageSize>{size}</msg:pageSize></msg:searchPreferences>"
    answer = soap.raw("search", '<msg:searchRecord xsi:type="common:CustomerSearchBasic"/>', extra=extra)

    assert answer.status_code == 500
    assert b"WS_INVALID_SEARCH_PAGE_SIZE" in answer.content


@pytest.mark.parametrize(
    ("operation", "inner"),
    [
        ("upsert", '<msg:record xsi:type="rel:Customer"><rel:stage>customer</rel:stage></msg:record>'),
        ("upsert", '<msg:record xsi:type="rel:Customer"><rel:noSuchField>1</rel:noSuchField></msg:record>'),
        ("upsert", '<msg:record externalId="a"/>'),
        ("upsert", ""),
        ("nonsense", ""),
    ],
)
def test_what_the_schema_does_not_allow_is_a_fault_without_a_code(soap: Soap, operation: str, inner: str) -> None:
    answer = soap.call(operation, inner)

    assert answer.http == 500
    assert answer.code is None


def test_garbage_is_a_fault_and_a_doctype_is_never_expanded(soap: Soap) -> None:
    url = f"{soap.base}/services/NetSuitePort_2025_2"
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'

    for body in (b"", b"hello", b"\x00\xff", bomb, b"<a/>"):
        answer = soap.session.post(url, data=body, headers={"SOAPAction": "upsert"})
        assert answer.status_code == 500
        assert b"Fault" in answer.content


def test_an_unknown_version_or_a_mixed_one_is_refused(soap: Soap) -> None:
    other = soap.session.post(f"{soap.base}/services/NetSuitePort_2019_1", data=b"<a/>")
    mixed = Soap(soap.fake, version="2023_2")
    mixed_url = f"{soap.base}/services/NetSuitePort_2025_2"
    body = mixed.envelope("<msg:getServerTime/>", mixed.passport())
    wrong = soap.session.post(mixed_url, data=body, headers={"SOAPAction": "getServerTime"})

    assert b"INVALID_WS_VERSION" in other.content
    assert b"INVALID_WS_VERSION" in wrong.content


@pytest.mark.full_schemas
@pytest.mark.parametrize(
    ("operation", "inner"),
    [
        ("getAll", '<msg:record recordType="leadSource"/>'),
        ("getItemAvailability", "<msg:itemAvailabilityFilter><core:item/></msg:itemAvailabilityFilter>"),
        ("search", '<msg:searchRecord xsi:type="common:EmployeeSearchBasic"/>'),
        ("upsert", '<msg:record xsi:type="rel:Partner" externalId="p-1"/>'),
    ],
)
def test_what_the_fake_cannot_do_is_said_loudly(full_soap: Soap, operation: str, inner: str) -> None:
    answer = full_soap.call(operation, inner)

    assert answer.http == 501
    assert "does not simulate" in (answer.text("faultstring") or "")


def test_the_call_log_remembers_what_was_asked(soap: Soap, fake: FakeNetSuite) -> None:
    soap.upsert(customer("c-1"))
    soap.upsert(customer("c-2"), customer("c-3", "c-1"))
    soap.call("getServerTime", "", header="")

    seen = [(call.operation, call.kinds, call.external_ids, call.status) for call in fake.calls]
    assert seen == [
        ("upsert", ("customer",), ("c-1",), "ok"),
        ("upsertList", ("customer", "customer"), ("c-2", "c-3"), "partial"),
        ("getServerTime", (), (), "fault:INVALID_LOGIN_CREDENTIALS"),
    ]
    assert len(fake.requests) == 3


def test_the_wsdl_is_served_with_its_own_address(soap: Soap) -> None:
    wsdl = soap.session.get(f"{soap.base}/wsdl/v2025_2_0/netsuite.wsdl")
    xsd = soap.session.get(f"{soap.base}/wsdl/v2025_2_0/xsd//platform.core.xsd")

    assert f'location="{soap.base}/services/NetSuitePort_2025_2"'.encode() in wsdl.content
    assert b"TokenPassport" in xsd.content
    assert soap.session.get(f"{soap.base}/wsdl/v2025_2_0/xsd/../netsuite.py").status_code == 404
    assert soap.session.get(f"{soap.base}/wsdl/v2019_1_0/netsuite.wsdl").status_code == 404


@pytest.mark.full_schemas
def test_one_account_may_serve_two_versions(clock: SteadyClock) -> None:
    fake = FakeNetSuite(schema_dir=[SUBSET, full_set("2023_2")], clock=clock, latency=NO_LATENCY)

    assert Soap(fake, version="2023_2").upsert(customer("c-1")).ok

    read = Soap(fake, version="2025_2").get("customer", external_id="c-1")
    assert read.text("companyName") == "c-1"


def test_the_concurrency_limit_can_be_asked_for(soap: Soap) -> None:
    assert soap.call("getAccountGovernanceInfo", "").text("accountConcurrencyLimit") == "5"


@pytest.mark.full_schemas
@pytest.mark.parametrize("version", ["2023_2", "2025_2"])
def test_kept_requests_can_be_held_against_every_full_set(soap: Soap, fake: FakeNetSuite, version: str) -> None:
    soap.upsert(customer("c-1"), sales_order("so-1", "c-1", sale_line()))
    assert problems(fake.requests, version) == []

    soap.upsert(customer("c-2").replace("companyName", "companyNome"))

    assert len(problems(fake.requests, version)) == 1
