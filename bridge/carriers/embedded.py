"""The default carrier: a thread pool in this process. No service needed.

Threads wait on a condition; a commit with wake-ups notifies them, and a look at the database every second finds what
came due by time or was left by a process that died.

Must not know: HTTP, either system.
"""

from __future__ import annotations

import logging
import threading
import time

from bridge.delivery import Delivery

LOG = logging.getLogger("bridge.carrier")
LOOK_S = 1.0  # how often an idle thread looks for work that came due by itself
LANES = 50  # lanes in one go: one list call carries about 50 entities


class Embedded:
    """Runs ``Delivery.deliver`` in *threads* background threads until ``stop``."""

    def __init__(self, engine: Delivery, *, threads: int = 4) -> None:
        self._engine = engine
        self._bell = threading.Condition()
        self._rung = False
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=f"carrier-{n}", daemon=True) for n in range(threads)]

    def wake(self) -> None:
        """Ring for work, after the transaction that brought it has committed."""
        with self._bell:
            self._rung = True
            self._bell.notify()

    def prepare(self) -> None:
        """Nothing is needed in the database, and only threads of this process are woken."""

    def start(self) -> None:
        self._engine.ledger.woken = self.wake
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 20) -> bool:
        """Stop claiming, let calls in flight finish for up to *timeout_s*. True if all did."""
        self._stopping.set()
        with self._bell:
            self._bell.notify_all()
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                busy = self._engine.deliver(most=LANES, hands=len(self._threads))
            except Exception:
                LOG.exception("A round of delivery failed; the lanes it held are free again when their lease ends.")
                busy = 0
                self._stopping.wait(LOOK_S)
            if not busy:
                with self._bell:
                    if not self._rung:
                        self._bell.wait(LOOK_S)
                    self._rung = False
