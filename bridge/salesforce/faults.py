"""What a signal from Salesforce means: a table from errorCode to outcome, with sources.

``of_errors`` judges the answer to a whole call, ``of_row`` one record of a collection, ``of_login`` an OAuth error,
``of_http`` an answer that holds no error code, ``of_exception`` a missing or unreadable one. Each judge of a whole call
takes *write*: the same silence is Uncertain after a write and Deferred after a read.

The HTTP status proves little: lock errors come with 400 and with 500, a used-up quota with 403.

Must not know: how an answer was fetched.

Sources: REST API Developer Guide, "Status Codes and Error Responses"; SOAP API Developer Guide, "Core Data Types Used
in API Calls" (StatusCode, ExceptionCode); Salesforce Help, "OAuth 2.0 Error Codes".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from bridge.errors import BridgeError, Deferred, Misconfigured, Rejected, Uncertain
from bridge.salesforce.transport import never_sent

SALES, ACCOUNTING, ADMINISTRATOR, NOBODY = "sales", "accounting", "administrator", "nobody"
PERMISSION = "INSUFFICIENT_PERMISSION"  # one kind of record is not permitted or not there, all others may go on
PARENT_MISSING = "PARENT_MISSING"
LOCKED = "UNABLE_TO_LOCK_ROW"
_DETAIL_LIMIT = 500  # characters of Salesforce's own words that are kept
QUOTA_PAUSE_S = 900.0  # the daily quota is a rolling 24 hours: some calls come back every few minutes


class Means(Enum):
    """What happens next."""

    THROTTLE = "not executed, slow down"
    LATER = "not executed, try again"
    PAUSE = "everything of this kind would fail alike"
    DOUBT = "may have been executed"
    REFUSE = "the record is wrong"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. *sentence* may name ``{field}`` and ``{words}``; *code* replaces Salesforce's own."""

    means: Means
    sentence: str
    who: str = ADMINISTRATOR
    code: str | None = None


_BUSY = Row(Means.THROTTLE, "Salesforce is busy; the bridge tries again.", NOBODY)
_DOWN = Row(Means.LATER, "Salesforce is not available; the bridge tries again.", NOBODY)
_LOCK = Row(Means.LATER, "The record is in use in Salesforce at this moment; the bridge tries again.", NOBODY)
_LOGIN = Row(Means.PAUSE, "Salesforce does not accept the bridge's login.")
_API = Row(Means.PAUSE, "Salesforce has switched off its interface for the bridge's user.")
_HIDDEN = Row(
    Means.PAUSE, "Something is missing in Salesforce or hidden from the bridge's user: {words}", code=PERMISSION
)
_READ_ONLY = Row(Means.PAUSE, "The bridge's user may not write {field} in Salesforce.", code=PERMISSION)
_NO_ACCESS = Row(Means.REFUSE, "The bridge's user may not change this record in Salesforce.")
_GONE = Row(Means.REFUSE, "The record, or one it refers to, no longer exists in Salesforce.", SALES)
_TWICE = Row(Means.REFUSE, "Salesforce already has a record with this {field}.")
_RULE = Row(Means.REFUSE, "A rule in Salesforce refuses the record: {words}", SALES)
_CODE = Row(Means.REFUSE, "Automation in Salesforce failed on this record: {words}")
_VALUE = Row(Means.REFUSE, "Salesforce does not accept the value of {field}.", ACCOUNTING)
_BUG = Row(Means.PAUSE, "Salesforce did not understand the bridge.")
_OTHER = Row(Means.REFUSE, "Salesforce refused the record: {words}")
_UNSURE = Row(Means.DOUBT, "Salesforce did not say whether it saved the record; the bridge looks it up.", NOBODY)
_SILENT = Row(Means.LATER, "Salesforce gave no readable answer; the bridge asks again.", NOBODY)

