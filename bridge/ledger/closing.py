"""Close what is no longer anybody's business: older errors of a record of which a newer save came through.

Must not know: any system.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select

from bridge.ledger import Writing, many, messages
from bridge.ledger.models import NEEDS_PERSON, SUPERSEDED, message

_FAILED = (
    select(message)
    .where(
        many.among(message.c.source_id, "ids"),
        message.c.state.in_(NEEDS_PERSON),
    )
    .order_by(message.c.id)
)


def close_older(writing: Writing, came: Sequence[Row[Any]]) -> int:
    """Settle the errors of older versions of the messages *came*, which came through: nobody needs to look at them."""
    newest: dict[tuple[str, str], tuple[int, Any]] = {}
    for row in came:
        key = (row.sync, row.source_id)
        newest[key] = max(newest.get(key, (row.version, row.modified_at)), (row.version, row.modified_at))
    if not newest:
        return 0
    found = writing.connection.execute(_FAILED, {"ids": sorted({source_id for _, source_id in newest})}).all()
    changes, closed = messages.Changes(writing), 0
    for row in found:
        reached = newest.get((row.sync, row.source_id))
        if reached is not None and (row.version, row.modified_at) < reached:
            changes.set(row, SUPERSEDED, action="closed", code="NEWER_SAVE_CAME_THROUGH")
            closed += 1
    changes.flush()
    return closed
