"""The way in from Apex: ``POST /v1/push/<object>``: verify, receive, deliver, answer.

What arrives is refused before anything is stored, or stored before anything is answered. A few records are delivered
while Apex waits, within the request's budget; many are accepted and delivered in the background. A call to NetSuite
that outlasts the budget goes on without its caller, and the bridge writes the result back.

Must not know: SOAP, SQL.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flask import Flask, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Response

from bridge import tracing
from bridge.delivery import Delivery
from bridge.failpoints import reached
from bridge.intake import Call, Intake
from bridge.ledger import Writing, marks, messages
from bridge.ports import Received
from bridge.receiving import accept, lane_of
from bridge.records.status import shown_state
from bridge.settings import SigningKey
from bridge.standing import Standing, is_open
from bridge.web import signature, wire
from bridge.web.rate import Rate
from bridge.web.refusals import Refusals

LOG = logging.getLogger("bridge.callouts")
INTERACTIVE = 10  # records in a call that a person may be waiting for; more is a mass update
RETRY_AFTER_S = 30

Found = dict[str, Standing]


HANDS = 64  # deliveries at once; more than callers, because those that outlast their callers hold one each
LEEWAY_S = 0.05  # what ends with the budget by itself is not counted as late


@dataclass(frozen=True, slots=True)
class Hands:
    """Threads that deliver while callers wait, and may go on when a caller has left."""

    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(HANDS, "callout"))
    free: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(HANDS))

    def within(self, until: float, work: Callable[[], Found]) -> Found | None:
        """Return what *work* found by *until*; None where it goes on without us, or no hand is free to begin it."""
        if not self.free.acquire(blocking=False):
            return None
        done = self.pool.submit(work)
        done.add_done_callback(lambda _: self.free.release())
        try:
            return done.result(max(0.0, until - time.monotonic()) + LEEWAY_S)
        except TimeoutError:
            if done.done():
                raise  # it is the work's own
            done.add_done_callback(_log_failure)
            return None


def create_callouts(
    engine: Delivery,
    keys: Callable[[], Mapping[str, SigningKey]],
    *,
    org: str | None,
    budget_s: float,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    rate: Rate | None = None,
    refusals: Refusals | None = None,
) -> Flask:
    """Return the app that Apex calls.

    *keys* gives those of now, *org* is the pinned organisation, *budget_s* is how long an answer may take.
    """
    app = Flask(__name__, static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=wire.MAX_BYTES)
    hands = Hands()
    intake = Intake(engine.ledger, lambda: engine.syncs, engine.netsuite.url)

    @app.post("/v1/push/<kind>")
    def push(kind: str) -> Response:
        until = time.monotonic() + budget_s
        try:
            body = request.get_data(cache=False)
            now = clock()
            signature.verify(request.headers.get(signature.HEADER), body, keys(), now)
            callout = wire.parse(kind, body)
            signature.check_claims(sent_at=callout.sent_at, org=callout.org, expected_org=org, now=now)
            wait_s = rate.take(callout.org, len(callout.received)) if rate else 0.0
            if wait_s:
                slower = wire.Refused(429, "TOO_MANY_RECORDS", "Salesforce sends more records than the bridge accepts.")
                return _refusal(slower, math.ceil(wait_s))
            return _answer(engine, intake, hands, callout, until)
        except RequestEntityTooLarge:
            return _refusal(wire.Refused(413, "TOO_LARGE", "The call is larger than 2 MB; send fewer records in one."))
        except signature.Unsigned as unsigned:
            LOG.warning("refused a callout: %s", unsigned.reason)
            if refusals is not None:
                refusals.count()
            return _refusal(wire.Refused(401, "NOT_SIGNED", "The call is not signed with a key that is valid now."))
        except wire.Refused as refused:
            LOG.warning("refused a callout: %s %s", refused.code, refused.sentence)
            return _refusal(refused)
        except SQLAlchemyError:
            LOG.exception("The database did not answer; nothing was accepted.")
            return _refusal(wire.Refused(503, "LEDGER_UNAVAILABLE", "The bridge cannot store anything just now."))

    return app


def _answer(engine: Delivery, intake: Intake, hands: Hands, callout: wire.Callout, until: float) -> Response:
    """Store the call and deliver it as far as the time allows; see the module's docstring."""
    few = len(callout.received) <= INTERACTIVE
    if not few or intake.is_paused({it.kind for it in callout.received}):
        priority = messages.INTERACTIVE if few else messages.BULK
        taken = intake.take(Call(callout.org, callout.id, callout.body_hash, callout.received, priority))
        reached("after_accept")
        if taken.is_reused:
            raise _reused()
        correlation, found = taken.correlation, taken.found
    else:
        correlation, found = _deliver(engine, hands, callout, until)
    tracing.about(correlation=correlation, call=callout.id, **_traced(found))
    late = [it for it in found.values() if is_open(part.state for part in it.parts)]
    unpromised = [it.id for it in late if not all(part.write_back for part in it.parts if is_open([part.state]))]
    if unpromised and few:
        engine.promise_write_back(unpromised)
    results = tuple(_result(it, found.get(it.id)) for it in callout.received)
    reached("before_answer")
    answer = wire.Answer(correlation, results)
    return Response(wire.encode(answer), status=202 if late else 200, mimetype="application/json")


