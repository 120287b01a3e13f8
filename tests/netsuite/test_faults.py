"""Every recorded answer is judged as the table says, in both endpoint versions."""

from __future__ import annotations

import re

import pytest

from bridge.errors import BridgeError, Deferred, Misconfigured, Rejected, Uncertain
from bridge.netsuite import Bindings
from bridge.netsuite.faults import of_http, of_status
from bridge.ports import Record, Ref, Written
from tests.netsuite.conftest import SUBSET, VERSIONS, Replies, answers_of, envelope, full_set, refused, write_answer

FAULTS = {
    "fault_acct_temp_unavailable": (Misconfigured, Misconfigured, "ACCT_TEMP_UNAVAILABLE"),
    "fault_ambiguous_auth": (Misconfigured, Misconfigured, "AMBIGUOUS_AUTHENTICATION"),
    "fault_concurrent_tba": (Deferred, Deferred, "WS_REQUEST_BLOCKED"),
    "fault_insufficient_permission": (Misconfigured, Misconfigured, "INSUFFICIENT_PERMISSION"),
    "fault_invalid_credentials": (Misconfigured, Misconfigured, "INVALID_LOGIN_CREDENTIALS"),
    "fault_no_detail_code": (Uncertain, Deferred, "UNKNOWN_FAULT"),
    "fault_record_count": (Misconfigured, Misconfigured, "MAX_RCRDS_EXCEEDED"),
    "fault_request_limit_session": (Deferred, Deferred, "WS_CONCUR_SESSION_DISALLWD"),
    "fault_session_timed_out": (Deferred, Deferred, "SESSION_TIMED_OUT"),
    "fault_unexpected": (Uncertain, Deferred, "UNEXPECTED_ERROR"),
    "fault_ws_permission_reqd": (Misconfigured, Misconfigured, "WS_PERMISSION_REQD"),
}
WRITES = {
    "upsert_contact_already_exists": (Rejected, "CONTACT_ALREADY_EXISTS"),
    "upsert_customer_dup_entity": (Rejected, "DUP_ENTITY"),
    "upsert_customer_ok": (Written, "973"),
    "upsert_customer_ok_with_warning": (Written, "973"),
    "upsert_customer_unique_id": (Rejected, "UNIQUE_CUST_ID_REQD"),
    "upsert_customrecord_ok": (Written, None),
    "upsert_po_after_submit_failed": (Written, "68"),
    "upsert_record_changed": (Deferred, "RCRD_HAS_BEEN_CHANGED"),
    "upsert_salesorder_invalid_ref": (Rejected, "INVALID_KEY_OR_REF"),
    "upsert_salesorder_ok": (Written, "50123"),
    "upsert_unexpected_error": (Uncertain, "UNEXPECTED_ERROR"),
}
LATER = ("getDeleted", "getServerTime", "upsertList_partial")  # and the searches; see the tests of soap and reading


@pytest.fixture(scope="module")
def loaded() -> dict[str, Bindings]:
    return {"2025_2": Bindings.load(SUBSET, "2025_2"), "2023_2": Bindings.load(full_set("2023_2"), "2023_2")}


def outcome(netsuite, body, record):
    """What one upsert of *record* answered with *body* becomes."""
    return netsuite.upsert([record])[0]


def record_for(body: bytes) -> Record:
    """The record a recorded answer is about."""
    found = re.search(rb'externalId="([^"]+)"', body)
    kind = re.search(rb'type="(\w+)"/>', body)
    return Record(
        Ref(kind[1].decode() if kind else "customer", external_id=found[1].decode() if found else "sf-cus-1"), {}
    )


@pytest.mark.full_schemas
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("status", [200, 500])
def test_a_fault_means_the_same_on_any_status(connect, slots, loaded, version, name, status):
    body = (answers_of(version) / f"{name}.xml").read_bytes()
    write, read, code = FAULTS[name]
    netsuite = connect(Replies(body, status=status), using=loaded[version])

    written = outcome(netsuite, body, Record(Ref("customer", external_id="sf-cus-1"), {}))
    with pytest.raises(BridgeError) as asked:
        netsuite.get([Ref("customer", id="1")])

    assert (type(written), written.code) == (write, code)
    assert (type(asked.value), asked.value.code) == (read, code)
    assert slots.throttles == (2 if getattr(written, "throttled", False) else 0)


@pytest.mark.full_schemas
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", WRITES)
def test_an_answer_to_a_write_settles_its_record(connect, loaded, version, name):
    body = (answers_of(version) / f"{name}.xml").read_bytes()
    expected, word = WRITES[name]

    result = outcome(connect(Replies(body), using=loaded[version]), body, record_for(body))

    assert type(result) is expected
    if isinstance(result, Written):
        assert word is None or result.ref.id == word
    else:
        assert result.code == word


