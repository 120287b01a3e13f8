"""Invented Salesforce records that open a sync's gates and fill every field that its rules read: to try a site out on.

Must not know: any system, SQL, HTTP.
"""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from bridge.mapping import Context, Push, Rule, Test, choice, date, flag, instant, money, number, text


def invented(push: Push, context: Context) -> dict[str, Any]:
    """Return a record of the sync's source that opens its gates and fills every field that its rules read.

    Raises LookupError for a source of which none is shipped.
    """
    shipped = json.loads((Path(__file__).parent / "rehearsal.json").read_text(encoding="utf-8"), parse_float=Decimal)
    source: dict[str, Any] = dict(shipped.get(push.name) or shipped[push.source])
    source["Lines"] = [{**shipped["Line"], "Id": f"00kR0000000{n:04}AAA", "Fee_Type__c": name}
                       for n, name in enumerate(context.site.get("fees", {}))]  # fmt: skip
    for rule in push.fields.values():
        for name in rule.reads():
            if name not in source and "." not in name:
                with suppress(LookupError):
                    source[name] = _invented(rule)
    for test in (*push.scope, *push.when):
        if not test.holds(source, context):
            source[test.field] = _opens(test, context)
    return source


def _invented(rule: Rule) -> Any:
    match rule:
        case text():
            return "Rehearsed"[: rule.limit or 9]
        case money() | number():
            return Decimal(1)
        case date():
            return "2026-11-20"
        case instant():
            return "2026-11-20T10:00:00Z"
        case flag():
            return True
        case choice():
            return next(iter(rule.table), None)
    raise LookupError  # nothing to invent: it is not sent


def _opens(test: Test, context: Context) -> Any:
    match test.operator:
        case "is in":
            wanted = test.value
            if isinstance(wanted, str) and wanted.startswith("site:"):
                wanted = context.site[wanted.removeprefix("site:")]
            return next(iter(wanted), None)
        case "is true":
            return True
        case "is positive":
            return Decimal(1)
    return "Rehearsed"
