"""Shadow mode: everything but writing, in both directions, and what would have been written.

Both systems are paused for writing, with a reason of its own. Callouts are answered, sweeps and pulls run, everything
is stored. `foresee` reads both systems and says what each record would become. When it is over, all that waits drains
in order: nothing that happened meanwhile is lost.

Must not know: SOAP, HTTP.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlalchemy import select

from bridge.comparing import same
from bridge.delivery import Delivery
from bridge.errors import Rejected
from bridge.ledger import Writing, lanes, marks, plain
from bridge.ledger.models import OPEN, message
from bridge.mapping import Pull
from bridge.ports import Record, Ref
from bridge.preview import CREATE, REJECT, UNCHANGED, UPDATE, WAIT, Change, Foreseen, Preview, ReadOnly, preview
from bridge.standing import covered

SCOPES = ("*netsuite", "*salesforce")
CODE = "SHADOW"
COMES_FIRST = " comes first."


def is_on(engine: Delivery) -> bool:
    """Say whether nothing is written to either system because of the shadow mode."""
    with engine.ledger.read() as connection:
        found = {it.scope for it in marks.pauses(connection) if it.code == CODE}
    return found == set(SCOPES)


def start(engine: Delivery, *, actor: str, reason: str) -> bool:
    """Write nothing from now on, on any instance; what is being sent is finished. False where it was so already."""

    def pause(writing: Writing) -> bool:
        words = f"Shadow mode: {reason}"
        done = [marks.start_pause(writing, it, CODE, words, actor=actor, probe=False) for it in SCOPES]
        return any(done)

    return engine.ledger.commit(pause)


def end(engine: Delivery, *, actor: str) -> bool:
    """Write again: all that waits drains in order. A pause for another reason stays."""

    def go_on(writing: Writing) -> bool:
        own = [it.scope for it in marks.pauses(writing.connection) if it.code == CODE]
        for scope in own:
            marks.end_pause(writing, scope, actor=actor)
            lanes.reopen(writing.connection, covered(scope, engine.syncs), writing.now)
        writing.wakes.add("*")
        return bool(own)

    return engine.ledger.commit(go_on)


def foresee(engine: Delivery, *, last: int) -> Preview:
    """Say what would be written of the newest *last* records of each sync. Raises Deferred or Misconfigured."""
    seen = preview(engine.ledger, engine.netsuite, engine.salesforce, engine.syncs, last=last)
    system = ReadOnly(engine.salesforce)
    records = [*_in_turn(seen.records)]
    for pull in engine.syncs.pulls.values():
        records += _pulled(engine, system, pull, last)
    return Preview(tuple(records), seen.wrote + system.wrote, Counter(it.what for it in records))


def _in_turn(records: Sequence[Foreseen]) -> Iterator[Foreseen]:
    """What only waits for a record that would be made is made after it."""
    made = {(it.sync, it.salesforce_id) for it in records if it.what in (CREATE, UPDATE, UNCHANGED)}
    waiting = [it for it in records if it.what == WAIT]
    while True:
        free = [it for it in waiting if _parent(it) in made]
        if not free:
            break
        made |= {(it.sync, it.salesforce_id) for it in free}
        waiting = [it for it in waiting if it not in free]
    for it in records:
        if it.what == WAIT and (it.sync, it.salesforce_id) in made:
            first = (it.reason or "").removesuffix(COMES_FIRST)
            yield replace(it, what=CREATE, reason=f"after {first}")
        else:
            yield it


def _parent(it: Foreseen) -> tuple[str, str]:
    sync, _, salesforce_id = (it.reason or "").removesuffix(COMES_FIRST).partition(" ")
    return sync, salesforce_id


def _pulled(engine: Delivery, system: ReadOnly, pull: Pull, last: int) -> Iterator[Foreseen]:
    """Compare what a pull has stored and not written with the rows that Salesforce holds."""
    made: list[tuple[str, Record]] = []
    with engine.ledger.read() as connection:
        query = select(message.c.source_id, message.c.payload).where(
            message.c.sync == pull.name, message.c.state.in_(OPEN)
        )
        waiting = connection.execute(query.order_by(message.c.id.desc()).limit(last)).all()
    for row in waiting:
        payload = plain.loads(row.payload)
        if "source" not in payload:
            continue  # a deletion, or what could not be read
        try:
            found = pull.records(payload["source"], payload.get("related", {}), engine.syncs.context)
        except Rejected as error:
            yield Foreseen(pull.name, row.source_id, REJECT, f"{error.message} ({error.code})")
            continue
        made += [(row.source_id, it) for it in found]
    there = system.get([it.ref for _, it in made]) if made else []
    for (source_id, record), now in zip(made, there, strict=True):
        name = f"{record.ref.kind} {record.ref.external_id}"
        changes = tuple(_changes(record, now))
        what = CREATE if now is None else UPDATE if changes else UNCHANGED
        yield Foreseen(pull.name, source_id, what, name, changes if now is not None else ())


def _changes(then: Record, now: Record | None) -> Iterator[Change]:
    for field, value in then.fields.items():
        before = now.fields.get(field) if now is not None else None
        # References are found by the link table when it is written; here they have no id of Salesforce yet.
        if not isinstance(value, Ref) and not same(value, before):
            yield Change(field, before, value)
