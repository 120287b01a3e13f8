"""Where a Salesforce record stands: the newest message of each of its syncs, what was made of it, what is wrong.

Read by the answer to Apex, by the write-back and by the console.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, func, select

from bridge.ledger.links import of_source
from bridge.ledger.models import message
from bridge.ports import Ref
from bridge.records.status import SYNC, Made, Shown, overall

NewUrl = Callable[[Ref], str | None]


@dataclass(frozen=True, slots=True)
class Part:
    """The newest message of one sync of a record."""

    message_id: int
    sync: str
    state: str
    version: int
    modified_at: datetime
    waits_for: str | None
    due_at: datetime | None
    write_back: bool
    error: Shown | None


@dataclass(slots=True)
class Standing:
    """A Salesforce record as a whole."""

    kind: str
    id: str
    parts: list[Part] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)

    @property
    def state(self) -> str:
        return overall(part.state for part in self.parts)

    @property
    def error(self) -> Shown | None:
        """Return the error that the state is about."""
        return next((part.error for part in self.parts if part.state == self.state and part.error), None)

    @property
    def version(self) -> tuple[int, datetime]:
        return max((part.version, part.modified_at) for part in self.parts)


def standing(connection: Connection, ids: Sequence[str], url: NewUrl = lambda ref: None) -> dict[str, Standing]:
    """Return the standing of every record of *ids* that the ledger knows."""
    order = (message.c.version.desc(), message.c.modified_at.desc(), message.c.id.desc())
    place = func.row_number().over(partition_by=(message.c.sync, message.c.source_id), order_by=order).label("place")
    newest = select(message, place).where(message.c.source_id.in_(list(ids)), message.c.sync != SYNC).subquery()
    found: dict[str, Standing] = {}
    for row in connection.execute(select(newest).where(newest.c.place == 1).order_by(newest.c.id)):
        error = Shown(row.code, row.reason, row.who or "nobody", row.field) if row.code and row.reason else None
        part = Part(
            row.id, row.sync, row.state, row.version, row.modified_at, row.waits_for, row.due_at, row.write_back, error
        )
        found.setdefault(row.source_id, Standing(row.source_kind, row.source_id)).parts.append(part)
    for one in of_source(connection, list(found)):
        page = url(Ref(one.target_kind, id=one.target_id))
        found[one.source_id].made.append(Made(one.target_kind, one.target_id, one.number, page))
    return found


def is_open(states: Iterable[str]) -> bool:
    return any(state in ("pending", "sending", "deferred", "uncertain") for state in states)
