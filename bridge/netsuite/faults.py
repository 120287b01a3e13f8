"""What a signal from NetSuite means: a table from code to outcome, with sources.

``of_fault`` judges a SOAP Fault, ``of_status`` one record's statusDetail, ``of_http`` an answer that is no SOAP at all,
``in_doubt`` a missing or unreadable answer. Each takes *write*: the same silence is Uncertain after a write and
Deferred after a read. Codes are open strings: documented ones are missing from the schema's enumeration.

Must not know: how an answer was fetched.

Sources: NetSuite Help sections N3536574 (errors), N3539978 (status codes), 1540364662 (retrying), subsect_156935170194
(token problems); the enumerations FaultCodeType and StatusDetailCodeType of the 2025_2 schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lxml import etree

from bridge.errors import BridgeError, Deferred, Misconfigured, Rejected, Uncertain
from bridge.netsuite.reading import child, local, text

ACCOUNTING, ADMINISTRATOR = "accounting", "administrator"
_DETAIL_LIMIT = 500  # characters of NetSuite's own words that are kept


class Means(Enum):
    """What happens next."""

    THROTTLE = "not executed, slow down"
    LATER = "not executed, try again"
    PAUSE = "everything would fail alike"
    DOUBT = "may have been executed"
    REFUSE = "the record is wrong"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. *sentence* is for the person who can act."""

    means: Means
    sentence: str
    who: str = ACCOUNTING


_BUSY = Row(Means.THROTTLE, "NetSuite is busy; the bridge tries again.", "nobody")
_SESSION = Row(Means.LATER, "NetSuite dropped the session; the bridge tries again.", "nobody")
_CHANGED = Row(Means.LATER, "The record was changed in NetSuite at the same moment; the bridge tries again.", "nobody")
_LOGIN = Row(Means.PAUSE, "NetSuite does not accept the bridge's credentials.", ADMINISTRATOR)
_ROLE = Row(Means.PAUSE, "The bridge's role in NetSuite lacks a permission.", ADMINISTRATOR)
_CLOSED = Row(Means.PAUSE, "NetSuite is down for maintenance.", "nobody")
_VERSION = Row(Means.PAUSE, "NetSuite no longer serves this SuiteTalk version.", ADMINISTRATOR)
_SIZE = Row(Means.PAUSE, "The bridge sent NetSuite more in one call than it takes.", ADMINISTRATOR)
_UNSURE = Row(Means.DOUBT, "NetSuite did not say whether it saved the record; the bridge looks it up.", "nobody")
_TWICE = Row(Means.REFUSE, "NetSuite already has a record with this name or number.")
_PERIOD = Row(Means.REFUSE, "The accounting period is closed or missing.")
_LINK = Row(Means.REFUSE, "The record refers to something NetSuite does not have.")

