"""How many records an organisation may send: a bucket that fills steadily, so that a burst passes and a flood waits.

It is for automation that has run wild; a mass update of 50,000 accounts passes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Rate:
    """At most *per_minute* records a minute of each organisation, and as many at once after a quiet minute.

    Each instance counts for itself.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = float(per_minute), clock
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}  # organisation → (records left, when that was)

    def take(self, org: str, records: int) -> float:
        """Take *records* out of the bucket and return 0, or return after how many seconds they would fit."""
        now = self._clock()
        with self._lock:
            left, at = self._left.get(org, (self._most, now))
            left = min(self._most, left + (now - at) * self._most / 60)
            wanted = min(float(records), self._most)  # more than fit at all pass once the bucket is full
            fits = wanted <= left
            self._left[org] = (left - wanted if fits else left, now)
        return 0.0 if fits else (wanted - left) * 60 / self._most
