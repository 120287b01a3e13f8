"""The ledger: what was accepted, what became of it, and how we know. The only SQL of the house.

`Ledger` opens the database and hands out transactions: `read()` for looking, `write()` for changing. A `Writing` also
collects audit entries and wake-ups, which are part of the same commit.

Must not know: any system, HTTP, mapping.
"""

from __future__ import annotations

import logging
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError, OperationalError

from bridge.ledger import audit
from bridge.ledger import desk_models as desk_models  # its tables belong to the same metadata
from bridge.ledger.direct import at_once

Result = TypeVar("Result")
_random = random.SystemRandom()

_PG_NOW = text("SELECT clock_timestamp()")
# One round trip; what stands before BEGIN in one message is part of what it begins.
_PG_BEGIN_AT = "SELECT clock_timestamp(); BEGIN; SET LOCAL idle_in_transaction_session_timeout = '{}s'"
_PG_BEGIN_STILL = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# PostgreSQL thinks of spinning disks, and would read the whole backlog rather than look a few lanes up in it; and it
# would keep the plan that was best while the tables were empty.
_PG_PLANS = "SET random_page_cost = 1.1; SET plan_cache_mode = force_custom_plan; SET jit = off"
# A statement that waits or runs for so long holds a thread, and may hold locks; whoever asked is told that the database
# does not answer. Long looks are taken in steps; migrations are exempt.
STATEMENT_S = 60
# A server that vanished, as in a fail-over or behind a dead link, must not hold every thread for a quarter of an hour:
# after so many seconds (of ``tcp_user_timeout``: milliseconds) it counts as gone, and callers are told to come again.
_PG_GIVE_UP = {
    "connect_timeout": 5, "tcp_user_timeout": 15_000, "keepalives_idle": 10, "keepalives_interval": 5,
    "keepalives_count": 2,
}  # fmt: skip
# A process that was stopped, or whose machine died, in a transaction would keep its locks for as long as the server
# believes in the connection: hours. No transaction of ours is idle for longer, for none is open during a call.
FROZEN_S = 30
_LOST_TO_ANOTHER = ("40P01", "40001")  # deadlock detected, serialization failure: rolled back for certain
DEADLOCKS = 3
BREATH_S = (0.02, 0.1)  # before a transaction is done again
EVENTS = logging.getLogger("bridge.events")
LOGGED = ("correlation", "sync", "source_id", "target", "code", "message_id")
PERSON = "005"  # what ids of Salesforce users begin with
QUIET_S = 1.0  # a connection that was not used for so long is asked first whether it still works
BUSY_S = 5  # that another process may hold SQLite: longer than any transaction of ours, shorter than Apex waits
APART = timedelta(seconds=60)  # from the database's clock; a callout may be 300 s old


@dataclass
class Writing:
    """One write transaction: the connection, the moment it happens at, and what commits with it."""

    connection: Connection
    now: datetime
    entries: list[audit.Entry] = field(default_factory=list)
    wakes: set[str] = field(default_factory=set)
    chains: Sequence[Any] = ()  # a chain of the audit that was taken already
    mapping: str | None = None  # version of the rules in force
    seen: dict[str, Any] = field(default_factory=dict)  # what need be looked up only once in it

    def say(self, action: str, actor: str, **about: Any) -> None:
        """Add a row to the audit trail of this transaction."""
        self.entries.append(audit.Entry(action, actor, **about, mapping=self.mapping if about.get("sync") else None))


