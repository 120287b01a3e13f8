"""Change a value in what is waiting to be sent: which values there are, what a text means there, what it would change.

Must not know: any system's protocol, HTTP, SQL.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from bridge.errors import Rejected
from bridge.mapping import Push, Syncs
from bridge.ports import Fields

FIXED = ("Id", "@deleted", "SystemModstamp", "Bridge_Version__c")  # say which record it is, not what is in it
_LINE = re.compile(r"(\w+)\[(\d{1,4})\]\.(\w+)", re.ASCII)
LONGEST = 32_000


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change would do: the value before and after, the new source, and what NetSuite would be sent instead.

    *differences* are (NetSuite field, before, after); *problem* says why it cannot be sent even so.
    """

    path: str
    before: Any
    after: Any
    source: dict[str, Any]
    differences: tuple[tuple[str, Any, Any], ...]
    problem: str | None


def values(source: Fields) -> Iterator[tuple[str, Any]]:
    """Yield every value that can be changed, ``Lines[2].UnitPrice`` for one of the second line."""
    for name, value in sorted(source.items()):
        if name in FIXED:
            continue
        if isinstance(value, list):
            for number, line in enumerate(value, start=1):
                if isinstance(line, Mapping):
                    inner = ((key, it) for key, it in sorted(line.items()) if key not in FIXED)
                    yield from ((f"{name}[{number}].{key}", it) for key, it in inner if not isinstance(it, dict | list))
        elif not isinstance(value, dict):
            yield name, value


def change(syncs: Syncs, sync: str, source: Fields, path: str, text: str) -> Changed:
    """Return what becomes of *source* when the value at *path* becomes *text*. Raises Rejected for what cannot be."""
    known = dict(values(source))
    if path not in known or sync not in syncs.pushes:
        raise Rejected("There is no such value in this message.", code="NO_SUCH_VALUE", field=path)
    if syncs.pushes[sync].approved:
        sentence = "What was approved in Salesforce is corrected and approved there, not on its way."
        raise Rejected(sentence, code="APPROVED_ELSEWHERE", who="sales", field=path)
    before, after = known[path], typed(text, known[path], path)
    new: dict[str, Any] = copy.deepcopy(dict(source))
    found = _LINE.fullmatch(path)
    if found is None:
        new[path] = after
    else:
        new[found[1]][int(found[2]) - 1][found[3]] = after
    push = syncs.pushes[sync]
    was, _ = _mapped(syncs, push, source)
    will, problem = _mapped(syncs, push, new)
    differences = [
        (it, was.get(it), will.get(it)) for it in sorted(was.keys() | will.keys()) if was.get(it) != will.get(it)
    ]
    return Changed(path, before, after, new, tuple(differences), problem)


def _mapped(syncs: Syncs, push: Push, source: Fields) -> tuple[dict[str, Any], str | None]:
    """Return the record field by field, lines apart, and why it would not be sent."""
    try:
        record = push.record(str(source.get("Id")), source, syncs.context)
    except Rejected as error:
        return {}, error.message
    flat: dict[str, Any] = {}
    for name, value in record.fields.items():
        if isinstance(value, list):
            for number, line in enumerate(value, start=1):
                flat |= {f"{name} {number}: {key}": it for key, it in line.items()}
        else:
            flat[name] = value
    return flat, push.held(source, syncs.context)


def typed(text: str, like: Any, path: str) -> Any:
    """Read *text* as a value of the kind of *like*; empty text empties the field. Raises Rejected."""
    text = text.strip()
    if len(text) > LONGEST or "\x00" in text:
        raise Rejected("The text is too long.", code="VALUE_NOT_READABLE", field=path)
    if not text:
        return None
    try:
        if isinstance(like, bool):
            return {"yes": True, "true": True, "no": False, "false": False}[text.casefold()]
        if isinstance(like, Decimal | int):
            number = Decimal(text.replace(",", "")) if "_" not in text else Decimal("NaN")
            if not number.is_finite():
                raise ValueError("not a number")
            return number
        if isinstance(like, datetime):
            return datetime.fromisoformat(text)
        if isinstance(like, date):
            return date.fromisoformat(text)
    except (ValueError, KeyError, InvalidOperation) as error:
        kind = {bool: "yes or no", datetime: "a time such as 2026-11-20T10:00:00Z", date: "a day such as 2026-11-20"}
        wanted = kind.get(type(like), "a number")
        raise Rejected(f"This must be {wanted}.", code="VALUE_NOT_READABLE", field=path) from error
    return text
