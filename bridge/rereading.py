"""Records that somebody changes in NetSuite whenever they are sent: how often they are read anew and sent again.

Must not know: any system, HTTP.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, func, select

from bridge.errors import BridgeError, Rejected
from bridge.ledger import Writing
from bridge.ledger.models import attempt
from bridge.outcome import AGAIN_IF_CHANGED, CHANGED


def judged(writing: Writing, row: Row[Any], error: BridgeError) -> BridgeError:
    """Return *error*, or what makes it a person's when it has come too often since the message was opened."""
    if error.code not in CHANGED:
        return error
    query = select(func.count()).where(
        attempt.c.message_id == row.id, attempt.c.code.in_(CHANGED), attempt.c.finished_at >= row.created_at
    )
    if writing.connection.execute(query).scalar_one() < AGAIN_IF_CHANGED:
        return error
    return Rejected(
        "Somebody changes the record in NetSuite whenever it is sent; send it again when nobody has it open.",
        code="EDITED_IN_NETSUITE", who="accounting", detail=error.detail,
    )  # fmt: skip
