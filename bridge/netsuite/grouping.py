"""While every slot is busy, interactive writes that wait become the next list call, as databases group commits.

A write takes a `Ticket` and waits for a slot; whoever gets one sends what waits from the head of the queue, up to one
list's weight, and hands every ticket its own outcome. With free slots nothing changes: a write goes out alone, at once.
While other calls are on their way, it leaves a part to the slots that they give back soon: every record makes a list
slower for all in it, and what one list took along would leave those slots without work.

Must not know: what a record is, how it is sent, when to try again.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from bridge.errors import BridgeError, Rejected, Uncertain
from bridge.ports import Slots, Written

LOG = logging.getLogger("bridge.netsuite")

Item = TypeVar("Item")
Outcome = Written | BridgeError
# Of what waits, a call takes down to a third while many are on their way. To take all, as databases do, makes one list
# slow and leaves the slots that come free meanwhile idle.
MOST_PARTS = 3


@dataclass(eq=False)
class Ticket(Generic[Item]):
    """One caller's records. *names* are their external ids: no record goes twice into one list.

    *failed* is the error of the whole call, when that is what *outcomes* hold.
    """

    items: Sequence[Item]
    weight: int
    names: frozenset[str]
    taken: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    failed: BridgeError | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def fail(self, error: BridgeError) -> None:
        self.outcomes, self.failed = [error] * len(self.items), error
        self.done.set()


def chunks(items: Sequence[Item], weight_of: Callable[[Item], int], most: int) -> Iterator[list[Item]]:
    """Cut *items* into calls that weigh no more than *most* each, in order."""
    chunk: list[Item] = []
    weight = 0
    for one in items:
        if chunk and weight + weight_of(one) > most:
            yield chunk
            chunk, weight = [], 0
        chunk.append(one)
        weight += weight_of(one)
    if chunk:
        yield chunk


class Grouping(Generic[Item]):
    """The queue of interactive writes of one process.

    *call* sends records in the slot that is held, and returns an outcome for each of them, in order; it raises a
    BridgeError that is about the call as a whole. *most* is the weight that one list call carries.
    """

    def __init__(self, slots: Slots, call: Callable[[list[Item]], list[Outcome]], most: int) -> None:
        self._slots, self._call, self._most = slots, call, most
        self._lock = threading.Lock()
        self._waiting: deque[Ticket[Item]] = deque()
        self._flying = 0  # calls with groups from here that are on their way

    def send(self, ticket: Ticket[Item]) -> Ticket[Item]:
        """Have *ticket* sent, by this thread or another one, and return it with its outcomes."""
        with self._lock:
            self._waiting.append(ticket)
        try:
            while not ticket.taken:
                with self._slots.lease(interactive=True, unless=lambda: ticket.taken) as held:
                    if held:
                        self._send_what_waits()
        except BridgeError as error:
            # No slot became free in time. If somebody took the ticket in the meantime, that is what counts.
            if self._withdraw(ticket):
                ticket.fail(error)
        except BaseException:
            self._withdraw(ticket)
            raise
        ticket.done.wait()
        return ticket

    def _send_what_waits(self) -> None:
        group = self._take()
        try:
            self._send(group)
        finally:
            with self._lock:
                self._flying -= 1

    def _take(self) -> list[Ticket[Item]]:
        """Take the tickets at the head that fit one call, and no more than this slot's part; the call is on its way."""
        group: list[Ticket[Item]] = []
        weight = 0
        names: set[str] = set()
        with self._lock:
            part = -(-len(self._waiting) // min(MOST_PARTS, 1 + self._flying // 4))
            self._flying += 1
            while self._waiting and len(group) < part:
                head = self._waiting[0]
                fits = weight + head.weight <= self._most and not (head.names & names)
                if group and not fits:
                    break
                group.append(self._waiting.popleft())
                head.taken = True
                weight += head.weight
                names |= head.names
        return group

    def _withdraw(self, ticket: Ticket[Item]) -> bool:
        with self._lock:
            if ticket.taken:
                return False
            self._waiting.remove(ticket)
            ticket.taken = True
            return True

    def _send(self, group: list[Ticket[Item]]) -> None:
        if not group:
            return
        try:
            outcomes = self._call([item for ticket in group for item in ticket.items])
        except Rejected as error:
            # The call was refused for something in it, and nothing of it was done: only a bad record's own caller
            # answers for it. The slot is still ours.
            if len(group) == 1:
                group[0].fail(error)
            else:
                for ticket in group:
                    self._send([ticket])
        except BridgeError as error:
            for ticket in group:
                ticket.fail(error)
        except BaseException as error:
            LOG.exception("A group of writes failed unexpectedly.")
            for ticket in group:
                unsure = Uncertain("The bridge failed while sending; it looks the record up.", code="BRIDGE_FAULT")
                unsure.detail = type(error).__name__
                ticket.fail(unsure)
            if not isinstance(error, Exception):
                raise
        else:
            start = 0
            for ticket in group:
                ticket.outcomes = outcomes[start : start + len(ticket.items)]
                start += len(ticket.items)
                ticket.done.set()