@pytest.mark.full_schemas
def test_every_recorded_answer_is_judged_by_some_test():
    names = {path.stem for path in answers_of("2025_2").glob("*.xml")}

    assert {name for name in names if not name.startswith("search")} == {*FAULTS, *WRITES, *LATER}


@pytest.mark.full_schemas
def test_a_warning_is_written_and_told(connect, loaded):
    body = (answers_of("2025_2") / "upsert_customer_ok_with_warning.xml").read_bytes()

    result = outcome(connect(Replies(body)), body, record_for(body))

    assert isinstance(result, Written)
    assert "postal code" in result.warnings[0]


@pytest.mark.parametrize("spelled", ["afterSubmitFailed", "aftersubmitFailed", "AfterSubmitFailed"])
@pytest.mark.parametrize("first", [True, False])
def test_a_record_that_was_saved_before_a_script_failed_is_written(connect, spelled, first):
    said = f"<c:{spelled}>true</c:{spelled}>"
    member = refused("USER_ERROR", extra=said if first else "")
    if not first:
        member = member.replace("</c:statusDetail>", f"{said}</c:statusDetail>")
    member += '<baseRef xsi:type="c:RecordRef" internalId="68" externalId="sf-cus-1" type="customer"/>'

    result = connect(Replies(write_answer(member))).upsert([Record(Ref("customer", external_id="sf-cus-1"), {})])[0]

    assert isinstance(result, Written)
    assert "script failed" in result.warnings[-1]


@pytest.mark.parametrize(
    ("code", "expected", "who"),
    [
        ("SSS_REQUEST_LIMIT_EXCEEDED", Deferred, "nobody"),
        ("RCRD_EDITED_SINCE_RETRIEVED", Deferred, "nobody"),
        ("INVALID_LOGIN_ATTEMPT", Misconfigured, "administrator"),
        ("SSS_TIME_LIMIT_EXCEEDED", Uncertain, "nobody"),
        ("EXCEEDED_MAX_TIME", Uncertain, "nobody"),
        ("CLOSED_TRAN_PRD", Rejected, "accounting"),
        ("RCRD_LOCKED_BY_WF", Rejected, "accounting"),
        ("INSUFFICIENT_PERMISSION", Rejected, "administrator"),
        ("A_CODE_NOBODY_HAS_SEEN", Rejected, "accounting"),
        (None, Uncertain, "nobody"),
    ],
)
def test_a_code_of_one_record_decides_its_outcome(code, expected, who):
    error = of_status(code, "words", write=True)

    assert type(error) is expected
    assert error.who == who
    assert code is None or error.code == code


def test_an_unknown_code_keeps_netsuites_words_for_the_reader():
    error = of_status("A_CODE_NOBODY_HAS_SEEN", "The moon is full.", write=True)

    assert "The moon is full." in error.message
    assert error.detail == "A_CODE_NOBODY_HAS_SEEN: The moon is full."


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (302, "text/html", "REDIRECTED"),
        (503, "text/html", "MAINTENANCE_PAGE"),
        (200, "text/html", "MAINTENANCE_PAGE"),
        (401, "text/plain", "NOT_ADMITTED"),
        (404, "text/html", "ENDPOINT_GONE"),
    ],
)
def test_a_page_where_soap_is_due_pauses_the_sync(status, kind, code, write):
    error = of_http(status, kind, None, "", write=write)

    assert isinstance(error, Misconfigured)
    assert error.code == code


@pytest.mark.parametrize("status", [500, 502, 504, 418])
def test_an_error_of_a_gateway_says_nothing_about_a_write(status):
    assert isinstance(of_http(status, "text/html", None, "", write=True), Uncertain)
    assert isinstance(of_http(status, "text/html", None, "", write=False), Deferred)


def test_too_many_requests_waits_as_long_as_asked():
    error = of_http(429, "application/json", "7", "", write=True)

    assert isinstance(error, Deferred)
    assert (error.throttled, error.retry_after_s) == (True, 7.0)


def test_an_unknown_fault_may_have_been_executed(connect):
    fault = (
        "<s:Fault><faultcode>x</faultcode><faultstring>?</faultstring>"
        "<detail><c:newFault><c:code>NEW</c:code></c:newFault></detail></s:Fault>"
    )
    netsuite = connect(Replies(envelope(fault), status=500))

    written = netsuite.upsert([Record(Ref("customer", external_id="sf-cus-1"), {})])[0]

    assert isinstance(written, Uncertain)
    assert written.code == "NEW"
