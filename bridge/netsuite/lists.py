"""Lists: how records go out, in calls of bounded weight, one after the other, in order.

What somebody waits for goes out with what others wait for; the rest in calls of its own.

Must not know: what a record is, how a call is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bridge.errors import BridgeError, Deferred, Misconfigured
from bridge.netsuite.grouping import Grouping, Outcome, Ticket, chunks
from bridge.netsuite.kinds import CALL_WEIGHT, Kind
from bridge.ports import Record, Slots

Ready = tuple[int, Record, Kind, Any]  # a record to write: its position, itself, its kind, what zeep made of it
Sending = tuple[Sequence[Outcome], BridgeError | None]  # and an error after which no further call may be sent


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
        """Return the outcomes by position."""
        outcomes: dict[int, Outcome] = {}
        for chunk in chunks(ready, lambda one: one[2].weight, CALL_WEIGHT):
            if stopped is not None:
                outcomes.update((position, stopped) for position, *_ in chunk)
                continue
            answered, stopped = self._grouped(chunk) if interactive else self._alone(chunk)
            outcomes.update((one[0], outcome) for one, outcome in zip(chunk, answered, strict=True))
        return outcomes

    def _grouped(self, chunk: list[Ready]) -> Sending:
        names = frozenset(str(record.ref.external_id).lower() for _, record, _, _ in chunk)
        try:
            sent = self.groups.send(Ticket(chunk, sum(kind.weight for _, _, kind, _ in chunk), names))
        except BridgeError as error:
            return self._shown(chunk, error), _halting(error)
        return sent.outcomes, _halting(sent.failed)

    def _alone(self, chunk: list[Ready]) -> Sending:
        try:
            with self._slots.lease(interactive=False):
                return self._call(chunk), None
        except BridgeError as error:
            return self._shown(chunk, error), _halting(error)


def _halting(error: BridgeError | None) -> BridgeError | None:
    """Return *error* if no further call may follow: another login attempt, or more load, would only make it worse."""
    halts = isinstance(error, Misconfigured) or (isinstance(error, Deferred) and error.throttled)
    return error if halts else None
