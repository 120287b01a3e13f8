"""A parent that is not there yet is fetched from Salesforce and received; its children wait for it.

Must not know: any system's protocol, HTTP.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from bridge.errors import Deferred, Misconfigured
from bridge.ledger import Ledger, messages
from bridge.ledger.models import OPEN, REJECTED, message
from bridge.mapping import Syncs
from bridge.ports import MirrorSystem, Ref
from bridge.preparing import Prepared, write_back
from bridge.receiving import accept, as_received
from bridge.standing import is_open, standing


def fetch(ledger: Ledger, syncs: Syncs, salesforce: MirrorSystem, prepared: Prepared) -> bool:
    """Fetch the records that others refer to and nobody has sent yet, and receive them. True if any came."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for sync, kind, salesforce_id in prepared.missing:
        wanted.setdefault((sync, kind), []).append(salesforce_id)
    came = False
    for (sync, kind), ids in wanted.items():
        with ledger.read() as connection:
            known = standing(connection, ids)
        ids = [
            it
            for it in ids
            if not any(part.sync == sync and is_open([part.state]) for part in (known[it].parts if it in known else ()))
        ]
        if not ids:
            continue
        try:
            found = salesforce.get([Ref(kind, id=it) for it in ids], syncs.reads(kind))
        except (Deferred, Misconfigured):
            continue  # the children wait, and ask again when they are due
        parents = [as_received(it) for it in found if it is not None]
        with ledger.write() as writing:
            came |= bool(accept(writing, syncs, parents, origin="parent", correlation=uuid.uuid4().hex, only=sync))
        _reject_orphans(ledger, sync, [ids[n] for n, it in enumerate(found) if it is None])
    return came


def _reject_orphans(ledger: Ledger, sync: str, gone: Iterable[str]) -> None:
    for parent_id in gone:
        with ledger.write() as writing:
            waiting = message.c.waits_for == f"{sync}:{parent_id}"
            rows = writing.connection.execute(message.select().where(waiting, message.c.state.in_(OPEN))).all()
            changes = messages.Changes(writing)
            for row in rows:
                reason = f"The record it refers to ({parent_id}) does not exist in Salesforce."
                changes.set(row, REJECTED, code="PARENT_MISSING", reason=reason, who="sales")
            changes.flush()
            write_back(writing, [(row.source_kind, row.source_id) for row in rows if row.write_back])
