"""Chosen failures: a book of faults that an admin endpoint or a test fills, and markers in names (``Acme !SLOW 5``).

``Fault`` says what happens, to which calls and how often; ``FaultBook.take`` gives the faults of one call.

Must not know: NetSuite, Salesforce, HTTP.
"""

from __future__ import annotations

import re
import threading
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# action -> what it does. ``before`` the work or ``after`` it is committed is the option ``when`` where both make sense.
ACTIONS: dict[str, str] = {
    "reject": "refuse a record with options code, message; nth picks one of a list (from 1)",
    "warn": "save the record and add a warning with options code, message",
    "after_submit_failed": "save the record, then report a script's failure",
    "throttle": "the concurrency limit is exceeded",
    "auth": "the login is refused",
    "permission": "the role may not do this",
    "session": "the session has timed out",
    "maintenance": "the account is unavailable",
    "unexpected": "an unexpected error with an Error ID; option when",
    "no_detail": "a fault without a code; option when",
    "http": "an HTTP answer that is no SOAP: options status, body (html, xhtml, empty); option when",
    "redirect": "a redirect to a login page",
    "drop": "cut the connection; option when, after by default: commits, then drops the answer",
    "slow": "wait option seconds before working; when=after waits before answering",
    "truncate": "send option bytes of the answer, then cut; clean=true ends it as if it were whole",
    "gzip_trailer": "compress the answer and lose its trailer",
    "garble": "flip the byte at option offset of the answer",
    "wrong_count": "leave out the last answer of a list, or with extra=true repeat it",
    "unknown_element": "an element in the answer that no schema knows",
    "endless": "an answer that never ends",
    "status_unknown": "a list call runs out of time after option done records",
}
MARKER = re.compile(r"!(SLOW|DROP|REJECT|WARN|THROTTLE|AFTERSUBMIT)\b(?: +([\w.]+))?")
_MARKED = {
    "SLOW": "slow",
    "DROP": "drop",
    "REJECT": "reject",
    "WARN": "warn",
    "THROTTLE": "throttle",
    "AFTERSUBMIT": "after_submit_failed",
}


@dataclass
class Fault:
    """One chosen failure: *skip* calls pass, then *count* are hit.

    *operation* may be a pattern (``upsert*`` is upsert and upsertList); None, as for *record*, means any.
    """

    action: str
    operation: str | None = None
    record: str | None = None
    count: int = 1
    skip: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"unknown action {self.action!r}; known: {', '.join(ACTIONS)}")

    @property
    def after(self) -> bool:
        """Whether the work is done first."""
        return bool(self.options.get("when", "after" if self.action == "drop" else "before") == "after")

    def hits(self, operation: str, records: Collection[str]) -> bool:
        if self.operation is not None and not fnmatchcase(operation, self.operation):
            return False
        return self.record is None or self.record in records


class FaultBook:
    """All faults that are still to happen."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._dropped: set[str] = set()
        self._lock = threading.Lock()

    def add(self, action: str, **options: Any) -> Fault:
        """Add one; what is not a field of ``Fault`` becomes one of its options."""
        known = {name: options.pop(name) for name in ("operation", "record", "count", "skip") if name in options}
        fault = Fault(action, **known, options=options)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def take(self, operation: str, records: Collection[str]) -> list[Fault]:
        """The faults of one call; each loses one of its counts."""
        if not self._faults:
            return []
        taken = []
        with self._lock:
            for fault in list(self._faults):
                if not fault.hits(operation, records):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.count -= 1
                taken.append(fault)
                if fault.count <= 0:
                    self._faults.remove(fault)
        return taken

    def marked(self, texts: Iterable[str], key: str) -> list[Fault]:
        """Faults asked for in *texts* of the record *key*. A drop happens once for a record, so a retry heals."""
        found = []
        for text in texts:
            for name, argument in MARKER.findall(text):
                options: dict[str, Any] = {}
                if name == "SLOW":
                    options["seconds"] = float(argument or 5)
                elif name in ("REJECT", "WARN"):
                    options["code"] = argument or ("USER_ERROR" if name == "REJECT" else "WARNING")
                elif name == "DROP":
                    options["when"] = "before" if argument == "BEFORE" else "after"
                    with self._lock:
                        if key in self._dropped:
                            continue
                        self._dropped.add(key)
                found.append(Fault(_MARKED[name], options=options))
        return found
