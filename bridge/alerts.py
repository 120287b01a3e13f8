"""Tell people of incidents: to the log, through Apprise (mail, Slack, Teams and many others), and to a webhook.

A channel takes an `Event` and says whether it reached anybody; whoever calls keeps what was told.

Must not know: SQL, who decides what an incident is.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

LOG = logging.getLogger("bridge.alerts")

Alert = Callable[[str, str], None]  # a stable code, and one plain sentence
WEBHOOK_S = 10.0  # the next minute tries again


@dataclass(frozen=True, slots=True)
class Event:
    """An incident that began, or is over (*ended_at* is set then)."""

    environment: str
    key: str
    code: str
    sentence: str
    who: str
    since: datetime | None
    ended_at: datetime | None

    @property
    def title(self) -> str:
        return f"[{self.environment}] {'Over: ' if self.ended_at else ''}{self.code}"


Channel = Callable[[Event], bool]


def log(code: str, sentence: str) -> None:
    """Write the incident to the log, as an error."""
    LOG.error("%s: %s", code, sentence)


def to_log(event: Event) -> bool:
    """Write it to the log; where nothing else is set up, that is all there is."""
    LOG.log(logging.INFO if event.ended_at else logging.ERROR, "%s: %s", event.title, event.sentence)
    return True


def through_apprise(urls: Sequence[str]) -> Channel:
    """Return a channel to *urls* as Apprise writes them (``mailto://``, ``slack://`` …); they hold passwords.

    Raises ImportError without the extra ``alerts``, ValueError for a URL that Apprise does not know.
    """
    import apprise

    # Its finer lines tell the URLs, and with them what is as good as a password, whatever level anybody chooses.
    logging.getLogger("apprise").addFilter(_is_warning)
    everybody = apprise.Apprise()
    for number, url in enumerate(urls, start=1):
        if not everybody.add(url):
            raise ValueError(f"number {number} of BRIDGE_ALERT_URLS is not a URL that Apprise knows")

    def tell(event: Event) -> bool:
        kind = apprise.NotifyType.SUCCESS if event.ended_at else apprise.NotifyType.WARNING
        return bool(everybody.notify(title=event.title, body=event.sentence, notify_type=kind))

    return tell


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def to_webhook(url: str, secret: bytes) -> Channel:
    """Return a channel that posts JSON to *url*, signed as callouts are: HMAC-SHA256 of the body by *secret*."""
    import requests

    session = requests.Session()
    session.trust_env = False

    def tell(event: Event) -> bool:
        said = {
            "event": "incident.over" if event.ended_at else "incident.began",
            "environment": event.environment,
            "key": event.key,
            "code": event.code,
            "sentence": event.sentence,
            "who": event.who,
            "since": event.since.isoformat() if event.since else None,
            "endedAt": event.ended_at.isoformat() if event.ended_at else None,
        }
        body = json.dumps(said, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"}
        if secret:
            headers["X-Bridge-Signature"] = f"v1={hmac.new(secret, body, hashlib.sha256).hexdigest()}"
        try:
            answer = session.post(url, body, headers=headers, timeout=WEBHOOK_S, allow_redirects=False)
        except requests.RequestException as error:
            LOG.warning("The alert webhook did not answer (%s).", type(error).__name__)
            return False
        if not 200 <= answer.status_code < 300:
            LOG.warning("The alert webhook answered %s.", answer.status_code)
            return False
        return True

    return tell
