"""The wire contract with Apex: a callout's body as values, an answer's values as a body.

`parse` gives a `Callout` or raises `Refused`; it accepts one shape and nothing near it, because what is accepted is
stored for good. `encode` writes an `Answer`. Numbers are Decimal from the first byte on.

Must not know: Flask, the ledger, who signed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Never

import orjson

from bridge.ports import Received
from bridge.records.status import IN_FLIGHT
from bridge.records.status import Made as NetSuiteRecord
from bridge.records.status import Shown as ErrorShown

__all__ = ["Answer", "Callout", "ErrorShown", "NetSuiteRecord", "Refused", "Result", "encode", "parse"]

MAX_BYTES: Final = 2_000_000
MAX_RECORDS: Final = 200
MAX_DEPTH: Final = 20
MAX_DIGITS: Final = 32  # Salesforce numbers have up to 18
DELETED_VERSION: Final = 2**62  # nothing that was saved before a deletion comes after it

# The path's word → the object and its ids' first three characters. Applications are the Opportunity object, renamed.
KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "Account": ("Account", "001"),
    "Contact": ("Contact", "003"),
    "Application": ("Opportunity", "006"),
    # A custom object's ids begin with "a" and two characters that each organisation chooses for itself.
    "CreditRequest": ("Credit_Request__c", "a"),
}
_TOP: Final = {"id", "sentAt", "org", "user", "records", "deleted"}
_DELETED: Final = {"Id", "MasterRecordId", "SystemModstamp", "Bridge_Version__c"}
_OWN: Final = {"Id", "SystemModstamp", "Bridge_Version__c"}  # they become properties of `Received`
_ACCOUNTS: Final = {"AccountId", "ParentId", "Broker__c", "Account__c"}  # lanes and links are found by them
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ID: Final = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-5]{3})?")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,254}")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:?\d\d)", re.ASCII)
_UNPRINTABLE: Final = re.compile("[\x00\ud800-\udfff]")  # no database and no XML can hold them
_CHECK: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_CAPITALS: Final = {code: "01"[chr(code).isupper()] for code in range(128)}


class Refused(Exception):
    """The call as a whole is not accepted and nothing of it was stored.

    *sentence* is for the person who reads Apex's log; *status* is the HTTP status, *code* never changes its meaning.
    """

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.code, self.sentence = status, code, sentence


@dataclass(frozen=True, slots=True)
class Callout:
    """One accepted call: what changed, and what must not be forged or replayed."""

    id: str
    sent_at: datetime
    org: str
    user: str
    kind: str
    received: tuple[Received, ...]
    body_hash: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one record."""

    id: str
    state: str
    netsuite: tuple[NetSuiteRecord, ...] = ()
    error: ErrorShown | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What Apex gets to read. *correlation* finds the call in the log and on the console."""

    correlation: str
    results: tuple[Result, ...] = ()

    @property
    def status(self) -> int:
        """Return 200 when every record is settled, 202 while some are on their way."""
        return 202 if any(result.state in (*IN_FLIGHT, "queued") for result in self.results) else 200


def encode(answer: Answer) -> bytes:
    """Write an answer; what is not known is left out."""
    return orjson.dumps(
        {
            "correlation": answer.correlation,
            "results": [
                {
                    "id": result.id,
                    "state": result.state,
                    "netsuite": [_known(one) for one in result.netsuite],
                    **({"error": _known(result.error)} if result.error else {}),
                }
                for result in answer.results
            ],
        }
    )


def encode_refusal(correlation: str, refused: Refused) -> bytes:
    """Write the answer to a call that was not accepted."""
    return orjson.dumps(
        {"correlation": correlation, "error": {"code": refused.code, "message": refused.sentence}, "results": []}
    )


def _known(one: NetSuiteRecord | ErrorShown) -> dict[str, str]:
    return {name: value for name in one.__slots__ if (value := getattr(one, name)) is not None}


def object_of(word: str) -> str:
    """Return the Salesforce object of the path's last word. Raises Refused for any other word."""
    if word not in KINDS:
        raise Refused(404, "UNKNOWN_OBJECT", f"There is no such address; callouts are for {', '.join(KINDS)}.")
    return KINDS[word][0]


