"""What must be read from Salesforce before the lanes can go on.

A parent that is not there yet is fetched and received while its children wait for it; after a merge of Accounts the
children of the loser are read again, for no trigger fires when they change their Account.

Must not know: any system's protocol, HTTP.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import update

from bridge import leaving
from bridge.errors import Deferred, Misconfigured
from bridge.ledger import Ledger, Writing, links, messages, plain, unit, waits
from bridge.ledger.models import OPEN, PENDING, REJECTED, message
from bridge.mapping import Syncs, link
from bridge.merging import BACK, CHILDREN_READ, LOOKING, STILL, WAITING
from bridge.ports import MirrorSystem, Ref
from bridge.preparing import write_back
from bridge.receiving import accept, as_received
from bridge.standing import is_open, standing
from bridge.work import Prepared

CHILDREN = ("Contact", "Opportunity")


def fetch(ledger: Ledger, syncs: Syncs, salesforce: MirrorSystem, prepared: Prepared) -> bool:
    """Fetch the records that others refer to and nobody has sent yet, and receive them. True if any came."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for sync, kind, salesforce_id in prepared.missing:
        wanted.setdefault((sync, kind), []).append(salesforce_id)
    came = False
    for (sync, kind), ids in wanted.items():
        with ledger.read() as connection:
            known = standing(connection, ids)
            made = links.find(connection, [(sync, it) for it in ids])
        if made:
            # It was delivered while we decided to wait for it, and its delivery could not see that we do.
            ledger.commit(partial(waits.free, made=[f"{sync}:{it}" for _, it in made]))
            came = True
        ids = [
            it
            for it in ids
            if (sync, it) not in made
            and not any(
                part.sync == sync and is_open([part.state]) for part in (known[it].parts if it in known else ())
            )
        ]
        if not ids:
            continue
        try:
            found = salesforce.get([Ref(kind, id=it) for it in ids], syncs.reads(kind))
        except (Deferred, Misconfigured):
            continue  # the children wait, and ask again when they are due
        parents = [as_received(it) for it in found if it is not None]
        store = partial(accept, syncs=syncs, received=parents, origin="parent", correlation=uuid.uuid4().hex, only=sync)
        came |= bool(ledger.commit(store))
        _reject_orphans(ledger, sync, [ids[n] for n, it in enumerate(found) if it is None])
    return came


def _reject_orphans(ledger: Ledger, sync: str, gone: Iterable[str]) -> None:
    for parent_id in gone:
        ledger.commit(partial(_reject, sync, parent_id))


def _reject(sync: str, parent_id: str, writing: Writing) -> None:
    waiting = message.c.waits_for == f"{sync}:{parent_id}"
    rows = writing.connection.execute(message.select().where(waiting, message.c.state.in_(OPEN))).all()
    changes = messages.Changes(writing)
    for row in rows:
        reason = f"The record it refers to ({parent_id}) does not exist in Salesforce."
        changes.set(row, REJECTED, code="PARENT_MISSING", reason=reason, who="sales")
    changes.flush()
    write_back(writing, [(row.source_kind, row.source_id) for row in rows if row.write_back])


def look(ledger: Ledger, syncs: Syncs, salesforce: MirrorSystem, prepared: Prepared) -> bool:
    """Find out what must be known of Accounts that were merged or deleted. True if there is more to do now."""
    came = read_again(ledger, syncs, salesforce, prepared.merged)
    came = look_whether_back(ledger, salesforce, prepared.returned) or came
    return look_for_orders(ledger, syncs, prepared.leaving) or came