CODES: dict[str, Row] = {
    # Concurrency: of the account, the user or the session. Not executed.
    "WS_REQUEST_BLOCKED": _BUSY,
    "WS_CONCUR_SESSION_DISALLWD": _BUSY,
    "EXCEEDED_MAX_CONCUR_RQST": _BUSY,
    "CONCURRENCY_LIMIT_EXCEEDED": _BUSY,
    "SSS_REQUEST_LIMIT_EXCEEDED": _BUSY,
    "SESSION_TIMED_OUT": _SESSION,
    "WS_LOG_IN_REQD": _SESSION,
    "RCRD_HAS_BEEN_CHANGED": _CHANGED,
    "RCRD_EDITED_SINCE_RETRIEVED": _CHANGED,
    "INVALID_JOB_ID": Row(
        Means.LATER, "NetSuite forgot a search between two pages; the bridge starts again.", "nobody"
    ),
    # Credentials and role. Five failed logins lock the user for 30 minutes, so one is enough.
    "INVALID_LOGIN": _LOGIN,
    "INVALID_LOGIN_ATTEMPT": _LOGIN,
    "INVALID_LOGIN_CREDENTIALS": _LOGIN,
    "INVALID_ACCT": _LOGIN,
    "INVALID_ROLE": _LOGIN,
    "LOGIN_DISABLED": _LOGIN,
    "ROLE_REQUIRED": _LOGIN,
    "PSWD_REQD": _LOGIN,
    "EMAIL_ADDRS_REQD": _LOGIN,
    "WS_FEATURE_REQD": _ROLE,
    "WS_PERMISSION_REQD": _ROLE,
    "OI_FEATURE_REQD": _ROLE,
    "OI_PERMISSION_REQD": _ROLE,
    "ACCT_TEMP_UNAVAILABLE": _CLOSED,
    "INVALID_WS_VERSION": _VERSION,
    "UNSUPPORTED_WS_VERSION": _VERSION,
    "INVALID_VERSION": _VERSION,
    "MAX_RCRDS_EXCEEDED": _SIZE,
    # It may have happened: NetSuite goes on with what it has received.
    "UNEXPECTED_ERROR": _UNSURE,
    "EXCEEDED_MAX_TIME": _UNSURE,
    "SEARCH_TIMED_OUT": _UNSURE,
    "ABORT_SEARCH_EXCEEDED_MAX_TIME": _UNSURE,
    "SSS_TIME_LIMIT_EXCEEDED": _UNSURE,
    "SSS_APP_SERVER_RESTART": _UNSURE,
    "SSS_CONNECTION_TIME_OUT": _UNSURE,
    # The record is wrong.
    "INSUFFICIENT_PERMISSION": Row(Means.REFUSE, "The bridge's role may not write this record.", ADMINISTRATOR),
    "DUP_ENTITY": _TWICE,
    "DUP_ENTITY_NAME": _TWICE,
    "DUP_ENTITY_EMAIL": _TWICE,
    "DUP_VENDOR_NAME": _TWICE,
    "DUP_RCRD": _TWICE,
    "DUP_TRANS": _TWICE,
    "DUP_CSTM_RCRD_ENTRY": _TWICE,
    "UNIQUE_CUST_ID_REQD": _TWICE,
    "UNIQUE_CUST_EMAIL_REQD": _TWICE,
    "UNIQUE_RCRD_ID_REQD": _TWICE,
    "UNIQUE_CONTACT_NAME_REQD": _TWICE,
    "CONTACT_ALREADY_EXISTS": _TWICE,
    "CLOSED_TRAN_PRD": _PERIOD,
    "TRAN_PERIOD_CLOSED": _PERIOD,
    "TRAN_PRD_CLOSED": _PERIOD,
    "VALID_PRD_REQD": _PERIOD,
    "RCRD_LOCKED_BY_WF": Row(Means.REFUSE, "A workflow in NetSuite has locked the record."),
    "INVALID_KEY_OR_REF": _LINK,
    "INVALID_REF_KEY": _LINK,
    "RCRD_DSNT_EXIST": _LINK,
    "CANT_UPDATE_LINKED_TRANS_LINES": Row(Means.REFUSE, "Lines that are already billed or received cannot change."),
}
TWICE = frozenset(code for code, row in CODES.items() if row is _TWICE)

FAULTS: dict[str, Row] = {
    "exceededconcurrentrequestlimitfault": _BUSY,
    "exceededrequestlimitfault": _BUSY,
    "exceededusagelimitfault": _BUSY,
    "invalidsessionfault": _SESSION,
    "invalidcredentialsfault": _LOGIN,
    "invalidaccountfault": _LOGIN,
    "insufficientpermissionfault": _ROLE,
    "invalidversionfault": _VERSION,
    "exceededrecordcountfault": _SIZE,
    "exceededrequestsizefault": _SIZE,
}


def in_doubt(reason: str, *, write: bool, code: str = "NO_ANSWER") -> BridgeError:
    """Return the outcome of a request that was written and has no readable answer."""
    if write:
        return Uncertain(_UNSURE.sentence, code=code, detail=reason[:_DETAIL_LIMIT])
    return Deferred("NetSuite did not answer; the bridge tries again.", code=code, detail=reason[:_DETAIL_LIMIT])


