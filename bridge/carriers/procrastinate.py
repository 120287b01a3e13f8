"""The carrier for many machines: procrastinate on the ledger's own PostgreSQL.

`wake` defers a wake-up in the transaction that brings the work, one waiting wake-up for each bucket of lanes; any
worker process takes it and delivers what is due. Nothing depends on a wake-up: every process also looks by itself once
a second, which finds what came due by time, what a lost wake-up was about, and what a dead process has left.

Of procrastinate only the queueing lock is used. Its lock would keep a lane shut for a wake-up that is due later, and
its retries cannot put a stalled job back beside a newer one: stalled jobs are deleted.

Must not know: HTTP, either system.

Source: procrastinate issues 1408, 1432, 1446, 1543 (stalled jobs with locks).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import zlib
from collections.abc import Iterable

import procrastinate
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import DeleteJobCondition
from procrastinate.worker import Worker
from sqlalchemy import Connection, bindparam, make_url, text

from bridge.delivery import Delivery

LOG = logging.getLogger("bridge.carrier")
LOOK_S = 1.0  # how often each process looks for work that nobody was woken for
LANES = 50  # lanes in one go: one list call carries about 50 entities
BUCKETS = 16  # at most so many wake-ups wait at a time, however many lanes have work
STALLED_S = 30.0  # a worker that has not been heard of for so long is dead
GRACE_S = 20.0
TASK, QUEUE = "bridge.deliver", "bridge"
SCHEMA_LOCK = 7202  # of PostgreSQL: instances that start at once make procrastinate's tables one after the other

_WAITING = text(
    "SELECT queueing_lock FROM procrastinate_jobs WHERE status = 'todo' AND queueing_lock IN :names"
).bindparams(bindparam("names", expanding=True))
_MADE_BY = text("SELECT obj_description('procrastinate_jobs'::regclass)")
_OBJECTS = text(
    "SELECT 'TABLE', oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relname LIKE 'procrastinate\\_%'"
    " UNION ALL SELECT 'FUNCTION', oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'procrastinate\\_%'"
    " UNION ALL SELECT 'TYPE', type.oid::regtype::text FROM pg_type type LEFT JOIN pg_class owner"
    " ON owner.oid = type.typrelid WHERE type.typname LIKE 'procrastinate\\_%'"
    " AND (type.typtype = 'e' OR owner.relkind = 'c')"
)
_STALLED = text(
    "DELETE FROM procrastinate_jobs job WHERE job.status = 'doing' AND job.task_name = :task AND NOT EXISTS ("
    " SELECT 1 FROM procrastinate_workers worker WHERE worker.id = job.worker_id"
    " AND worker.last_heartbeat > now() - make_interval(secs => :seconds))"
)


class Procrastinate:
    """Runs ``Delivery.deliver`` in up to *threads* threads, woken over PostgreSQL, until ``stop``."""

    def __init__(self, engine: Delivery, *, threads: int = 4) -> None:
        self._engine, self._threads = engine, threads
        self._conninfo = make_url(engine.ledger.url).set(drivername="postgresql").render_as_string(hide_password=False)
        deferring = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=self._conninfo))
        # Never run by this app: deferring needs the task's name and queue only.
        self._task = deferring.task(name=TASK, queue=QUEUE)(_never)
        self._stopping = threading.Event()
        self._worker: Worker | None = None
        self._runs = [
            threading.Thread(target=run, name=f"carrier-{run.__name__.strip('_')}", daemon=True)
            for run in (self._work, self._look)
        ]

    def prepare(self) -> None:
        """Make procrastinate's tables where they are missing or older than it, and have every commit wake a worker.

        They hold nothing but wake-ups, which may get lost: instead of migrating them before and after all processes
        have changed, the first new process makes them anew. Older ones then look once a second until they end.
        """
        self._engine.ledger.wake = self.wake
        with self._engine.ledger.engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": SCHEMA_LOCK})
            cursor = connection.connection.cursor()
            if connection.execute(text("SELECT to_regclass('procrastinate_jobs')")).scalar() is not None:
                made_by = connection.execute(_MADE_BY).scalar()
                if made_by is not None and _parts(made_by) >= _parts(procrastinate.__version__):
                    return
                LOG.info("Making procrastinate's tables anew: they are of %s.", made_by or "an unknown version")
                for kind, name in connection.execute(_OBJECTS).all():
                    cursor.execute(f"DROP {kind} IF EXISTS {name} CASCADE")
            cursor.execute(procrastinate.schema.SchemaManager.get_schema())
            cursor.execute(f"COMMENT ON TABLE procrastinate_jobs IS '{procrastinate.__version__}'")

    def wake(self, connection: Connection, lanes: Iterable[str]) -> None:
        """Defer wake-ups for *lanes*, part of the transaction of *connection*."""
        names = sorted({f"{QUEUE}-{zlib.crc32(lane.encode()) % BUCKETS}" for lane in lanes})
        waiting = set(connection.execute(_WAITING, {"names": names}).scalars())
        for name in names:
            if name in waiting:
                continue
            # The savepoint keeps our transaction alive when somebody else defers the same wake-up just now.
            savepoint = connection.begin_nested()
            try:
                raw = connection.connection.driver_connection
                self._task.configure(queueing_lock=name, connection=raw).defer()
            except (AlreadyEnqueued, UniqueViolation):
                savepoint.rollback()
            except ConnectorException:
                # A newer process has made the tables anew. What the transaction brings is found by looking.
                savepoint.rollback()
                LOG.warning("A wake-up could not be deferred; the work is found within a second.", exc_info=True)
            else:
                savepoint.commit()

    def start(self) -> None:
        for run in self._runs:
            run.start()

    def stop(self, timeout_s: float = GRACE_S) -> bool:
        """Stop claiming, let calls in flight finish for up to *timeout_s*. True if all did."""
        self._stopping.set()
        worker = self._worker
        if worker is not None:
            worker.stop()  # type: ignore[no-untyped-call]
        end = time.monotonic() + timeout_s
        for run in self._runs:
            if run.ident is not None:
                run.join(max(0.0, end - time.monotonic()))
        return not any(run.is_alive() for run in self._runs)

    # --- what is woken ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                asyncio.run(self._take_jobs())
            except Exception:
                LOG.exception("The worker lost the database; it begins again in a second.")
            self._stopping.wait(LOOK_S)

    async def _take_jobs(self) -> None:
        connector = procrastinate.PsycopgConnector(conninfo=self._conninfo, min_size=1, max_size=4)
        app = procrastinate.App(connector=connector)
        app.task(name=TASK, queue=QUEUE)(self._deliver)
        async with app.open_async():
            self._worker = Worker(
                app,
                queues=[QUEUE],
                name=self._engine.owner,
                concurrency=self._threads,
                delete_jobs=DeleteJobCondition.ALWAYS,
                install_signal_handlers=False,
                shutdown_graceful_timeout=GRACE_S,
                stalled_worker_timeout=STALLED_S,
            )
            try:
                if not self._stopping.is_set():
                    await self._worker.run()  # type: ignore[no-untyped-call]
            finally:
                self._worker = None

    async def _deliver(self) -> None:
        """Deliver in a thread of its own: one that dies with the process if a call outlasts the grace period."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def run() -> None:
            try:
                self._drain()
            finally:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(done.set)

        threading.Thread(target=run, name="carrier-deliver", daemon=True).start()
        await done.wait()

    def _drain(self) -> None:
        try:
            while not self._stopping.is_set() and self._engine.deliver(most=LANES):
                pass
        except Exception:
            LOG.exception("A round of delivery failed; the lanes it held are free again when their lease ends.")

    # --- what is found -----------------------------------------------------------------------------------------------

    def _look(self) -> None:
        looked = 0
        while not self._stopping.wait(LOOK_S):
            self._drain()
            looked += 1
            if looked % int(STALLED_S) == 0:
                self._delete_stalled()

    def _delete_stalled(self) -> None:
        try:
            with self._engine.ledger.engine.begin() as connection:
                gone = connection.execute(_STALLED, {"task": TASK, "seconds": STALLED_S}).rowcount
        except Exception:
            LOG.exception("Stalled wake-ups could not be deleted; the next try is in half a minute.")
        else:
            if gone:
                LOG.warning("Deleted %d wake-ups of workers that died; the ledger still holds their work.", gone)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(it) for it in version.split(".") if it.isdigit())


def _never() -> None:
    """Stand where procrastinate wants a function."""
