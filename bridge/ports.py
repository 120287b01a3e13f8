"""The one port: what the engine asks of a system, and the plain values that cross it.

``Ref`` names a record, ``Record`` is a record's plain values, ``Written`` is a confirmed write, ``System`` is either
Salesforce or NetSuite. Values are ``str int Decimal bool date datetime Ref None`` and, for sublists, lists of dicts
of the same; field names are each system's own.

Must not know: either system, SQL, HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from bridge.errors import BridgeError

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to one record of a system: by its own *id*, by our *external_id*, or by *name*.

    *kind* is the system's own word in its own spelling: ``"customer"``, ``"salesOrder"``, ``"Account"``.
    """

    kind: str
    id: str | None = None
    external_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One record as plain values. An absent field is not sent; ``None`` clears it."""

    ref: Ref
    fields: Fields
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The other system confirmed this write. *ref* carries its id; *warnings* are its words, for the audit."""

    ref: Ref
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deleted:
    """A record that no longer exists. *merged_into* is the surviving record's id where the system tells it."""

    ref: Ref
    deleted_at: datetime
    merged_into: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of ``bridge doctor``: *ok* is None when it could not be tried."""

    name: str
    ok: bool | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Fact:
    """What a system says of one field. *holds*: text number flag day time choice reference list other.

    *choices* are the values that it takes where it says so, *length* the longest text in characters.
    """

    name: str
    holds: str
    choices: frozenset[str] = frozenset()
    length: int | None = None


class Slots(Protocol):
    """Permission to have one more call to NetSuite in flight, shared by all instances.

    Source: the limit is the account's, over SOAP, REST and RESTlets together (NetSuite Help, "Web Services and
    RESTlet Concurrency Governance").
    """

    def lease(self, *, interactive: bool, unless: Callable[[], bool] | None = None) -> AbstractContextManager[bool]:
        """Wait for a free slot and hold it. Raises ``Deferred(throttled=True)`` when none becomes free in time.

        One slot is kept for calls that are *interactive*. Yields whether a slot is held: not when *unless* came true
        while waiting, for somebody else did the work.
        """
        ...

    def throttled(self) -> None:
        """NetSuite refused a call for concurrency: use fewer slots for a while."""
        ...


class System(Protocol):
    """Salesforce or NetSuite: something the engine can get from, upsert into, and ask what changed."""

    name: str

    def get(self, refs: Sequence[Ref], fields: Sequence[str] = (), *, interactive: bool = False) -> list[Record | None]:
        """Read records by id or external id, in the order asked, ``None`` where one does not exist.

        *fields* are the fields wanted, ``"Lines.Amount"`` style for a field of a child list; empty means all that
        the adapter knows. *interactive* when a person waits. Raises Deferred (not answered, safe to repeat) or
        Misconfigured.
        """
        ...

    def upsert(self, records: Sequence[Record], *, interactive: bool = False) -> list[Written | BridgeError]:
        """Create or update each record by its external id (or id), and settle each one on its own.

        The answer has one entry for every record, in order. A failure of the whole call is given to every record it
        covered: never raised, because earlier calls of the same list may have been confirmed already.
        """
        ...

    def changed(self, kind: str, since: datetime, until: datetime, fields: Sequence[str] = ()) -> Iterator[Record]:
        """Yield every record of *kind* last modified in ``[since, until)``, keeping at most one page in memory."""
        ...

    def deleted(self, kind: str, since: datetime, until: datetime) -> Iterator[Deleted]:
        """Yield every record of *kind* deleted (or merged away) in ``[since, until)``."""
        ...

    def now(self) -> datetime:
        """The system's own clock, aware UTC: windows end by it, never by ours."""
        ...

    def url(self, ref: Ref) -> str | None:
        """The page on which a person sees *ref*, if the system has one."""
        ...

    def check(self) -> Iterator[Check]:
        """Say in plain words what is reachable and permitted."""
        ...


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that changed and could not be read. *ref* has no id where the system does not say which one it is."""

    ref: Ref
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Window:
    """A part of what changed, counted against the system's own total.

    *until*: up to there everything has been given, with this window's *rows*, oldest change first. *total* is what the
    system counted in the whole range that was asked for.
    """

    until: datetime
    rows: Sequence[Record]
    total: int
    skipped: Sequence[Skipped] = ()


@dataclass(frozen=True, slots=True)
class Period:
    """An accounting period, first and last day included. *shut_to* are the kinds of transaction it does not take."""

    name: str
    first: date
    last: date
    is_closed: bool = False
    shut_to: frozenset[str] = frozenset()

    def takes(self, kind: str) -> bool:
        return not self.is_closed and kind not in self.shut_to


class Bookkeeping(Protocol):
    """What of the books a person, or a closed month, makes the bridge ask for: NetSuite's."""

    def periods(self, *, fresh: bool = False) -> list[Period]:
        """Return the accounting periods, the earliest first; not the quarters, years and adjustment periods.

        Raises Rejected where the role may not read them, else as ``get`` does.
        """
        ...

    def namesakes(self, record: Record) -> list[Record]:
        """Return the customers, vendors or contacts that have the name of *record* already. Raises as ``get`` does."""
        ...

    def give_external_id(self, ref: Ref, external_id: str) -> Written:
        """Give the record *ref* (its id) an external id, and change nothing else of it. Raises what went wrong."""
        ...


