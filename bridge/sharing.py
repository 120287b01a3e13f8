"""Fields that both systems may change: written only over what NetSuite held when both last agreed.

Of each shared field the link keeps a pair: what Salesforce said, and what NetSuite held then. Whoever still says that
has not changed it. Both changed is a conflict, which a person settles by choosing a side.
SuiteTalk has no conditional write: an edit in the moment between the look and the write is not seen.

Must not know: any system, SQL, HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.comparing import same
from bridge.errors import Rejected
from bridge.ledger import plain
from bridge.ledger.links import Link
from bridge.mapping import Push
from bridge.ports import Record

CODE = "CHANGED_ON_BOTH_SIDES"
SIDES = ("salesforce", "netsuite")
CHOSEN = "@chosen"  # in a message's payload: {"side": …, "seen": {field: what NetSuite held then}}
SHOWN = 60  # characters of a value in a sentence


@dataclass(frozen=True, slots=True)
class Settled:
    """What may be written, the pairs from then on, and by field what both say where a person must choose."""

    record: Record
    pairs: dict[str, list[Any]]
    conflicts: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def settle(push: Push, record: Record, known: Link | None, found: Record | None, payload: str = "") -> Settled:
    """Decide about the shared fields of *record*, of which NetSuite holds *found*."""
    before: Mapping[str, list[Any]] = known.parts.get("shared", {}) if known else {}
    pairs, conflicts = dict(before), dict[str, tuple[Any, Any]]()
    fields = dict(record.fields)
    chosen = plain.loads(payload).get(CHOSEN, {}) if f'"{CHOSEN}"' in payload else {}
    for name in push.shared:
        if name not in fields:
            continue
        ours = fields[name]
        if known is None or found is None:  # it is made now, or made anew
            pairs[name] = [ours, ours]
            continue
        theirs, pair = found.fields.get(name), before.get(name)
        if same(ours, theirs):
            pairs[name] = [ours, theirs]
            del fields[name]
        elif pair is not None and same(ours, pair[0]):
            del fields[name]  # only NetSuite changed it
        elif (pair is not None and same(pair[1], theirs)) or _is_chosen(chosen, "salesforce", name, theirs):
            pairs[name] = [ours, ours]
        elif _is_chosen(chosen, "netsuite", name, theirs):
            pairs[name] = [ours, theirs]
            del fields[name]
        else:
            conflicts[name] = (ours, theirs)
    return Settled(replace(record, fields=fields), pairs, conflicts)


def _is_chosen(chosen: Mapping[str, Any], side: str, name: str, theirs: Any) -> bool:
    """Say whether a person chose *side* over what NetSuite still holds."""
    return chosen.get("side") == side and name in chosen["seen"] and same(chosen["seen"][name], theirs)


def in_step(push: Push, record: Record, found: Record) -> dict[str, list[Any]]:
    """Return the pairs of a record that NetSuite was found to hold as it was sent."""
    return {name: [record.fields[name], found.fields.get(name)] for name in push.shared if name in record.fields}


def read_back(pairs: dict[str, list[Any]], written: Record, found: Record) -> dict[str, list[Any]]:
    """Return *pairs* with what NetSuite made of the values that were written: it may write a number its own way."""
    return {name: [pair[0], found.fields.get(name)] if name in written.fields else pair for name, pair in pairs.items()}


def pulled(pairs: Mapping[str, list[Any]], source: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return *pairs* with what a pull has read and shown in Salesforce since: whoever changes it there knew it."""
    return {name: [pair[0], source[name]] if name in source else pair for name, pair in pairs.items()}


def conflict(conflicts: Mapping[str, tuple[Any, Any]]) -> Rejected:
    """Return what is told of fields that both systems changed."""
    name, (ours, theirs) = next(iter(conflicts.items()))
    more = f" So were {len(conflicts) - 1} more fields." if len(conflicts) > 1 else ""
    both = {it: {"salesforce": pair[0], "netsuite": pair[1]} for it, pair in conflicts.items()}
    return Rejected(
        f"{name} was changed on both sides: {_words(ours)} in Salesforce, {_words(theirs)} in NetSuite.{more}"
        " Choose one on the page of this message.",
        code="CHANGED_ON_BOTH_SIDES",
        who="accounting",
        field=name,
        detail=plain.dumps(both),
    )


def both(code: str | None, detail: str | None) -> dict[str, dict[str, Any]]:
    """Return by field what both sides said in a conflict that was told; nothing where it was none."""
    if code != CODE or not detail:
        return {}
    found: dict[str, dict[str, Any]] = plain.loads(detail)
    return found


def chosen(payload: str, detail: str, side: str) -> str:
    """Return a message's payload with a person's choice in it, which holds for what that person saw."""
    seen = {name: said["netsuite"] for name, said in both(CODE, detail).items()}
    return plain.dumps({**plain.loads(payload), CHOSEN: {"side": side, "seen": seen}})


def _words(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    words = str(getattr(value, "name", None) or getattr(value, "id", None) or value)
    return f"'{words[:SHOWN]}'"
