"""Chosen failures of the fake Salesforce, set with ``POST /sandbox/faults``.

A fault names its *kind*, how many matching calls to let pass (*after*) and how often to strike (*times*).
Kinds: ``lock`` (nth record write), ``limit``, ``concurrent``, ``unauthorized``, ``unavailable`` (503 with a page),
``server_error``, ``slow`` (headers after *seconds*), ``reset`` (before the call is done), ``reset_after_commit``,
``truncate`` (half of the answer), ``slow_job`` (a bulk job of *object* waits *seconds* before its rows are written).

Must not know: records, routes.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bridge.sandbox.answers import Answer, Cut
from bridge.sandbox.salesforce_http import Reply
from bridge.sandbox.salesforce_values import NotImitated, Refused, to_json

BEFORE = ("slow", "reset", "unauthorized", "limit", "concurrent", "unavailable", "server_error")
SESSION = ("unauthorized", "limit", "concurrent")
AFTER = ("reset_after_commit", "truncate")
KINDS = (*BEFORE, *AFTER, "lock", "slow_job")
PAGE = b"<!DOCTYPE html><html><head><title>Service Unavailable</title></head><body>We are down for maintenance.</body>"


@dataclass
class Fault:
    """One chosen failure. *path* must be part of the address, *method* equal, *object* (for lock) equal."""

    kind: str
    after: int = 0
    times: int = 1
    path: str = ""
    method: str = ""
    object: str = ""
    seconds: float = 0.0
    status: int = 0


class Faults:
    """The chosen failures that are still to strike."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, **values: Any) -> None:
        """Choose one. Raises ``NotImitated`` for an unknown kind or option."""
        if values.get("kind") not in KINDS:
            raise NotImitated(f"fault {values.get('kind')!r}; known are {', '.join(KINDS)}")
        unknown = set(values) - set(Fault.__dataclass_fields__)
        if unknown:
            raise NotImitated(f"fault option {', '.join(sorted(unknown))}")
        for name, value in values.items():
            wanted = type(Fault.__dataclass_fields__[name].default) if name != "kind" else str
            if not isinstance(value, wanted) and not (wanted is float and isinstance(value, int)):
                raise Refused("JSON_PARSER_ERROR", f"{name} of a fault must be {wanted.__name__}, not {value!r}")
        with self._lock:
            self._faults.append(Fault(**values))

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._faults.clear()

    def shown(self) -> list[dict[str, Any]]:
        """What is still to strike."""
        with self._lock:
            return [asdict(one) for one in self._faults]

    def answer(self, method: str, parsed: Any) -> Reply:
        """The admin endpoint: GET shows, POST adds one or a list, DELETE clears."""
        if method == "DELETE":
            self.clear()
        elif method == "POST":
            for one in parsed if isinstance(parsed, list) else [parsed]:
                if not isinstance(one, Mapping):
                    raise Refused("JSON_PARSER_ERROR", "a fault is an object")
                self.add(**{key: float(v) if key == "seconds" else v for key, v in one.items()})
        elif method != "GET":
            raise Refused("METHOD_NOT_ALLOWED", "GET, POST or DELETE", status=405)
        return Reply(200, [{key: str(v) if key == "seconds" else v for key, v in one.items()} for one in self.shown()])

    def strike_before(self, method: str, path: str) -> Answer | None:
        """Fail instead of doing the call, or be late."""
        fault = self._due(BEFORE, method, path)
        if fault is None:
            return None
        if fault.kind == "slow":
            threading.Event().wait(fault.seconds)
            return None
        if fault.kind == "reset":
            raise Cut
        if fault.kind == "unavailable":
            return Answer(503, PAGE, headers=(("Retry-After", "5"),))
        status, code, message = {
            "unauthorized": (401, "INVALID_SESSION_ID", "Session expired or invalid"),
            "limit": (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
            "concurrent": (403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded."),
            "server_error": (500, "UNKNOWN_EXCEPTION", "An unexpected error occurred. ErrorId: 1 (1)"),
        }[fault.kind]
        body = to_json([{"message": message, "errorCode": code}]).encode()
        return Answer(fault.status or status, body, content_type="application/json;charset=UTF-8")

    def strike_after(self, method: str, path: str, answer: Answer) -> Answer:
        """Spoil the answer of a call that was done and committed."""
        fault = self._due(AFTER, method, path)
        if fault is None:
            return answer
        if fault.kind == "reset_after_commit":
            raise Cut
        body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
        half = body[: len(body) // 2]
        return Answer(answer.status, half, content_type=answer.content_type, headers=answer.headers)

    def before_write(self, kind: str, record_id: str | None) -> None:
        """Refuse the nth record write with a lock error.

        Seen with 400 and with 500 in public clients, so the code is what tells.
        """
        with self._lock:
            for one in self._faults:
                if one.kind != "lock" or (one.object and one.object.lower() != kind.lower()):
                    continue
                if self._spend(one):
                    message = f"unable to obtain exclusive access to this record or 1 records: {record_id or kind}"
                    raise Refused("UNABLE_TO_LOCK_ROW", message, status=one.status or 400)

    def before_job(self, kind: str) -> None:
        """Let a bulk job wait in its queue, as any may: Salesforce says when it ended, never when it will."""
        with self._lock:
            fitting = (it for it in self._faults if it.kind == "slow_job" and it.object.lower() in ("", kind.lower()))
            found = next((it for it in fitting if self._spend(it)), None)
        if found is not None:
            threading.Event().wait(found.seconds)

    def _due(self, kinds: tuple[str, ...], method: str, path: str) -> Fault | None:
        with self._lock:
            for one in self._faults:
                if one.kind in SESSION and "/oauth2/" in path:
                    continue  # logging in works: only then does a storm of 401 find a client that logs in for ever
                if one.kind in kinds and one.path in path and one.method.upper() in ("", method) and self._spend(one):
                    return one
        return None

    def _spend(self, one: Fault) -> bool:
        if one.after > 0:
            one.after -= 1
            return False
        one.times -= 1
        if one.times <= 0:
            self._faults.remove(one)
        return True
