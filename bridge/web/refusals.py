"""Callouts that are not believed: how many there are is kept in memory, and told when there are too many.

Anybody can send what is not signed, so nothing is stored of one: the ledger has one incident, seen again at most once a
minute. Who looks after the house ends it when it has not been seen for a while.

Must not know: Flask, why one was refused.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from bridge.ledger import Ledger, incidents
from bridge.ledger.incidents import Incident

LOG = logging.getLogger("bridge.callouts")
WITHIN_S: Final = 600.0
AGAIN_S: Final = 60.0


class Refusals:
    """Tells when more than *most* callouts were refused in ten minutes; never where *most* is 0.

    Each instance counts for itself.
    """

    def __init__(self, ledger: Ledger, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger, self._most, self._clock = ledger, most, clock
        self._lock = threading.Lock()
        self._recent: deque[float] = deque(maxlen=most + 1)  # a flood takes no more room
        self._told: float | None = None

    def count(self) -> None:
        """Count one that was refused."""
        if self._most and self._is_worth_telling():
            sentence = (
                f"More than {self._most} callouts in ten minutes had a signature or a time that is refused; "
                "compare the keys and clocks of both sides, or find out who else calls."
            )
            try:
                with self._ledger.write() as writing:
                    incidents.report(writing, [Incident("refused:", "CALLOUTS_REFUSED", sentence)])
            except SQLAlchemyError:
                LOG.exception("That many callouts are refused could not be noted.")

    def _is_worth_telling(self) -> bool:
        now = self._clock()
        with self._lock:
            self._recent.append(now)
            is_flood = len(self._recent) > self._most and now - self._recent[0] <= WITHIN_S
            if not is_flood or (self._told is not None and now - self._told < AGAIN_S):
                return False
            self._told = now
            return True