def not_sent(reason: str) -> Deferred:
    """Return the outcome of a request of which not one byte was written."""
    return Deferred(
        "NetSuite cannot be reached; the bridge tries again.", code="NOT_CONNECTED", detail=reason[:_DETAIL_LIMIT]
    )


def of_fault(fault: etree._Element, *, write: bool) -> BridgeError:
    """Judge a SOAP Fault, on whatever HTTP status: its detail's code first, then the name of the detail.

    An unknown Fault of a write is in doubt: nobody documents that it means "not executed".
    """
    words = text(child(fault, "faultstring")) or ""
    detail = child(fault, "detail")
    name, code = "", ""
    for one in detail if detail is not None else ():
        code = text(child(one, "code")) or ""
        name = local(one)
        if code:
            break
    own = f"{name or 'Fault'} {code}: {words}"
    if "ambiguous authentication" in words.lower():
        return _error(_LOGIN, "AMBIGUOUS_AUTHENTICATION", own, write=write)
    if code == "INSUFFICIENT_PERMISSION":  # as a Fault it is the role's, for one record it is the record's
        return _error(_ROLE, code, own, write=write)
    by_name = FAULTS.get(name.lower())
    row = CODES.get(code)
    if row is None or (row.means is Means.REFUSE):
        row = by_name
    if row is None:
        return in_doubt(own, write=write, code=code or "UNKNOWN_FAULT")
    return _error(row, code or name.upper(), own, write=write)


def of_status(code: str | None, message: str | None, *, write: bool) -> BridgeError:
    """Judge one record's ``isSuccess="false"``. An unknown code is accounting's to look at; none at all is in doubt."""
    own = f"{code}: {message or ''}"
    if not code:
        return in_doubt(f"refused without a code: {message or ''}", write=write, code="UNREADABLE_ANSWER")
    row = CODES.get(code)
    if row is None:
        said = f" It says: {message.strip()[:200]}" if message else ""
        row = Row(Means.REFUSE, f"NetSuite refused the record.{said}")
    return _error(row, code, own, write=write)


def of_http(status: int, content_type: str, retry_after: str | None, reason: str, *, write: bool) -> BridgeError:
    """Judge an answer that is no SOAP envelope, by status and content type.

    A page of HTML where SOAP is due is a maintenance or login page: nothing was executed, and nothing will be until
    it goes away. A gateway's own error (500, 502, 504) says nothing about what became of the request.
    """
    own = f"HTTP {status} {content_type}: {reason}"
    if status == 429:
        wait = float(retry_after) if retry_after and retry_after.isdigit() else None
        return Deferred(_BUSY.sentence, code="TOO_MANY_REQUESTS", detail=own, throttled=True, retry_after_s=wait)
    if 300 <= status < 400:
        return Misconfigured("NetSuite sends the bridge to another address.", code="REDIRECTED", detail=own)
    if status in (401, 403):
        return Misconfigured("Something in front of NetSuite refuses the bridge.", code="NOT_ADMITTED", detail=own)
    if status in (404, 410):
        return Misconfigured(_VERSION.sentence, code="ENDPOINT_GONE", detail=own)
    if "html" in content_type and status in (200, 503):
        return Misconfigured(_CLOSED.sentence, code="MAINTENANCE_PAGE", who="nobody", detail=own)
    return in_doubt(own, write=write, code="UNREADABLE_ANSWER")


def _error(row: Row, code: str, own: str, *, write: bool) -> BridgeError:
    own = own[:_DETAIL_LIMIT]
    match row.means:
        case Means.THROTTLE:
            return Deferred(row.sentence, code=code, detail=own, throttled=True)
        case Means.LATER:
            return Deferred(row.sentence, code=code, detail=own)
        case Means.PAUSE:
            return Misconfigured(row.sentence, code=code, who=row.who, detail=own)
        case Means.DOUBT:
            return in_doubt(own, write=write, code=code)
        case Means.REFUSE if not write:
            # Nothing of ours is wrong with a question: the role or the request itself is.
            return Misconfigured("NetSuite refuses to answer the bridge.", code=code, detail=own)
        case Means.REFUSE:
            return Rejected(row.sentence, code=code, who=row.who, detail=own)
