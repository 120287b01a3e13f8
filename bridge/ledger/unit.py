"""All that the ledger knows of one funding unit: the newest message of each sync, its mirrors, its timeline.

Must not know: any system, HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from bridge.ledger.models import HELD, OPEN, audit, message

SHOWN = 200  # entries of a timeline, the newest
INNER = ("status", "balance")  # the bridge's own write-backs


def newest(connection: Connection, source_id: str) -> list[Row[Any]]:
    """Return the newest message of each sync of a record, the newest of all first."""
    query = select(message).where(message.c.source_id == source_id, message.c.sync.not_in(INNER))
    found: dict[str, Row[Any]] = {}
    for row in connection.execute(query.order_by(message.c.version.desc(), message.c.id.desc()).limit(SHOWN)):
        found.setdefault(row.sync, row)
    return list(found.values())


def is_held(connection: Connection, sync: str, source_id: str, code: str) -> bool:
    """Say whether the newest message of a sync of a record is held for the reason *code*."""
    return any((it.sync, it.state, it.code) == (sync, HELD, code) for it in newest(connection, source_id))


def mirrors(connection: Connection, netsuite_ids: Sequence[str]) -> list[Row[Any]]:
    """Return the newest reading of each of these NetSuite records."""
    if not netsuite_ids:
        return []
    query = select(message).where(message.c.source_id.in_(list(netsuite_ids)), message.c.origin == "pull")
    found: dict[str, Row[Any]] = {}
    for row in connection.execute(query.order_by(message.c.id.desc()).limit(SHOWN)):
        found.setdefault(row.source_id, row)
    return list(found.values())


def count_open(connection: Connection, lane: str, syncs: Sequence[str]) -> int:
    """Return how many messages of *syncs* are on their way in *lane*."""
    query = select(func.count()).where(message.c.queue == lane, message.c.sync.in_(syncs), message.c.state.in_(OPEN))
    return int(connection.execute(query).scalar_one())


def timeline(connection: Connection, source_ids: Sequence[str]) -> list[Row[Any]]:
    """Return what happened to these records, the newest first."""
    query = select(audit).where(audit.c.source_id.in_(list(dict.fromkeys(source_ids))[:100]))
    return list(connection.execute(query.order_by(audit.c.at.desc(), audit.c.chain, audit.c.seq.desc()).limit(SHOWN)))
