"""Long work gives way while somebody waits: a pull shares the interpreter with saves and pages.

``waited_for`` surrounds what a person waits for; ``breathe`` is called by long work after about a millisecond of it.

Must not know: what anybody does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

BREATH_S = 0.0005
LINGER_S = 0.25  # after an answer: who has just been served soon asks again, and a request is read before it is known

_lock = threading.Lock()
_waiting = 0
_until = 0.0


@contextmanager
def waited_for() -> Iterator[None]:
    """Somebody waits for what is done in here."""
    global _waiting, _until  # noqa: PLW0603 - there is one interpreter
    with _lock:
        _waiting += 1
    try:
        yield
    finally:
        with _lock:
            _waiting -= 1
            _until = time.monotonic() + LINGER_S


def breathe() -> None:
    """Leave the interpreter to others for a moment if somebody waits."""
    if _waiting or time.monotonic() < _until:
        time.sleep(BREATH_S)
