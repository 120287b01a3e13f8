"""Customers and vendors that an Account took over in a merge, after the ledger that knew so was lost.

Such a record has the external id of the Account that is gone. Nothing but Salesforce tells whose it is, which shows its
number; without a look there, the next save of the Account would make a second one.

Must not know: SQL, SOAP, HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bridge.errors import BridgeError, Deferred, Misconfigured
from bridge.mapping import Push, external_id
from bridge.ports import MirrorSystem, Record, Ref, System
from bridge.records.status import ID_FIELDS
from bridge.work import Work


def inherit(work: Sequence[Work], netsuite: System, salesforce: MirrorSystem, *, interactive: bool) -> Deferred | None:
    """Have each *doubted* piece of *work* write to the record that its Account took over, where there is one.

    Returns why that could not be asked: nothing is sent then, for what goes together refers to each other.
    """
    asked = [it for it in work if it.doubted and it.records[0].ref.kind in ID_FIELDS]
    ours: dict[Ref, Ref] = {}
    for kind in dict.fromkeys(it.records[0].ref.kind for it in asked):
        own = [it for it in asked if it.records[0].ref.kind == kind]
        try:
            for it, found in zip(own, _shown(own, kind, netsuite, salesforce, interactive), strict=True):
                if found is not None:
                    ours[it.records[0].ref] = found
                    it.records[0] = replace(
                        it.records[0], ref=replace(it.records[0].ref, external_id=found.external_id)
                    )
        except Misconfigured:
            continue  # without the package's fields it shows nothing
        except BridgeError as error:
            return error if isinstance(error, Deferred) else Deferred(error.message, code=error.code)
    if ours:
        led = {it.external_id: Ref(found.kind, id=found.id) for it, found in ours.items()}
        for it in work:
            it.records[0] = replace(
                it.records[0], fields={name: _led(one, led) for name, one in it.records[0].fields.items()}
            )
    return None


def _shown(
    own: Sequence[Work], kind: str, netsuite: System, salesforce: MirrorSystem, interactive: bool
) -> list[Ref | None]:
    """Return the record of *kind* that each Account took over from one that is no more."""
    name = ID_FIELDS[kind][0]
    accounts = [Ref(it.row.source_kind, id=it.row.source_id) for it in own]
    sources = salesforce.get(accounts, (name,), interactive=interactive)
    numbers = [str(it.fields[name]) if it is not None and it.fields.get(name) else None for it in sources]
    ids = list(dict.fromkeys(it for it in numbers if it))
    there = (
        dict(zip(ids, netsuite.get([Ref(kind, id=it) for it in ids], interactive=interactive), strict=True))
        if ids
        else {}
    )
    found = [_ours(it, there.get(number or "")) for it, number in zip(own, numbers, strict=True)]
    former = {it: Ref("Account", id=it) for _, it in filter(None, found)}
    # A record that was cloned in Salesforce shows the number of the one it was made of, which is still there.
    alive = (
        {it for it, one in zip(former, salesforce.get(list(former.values())), strict=True) if one} if former else set()
    )
    return [None if it is None or it[1] in alive else it[0] for it in found]


def _ours(work: Work, found: Record | None) -> tuple[Ref, str] | None:
    """Return *found* and of which Salesforce record its external id tells, where that is another one."""
    push = work.sync
    if found is None or not isinstance(push, Push) or not found.ref.external_id:
        return None
    prefix, name = external_id(push.external_id, ""), found.ref.external_id
    is_other = name.casefold() != (work.records[0].ref.external_id or "").casefold()
    return (found.ref, name[len(prefix) :]) if is_other and name.casefold().startswith(prefix.casefold()) else None


def _led(value: Any, led: dict[str | None, Ref]) -> Any:
    if isinstance(value, Ref) and value.external_id in led:
        return led[value.external_id]
    if isinstance(value, list):
        return [{name: _led(part, led) for name, part in row.items()} for row in value]
    return value
