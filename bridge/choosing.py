"""A choice: where Salesforce and NetSuite both changed a shared field, a person says whose value counts.

A plan keeps which values were shown (`drafted`), and `choose` does it to the messages that still show them: one that
was sent again meanwhile, and met other values, is for a person to look at once more.

Must not know: any system's protocol, HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from bridge import sharing
from bridge.delivery import Delivery
from bridge.ledger import Writing, messages, plain
from bridge.ledger.models import OPEN
from bridge.ledger.triage import Plan
from bridge.operating import reopen


def drafted(side: str, rows: Sequence[Row[Any]]) -> str:
    """Return what a plan keeps: the *side*, and a mark of the values that each message shows now."""
    return json.dumps({"side": side, "seen": {str(it.id): _mark(it) for it in rows if _both(it)}})


def side(plan: Plan) -> str:
    """Return whose value counts."""
    return str(json.loads(plan.value or "{}").get("side", ""))


def is_as_shown(plan: Plan, row: Row[Any]) -> bool:
    """Say whether message *row* still waits with the values that were shown."""
    seen = json.loads(plan.value or "{}").get("seen", {})
    return row.state not in OPEN and _both(row) and seen.get(str(row.id)) == _mark(row)


def choose(engine: Delivery, plan: Plan, ids: Sequence[int], actor: str) -> int:
    """Let one side's value count where both had changed it; what changes again meanwhile is asked again."""
    whose = side(plan)

    def work(writing: Writing) -> int:
        rows = [it for it in messages.by_ids(writing.connection, ids) if is_as_shown(plan, it)]
        reopen(writing, rows, {it.id: sharing.chosen(it.payload, it.detail, whose) for it in rows})
        for it in rows:
            writing.say(
                "chosen", actor, sync=it.sync, source_id=it.source_id, message_id=it.id, correlation=it.correlation,
                code=it.code, detail=f"what {whose} says of {it.field}",
            )  # fmt: skip
        return len(rows)

    return engine.ledger.commit(work)


def _both(row: Row[Any]) -> bool:
    return bool(sharing.both(row.code, row.detail))


def _mark(row: Row[Any]) -> str:
    return plain.fingerprint([row.detail])
