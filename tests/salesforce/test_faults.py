"""From error codes and statuses to what happens next."""

from __future__ import annotations

import ssl

import pytest
import requests
import urllib3

from bridge.errors import Deferred, Misconfigured, Rejected, Uncertain
from bridge.salesforce import faults
from bridge.salesforce.faults import CODES, of_errors, of_exception, of_http, of_row


def whole(code, message="words", status=400, *, write=True):
    return of_errors(status, [{"errorCode": code, "message": message}], write=write)


@pytest.mark.parametrize("code", CODES)
def test_every_known_code_gives_a_whole_sentence(code):
    error = of_row({"statusCode": code, "message": "words of Salesforce", "fields": ["Total__c"]})

    assert error.message.endswith((".", "Salesforce"))
    assert "{" not in error.message
    assert "__c" not in error.message
    assert "words of Salesforce" in error.detail


def test_the_daily_quota_and_the_concurrency_limit_share_a_code_and_differ_in_the_wait():
    daily = whole("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", 403)
    concurrent = whole("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.", 403)

    assert isinstance(daily, Deferred)
    assert daily.throttled
    assert daily.retry_after_s == faults.QUOTA_PAUSE_S
    assert concurrent.throttled
    assert concurrent.retry_after_s is None


@pytest.mark.parametrize("status", [400, 500])
def test_a_lock_error_is_known_by_its_code_whatever_the_status(status):
    error = whole("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record", status)

    assert isinstance(error, Deferred)
    assert not error.throttled


def test_a_lock_error_inside_a_trigger_is_a_lock_error():
    words = "execution of AfterUpdate caused by: System.DmlException: ... UNABLE_TO_LOCK_ROW, unable to obtain"

    assert isinstance(of_row({"statusCode": "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "message": words}), Deferred)


def test_a_rule_of_the_administrator_speaks_for_itself():
    words = "Funding date must be in the future"

    error = of_row({"statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": words, "fields": ["Funding_Date__c"]})

    assert isinstance(error, Rejected)
    assert words in error.message
    assert error.field == "Funding_Date__c"


@pytest.mark.parametrize(
    ("code", "field"),
    [
        ("STRING_TOO_LONG", "Memo__c"),
        ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "Record_Type__c"),
        ("DUPLICATE_VALUE", "NetSuite_Key__c"),
        ("NUMBER_OUTSIDE_VALID_RANGE", "Total__c"),
    ],
)
def test_a_wrong_value_is_rejected_with_its_field(code, field):
    error = of_row({"statusCode": code, "message": "words", "fields": [field]})

    assert isinstance(error, Rejected)
    assert error.field == field
    assert error.code == code


def test_a_missing_field_is_named_even_when_salesforce_names_it_only_in_words():
    error = of_row(
        {"statusCode": "REQUIRED_FIELD_MISSING", "message": "Required fields are missing: [Name]", "fields": []}
    )

    assert error.field == "Name"


def test_a_reference_by_key_that_is_not_there_yet_waits():
    words = "Foreign key external ID: salesorder-9 not found for field NetSuite_Key__c in entity NetSuite_Order__c"

    error = of_row({"statusCode": "INVALID_FIELD", "message": words})

    assert isinstance(error, Deferred)
    assert error.code == "PARENT_MISSING"


def test_a_field_that_the_package_lacks_stops_that_sync_and_no_other():
    error = of_row({"statusCode": "INVALID_FIELD", "message": "No such column 'Nope__c' on sobject of type Account"})

    assert isinstance(error, Misconfigured)
    assert error.code == "INSUFFICIENT_PERMISSION"


def test_a_refused_question_is_our_mistake_not_the_records():
    assert isinstance(whole("STRING_TOO_LONG", write=False), Misconfigured)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(500, Uncertain), (502, Uncertain), (504, Uncertain), (200, Uncertain), (302, Uncertain), (503, Deferred),
     (429, Deferred), (410, Misconfigured), (404, Misconfigured), (414, Misconfigured)],
)  # fmt: skip
def test_an_answer_without_a_code_is_judged_by_its_status(status, outcome):
    assert isinstance(of_http(status, write=True), outcome)
    assert not isinstance(of_http(status, write=False), Uncertain | Rejected)


def test_an_unknown_failure_of_the_server_leaves_a_write_in_doubt():
    assert isinstance(whole("UNKNOWN_EXCEPTION", status=500), Uncertain)
    assert isinstance(whole("UNKNOWN_EXCEPTION", status=500, write=False), Deferred)
    assert isinstance(of_row({"statusCode": "UNKNOWN_EXCEPTION", "message": "words"}), Deferred)


def test_an_unknown_code_of_one_record_is_a_persons_business():
    error = of_row({"statusCode": "SOMETHING_NEW", "message": "words"})

    assert isinstance(error, Rejected)
    assert error.code == "SOMETHING_NEW"


@pytest.mark.parametrize("error", [None, {}, {"statusCode": 7}, "text"])
def test_a_refusal_without_a_reason_is_still_a_refusal(error):
    assert isinstance(of_row(error), Rejected)


REFUSED = requests.ConnectionError(
    urllib3.exceptions.MaxRetryError(None, "/", urllib3.exceptions.NewConnectionError(None, "refused"))
)
UNTRUSTED = requests.exceptions.SSLError(
    urllib3.exceptions.MaxRetryError(
        None, "/", urllib3.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed"))
    )
)
RESET = requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError(104)))


@pytest.mark.parametrize("error", [REFUSED, UNTRUSTED, requests.ConnectTimeout(), requests.exceptions.InvalidSchema()])
def test_what_never_left_is_sent_again(error):
    assert isinstance(of_exception(error, write=True), Deferred)


@pytest.mark.parametrize(
    "error",
    [
        RESET,
        requests.ReadTimeout(),
        requests.exceptions.ChunkedEncodingError(),
        ValueError("no JSON"),
        TimeoutError(),
    ],
)
def test_what_may_have_arrived_is_looked_up(error):
    assert isinstance(of_exception(error, write=True), Uncertain)
    assert isinstance(of_exception(error, write=False), Deferred)


def test_foreign_words_stay_on_one_line_and_short():
    error = of_row({"statusCode": "SOMETHING_NEW", "message": "a\r\nb\x1b[31m" + "x" * 5000})

    assert "\n" not in error.detail
    assert "\x1b" not in error.detail + error.message
    assert len(error.detail) <= 500