def check_size(length: int) -> None:
    """Raise Refused if a body of so many bytes is not worth reading."""
    if length > MAX_BYTES:
        raise Refused(413, "TOO_LARGE", f"The call is larger than {MAX_BYTES:,} bytes; send fewer records in one call.")


def parse(word: str, body: bytes) -> Callout:
    """Return the callout in *body*, which came to the address of *word*.

    Raises:
        Refused: 404, 413 or 400, with the place and the reason. Nothing is stored; an administrator compares the Apex
            package with this version of the bridge.
    """
    kind, prefix = object_of(word), KINDS[word][1]
    check_size(len(body))
    top = _json(body)
    _only(top, _TOP, "the body")
    call_id = _text(top, "id", _UUID, "a UUID").lower()
    sent_at = _moment(top.get("sentAt"), "sentAt")
    org = _id(top.get("org"), "org", "00D")
    user = _id(top.get("user"), "user", "005")
    records, deleted = _list(top, "records"), _list(top, "deleted")
    if len(records) + len(deleted) > MAX_RECORDS:
        raise Refused(413, "TOO_MANY_RECORDS", f"The call has more than {MAX_RECORDS} records; send them in several.")
    received = (
        *(_saved(kind, prefix, one, f"records[{place}]", user) for place, one in enumerate(records)),
        *(_gone(kind, prefix, one, f"deleted[{place}]", user, sent_at) for place, one in enumerate(deleted)),
    )
    if not received:
        raise _malformed("The call has neither records nor deleted ones.")
    if len({one.id for one in received}) < len(received):
        raise Refused(400, "SAME_RECORD_TWICE", "The call names one record twice.")
    return Callout(call_id, sent_at, org, user, kind, received, hashlib.sha256(body).hexdigest())


def _malformed(sentence: str) -> Refused:
    return Refused(400, "MALFORMED", sentence)


# --- JSON, strictly -------------------------------------------------------------------------------------------------


def _json(body: bytes) -> dict[str, Any]:
    try:
        value: Any = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _malformed("The body is not UTF-8.") from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise _malformed("The body is not JSON.") from error
    if not isinstance(value, dict):
        raise _malformed("The body is not a JSON object.")
    _check(value, 1, set())
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _malformed("A name stands twice in one object.")
    return found


def _number(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except (InvalidOperation, ValueError) as error:  # an exponent of more digits than a Decimal can hold
        raise _out_of_range() from error
    _, digits, exponent = value.as_tuple()
    if len(digits) > MAX_DIGITS or not isinstance(exponent, int) or not -MAX_DIGITS <= exponent <= MAX_DIGITS:
        raise _out_of_range()
    return value


def _out_of_range() -> Refused:
    return _malformed("A number has more digits than Salesforce can hold.")


def _constant(text: str) -> Never:
    raise _malformed(f"{text} is not a number.")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_number, parse_int=_number, parse_constant=_constant
)


def _too_deep() -> Refused:
    return _malformed(f"The body is nested more than {MAX_DEPTH} deep.")


def _check(value: dict[str, Any] | list[Any], depth: int, names: set[str]) -> None:
    """Refuse what is nested too deep, names that are not of fields, and text that cannot be kept."""
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, dict):
        for name in value.keys() - names:
            # Names of fields only, so that a value can never look like one of the ledger's own marks.
            if not _NAME.fullmatch(name):
                raise _malformed("A name in the body is not that of a field.")
            names.add(name)
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, str):
            if _UNPRINTABLE.search(inner):
                raise _malformed("A text has a character that cannot be kept (NUL or half of a pair).")
        elif isinstance(inner, dict | list):
            _check(inner, depth + 1, names)


# --- one record ----------------------------------------------------------------------------------------------------


