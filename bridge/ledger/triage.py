"""What people decide about messages: who looks at it, which words it bears, what was changed in it, and plans.

A plan is one decision about many messages: drafted with its count and its sums, then done, or first approved by a
second person. It names its messages, so that what is done is what was shown.

Must not know: how a decision is carried out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bridge.ledger import Writing, plain
from bridge.ledger.desk_models import edit, plan, triage

DRAFTED, WAITING, APPROVED, REFUSED, DONE = "drafted", "waiting", "approved", "refused", "done"
DRAFTS = timedelta(days=1)  # how long a plan that nobody confirmed is kept
PLANS = 50
TAG = re.compile(r"[\w-]{1,30}")


@dataclass(frozen=True, slots=True)
class Plan:
    """One decision about the messages *ids*."""

    id: int
    action: str
    value: str | None
    reason: str
    ids: tuple[int, ...]
    sums: Mapping[str, Decimal]
    is_guarded: bool
    state: str
    asked_by: str
    asked_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    done: int | None
    asked_way: str | None = None


def _plan(row: Row[Any]) -> Plan:
    ids = tuple(int(it) for it in row.messages.split(",") if it)
    return Plan(
        row.id, row.action, row.value, row.reason or "", ids, plain.loads(row.sums), row.is_guarded, row.state,
        row.asked_by, row.asked_at, row.decided_by, row.decided_at, row.done, row.asked_way,
    )  # fmt: skip


def draft(
    writing: Writing,
    *,
    action: str,
    value: str | None,
    reason: str,
    ids: Sequence[int],
    sums: Mapping[str, Decimal],
    is_guarded: bool,
    actor: str,
    way: str | None = None,
) -> int:
    """Keep a plan that nobody has confirmed yet, and return its number."""
    old = (plan.c.state == DRAFTED) & (plan.c.asked_at < writing.now - DRAFTS)
    writing.connection.execute(delete(plan).where(old))
    made = insert(plan).values(
        action=action,
        value=value,
        reason=reason or None,
        messages=",".join(map(str, ids)),
        count=len(ids),
        sums=plain.dumps(dict(sums)),
        is_guarded=is_guarded,
        state=DRAFTED,
        asked_by=actor,
        asked_way=way,
        asked_at=writing.now,
    )
    return int(writing.connection.execute(made.returning(plan.c.id)).scalar_one())


def find(connection: Connection, plan_id: int) -> Plan | None:
    row = connection.execute(select(plan).where(plan.c.id == plan_id)).first()
    return _plan(row) if row is not None else None


def move(writing: Writing, plan_id: int, before: str, after: str, *, decider: str | None = None) -> bool:
    """Take a plan from one state to the next; False if somebody was quicker."""
    values: dict[str, Any] = {"state": after}
    if decider is not None:
        values |= {"decided_by": decider, "decided_at": writing.now}
    moved = update(plan).where(plan.c.id == plan_id, plan.c.state == before).values(values)
    return writing.connection.execute(moved.returning(plan.c.id)).first() is not None


def finished(writing: Writing, plan_id: int, done: int) -> None:
    writing.connection.execute(update(plan).where(plan.c.id == plan_id).values(state=DONE, done=done))


def plans(connection: Connection, states: Sequence[str]) -> list[Plan]:
    query = select(plan).where(plan.c.state.in_(states)).order_by(plan.c.id.desc()).limit(PLANS)
    return [_plan(row) for row in connection.execute(query)]


def count_waiting(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).where(plan.c.state == WAITING)).scalar_one())


# --- who and which words ---------------------------------------------------------------------------------------------


@cache
def _set(dialect: str, column: str) -> Any:
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(triage)
    fresh = {name: statement.excluded[name] for name in (column, "updated_at")}
    return statement.on_conflict_do_update(index_elements=["message_id"], set_=fresh)


def assign(writing: Writing, ids: Sequence[int], to: str | None) -> None:
    rows = [{"message_id": it, "assignee": to, "updated_at": writing.now} for it in ids]
    writing.connection.execute(_set(writing.connection.dialect.name, "assignee"), rows)


def tag(writing: Writing, ids: Sequence[int], word: str) -> None:
    """Add *word* to the messages; with a minus before it, take it away."""
    name = word.lstrip("-")
    known = of(writing.connection, ids)
    rows = []
    for it in ids:
        words = set(words_of(known.get(it)))
        words = words - {name} if word.startswith("-") else words | {name}
        text = f" {' '.join(sorted(words))} " if words else None
        rows.append({"message_id": it, "tags": text and text[:200], "updated_at": writing.now})
    writing.connection.execute(_set(writing.connection.dialect.name, "tags"), rows)


def of(connection: Connection, ids: Iterable[int]) -> dict[int, Row[Any]]:
    wanted = list(ids)
    found: dict[int, Row[Any]] = {}
    for start in range(0, len(wanted), 500):
        query = select(triage).where(triage.c.message_id.in_(wanted[start : start + 500]))
        found |= {row.message_id: row for row in connection.execute(query)}
    return found


def words_of(row: Row[Any] | None) -> list[str]:
    return (row.tags or "").split() if row is not None else []


# --- changed values --------------------------------------------------------------------------------------------------


def note_edit(writing: Writing, message_id: int, actor: str, field: str, before: Any, after: Any) -> int:
    """Keep what a person changed, apart from the audit, which holds no values."""
    values = {"before": plain.dumps(before), "after": plain.dumps(after)}
    made = insert(edit).values(message_id=message_id, at=writing.now, actor=actor, field=field, **values)
    return int(writing.connection.execute(made.returning(edit.c.id)).scalar_one())


def edits(connection: Connection, message_id: int) -> list[Row[Any]]:
    return list(connection.execute(select(edit).where(edit.c.message_id == message_id).order_by(edit.c.id)))


def forget_decisions(writing: Writing, message_ids: Sequence[int]) -> None:
    """Forget what was typed, or read, for a decision about one of these messages alone; one that waits is off."""
    mine = plan.c.messages.in_([str(it) for it in message_ids])
    writing.connection.execute(update(plan).where(mine, plan.c.state.in_((DRAFTED, WAITING))).values(state=REFUSED))
    writing.connection.execute(update(plan).where(mine, plan.c.action.in_(("edit", "adopt"))).values(value=None))


def forget_edits(writing: Writing, message_ids: Sequence[int]) -> None:
    writing.connection.execute(delete(edit).where(edit.c.message_id.in_(list(message_ids))))
