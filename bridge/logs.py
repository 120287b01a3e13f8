"""Logs: one line for each event, as text for people or as JSON for machines, and no secret in either.

JSON holds named fields only: time, level, logger, message, and of what a line is about its correlation (the same from
the click in Salesforce to the id in NetSuite), sync, record ids and code. Whatever else a call was given is left out.

Must not know: settings, any system.
"""

from __future__ import annotations

import copy
import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime

ABOUT = ("correlation", "sync", "source_id", "target", "code", "message_id")
TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
STARS = "***"
CHATTY = ("alembic", "apscheduler", "apprise", "procrastinate", "urllib3")  # they tell of every step
SHORTEST = 6  # a shorter secret would star out innocent words


class Starred(logging.Formatter):
    """Puts stars where a secret of this instance would stand: the second line of defence, should one ever get here."""

    def __init__(self, form: str | None = None, secrets: Iterable[str] = ()) -> None:
        super().__init__(form)
        self._secrets: list[str] = []
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Put stars for these, too."""
        more = {it for it in secrets if len(it) >= SHORTEST}
        self._secrets = sorted({*self._secrets, *more}, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        line = self.line(record)
        for secret in self._secrets:
            if secret in line:
                line = line.replace(secret, STARS)
        return line

    def line(self, record: logging.LogRecord) -> str:
        """Return the line; an event tells what it is about behind its name."""
        about = " ".join(f"{name}={value}" for name in ABOUT if (value := getattr(record, name, None)) is not None)
        # A name that somebody typed must not begin a line of its own; a traceback may.
        plain = copy.copy(record)
        plain.msg, plain.args = _one_line(record.getMessage()), None
        message = super().format(plain)
        return f"{message} {about}" if about else message


class Json(Starred):
    """One JSON object a line."""

    def line(self, record: logging.LogRecord) -> str:
        said = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        said |= {name: value for name in ABOUT if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False, default=str)


def start(level: str, form: str, secrets: Iterable[str]) -> None:
    """Send all logs of this process to standard error, in *form* ``text`` or ``json``."""
    # Where a line cannot be written, logging would print what is being handled, an address that is a secret among it,
    # past every formatter.
    logging.raiseExceptions = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json(secrets=secrets) if form == "json" else Starred(TEXT, secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def hide(secrets: Iterable[str]) -> None:
    """Put stars for *secrets*, too, wherever this process logs from now on."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, Starred):
            handler.formatter.hide(secrets)


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")
