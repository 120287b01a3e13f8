"""What was asked and answered when a message last went wrong: for whoever must find out why.

Kept for failures only, the newest of each message, up to `LONGEST` characters a side and for `KEPT`. Whoever hands a
text over has taken secrets out of it.

Must not know: any system's protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from bridge.ledger import Writing
from bridge.ledger.desk_models import exchange

LONGEST = 32_000
KEPT = timedelta(days=90)
BATCH = 500  # texts in one transaction: each may be long


@cache
def _keep(dialect: str) -> Any:
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(exchange)
    fresh = {name: statement.excluded[name] for name in ("at", "request", "answer")}
    return statement.on_conflict_do_update(index_elements=["message_id"], set_=fresh)


def keep(writing: Writing, found: Sequence[tuple[int, str, str]]) -> None:
    """Keep (message, request, answer) in place of what was kept of these messages before."""
    if found:
        rows = [
            {"message_id": it, "at": writing.now, "request": cut(request), "answer": cut(answer)}
            for it, request, answer in found
        ]
        writing.connection.execute(_keep(writing.connection.dialect.name), rows)


def cut(text: str) -> str:
    clean = text.replace("\x00", "")
    return clean if len(clean) <= LONGEST else f"{clean[:LONGEST]}\n… {len(clean) - LONGEST} more characters"


def of(connection: Connection, message_id: int) -> Row[Any] | None:
    return connection.execute(select(exchange).where(exchange.c.message_id == message_id)).first()


def forget(writing: Writing, message_ids: Sequence[int]) -> None:
    writing.connection.execute(delete(exchange).where(exchange.c.message_id.in_(list(message_ids))))


def expire(writing: Writing) -> int:
    """Forget up to `BATCH` that are older than `KEPT`, and return how many."""
    old = select(exchange.c.message_id).where(exchange.c.at < writing.now - KEPT).limit(BATCH)
    return writing.connection.execute(delete(exchange).where(exchange.c.message_id.in_(old))).rowcount