def _deliver(engine: Delivery, hands: Hands, callout: wire.Callout, until: float) -> tuple[str, Found]:
    """Store a call that somebody waits for and deliver it at once; what lasts longer goes on without us."""
    ids = list(dict.fromkeys(it.id for it in callout.received))
    correlations: list[str] = []  # the last one counts: a transaction that was lost to another is done again

    def store(writing: Writing) -> Sequence[str]:
        seen = marks.Seen(callout.org, callout.id, callout.body_hash, uuid.uuid4().hex)
        first = marks.open_calls(writing, [seen])[callout.org, callout.id]
        correlations.append(first.correlation)
        if first.body_hash != callout.body_hash:
            raise _reused()
        if first != seen:
            return []
        accept(
            writing,
            engine.syncs,
            callout.received,
            origin="callout",
            correlation=seen.correlation,
            priority=messages.INTERACTIVE,
            write_back=time.monotonic() >= until,
        )
        return sorted({lane_of(it) for it in callout.received})

    def carry() -> Found:
        engine.deliver(accept=store, interactive=True, until=until)
        reached("after_accept")
        return engine.settle(ids, until)

    found = hands.within(until, carry)
    if found is None:
        with engine.ledger.read() as connection:
            is_stored = marks.knows_call(connection, callout.org, callout.id)
        if not is_stored:
            engine.ledger.commit(store)  # for the background; whoever comes second finds it stored
        found = engine.standing(ids)
    return correlations[-1], found


def _traced(found: Found) -> dict[str, list[Any]]:
    """Return what a span is told of the records of one call, of a large one about the first."""
    some = list(found.values())[:INTERACTIVE]
    parts = [part for it in some for part in it.parts]
    return {
        "records": [it.id for it in some],
        "syncs": sorted({it.sync for it in parts}),
        "messages": [it.message_id for it in parts],
    }


def _reused() -> wire.Refused:
    return wire.Refused(409, "CALL_ID_REUSED", "Another call with this id and another content was accepted.")


def _result(it: Received, standing: Standing | None) -> wire.Result:
    """Return what Apex is told about one record: the state of the version it sent."""
    if standing is None:
        return wire.Result(it.id, "held", (), None)
    older = (it.version, it.modified_at) < standing.version
    made = tuple(wire.NetSuiteRecord(one.record, one.id, one.number, one.url) for one in standing.made)
    error = standing.error
    told = wire.ErrorShown(error.code, error.message, error.who, error.field) if error else None
    state = "superseded" if older else shown_state(standing.state)
    return wire.Result(it.id, state, made, told)


def _log_failure(done: Future[Found]) -> None:
    error = done.exception()
    if error is not None:
        LOG.error("A delivery that had outlasted its caller failed.", exc_info=error)


def _refusal(refused: wire.Refused, retry_after_s: int | None = None) -> Response:
    wait_s = RETRY_AFTER_S if refused.status == 503 else retry_after_s
    headers = None if wait_s is None else {"Retry-After": str(wait_s)}
    body = wire.encode_refusal(uuid.uuid4().hex, refused)
    return Response(body, status=refused.status, headers=headers, mimetype="application/json")
