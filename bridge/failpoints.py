"""Places at which a test can make the bridge fail: ``BRIDGE_FAILPOINT=name:action[:n]``.

Actions are ``kill`` (SIGKILL to itself), ``exit``, ``raise`` and ``sleep``; *n* is the visit at which it happens, the
first by default. Production refuses to start with one set (see settings).
"""

from __future__ import annotations

import os
import signal
import threading

NAMES = (
    "after_accept",
    "before_push",
    "after_push",
    "before_commit",
    "after_commit",
    "before_answer",
    "after_pull_store",
    "before_watermark",
    "after_writeback",
    "in_migration",
    "in_change",
)
VARIABLE = "BRIDGE_FAILPOINT"

_lock = threading.Lock()
_visits: dict[str, int] = {}


class Failpoint(RuntimeError):
    """The failure that a test asked for."""


def reached(name: str) -> None:
    """Fail here if a test asked for it. Costs one look at the environment otherwise."""
    wish = os.environ.get(VARIABLE)
    if not wish or not wish.startswith(name + ":"):
        return
    _, action, *rest = wish.split(":")
    with _lock:
        _visits[name] = _visits.get(name, 0) + 1
        if _visits[name] != int(rest[0] if rest else 1):
            return
    match action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(70)
        case "sleep":
            threading.Event().wait(5)
        case "raise":
            raise Failpoint(name)
        case _:
            raise ValueError(f"{VARIABLE}: unknown action {action}")