def read_again(ledger: Ledger, syncs: Syncs, salesforce: MirrorSystem, merged: Mapping[str, str]) -> bool:
    """Receive the children of the winners as Salesforce has them now, and let the merges be settled."""
    came = False
    for loser, winner in merged.items():
        try:
            found = [
                it for kind in CHILDREN for it in salesforce.rows_under(kind, "AccountId", [winner], syncs.reads(kind))
            ]
        except (Deferred, Misconfigured):
            continue  # the deletion waits, and asks again when it is due

        def store(writing: Writing, found: Any = found, loser: str = loser) -> None:
            received = [as_received(it) for it in found]
            accept(writing, syncs, received, origin="merge", correlation=uuid.uuid4().hex)
            waiting = update(message).where(
                message.c.source_id == loser, message.c.state.in_(OPEN), message.c.code == WAITING
            )
            writing.connection.execute(waiting.values(code=CHILDREN_READ, state=PENDING, due_at=None))
            messages.wake(writing, {loser: (writing.now, messages.BULK)})

        ledger.commit(store)
        came = True
    return came


def look_whether_back(ledger: Ledger, salesforce: MirrorSystem, accounts: Iterable[str]) -> bool:
    """Say of Accounts that were merged away whether Salesforce has them again. True if it said so of any."""
    asked = sorted(accounts)
    try:
        found = salesforce.get([Ref("Account", id=it) for it in asked], ("Name",)) if asked else []
    except (Deferred, Misconfigured):
        return False  # the save waits, and asks again when it is due

    def tell(writing: Writing) -> None:
        for account, there in zip(asked, found, strict=True):
            waiting = (message.c.source_id == account, message.c.state.in_(OPEN), message.c.code.in_((LOOKING, BACK)))
            code = STILL if there is None else BACK
            writing.connection.execute(update(message).where(*waiting).values(code=code, state=PENDING, due_at=None))
            messages.wake(writing, {account: (writing.now, messages.BULK)})

    if asked:
        ledger.commit(tell)
    return bool(asked)


def look_for_orders(ledger: Ledger, syncs: Syncs, accounts: Iterable[str]) -> bool:
    """Say of deleted Accounts whether anything of theirs is open, as far as the ledger knows. True if of any."""
    asked = sorted(accounts)
    if not asked:
        return False
    names = [it.name for it in syncs.pushes.values() if it.closes_lines or it.closing]
    # An Application also names the Account of the broker to whom a commission is owed.
    naming = {
        one: it.source
        for one in names
        for it in syncs.pushes[one].fields.values()
        if isinstance(it, link) and it.to == "vendor" and it.source != "AccountId"
    }
    # Outside of a write, and of all at once: no index leads from an Account to what lay in its lane.
    with ledger.read() as connection:
        own, named = links.of_lanes(connection, asked, names), links.naming(connection, asked, naming)
        found = {it: [*own.get(it, ()), *named.get(it, ())] for it in asked}
        read = [row for own in found.values() for row in unit.mirrors(connection, [it.target_id for it in own])]
        coming = {it: unit.count_open(connection, it, names) for it in asked}
    done = {row.source_id for row in read if leaving.is_done(plain.loads(row.payload).get("source", {}))}
    for account, those in found.items():
        still = [it for it in those if it.target_id not in done]
        told = sorted({f"{syncs.pushes[it.sync].label} {it.number or it.target_id}" for it in still})
        told += [f"{coming[account]} more on the way"] if coming[account] else []
        ledger.commit(partial(_tell_orders, syncs=syncs, account=account, still=told))
    return True


def _tell_orders(writing: Writing, syncs: Syncs, account: str, still: list[str]) -> None:
    waiting = (message.c.source_id == account, message.c.state.in_(OPEN), message.c.code == leaving.LOOKING)
    rows = writing.connection.execute(message.select().where(*waiting)).all()
    known = links.find(writing.connection, [(row.sync, account) for row in rows])
    changes = messages.Changes(writing)
    for row in rows:
        one, push = known.get((row.sync, account)), syncs.pushes.get(row.sync)
        if still and one is not None and push is not None:
            it = leaving.still_open(
                push, one, f"{', '.join(still[:5])} {'is' if len(still) == 1 else 'are'} not closed"
            )
            changes.set(row, REJECTED, code=it.code, reason=it.message, who=it.who)
        else:
            changes.set(row, PENDING, code=leaving.LOOKED, say=False)
    changes.flush()
    messages.wake(writing, {account: (writing.now, messages.BULK)})
