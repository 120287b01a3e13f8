"""Lists: how records go out, in calls of bounded weight, one after the other, in order.

What somebody waits for goes out with what others wait for; the rest in calls of its own, which borrow the slot that is
kept for people while it is free, and then carry few records.

Must not know: what a record is, how a call is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bridge.errors import BridgeError, Deferred, Misconfigured
from bridge.netsuite.grouping import Grouping, Outcome, Ticket, chunks
from bridge.netsuite.kinds import CALL_WEIGHT, Kind
from bridge.ports import Held, Record, Slots

SHORT, SHORT_S = 10, 3.0  # a list of so few records takes about so long

Ready = tuple[int, Record, Kind, Any]  # a record to write: its position, itself, its kind, what zeep made of it
# What was sent, its outcomes, an error after which no further call may be sent, and in what slot.
Sending = tuple[list[Ready], Sequence[Outcome], BridgeError | None, Held]


class Lists:
    """Sends records. *call* makes one call in the slot that is held, *shown* tells what an error was about."""

    def __init__(
        self,
        slots: Slots,
        call: Callable[[list[Ready]], list[Outcome]],
        shown: Callable[[list[Ready], BridgeError], Sequence[Outcome]],
    ) -> None:
        self._slots, self._call, self._shown = slots, call, shown
        self.groups: Grouping[Ready] = Grouping(slots, call, CALL_WEIGHT)

    def send(self, ready: list[Ready], *, interactive: bool, stopped: BridgeError | None = None) -> dict[int, Outcome]:
        """Return the outcomes by position. Those that are missing did not fit a short call and were not sent."""
        outcomes: dict[int, Outcome] = {}
        while ready and stopped is None:
            chunk = next(chunks(ready, lambda one: one[2].weight, CALL_WEIGHT))
            chunk, answered, stopped, held = self._grouped(chunk) if interactive else self._alone(chunk)
            outcomes.update((one[0], outcome) for one, outcome in zip(chunk, answered, strict=True))
            ready = ready[len(chunk) :]
            if held == Held.SHORT and stopped is None:
                return outcomes
        if stopped is not None:
            outcomes.update((position, stopped) for position, *_ in ready)
        return outcomes

    def _grouped(self, chunk: list[Ready]) -> Sending:
        names = frozenset(str(record.ref.external_id).lower() for _, record, _, _ in chunk)
        try:
            sent = self.groups.send(Ticket(chunk, sum(kind.weight for _, _, kind, _ in chunk), names))
        except BridgeError as error:
            return chunk, self._shown(chunk, error), _halting(error), Held.ANY
        return chunk, sent.outcomes, _halting(sent.failed), Held.ANY

    def _alone(self, chunk: list[Ready]) -> Sending:
        held = Held.ANY
        try:
            with self._slots.lease(interactive=False, at_most_s=SHORT_S) as lent:
                held = Held(lent)
                chunk = chunk[:SHORT] if held == Held.SHORT else chunk
                return chunk, self._call(chunk), None, held
        except BridgeError as error:
            return chunk, self._shown(chunk, error), _halting(error), held


def _halting(error: BridgeError | None) -> BridgeError | None:
    """Return *error* if no further call may follow: another login attempt, or more load, would only make it worse."""
    halts = isinstance(error, Misconfigured) or (isinstance(error, Deferred) and error.throttled)
    return error if halts else None
