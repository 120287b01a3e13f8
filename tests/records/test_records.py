"""Golden pairs: ``<record>/<case>.json`` holds what Salesforce (or NetSuite) says and what must come of it.

``{"decimal": "1.50"}``, ``{"date": …}``, ``{"moment": …}`` and ``{"ref": kind, …}`` stand for typed values. A case
ends in ``fields``, in ``held`` (a sentence), in ``refused`` (code, who, message, field), or in a pull's ``records``.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import Rejected
from bridge.mapping import Push, Syncs
from bridge.ports import Ref
from bridge.records import PULLS, PUSHES, syncs

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*/*.json"))
SITE: dict[str, Any] = {
    "subsidiary": "Parent Company",
    "fees": {
        "Origination Fee": {
            "sale_item": "Origination Fee",
            "purchase_item": "Origination Fee Withheld",
            "purchase_sign": -1,
        },
        "Wire Fee": {"sale_item": "Wire Fee", "purchase_item": None, "purchase_sign": -1},
        "Legal Fee": {"sale_item": None, "purchase_item": "Legal Fee Withheld", "purchase_sign": -1},
        "Bonus": {"sale_item": None, "purchase_item": "Bonus", "purchase_sign": 1},
    },
}


def typed(value: dict[str, Any]) -> Any:
    """Read a typed value of a case."""
    match value:
        case {"decimal": str(number)}:
            return Decimal(number)
        case {"date": str(day)}:
            return date.fromisoformat(day)
        case {"moment": str(moment)}:
            return datetime.fromisoformat(moment)
        case {"ref": str(kind), **rest}:
            return Ref(kind, **rest)
    return value


def told(value: Any) -> Any:
    """Write a typed value as a case does."""
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, datetime):
        return {"moment": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, Ref):
        parts = {"id": value.id, "external_id": value.external_id, "name": value.name}
        return {"ref": value.kind, **{key: it for key, it in parts.items() if it is not None}}
    if isinstance(value, dict):
        return {key: told(it) for key, it in value.items()}
    if isinstance(value, list):
        return [told(it) for it in value]
    assert not isinstance(value, float)
    return value


def read(path: Path) -> tuple[Syncs, str, dict[str, Any], dict[str, Any]]:
    """Return the syncs of the case's site, the record's name, its source typed, and the case as it is written."""
    text = path.read_text(encoding="utf-8")
    raw = json.loads(text, parse_float=Decimal)
    case = json.loads(text, parse_float=Decimal, object_hook=typed)
    return syncs(SITE | raw.get("site", {})), path.parent.name, case, raw


@pytest.mark.parametrize("path", CASES, ids=lambda it: f"{it.parent.name}-{it.stem}")
def test_a_record_becomes_what_its_golden_pair_says(path: Path) -> None:
    declared, name, case, raw = read(path)
    if name in declared.pulls:
        found = declared.pulls[name].records(case["source"], case.get("related", {}), declared.context)
        assert [[told(it.ref), told(dict(it.fields))] for it in found] == raw["records"]
        return
    push, source = declared.pushes[name], case["source"]
    held = push.held(source, declared.context)
    assert held == raw.get("held")
    if held is None and "refused" in raw:
        with pytest.raises(Rejected) as refused:
            push.record(source["Id"], source, declared.context)
        error = refused.value
        assert {"code": error.code, "who": error.who, "message": error.message, "field": error.field} == raw["refused"]
    elif held is None:
        record = push.record(source["Id"], source, declared.context)
        assert told(record.ref) == raw["ref"]
        assert told(dict(record.fields)) == raw["fields"]


@pytest.mark.parametrize("sync", [*PUSHES, *PULLS], ids=lambda it: it.name)
def test_every_record_has_a_golden_pair(sync: Any) -> None:
    assert [path for path in CASES if path.parent.name == sync.name], f"no case for {sync.name}"


@pytest.mark.parametrize("path", CASES, ids=lambda it: f"{it.parent.name}-{it.stem}")
def test_a_case_uses_no_field_that_the_sync_does_not_read(path: Path) -> None:
    """What a sync reads is what Apex sends and the sweep selects: a mapping that reads more would see less there."""
    declared, name, case, _ = read(path)
    if name in declared.pulls:
        return
    reads = set(declared.pushes[name].reads())
    for field, value in case["source"].items():
        inner = [f"{field}.{key}" for row in value for key in row] if isinstance(value, list) else [field]
        assert set(inner) <= reads | {"Id"}


def test_no_two_syncs_write_the_same_records() -> None:
    """Kinds share NetSuite's id groups: the short word of each external id is its own."""
    shorts = [push.external_id for push in PUSHES]

    assert len(set(shorts)) == len(shorts)


def test_a_switched_off_sync_is_gone_and_nothing_refers_to_it() -> None:
    def overlay(push: Push) -> Push | None:
        return None if push.name == "sales_order" else push

    declared = syncs(SITE, overlay)
    source = {"Id": "006000000000001AAA", "Name": "Oven", "StageName": "Funded", "Funding_Accepted__c": True,
              "Broker__c": "001000000000002AAA", "Commission_Amount__c": Decimal(5)}  # fmt: skip

    record = declared.pushes["broker_commission"].record(source["Id"], source, declared.context)

    assert "sales_order" not in declared.pushes
    assert "custrecord_bc_order" not in record.fields


def test_application_is_the_word_for_people() -> None:
    """F-13."""
    for sync in (*PUSHES, *PULLS):
        words = [sync.label, *(rule.describe() for rule in sync.fields.values())]
        assert not any("opportunit" in word.lower() for word in words)
