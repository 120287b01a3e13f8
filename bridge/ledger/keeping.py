"""Keep leases while a long piece of work goes on: a lease outlives the call it covers.

Must not know: any system.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bridge.ledger import Ledger, Writing, lanes
from bridge.ledger.lanes import LEASE, Lease

# Names may be looked up (30 s, then the call is put off), then come the longest wait for a slot (60 s) and the longest
# call to another system (120 s).
CALL_S = 210.0
RENEW_S = 20.0  # how often a call that may outlast any lease has its own looked at

LOG = logging.getLogger("bridge.ledger")


class Overtaken(Exception):
    """Somebody else holds one of the lanes now; what we would send could undo what they sent."""


class Keeper:
    """Renews *leases*, which were taken just now, when less time is left than one call may need."""

    def __init__(self, ledger: Ledger, leases: Sequence[Lease]) -> None:
        self._ledger, self._leases = ledger, leases
        self._until = time.monotonic() + LEASE.total_seconds()

    def keep(self) -> None:
        """Make sure that the lanes are ours for one more call. Raises Overtaken."""
        if self._until - time.monotonic() > CALL_S:
            return
        self._ledger.commit(self._renew)
        self._until = time.monotonic() + LEASE.total_seconds()

    def _renew(self, writing: Writing) -> None:
        if len(lanes.still_held(writing.connection, self._leases)) < len(self._leases):
            raise Overtaken
        lanes.renew(writing.connection, self._leases, writing.now)


@contextmanager
def kept(keep: Callable[[], None]) -> Iterator[None]:
    """Go on calling *keep* during one call that may last longer than any lease, as a bulk job may.

    Where somebody else has taken over, the call goes on, and what it learns is not recorded.
    """
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(RENEW_S):
            try:
                keep()
            except Overtaken:
                return
            except Exception:
                LOG.exception("A lease could not be renewed now.")

    thread = threading.Thread(target=renew, name="keeping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
