"""What can go wrong, named by what happens next.

``Rejected`` `Deferred` `Uncertain` `Misconfigured` are the four ways in which a delivery does not succeed
(see the table in ``docs/delivery.md``). The message of each is one plain sentence for the person who can act;
``code`` is stable and documented, ``who`` says whose desk it belongs on, ``detail`` keeps the machine's words.

Must not know: HTTP, SOAP, SQL.
"""

from __future__ import annotations

from typing import ClassVar, Self


class BridgeError(Exception):
    """Base of all errors that the bridge raises on purpose.

    Args:
        message: one plain sentence; shown to people in Salesforce and on the console.
        code: stable upper-case word, for example ``ITEM_UNKNOWN``.
        who: who can fix it: ``sales``, ``accounting``, ``administrator`` or ``nobody`` (the bridge retries).
        field: the Salesforce or NetSuite field at fault, where one is.
        detail: the other system's own words, never shown to salespeople, never holding a secret.
    """

    outcome: ClassVar[str] = "rejected"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        who: str = "administrator",
        field: str | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.who = who
        self.field = field
        self.detail = detail
        self.exchange: tuple[str, str] | None = None  # what was asked and answered, without secrets; for the error desk

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__)
        return twin


class Rejected(BridgeError):
    """The record is wrong; a person must change it. Not retried; a newer save retries by itself."""

    outcome = "rejected"


class Deferred(BridgeError):
    """Nothing was written, and trying again later can succeed. Retried with jitter.

    ``throttled`` says that the other system asked us to slow down; such a try costs no attempt.
    ``retry_after_s`` is the other system's wish in seconds, if it named one.
    """

    outcome = "deferred"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        who: str = "nobody",
        field: str | None = None,
        detail: str | None = None,
        throttled: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, code=code, who=who, field=field, detail=detail)
        self.throttled = throttled
        self.retry_after_s = retry_after_s


class Uncertain(BridgeError):
    """The request was written and no readable answer came back: it may or may not have happened.

    The engine waits, looks the record up by external id, and adopts it or sends it again by upsert.
    """

    outcome = "uncertain"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        who: str = "nobody",
        field: str | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message, code=code, who=who, field=field, detail=detail)


class Misconfigured(BridgeError):
    """Credentials, permission, bindings or maintenance: every record of this sync would fail alike.

    The sync pauses, accepting goes on, one alert is raised and a probe resumes it.
    """

    outcome = "misconfigured"