CODES: dict[str, Row] = {
    # Limits and times. Not executed.
    "REQUEST_LIMIT_EXCEEDED": _BUSY,  # of the day or of concurrent calls: the words tell which
    "TXN_SECURITY_METERING_ERROR": _BUSY,
    "SERVER_UNAVAILABLE": _DOWN,
    "SERVICE_UNAVAILABLE": _DOWN,
    "QUERY_TIMEOUT": _DOWN,
    "OPERATION_TOO_LARGE": _BUG,
    "INVALID_QUERY_LOCATOR": Row(Means.LATER, "Salesforce forgot a query between two pages.", NOBODY),
    LOCKED: _LOCK,
    "ROW_LOCK_TIMEOUT": _LOCK,
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": _LOCK,
    "PROCESSING_HALTED": _LOCK,
    # Login and organisation.
    "INVALID_SESSION_ID": _LOGIN,  # only after a fresh login: the caller has already tried that
    "INVALID_AUTH_HEADER": _LOGIN,
    "INVALID_LOGIN": _LOGIN,
    "PASSWORD_LOCKOUT": _LOGIN,
    "ORG_LOCKED": _LOGIN,
    "LOGIN_MUST_USE_SECURITY_TOKEN": _LOGIN,
    "API_CURRENTLY_DISABLED": Row(Means.PAUSE, "Salesforce is down for maintenance.", NOBODY),
    "API_DISABLED_FOR_ORG": _API,
    "CLIENT_NOT_ACCESSIBLE_FOR_USER": _API,
    "FUNCTIONALITY_NOT_ENABLED": _API,
    "FUNCTIONALITY_TEMPORARILY_UNAVAILABLE": _DOWN,
    "UNSUPPORTED_API_VERSION": Row(Means.PAUSE, "Salesforce no longer serves this version of its interface."),
    "STORAGE_LIMIT_EXCEEDED": Row(Means.PAUSE, "Salesforce has no storage left."),
    # Objects and fields.
    "INVALID_TYPE": _HIDDEN,
    "INVALID_FIELD": _HIDDEN,
    "NOT_FOUND": _HIDDEN,
    "INVALID_FIELD_FOR_INSERT_UPDATE": _READ_ONLY,
    "INSUFFICIENT_ACCESS": _NO_ACCESS,  # a whole object without permission is told by its describe
    "INSUFFICIENT_ACCESS_OR_READONLY": _NO_ACCESS,
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": _NO_ACCESS,
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": _CODE,
    "CANNOT_EXECUTE_FLOW_TRIGGER": _CODE,
    "APEX_ERROR": _CODE,
    # The bridge's own mistakes: the same for every record.
    "MALFORMED_QUERY": _BUG,
    "INVALID_QUERY_FILTER_OPERATOR": _BUG,
    "METHOD_NOT_ALLOWED": _BUG,
    "UNSUPPORTED_MEDIA_TYPE": _BUG,
    "LIMIT_EXCEEDED": _BUG,
    "SANDBOX_NOT_IMPLEMENTED": _BUG,
    # The record.
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": _RULE,
    "FIELD_FILTER_VALIDATION_EXCEPTION": _RULE,
    "FIELD_INTEGRITY_EXCEPTION": _VALUE,
    "DEPENDENCY_EXISTS": _RULE,
    "STRING_TOO_LONG": Row(Means.REFUSE, "The text of {field} is too long for Salesforce.", ACCOUNTING),
    "REQUIRED_FIELD_MISSING": Row(Means.REFUSE, "Salesforce needs a value for {field}."),
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": Row(
        Means.REFUSE, "The value of {field} is not one of its choices in Salesforce."
    ),
    "NUMBER_OUTSIDE_VALID_RANGE": Row(Means.REFUSE, "The number in {field} is too large for Salesforce.", ACCOUNTING),
    "INVALID_EMAIL_ADDRESS": _VALUE,
    "INVALID_CURRENCY_ISO": Row(Means.REFUSE, "Salesforce does not know this currency."),
    "JSON_PARSER_ERROR": _VALUE,
    "MALFORMED_ID": _GONE,
    "INVALID_ID_FIELD": _GONE,
    "MISSING_ARGUMENT": _VALUE,
    "DUPLICATE_VALUE": _TWICE,
    "DUPLICATE_EXTERNAL_ID": Row(Means.REFUSE, "Several records in Salesforce have the same NetSuite key."),
    "DUPLICATES_DETECTED": Row(Means.REFUSE, "A duplicate rule in Salesforce refuses the record: {words}", SALES),
    "ENTITY_IS_DELETED": _GONE,
    "ENTITY_IS_LOCKED": Row(Means.REFUSE, "The record is locked in Salesforce by an approval process.", SALES),
    "INVALID_CROSS_REFERENCE_KEY": _GONE,
    "INACTIVE_OWNER_OR_USER": Row(Means.REFUSE, "The record belongs to a user who is no longer active.", SALES),
}

LOGIN_CODES: dict[str, Row] = {
    "invalid_grant": _LOGIN,
    "invalid_client": _LOGIN,
    "invalid_client_id": _LOGIN,
    "invalid_app_access": Row(Means.PAUSE, "The bridge's app in Salesforce is not approved for its user."),
    "app_not_found": Row(Means.PAUSE, "Salesforce does not know the bridge's app at this login host."),
    "unsupported_grant_type": Row(Means.PAUSE, "The bridge's way to log in is not enabled in Salesforce."),
    "inactive_user": Row(Means.PAUSE, "The bridge's user in Salesforce is not active."),
    "inactive_org": Row(Means.PAUSE, "The Salesforce organisation is locked or closed."),
    "rate_limit_exceeded": _BUSY,
    "server_error": _DOWN,
    "temporarily_unavailable": _DOWN,
    "unknown_error": _DOWN,
}

_STATUSES: dict[int, Row] = {
    401: _LOGIN,
    403: _API,
    404: _HIDDEN,
    405: _BUG,
    410: CODES["UNSUPPORTED_API_VERSION"],
    413: _BUG,
    414: _BUG,
    415: _BUG,
    429: _BUSY,
    431: _BUG,
    501: _BUG,
    503: _DOWN,
}