class Ledger:
    """The database. Writers on SQLite queue in the process, never on the file lock (p99 15 ms instead of 250).

    Args:
        url: SQLAlchemy URL; ``sqlite:///path`` or ``postgresql://…``.
        audit_key: key of the audit chain's HMAC; empty means a plain hash.
        clock: for SQLite, which runs on this machine alone. PostgreSQL's own clock is used there, never ours.

    A carrier that enqueues in our transaction sets ``wake``; one that rings a bell sets ``woken``.
    """

    def __init__(
        self,
        url: str,
        *,
        audit_key: bytes = b"",
        clock: Callable[[], datetime] | None = None,
        pool_size: int = 20,
    ) -> None:
        self.url = _driver(url)
        self.is_sqlite = self.url.startswith("sqlite")
        self.audit_key = audit_key
        self._clock = clock
        self.here: Callable[[], datetime] | None = None  # this machine's clock; a test may set it wrong
        self.mapping: str | None = None  # version of the rules in force, for the audit
        self.wake: Callable[[Connection, set[str]], None] | None = None  # inside the transaction
        self.woken: Callable[[], None] | None = None  # after its commit
        self._writer = threading.Lock()
        self._kept: Connection | None = None
        self.engine = self._open(pool_size)

    def _open(self, pool_size: int) -> Engine:
        if not self.is_sqlite:
            return self._open_postgresql(pool_size)
        path = make_url(self.url).database
        if path and path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=pool_size,
            connect_args={"timeout": BUSY_S, "isolation_level": None},
            hide_parameters=True,  # an error of the database must not tell what people typed
        )

        @event.listens_for(engine, "connect")
        def _prepare(raw: Any, record: Any) -> None:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
                raw.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            # A deferred transaction that turns from reading to writing fails at once with "database is locked".
            immediate = connection.get_execution_options().get("writes")
            connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

        return engine

    def _open_postgresql(self, pool_size: int) -> Engine:
        engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=pool_size,
            connect_args={name: it for name, it in _PG_GIVE_UP.items() if name not in make_url(self.url).query},
            hide_parameters=True,  # as above
        )
        begin_at = _PG_BEGIN_AT.format(FROZEN_S)

        @event.listens_for(engine, "connect")
        def _plan(raw: Any, record: Any) -> None:
            raw.autocommit = True  # the driver would begin each transaction in a round trip of its own
            raw.execute(f"{_PG_PLANS}; SET statement_timeout = '{STATEMENT_S}s'")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            options = connection.get_execution_options()
            if options.get("writes"):
                # PostgreSQL prepares single statements only.
                [[began_at]] = at_once(connection, begin_at, None, prepare=False)
                connection.info["began_at"] = began_at.astimezone(UTC)
            else:
                connection.exec_driver_sql(_PG_BEGIN_STILL if options.get("still") else "BEGIN")

        @event.listens_for(engine, "checkout")
        def _ping(raw: Any, record: Any, proxy: Any) -> None:
            if time.monotonic() - record.info.get("used", 0.0) <= QUIET_S:
                return
            try:
                engine.dialect.do_ping(raw)
            except engine.dialect.loaded_dbapi.Error as error:
                raise InvalidatePoolError from error  # all that were opened before, too

        @event.listens_for(engine, "checkin")
        def _used(raw: Any, record: Any) -> None:
            record.info["used"] = time.monotonic()

        return engine

    def now(self, connection: Connection) -> datetime:
        """Return the database's time: leases and due times are never by an instance's own clock."""
        if self._clock is not None:
            return self._clock()
        if self.is_sqlite:
            return datetime.now(UTC)
        moment: datetime = connection.execute(_PG_NOW).scalar_one()
        return moment.astimezone(UTC)

    def moment(self) -> datetime:
        """Return the database's time, outside of any transaction."""
        if self._clock is not None or self.is_sqlite:
            return self._clock() if self._clock else datetime.now(UTC)
        with self.read() as connection:
            return self.now(connection)

    def is_apart(self, now: datetime) -> bool:
        """Say whether this machine's clock is far from *now*, the database's: it leaves the work to others then."""
        if self.here is None and self._clock is not None:
            return False  # a test's clock is everybody's
        return abs((self.here() if self.here else datetime.now(UTC)) - now) > APART

    def space(self) -> tuple[int, int] | None:
        """Return how many bytes of the disk under the database are free, and how many it has; None for a server's."""
        path = make_url(self.url).database if self.is_sqlite else None
        if not path or path == ":memory:":
            return None
        disk = shutil.disk_usage(Path(path).parent)
        return disk.free, disk.total

    @contextmanager
    def read(self, *, still: bool = False) -> Iterator[Connection]:
        """Open a transaction to look. *still*: nothing that others write meanwhile is seen, as always on SQLite."""
        with self.engine.connect() as connection:
            yield connection.execution_options(still=True) if still else connection

    @contextmanager
    def write(self) -> Iterator[Writing]:
        """Open a write transaction. It commits state, audit rows and wake-ups together, or nothing."""
        with self._connection() as connection:
            with connection.begin():
                writing = Writing(connection, self._began_at(connection), mapping=self.mapping)
                yield writing
                if self.wake is not None and writing.wakes:
                    self.wake(connection, writing.wakes)
                audit.write(connection, self.audit_key, writing.now, writing.entries, writing.chains)
            if self.woken is not None and writing.wakes:
                self.woken()
        if EVENTS.isEnabledFor(logging.INFO):
            _log(writing.entries)

    def _began_at(self, connection: Connection) -> datetime:
        if self.is_sqlite or self._clock is not None:
            return self.now(connection)
        began_at: datetime = connection.info["began_at"]
        return began_at

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        if not self.is_sqlite:
            with self.engine.connect() as connection:
                yield connection.execution_options(writes=True)
            return
        with self._writer:
            # One connection writes, and is kept: every other one must throw its cache away at each commit.
            connection = self._kept or self.engine.connect().execution_options(writes=True)
            self._kept = None
            try:
                yield connection
            except BaseException:
                connection.close()  # in whatever state it is, the next writer does not get it
                raise
            self._kept = connection

    def commit(self, work: Callable[[Writing], Result]) -> Result:
        """Do *work* in a write transaction, and again where PostgreSQL chose it to end a deadlock.

        Nothing of a transaction that ended so remains; *work* must not have effects outside it.
        """
        for _ in range(DEADLOCKS):
            try:
                with self.write() as writing:
                    return work(writing)
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) not in _LOST_TO_ANOTHER:
                    raise
            # Begun again at once, it could take the very row again that the other one has just been freed to take:
            # PostgreSQL lets a newcomer pass whoever is being woken.
            time.sleep(_random.uniform(*BREATH_S))
        with self.write() as writing:
            return work(writing)

    def create(self) -> None:
        """Bring the database to the newest schema (Alembic), and start the audit chains."""
        from bridge.ledger import migrate

        migrate.upgrade(self.engine)
        with self.write() as writing:
            audit.start(writing.connection)

    def close(self) -> None:
        with self._writer:
            if self._kept is not None:
                self._kept.close()
                self._kept = None
        self.engine.dispose()


def _log(entries: Iterable[audit.Entry]) -> None:
    """Let the log tell what a person's click led to, as the audit does; what runs by the clock is in its reports."""
    for it in entries:
        if it.correlation and it.actor.startswith(PERSON):
            EVENTS.info("%s", it.action, extra={name: getattr(it, name) for name in LOGGED})


def _driver(url: str) -> str:
    """Return *url* with the driver we use, whatever the hosting platform wrote (``postgres://``, ``postgresql://``)."""
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url
