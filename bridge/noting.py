"""What a mirror tells about the records that pushes made: their numbers, and what accounting did to shared fields.

Must not know: any system, HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge import sharing
from bridge.ledger import Writing, links, messages, plain
from bridge.mapping import Pull, Syncs
from bridge.ports import Ref, Written
from bridge.sending import Sent
from bridge.work import Work


def remember_numbers(writing: Writing, sent: Sequence[Sent], syncs: Syncs) -> list[tuple[str, str]]:
    """Fill an order's number in its link from the mirror, where reading it back after the push had failed.

    Returns the Salesforce records that do not show their number yet.
    """
    mirrored = {
        (it.work.sync.mirrors, it.work.row.source_id): str(it.work.records[0].fields.get("Name") or "")
        for it in sent
        if isinstance(it.work.sync, Pull) and it.work.sync.mirrors and _belongs_to(it.work, syncs)
    }
    if mirrored:
        found = links.by_target(writing.connection, mirrored)
        blank = {
            pair: one
            for pair, one in found.items()
            if not one.number and mirrored[pair] and pair[0] in syncs.pushes and syncs.pushes[pair[0]].numbered
        }
        for pair, one in blank.items():
            links.add_number(writing, one, mirrored[pair])
        return [(syncs.pushes[one.sync].source, one.source_id) for one in blank.values() if one.sync in syncs.pushes]
    return []


def learn_shared(writing: Writing, sent: Sequence[Sent], syncs: Syncs) -> None:
    """Note what a pull has read of fields that are shared, where it is newer than what was last written there."""
    read: dict[tuple[str, str], int] = {}
    for it in sent:
        push = syncs.pushes.get((it.work.sync.mirrors if isinstance(it.work.sync, Pull) else None) or "")
        if push is not None and push.shared and isinstance(it.outcome, Written):
            read[push.name, it.work.row.source_id] = it.work.row.id
    for pair, one in links.by_target(writing.connection, read).items() if read else ():
        (row,) = messages.by_ids(writing.connection, [read[pair]])
        if "shared" in one.parts and one.kept_at is not None and row.modified_at > one.kept_at:
            pairs = sharing.pulled(one.parts["shared"], plain.loads(row.payload).get("source", {}))
            links.learn(writing, one, {**one.parts, "shared": pairs})


def _belongs_to(work: Work, syncs: Syncs) -> bool:
    """Say whether the first row refers to a record of the kind from which the mirrored order was made."""
    push = syncs.pushes.get((work.sync.mirrors if isinstance(work.sync, Pull) else None) or "")
    refs = work.records[0].fields.values() if work.records else ()
    return push is not None and any(isinstance(it, Ref) and it.kind == push.source for it in refs)
