"""Read on while what was read before is worked on: an iterator in a thread of its own, a few items ahead.

Must not know: what is read.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")

LOOK_S = 0.1  # how often a reader whose items nobody takes looks whether anybody still wants them
LEAVE_S = 5.0  # how long whoever stops waits for the reader; a call that hangs ends by its own deadline


class _End(Generic[T]):
    """There is nothing more; *error* is why, unless it was the end."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(source: Iterator[T], most: int = 1) -> Generator[T, None, None]:
    """Yield what *source* yields while up to *most* further items wait and another is being read.

    What *source* raises is raised here, after all that it yielded before. Closing this closes *source*.
    """
    waiting: queue.Queue[T | _End[T]] = queue.Queue(most)
    stopped = threading.Event()

    def put(item: T | _End[T]) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                waiting.put(item, timeout=LOOK_S)
                return

    def read() -> None:
        try:
            for item in source:
                put(item)
                if stopped.is_set():
                    break
        except BaseException as error:  # noqa: BLE001 - raised where the items are taken
            put(_End(error))
        else:
            put(_End(None))
        finally:
            if isinstance(source, Generator):
                source.close()

    reader = threading.Thread(target=read, name="reading-ahead", daemon=True)
    reader.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        reader.join(LEAVE_S)
