"""Tell an administrator of an incident, once. Where nobody is told in another way, the log says it.

Must not know: mail, chat, SQL.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

LOG = logging.getLogger("bridge.alerts")

Alert = Callable[[str, str], None]  # a stable code, and one plain sentence


def log(code: str, sentence: str) -> None:
    """Write the incident to the log, as an error."""
    LOG.error("%s: %s", code, sentence)
