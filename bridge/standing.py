"""Where a Salesforce record stands: the newest message of each of its syncs, what was made of it, what is wrong.

Read by the answer to Apex, by the write-back and by the console.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, func, or_, select

from bridge.ledger.direct import Asked, Direct, together
from bridge.ledger.links import asking_of_source
from bridge.ledger.many import among
from bridge.ledger.models import HELD, OPEN, message
from bridge.mapping import Syncs
from bridge.ports import Ref
from bridge.records.status import SYNC, Made, Shown, overall
from bridge.totals import SYNC as BALANCE

NewUrl = Callable[[Ref], str | None]
CONFIRM = "confirm:"  # before a sync's name: messages that say nothing about the record (see `bridge.confirming`)

_TOP = (
    select(message.c.sync, message.c.source_id, func.max(message.c.version).label("version"))
    .where(among(message.c.source_id, "ids"))
    .where(message.c.sync != SYNC, message.c.sync != BALANCE, message.c.sync.not_like(f"{CONFIRM}%"))
    .group_by(message.c.sync, message.c.source_id)
    .subquery()
)
_SHOWN = (
    "id", "sync", "source_kind", "source_id", "state", "version", "modified_at", "waits_for", "due_at", "write_back",
    "code", "reason", "who", "field",
)  # fmt: skip
_NEWEST = Direct(
    select(*(message.c[name] for name in _SHOWN)).join(
        _TOP,
        and_(
            message.c.sync == _TOP.c.sync, message.c.source_id == _TOP.c.source_id, message.c.version == _TOP.c.version
        ),
    )
)
# Held, and a record is in NetSuite all the same that is not kept up to date: a person must see that.
STAYS = ("GATE_CLOSED_AFTER", "MERGED_AWAY", "OUT_OF_SCOPE_AFTER")

EVERYTHING: Final = "*everything"  # stopped by the bridge itself, in both directions


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

    @property
    def is_orphaned(self) -> bool:
        """Say whether a gate closed while its NetSuite record stays: shown, although all the rest was delivered."""
        return self.state == HELD and self.error is not None and self.error.code in STAYS

    def is_later_than(self, end: datetime) -> bool:
        """Say whether nothing happens to it until *end*: it is due later, and waits for no other record."""
        return self.due_at is not None and self.due_at > end and self.waits_for is None


@dataclass(slots=True)
class Standing:
    """A Salesforce record as a whole."""

    kind: str
    id: str
    parts: list[Part] = field(default_factory=list)
    made: list[Made] = field(default_factory=list)

    @property
    def state(self) -> str:
        return overall("orphaned" if part.is_orphaned else part.state for part in self.parts)

    @property
    def error(self) -> Shown | None:
        """Return the error that the state is about."""
        told = [part for part in self.parts if part.error and part.state == self.state]
        return next((part.error for part in told if part.is_orphaned), told[0].error if told else None)

    @property
    def version(self) -> tuple[int, datetime]:
        return max((part.version, part.modified_at) for part in self.parts)


def standing(connection: Connection, ids: Sequence[str], url: NewUrl = lambda ref: None) -> dict[str, Standing]:
    """Return the standing of every record of *ids* that the ledger knows."""
    newest, linked = together(connection, *asking(connection, ids))
    return read(newest, linked, url)


def asking(connection: Connection, ids: Sequence[str]) -> tuple[Asked, Asked]:
    """Ask for what `read` takes: the newest messages and the links of *ids*."""
    return _NEWEST.of(connection, ids=list(ids)), asking_of_source(connection, ids)


def read(newest: Sequence[Any], linked: Sequence[Any], url: NewUrl) -> dict[str, Standing]:
    """Return the standing of every record that *newest* tells of."""
    rows: dict[tuple[str, str], Any] = {}
    for row in newest:
        known = rows.get((row.sync, row.source_id))
        if known is None or (known.modified_at, known.id) < (row.modified_at, row.id):
            rows[row.sync, row.source_id] = row
    found: dict[str, Standing] = {}
    for row in sorted(rows.values(), key=lambda it: it.id):
        error = Shown(row.code, row.reason, row.who or "nobody", row.field) if row.code and row.reason else None
        part = Part(
            row.id, row.sync, row.state, row.version, row.modified_at, row.waits_for, row.due_at, row.write_back, error
        )
        found.setdefault(row.source_id, Standing(row.source_kind, row.source_id)).parts.append(part)
    for row in linked:
        if row.source_id in found:  # a link may outlive its messages
            page = url(Ref(row.target_kind, id=row.target_id))
            found[row.source_id].made.append(Made(row.target_kind, row.target_id, row.number, page))
    return found


def is_open(states: Iterable[str]) -> bool:
    return any(state in ("pending", "sending", "deferred", "uncertain") for state in states)


def covered(scope: str, syncs: Syncs) -> tuple[str, ...]:
    """Return the syncs that a pause of *scope* stops."""
    if scope == EVERYTHING:
        return (*syncs.pushes, *syncs.pulls, SYNC, BALANCE)
    if scope == "*netsuite":
        return tuple(syncs.pushes)
    return (*syncs.pulls, SYNC, BALANCE) if scope == "*salesforce" else (scope,)


def was_told(connection: Connection, row: Row[Any]) -> bool:
    """Return whether a write-back has read *row* while it was open, or is about to: it says that it is on its way."""
    query = select(message.c.id).where(message.c.sync == SYNC, message.c.source_id == row.source_id)
    read = or_(message.c.state.in_(OPEN), message.c.sent_at >= row.created_at)
    return connection.execute(query.where(read).limit(1)).first() is not None
