"""Take in calls whose records are delivered later: a mass update, or anything while what it needs is paused.

Calls that arrive at once are stored in one transaction, and each is answered alone, with where its records stand.

Must not know: HTTP, any system's protocol.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from bridge.ledger import Ledger, Writing, audit, marks, messages, waits
from bridge.ledger.direct import together
from bridge.ledger.together import Together
from bridge.mapping import Syncs
from bridge.ports import Received
from bridge.receiving import Arrived, accept_all, on_demand
from bridge.standing import NewUrl, Standing, asking, covered, read

MOST = 1000  # records in one transaction: a save that a person waits for is not kept longer than 0.1 s by it
KNOWN_S = 0.5  # how long it is taken for known what is paused: who is wrong for so long is answered later, not falsely


@dataclass(frozen=True, slots=True)
class Call:
    """A callout to be stored. *priority* as of its messages."""

    org: str
    id: str
    body_hash: str
    received: Sequence[Received]
    priority: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A callout that is stored for good: where its records stand. *is_reused*: its id was that of another one."""

    correlation: str
    found: dict[str, Standing]
    is_reused: bool = False


class Intake:
    """The way into the ledger for calls that nobody waits to see delivered. Safe to share between threads.

    *syncs* returns those in force: a changed configuration holds for the next call.
    """

    def __init__(self, ledger: Ledger, syncs: Callable[[], Syncs], url: NewUrl) -> None:
        self._ledger, self._syncs, self._url = ledger, syncs, url
        self._calls: Together[Call, Taken] = Together(self._store, most=MOST)
        self._known: tuple[float, frozenset[str]] = (0.0, frozenset())

    def take(self, call: Call) -> Taken:
        """Store *call* durably and return where its records stand; a call that was stored before changes nothing."""
        # A deletion must see what was saved of its record before.
        alone = any(it.deleted for it in call.received)
        return self._calls.put(call, weight=len(call.received), alone=alone)

    def is_paused(self, kinds: set[str]) -> bool:
        """Say whether nothing of these objects is sent just now."""
        at, shut = self._known
        if time.monotonic() - at > KNOWN_S:
            with self._ledger.read() as connection:
                shut = frozenset(_shut((it.scope for it in marks.pauses(connection)), self._syncs()))
            self._known = time.monotonic(), shut
        return bool(shut) and all(push.name in shut for kind in kinds for push in self._syncs().of_source(kind))

    def _store(self, calls: Sequence[Call]) -> Sequence[Taken]:
        return self._ledger.commit(partial(self._write, calls))

    def _write(self, calls: Sequence[Call], writing: Writing) -> Sequence[Taken]:
        names = [uuid.uuid4().hex for _ in calls]
        seen = [marks.Seen(it.org, it.id, it.body_hash, name) for it, name in zip(calls, names, strict=True)]
        syncs, connection = self._syncs(), writing.connection
        # Whoever ends a pause after this has to wait for our commit, and then makes these lanes due.
        opened, paused, wanted = together(
            connection,
            marks.opening_calls(writing, seen),
            marks.keeping_pauses(connection),
            waits.wanted(connection, on_demand(syncs, [it for call in calls for it in call.received])),
        )
        known = marks.first_calls(writing, seen, opened)
        new = [
            Arrived(it.received, "callout", name, it.priority)
            for it, name in zip(calls, names, strict=True)
            if known[it.org, it.id].correlation == name
        ]
        due = accept_all(writing, syncs, new, wanted, shut=_shut((it.scope for it in paused), syncs)).due
        woken = [messages.waking(writing, due)] if due else []
        ids = list(dict.fromkeys(it.id for call in calls for it in call.received))
        asked = (*woken, *asking(connection, ids), audit.free_chain(connection))
        *_, newest, linked, writing.chains = together(connection, *asked)
        found = read(newest, linked, self._url)
        taken = []
        for it in calls:
            first = known[it.org, it.id]
            own = {one.id: found[one.id] for one in it.received if one.id in found}
            taken.append(Taken(first.correlation, own, first.body_hash != it.body_hash))
        return taken


def _shut(scopes: Iterable[str], syncs: Syncs) -> set[str]:
    return {name for scope in scopes for name in covered(scope, syncs)}
