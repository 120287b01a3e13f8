"""Adoption: a record that somebody made in NetSuite becomes the one of a Salesforce record, because a person says so.

NetSuite refuses a second record of the same name. The bridge never invents another name, and never takes a record over
by itself: `candidates` says which there are, `adopt` links the one that a person chose, and the save is sent to it.

It gets our external id. One that bears another's already keeps it, and is written by that: two programs that give ids
to the same records would take them from each other.

Must not know: any system's protocol, HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from bridge.delivery import Delivery
from bridge.errors import BridgeError, Rejected, Uncertain
from bridge.ledger import Writing, links, messages, plain
from bridge.ledger.links import Link
from bridge.ledger.models import NEEDS_PERSON, link
from bridge.ledger.triage import Plan
from bridge.mapping import Push
from bridge.operating import reopen
from bridge.ports import Record, Ref
from bridge.referring import by_own_ids

KINDS = ("customer", "vendor", "contact")
TAKEN = re.compile(r"DUP_|UNIQUE_|CONTACT_ALREADY_EXISTS$")  # NetSuite's codes for a name or number that is taken
NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # older than any save
OURS = "sf-"  # every external id of ours begins so
LOST = {"deleted", "gone"}  # of a link: the record in NetSuite is no more
WRITABLE = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A NetSuite record of the same name. *wrong* says why it cannot be adopted."""

    id: str
    kind: str
    name: str
    number: str
    external_id: str | None
    is_inactive: bool = False
    wrong: str | None = None


def is_offered(engine: Delivery, row: Row[Any]) -> bool:
    """Say whether message *row* waits because its name is taken."""
    push = engine.syncs.pushes.get(row.sync)
    is_taken = bool(TAKEN.match(row.code or ""))
    return push is not None and push.target in KINDS and row.state in NEEDS_PERSON and is_taken


def candidates(engine: Delivery, row: Row[Any]) -> list[Candidate]:
    """Ask NetSuite who has the name of message *row*'s record. Raises as the port's ``get``, or Rejected."""
    push, record = _record(engine, row)
    found = engine.netsuite.namesakes(record)
    with engine.ledger.read() as connection:
        return [_candidate(connection, push, row, record, it) for it in found]


def _record(engine: Delivery, row: Row[Any]) -> tuple[Push, Record]:
    push = engine.syncs.pushes.get(row.sync)
    if push is None or not is_offered(engine, row):
        raise Rejected("Nothing can be adopted for this message.", code="NOTHING_TO_ADOPT", who="nobody")
    source = plain.loads(row.payload)
    with engine.ledger.read() as connection:
        linked = links.find(connection, push.links(source))
    return push, by_own_ids(push.record(row.source_id, source, engine.syncs.context), linked, engine.syncs)


def _candidate(connection: Connection, push: Push, row: Row[Any], ours: Record, found: Record) -> Candidate:
    fields, theirs = found.fields, found.ref.external_id
    person = " ".join(str(fields[it]) for it in ("firstName", "lastName") if fields.get(it))
    name = str(fields.get("companyName") or person or fields.get("entityId") or "")
    another = select(link.c.source_id).where(
        link.c.target_id == str(found.ref.id),
        link.c.target_kind == push.target,
        or_(link.c.source_id != row.source_id, link.c.sync != row.sync),
    )
    own = links.find(connection, [(row.sync, row.source_id)]).get((row.sync, row.source_id))
    wrong = None
    if connection.execute(another.limit(1)).scalar() is not None or _is_anothers(theirs, ours):
        wrong = "It is the one of another Salesforce record."
    elif own is not None and own.target_id != str(found.ref.id) and not own.parts.keys() & LOST:
        wrong = (
            f"The Salesforce record has one already, {own.number or own.target_id}; accounting merges the two there."
        )
    elif theirs and not WRITABLE.fullmatch(theirs):
        wrong = "Its external id holds characters by which it cannot be written; accounting changes that in NetSuite."
    return Candidate(
        str(found.ref.id), push.target, name, str(fields.get("entityId") or ""), theirs,
        bool(fields.get("isInactive")), wrong,
    )  # fmt: skip


def _is_anothers(theirs: str | None, ours: Record) -> bool:
    own = (ours.ref.external_id or "").lower()
    return theirs is not None and theirs.lower().startswith(OURS) and theirs.lower() != own


def chosen(engine: Delivery, row: Row[Any], netsuite_id: str) -> str:
    """Return what a plan keeps of the candidate *netsuite_id*. Raises Rejected for one that is none."""
    one = next((it for it in candidates(engine, row) if it.id == netsuite_id), None)
    if one is None:
        raise Rejected("NetSuite has no such record of this name any more.", code="NOT_A_CANDIDATE", who="nobody")
    if one.wrong:
        raise Rejected(f"It cannot be adopted. {one.wrong}", code="NOT_ADOPTABLE", who="accounting")
    return json.dumps(asdict(one))


def adopt(engine: Delivery, plan: Plan, ids: Sequence[int], actor: str) -> int:
    """Link the record that *plan* names, give it our external id where it has none, and send the save to it.

    Asks NetSuite once more before anything is written. Raises as ``chosen``, or what the write came to.
    """
    done = 0
    with engine.ledger.read() as connection:
        rows = [it for it in messages.by_ids(connection, ids) if is_offered(engine, it)]
    for row in rows:
        seen = Candidate(**json.loads(plan.value or "{}"))
        now = Candidate(**json.loads(chosen(engine, row, seen.id)))
        push, record = _record(engine, row)
        ours = str(record.ref.external_id)
        if now.external_id != seen.external_id and (now.external_id or "").lower() != ours.lower():
            raise Rejected(
                "The record was given another external id meanwhile; look once more.", code="NOT_A_CANDIDATE",
                who="accounting",
            )  # fmt: skip
        if not now.external_id:
            _give(engine, Ref(now.kind, id=now.id), ours)
        kept = now.external_id or ours
        new = Link(row.sync, row.source_id, push.target, now.id, 0, NEVER, "", kept)
        words = f"external id {kept}, {'its own' if now.external_id else 'given'}"
        words += f"; {plan.reason}" if plan.reason else ""
        done += engine.ledger.commit(partial(_link, new, row.id, actor, words))
    return done


def _link(new: Link, message_id: int, actor: str, words: str, writing: Writing) -> int:
    rows = [it for it in messages.by_ids(writing.connection, [message_id]) if it.state in NEEDS_PERSON]
    taken = links.by_target(writing.connection, [(new.sync, new.target_id)]).values()
    if any(it.source_id != new.source_id for it in taken):
        rows = []
    if rows:  # else somebody was quicker, here or for another record
        links.save(writing, [new])
        reopen(writing, rows)
    for row in rows:
        writing.say(
            "adopt", actor, sync=row.sync, source_id=row.source_id, message_id=row.id, code=row.code,
            target=f"{new.target_kind}/{new.target_id}", correlation=row.correlation, detail=words,
        )  # fmt: skip
    return len(rows)


def _give(engine: Delivery, ref: Ref, external_id: str) -> None:
    try:
        engine.netsuite.give_external_id(ref, external_id)
    except Uncertain as error:
        try:
            (found,) = engine.netsuite.get([Ref(ref.kind, external_id=external_id)], interactive=True)
        except BridgeError:
            raise error from None
        if found is None or found.ref.id != ref.id:
            raise
