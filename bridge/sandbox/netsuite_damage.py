"""What a chosen fault makes of an answer: a SOAP fault, another HTTP answer, a cut, or spoiled bytes.

Must not know: records, operations.
"""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.sandbox.answers import Answer, Cut
from bridge.sandbox.netsuite_auth import INVALID_LOGIN, SoapFault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.sandbox.faults import Fault

MAINTENANCE = (
    "The account you are trying to access is currently unavailable "
    "while we undergo our regularly scheduled maintenance."
)
BLOCKED = "SuiteTalk concurrent request limit exceeded. Request blocked."
# action -> fault element, code, message. Which element carries ACCT_TEMP_UNAVAILABLE is not documented (assumption).
SOAP_FAULTS: dict[str, tuple[str | None, str | None, str]] = {
    "throttle": ("exceededConcurrentRequestLimitFault", "WS_REQUEST_BLOCKED", BLOCKED),
    "auth": ("invalidCredentialsFault", "INVALID_LOGIN_CREDENTIALS", INVALID_LOGIN),
    "permission": ("insufficientPermissionFault", "INSUFFICIENT_PERMISSION", "You do not have this permission."),
    "session": ("invalidSessionFault", "SESSION_TIMED_OUT", "Your connection has timed out. Please log in again."),
    "maintenance": ("unexpectedErrorFault", "ACCT_TEMP_UNAVAILABLE", MAINTENANCE),
    "unexpected": ("unexpectedErrorFault", "UNEXPECTED_ERROR", "An unexpected error occurred. Error ID: sandbox"),
    "no_detail": (None, None, "An unexpected error occurred"),
}
# A page as a proxy or a maintenance server sends it: XHTML is well-formed XML, HTML is not.
XHTML = (
    b'<?xml version="1.0" encoding="UTF-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>Maintenance</title>'
    b"</head><body><p>We will be back soon.</p></body></html>"
)
PAGES = {"html": b"<html><head><title>503</title><body><p>Service unavailable<br></body>", "xhtml": XHTML, "empty": b""}


def fault_for(fault: Fault) -> SoapFault:
    """The SOAP fault of *fault*."""
    return SoapFault(*SOAP_FAULTS[fault.action])


def cut_before(faults: Sequence[Fault], *, after: bool = False) -> Answer | None:
    """The answer that replaces the real one before the work, or *after* it is committed; None to go on.

    Raises Cut for a dropped connection and SoapFault for a fault.
    """
    for fault in faults:
        if fault.action in SOAP_FAULTS and fault.after is after:
            raise fault_for(fault)
        if fault.action == "drop" and fault.after is after:
            raise Cut
        if fault.action == "http" and fault.after is after:
            body = PAGES[fault.options.get("body", "html")]
            kind = "application/xhtml+xml" if body is XHTML else "text/html; charset=utf-8"
            return Answer(int(fault.options.get("status", 503)), body, content_type=kind)
        if fault.action == "redirect" and not after:
            return Answer(302, b"", headers=(("Location", "/pages/customerlogin.jsp"),))
    return None


def damage(answer: Answer, faults: Sequence[Fault]) -> Answer:
    """*answer* with its bytes spoiled as *faults* say."""
    for fault in faults:
        body = answer.body if isinstance(answer.body, bytes) else b""
        if fault.action == "truncate":
            kept = body[: int(fault.options.get("bytes", len(body) // 2))]
            if fault.options.get("clean"):
                answer = replace(answer, body=kept)
            else:
                answer = replace(answer, body=kept, length=len(body), then_cut=True)
        elif fault.action == "gzip_trailer":
            answer = replace(answer, body=gzip.compress(body)[:-8], headers=(("Content-Encoding", "gzip"),))
        elif fault.action == "garble":
            offset = int(fault.options.get("offset", len(body) // 2)) % len(body)
            answer = replace(answer, body=body[:offset] + bytes([body[offset] ^ 0xFF]) + body[offset + 1 :])
        elif fault.action == "unknown_element":
            # A newer server's field, at the end of the first status it finds: strict readers fail on it.
            marker = b'isSuccess="true"/>'
            extra = b'isSuccess="true"><platformCore:newElement>1</platformCore:newElement></platformCore:status>'
            answer = replace(answer, body=body.replace(marker, extra, 1))
        elif fault.action == "endless":
            answer = replace(answer, body=_endless(body))
    return answer


def _endless(body: bytes) -> Iterator[bytes]:
    head, _, _ = body.partition(b"<soapenv:Body>")
    yield head
    while True:
        yield b" " * 65536