def of_errors(status: int, content: Any, *, write: bool) -> BridgeError:
    """Judge a whole call by the error codes in its answer, or by its status where there are none."""
    errors = content if isinstance(content, Sequence) and not isinstance(content, str | bytes) else [content]
    first = next((it for it in errors if isinstance(it, Mapping) and isinstance(it.get("errorCode"), str)), None)
    if first is None:
        return of_http(status, write=write, detail=str(content))
    return _judged(first["errorCode"], first, status=status, write=write)


def of_row(error: Any) -> BridgeError:
    """Judge one record of a collection: it was not saved, whatever the code says."""
    if not isinstance(error, Mapping) or not isinstance(error.get("statusCode"), str):
        return _made(_OTHER, "UNKNOWN_ERROR", {"message": "no reason given", "detail": str(error)}, write=True)
    return _judged(error["statusCode"], error, status=None, write=True)


def of_login(status: int, answer: Mapping[str, Any]) -> BridgeError:
    """Judge an OAuth error, an object with ``error`` and ``error_description``."""
    code, words = str(answer.get("error")), str(answer.get("error_description"))
    row = LOGIN_CODES.get(code)
    if "rate" in words.lower() and "exceeded" in words.lower():
        row = _BUSY  # "login rate exceeded" comes as invalid_grant
    if row is None:
        row = _DOWN if status >= 500 else _LOGIN
    return _made(row, code.upper(), {"message": words}, write=False)


def of_http(status: int, *, write: bool, detail: str = "") -> BridgeError:
    """Judge an answer that holds no error code of Salesforce: a page, a proxy, a redirect."""
    row = _STATUSES.get(status) or (_UNSURE if write else _SILENT)
    return _made(row, f"HTTP_{status}", {"message": detail}, write=write)


def of_exception(error: BaseException, *, write: bool) -> BridgeError:
    """Judge a call that ended without a readable answer."""
    words = f"{type(error).__name__}: {error}"
    if never_sent(error):
        return _made(_DOWN, "UNREACHABLE", {"message": words}, write=write)
    return unreadable(write=write, detail=words)


def unreadable(*, write: bool, detail: str) -> BridgeError:
    """An answer that cannot be understood, or none after the request was written."""
    return _made(_UNSURE if write else _SILENT, "NO_READABLE_ANSWER", {"message": detail}, write=write)


def _judged(code: str, error: Mapping[str, Any], *, status: int | None, write: bool) -> BridgeError:
    words = str(error.get("message") or "")
    row = CODES.get(code)
    if LOCKED in words:
        row = _LOCK  # a trigger or flow reports a lock under its own code
    elif code == "INVALID_FIELD" and words.startswith("Foreign key external ID"):
        row = Row(Means.LATER, "A record it refers to is not in Salesforce yet.", NOBODY, PARENT_MISSING)
    elif code == "UNKNOWN_EXCEPTION" or row is None:
        if status is None:
            row = _OTHER if code != "UNKNOWN_EXCEPTION" else _DOWN  # this record was rolled back
        elif status >= 500:
            row = _STATUSES.get(status) or (_UNSURE if write else _SILENT)
        else:
            row = _STATUSES.get(status, _OTHER)
    return _made(row, code, error, write=write)


def _made(row: Row, code: str, error: Mapping[str, Any], *, write: bool) -> BridgeError:
    words = _clean(str(error.get("message") or ""))
    fields = error.get("fields")
    name = next((it for it in fields if isinstance(it, str)), None) if isinstance(fields, list) else None
    if name is None and code == "REQUIRED_FIELD_MISSING":
        match = re.search(r"\[([A-Za-z0-9_]+)", words)
        name = match.group(1) if match else None
    sentence = row.sentence.format(field=label(name), words=words[:200] or code)
    detail = f"{code}: {words}"[:_DETAIL_LIMIT]
    code = row.code or code
    match row.means:
        case Means.THROTTLE:
            daily = "TotalRequests" in words
            wait_s = QUOTA_PAUSE_S if daily else None
            if daily:
                sentence = "Salesforce's daily number of calls is used up; the bridge goes on when some come back."
            return Deferred(sentence, code=code, detail=detail, throttled=True, retry_after_s=wait_s)
        case Means.LATER:
            return Deferred(sentence, code=code, detail=detail)
        case Means.DOUBT:
            return Uncertain(sentence, code=code, detail=detail)
        case Means.PAUSE:
            return Misconfigured(sentence, code=code, who=row.who, field=name, detail=detail)
        case Means.REFUSE:
            # A read cannot be wrong about a record: what is refused there is the bridge's question.
            kind = Rejected if write else Misconfigured
            return kind(sentence, code=code, who=row.who, field=name, detail=detail)


def label(name: str | None) -> str:
    """Return an API name as a person reads it: ``Payment_Terms__c`` → ``Payment Terms``."""
    if name is None:
        return "a field"
    words = name.removesuffix("__c").removesuffix("__r").replace("_", " ")
    return words.replace("Opportunity", "Application")


def _clean(words: str) -> str:
    """Return *words* on one line, without control characters: they end up in logs and on pages."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in words).split())
