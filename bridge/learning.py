"""Learn the names that the mapping uses, at the start and twice an hour, so that no save waits for a look-up.

Must not know: SOAP.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Protocol

from bridge.errors import BridgeError
from bridge.mapping import Syncs, named
from bridge.ports import Record

LOG = logging.getLogger("bridge.learning")
EVERY_S = 1800.0  # names are kept for an hour
AGAIN_S = 60.0  # after NetSuite could not be asked


class Teacher(Protocol):
    """Who knows names: NetSuite's adapter."""

    def learn(self, records: Iterable[Record]) -> list[BridgeError]: ...


def unknown_names(teacher: Teacher, syncs: Syncs) -> list[BridgeError]:
    """Ask for every name of the mapping; return those that NetSuite does not have. Raises Deferred, Misconfigured."""
    return teacher.learn([record for push in syncs.pushes.values() for record in named(push, syncs.context)])


class Learner:
    """Asks in the background. A failure costs nothing: a save that needs a name asks for itself."""

    def __init__(self, teacher: Teacher, syncs: Syncs) -> None:
        self.teacher, self.syncs = teacher, syncs
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="names", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(5)

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                for error in unknown_names(self.teacher, self.syncs):
                    LOG.warning("%s (%s)", error.message, error.code)
                pause = EVERY_S
            except BridgeError as error:
                LOG.warning("Names could not be asked for: %s", error.message)
                pause = AGAIN_S
