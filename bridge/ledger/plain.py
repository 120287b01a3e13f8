"""Plain values as JSON text and back, exactly: a Decimal stays a Decimal, a moment keeps its zone, a Ref stays a Ref.

Databases' own JSON turns 0.1 into a float; text does not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from functools import lru_cache
from typing import Any, Final

import orjson

from bridge.ports import Ref

# The default context rounds to 28 digits: two amounts that differ further on would be the same.
_EXACT: Final = Context(prec=200, Emax=MAX_EMAX, Emin=MIN_EMIN)
ERASED: Final = "@erased"  # stands where a payload was that had to be forgotten
_DEEP: Final = frozenset((dict, list, tuple, float))
_TAGS: Final = frozenset(("$d", "$t", "$y", "$r", "$o"))


def _tagged(value: Any) -> Any:
    if isinstance(value, Decimal):
        return {"$d": str(value)}
    if isinstance(value, datetime):
        return {"$t": value.isoformat()}
    if isinstance(value, date):
        return {"$y": value.isoformat()}
    if isinstance(value, Ref):
        return {"$r": [value.kind, value.id, value.external_id, value.name]}
    raise TypeError(f"{type(value).__name__} does not cross the port")


def _untagged(value: dict[str, Any]) -> Any:
    if len(value) == 1:
        ((tag, inner),) = value.items()
        match tag:
            case "$d":
                return Decimal(inner)
            case "$t":
                return datetime.fromisoformat(inner)
            case "$y":
                return date.fromisoformat(inner)
            case "$r":
                return Ref(*inner)
            case "$o":
                return dict(inner)
    return value


def _quick(value: Any) -> Any:
    """Return *value* fit to be encoded: no float in it, and no dict that would be read back as something else.

    What need not be changed is not copied. Subclasses are left to `_checked`: orjson does not take them.
    """
    kind = type(value)
    if kind is dict:
        made: dict[str, Any] | None = None
        for key, it in value.items():
            if type(it) in _DEEP and (new := _quick(it)) is not it:
                made = dict(value) if made is None else made
                made[key] = new
        inner = value if made is None else made
        # As a list of pairs, for a dict inside would be taken for a tag again.
        return {"$o": [[key, it] for key, it in inner.items()]} if len(inner) == 1 and inner.keys() & _TAGS else inner
    if kind is list or kind is tuple:
        rows = [_quick(it) if type(it) in _DEEP else it for it in value]
        return value if all(new is it for new, it in zip(rows, value, strict=True)) else rows
    if kind is float:
        raise TypeError("float does not cross the port")
    return value


def _checked(value: Any) -> Any:
    """Do the same for any kind of value."""
    if isinstance(value, float):
        raise TypeError("float does not cross the port")
    if isinstance(value, dict):
        inner = {key: _checked(it) for key, it in value.items()}
        return {"$o": [[key, it] for key, it in inner.items()]} if len(inner) == 1 and inner.keys() & _TAGS else inner
    if isinstance(value, list | tuple):
        return [_checked(it) for it in value]
    return value


_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
_ENCODER = json.JSONEncoder(default=_tagged, ensure_ascii=False, separators=(",", ":"))
_SORTED = json.JSONEncoder(default=_tagged, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
_DECODER = json.JSONDecoder(object_hook=_untagged)


def dumps(value: Any) -> str:
    """Return *value* as JSON text. Raises TypeError for anything that may not cross the port, floats included."""
    try:
        return orjson.dumps(_quick(value), _tagged, _OPTIONS).decode()
    except orjson.JSONEncodeError:  # a number of more than 64 bits, or something that json explains better
        return _ENCODER.encode(_checked(value))


def loads(text: str) -> Any:
    return _DECODER.decode(text)


def digest(text: str) -> str:
    """Return a hash of what `dumps` returned: other than a `fingerprint` it tells 1.0 from 1.00."""
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def fingerprint(value: Any) -> str:
    """Return a hash of *value* that does not depend on the order of its keys; amounts of equal worth are equal."""
    _refuse_floats(value)
    try:
        body = orjson.dumps(value, _worth, _OPTIONS | orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        body = _SORTED.encode(_normal(value)).encode()
    return hashlib.sha256(body).hexdigest()[:40]


def _refuse_floats(value: Any) -> None:
    kind = type(value)
    if kind is float:
        raise TypeError("float does not cross the port")
    for it in value.values() if kind is dict else value if kind in _DEEP else ():
        if type(it) in _DEEP:
            _refuse_floats(it)


def _worth(value: Any) -> Any:
    if isinstance(value, Decimal):
        return {"$d": str(value.normalize(_EXACT)) if value else "0"}
    return _tagged(value)


def _normal(value: Any) -> Any:
    if isinstance(value, Decimal):
        return Decimal(0) if value == 0 else value.normalize(_EXACT)
    if isinstance(value, float):
        raise TypeError("float does not cross the port")
    if isinstance(value, dict):
        return {key: _normal(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_normal(inner) for inner in value]
    return value


def source_mark(fields: Mapping[str, Any], reads: Iterable[str]) -> str:
    """Return a hash of what the syncs read of a record, the same whether a callout or a query brought it.

    A callout carries dates as text and numbers as they were written; a query gives them typed. *reads* lists the
    fields, ``Lines.X`` for a field of a line.
    """
    own, inner = _split(tuple(reads))
    wanted: dict[str, Any] = {it: _as_text(fields[it]) for it in own if fields.get(it) is not None}
    for child, parts in inner.items():
        # In the order of their ids: neither a callout nor a query promises one.
        rows = sorted(fields.get(child) or (), key=lambda row: str(row.get("Id")))
        wanted[child] = [{it: _as_text(row[it]) for it in parts if row.get(it) is not None} for row in rows]
    return hashlib.sha256(_SORTED.encode(wanted).encode()).hexdigest()[:40]


def says_the_same(stored: Mapping[str, Any], fields: Mapping[str, Any], reads: Iterable[str]) -> bool:
    """Say whether a record says what was *stored* of it; a field that is read only since then is no matter."""
    if ERASED in stored:
        return True
    own, inner = _split(tuple(reads))
    there = [it for it in own if it in stored]
    for child, parts in inner.items():
        rows = stored.get(child) or ()
        there += [f"{child}.{it}" for it in parts if not rows or any(it in row for row in rows)]
    return source_mark(stored, there) == source_mark(fields, there)


@lru_cache(maxsize=64)  # as many as there are objects
def _split(reads: tuple[str, ...]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the fields of a record, and those of its lines by the name of their list."""
    own: list[str] = []
    inner: dict[str, list[str]] = {}
    for name in reads:
        child, _, part = name.partition(".")
        (inner.setdefault(child, []) if part else own).append(part or name)
    return own, inner


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | Decimal):
        return str(Decimal(0) if value == 0 else Decimal(value).normalize(_EXACT))
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and value[10:11] == "T":
        try:
            return _as_text(datetime.fromisoformat(value))
        except ValueError:
            return value
    return str(value)