def _saved(kind: str, prefix: str, given: Any, where: str, user: str) -> Received:
    record = _mapping(given, where)
    lines = record.get("Lines")
    if lines is not None:
        if kind != "Opportunity" or not isinstance(lines, list):
            raise _malformed(f"{where}.Lines is not a list of an Application's fee lines.")
        lines = [_line(one, f"{where}.Lines[{place}]") for place, one in enumerate(lines)]
    fields = {name: value for name, value in record.items() if name not in _OWN}
    for name in _ACCOUNTS & fields.keys():
        if fields[name] is not None:
            fields[name] = _id(fields[name], f"{where}.{name}", "001")
    if lines is not None:
        fields["Lines"] = lines
    return Received(
        kind,
        _id(record.get("Id"), f"{where}.Id", prefix),
        _version(record, where),
        _moment(record.get("SystemModstamp"), f"{where}.SystemModstamp"),
        fields,
        user,
    )


def _line(given: Any, where: str) -> dict[str, Any]:
    line = _mapping(given, where)
    return {**line, "Id": _id(line.get("Id"), f"{where}.Id", "00k")}


def _gone(kind: str, prefix: str, given: Any, where: str, user: str, sent_at: datetime) -> Received:
    entry = _mapping(given, where)
    _only(entry, _DELETED, where)
    stamp, master = entry.get("SystemModstamp"), entry.get("MasterRecordId")
    return Received(
        kind,
        _id(entry.get("Id"), f"{where}.Id", prefix),
        DELETED_VERSION,
        sent_at if stamp is None else _moment(stamp, f"{where}.SystemModstamp"),
        {},
        user,
        deleted=True,
        merged_into=None if master is None else _id(master, f"{where}.MasterRecordId", prefix),
    )


def _mapping(given: Any, where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise _malformed(f"{where} is not an object.")
    return given


def _only(given: Mapping[str, Any], names: set[str], where: str) -> None:
    if not given.keys() <= names:
        raise _malformed(f"{min(given.keys() - names)[:40]} does not belong into {where}.")


def _list(top: Mapping[str, Any], name: str) -> list[Any]:
    found = top.get(name, [])
    if not isinstance(found, list):
        raise _malformed(f"{name} is not a list.")
    return found


def _text(top: Mapping[str, Any], name: str, pattern: re.Pattern[str], what: str) -> str:
    found = top.get(name)
    if not isinstance(found, str) or not pattern.fullmatch(found):
        raise _malformed(f"{name} is not {what}.")
    return found


def _moment(given: Any, where: str) -> datetime:
    """Read ``2026-11-20T10:00:00.000Z`` or ``…+0000`` as a moment in UTC."""
    if isinstance(given, str) and _MOMENT.fullmatch(given):
        try:
            return datetime.fromisoformat(given).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise _malformed(f"{where} is not a time with its zone, such as 2026-11-20T10:00:01Z.")


def _version(record: Mapping[str, Any], where: str) -> int:
    found = record.get("Bridge_Version__c")
    if found is None:
        return 0
    if isinstance(found, Decimal) and 0 <= found < 10**18 and found == int(found):
        return int(found)
    raise _malformed(f"{where}.Bridge_Version__c is not a whole number.")


def _id(given: Any, where: str, prefix: str) -> str:
    """Return an id of 15 or 18 characters in its 18-character form.

    The last three characters say which of the first 15 are capitals.
    Source: Salesforce Object Reference, "ID Field Type".
    """
    if not isinstance(given, str) or not _ID.fullmatch(given) or not given.startswith(prefix):
        raise _malformed(f"{where} is not an id that begins with {prefix}.")
    core = given[:15]
    capitals = core.translate(_CAPITALS)  # each five of them are a number, its lowest digit first
    check = "".join(_CHECK[int(capitals[place::-1][:5], 2)] for place in (4, 9, 14))
    if len(given) == 18 and given[15:] != check:
        raise _malformed(f"{where} is not an id: its last three characters do not fit.")
    return core + check