class RateSource(Protocol):
    """Whoever's exchange rates count: NetSuite."""

    def rate(self, source: str, target: str, on: date) -> Decimal | None:
        """Say what one unit of currency *source* was worth in *target* on a day; None where there is no rate."""
        ...


class CountedSystem(System, RateSource, Bookkeeping, Protocol):
    """A system that says how many records changed, so that a pull can prove that it has them all: NetSuite."""

    def windows(self, kind: str, since: datetime, until: datetime, prefix: str | None = None) -> Iterator[Window]:
        """Yield everything of *kind* last modified in ``[since, until]`` in windows one after the other in time.

        The next window is asked for when the one before is done with. With *prefix* only records whose external id
        begins so, without their lists. Raises Deferred when the counts do not settle.
        """
        ...

    def count(self, kind: str, since: datetime, until: datetime) -> int:
        """Say how many records of *kind* were last modified in ``[since, until]``."""
        ...


class Jobs(Protocol):
    """Where it is kept which bulk jobs may still write. A job goes on when whoever started it has ended."""

    def started(self, job_id: str) -> None:
        """Remember a job that is about to be told to start. Raises Deferred where it must not any more."""
        ...

    def ended(self, job_id: str) -> None:
        """Forget a job that writes nothing any more."""
        ...


class MirrorSystem(System, Protocol):
    """A system that holds our mirrors and can list the rows under a parent: Salesforce."""

    def upsert(
        self, records: Sequence[Record], *, interactive: bool = False, jobs: Jobs | None = None
    ) -> list[Written | BridgeError]:
        """Write as any system does; many rows of one object by a job, which *jobs* hears of before it starts."""
        ...

    def has_ended(self, job_id: str, *, stop: bool) -> bool:
        """Say whether a bulk job writes nothing more; with *stop* have it stop. Raises Deferred or Misconfigured."""
        ...

    def rows_under(self, kind: str, parent: str, parents: Sequence[str], fields: Sequence[str]) -> list[Record]:
        """Return the records of *kind* whose lookup *parent* is one of *parents* (ids). Raises as ``get`` does."""
        ...


@dataclass(frozen=True, slots=True)
class Received:
    """One record as it arrived from Salesforce: by callout, by sweep or fetched as a parent.

    *version* is ``Bridge_Version__c`` (0 where absent), *modified_at* the SystemModstamp; together they order saves.
    """

    kind: str
    id: str
    version: int
    modified_at: datetime
    fields: Fields
    user: str | None = None
    deleted: bool = False
    merged_into: str | None = None
    warnings: tuple[str, ...] = field(default=())
