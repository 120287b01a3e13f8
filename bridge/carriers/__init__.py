"""Who wakes a worker. A carrier only says "there is work": losing or doubling a wake-up cannot lose or double work."""

from __future__ import annotations

from typing import Protocol


class Carrier(Protocol):
    """Delivers in the background of this process."""

    def prepare(self) -> None:
        """Make what it needs in the database exist, and have commits wake whoever works."""
        ...

    def start(self) -> None:
        """Begin to deliver."""
        ...

    def stop(self, timeout_s: float) -> bool:
        """Stop claiming, let calls in flight finish for up to *timeout_s* seconds. True if all did."""
        ...
