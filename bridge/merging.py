"""Accounts that were merged in Salesforce: the winner's NetSuite record is kept, the loser's becomes an alias of it.

`merge` moves what lies in the ledger, with both lanes held. NetSuite records are never merged by the bridge: that is
accounting's task, told as a held message.

Must not know: any system, HTTP.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, update

from bridge.errors import Rejected
from bridge.ledger import Writing, lanes, links, messages, plain
from bridge.ledger.links import Link
from bridge.ledger.models import UNCERTAIN, message
from bridge.mapping import Push

WAITING, CHILDREN_READ = "WAITING_FOR_CHILDREN", "CHILDREN_READ"
AGAIN = timedelta(seconds=30)  # when to try again after Salesforce did not answer, or the winner's lane was busy
BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)


def merge(writing: Writing, rows: Sequence[Row[Any]], held: Collection[str]) -> tuple[list[Row[Any]], dict[str, str]]:
    """Move what belongs to merged Accounts among the open messages *rows* to the lanes of their winners.

    *held* are the lanes that are ours. Returns the messages that are still here, and loser → winner where children must
    be read again. A merge whose winner's lane somebody else holds is left for later; doing one twice changes nothing.
    """
    into = {row.source_id: winner for row in rows if (winner := _winner(row)) is not None}
    merged: dict[str, str] = {}
    for loser, winner in sorted(into.items()):
        lease: list[lanes.Lease] = []
        if winner not in held:
            lanes.wake(writing.connection, {winner: (writing.now, messages.BULK)})
            # Taking the lane bumps its epoch: from here on nobody records what they learned about it before.
            lease = lanes.lease(writing.connection, "merge", writing.now, keys=[winner])
            if not lease:
                continue
        moved = update(message).where(message.c.queue == loser, message.c.source_id != loser)
        writing.connection.execute(moved.values(lane=winner, queue=winner))
        _alias(writing, loser, winner)
        lanes.release(writing.connection, lease, (), writing.now)
        writing.wakes.add(winner)
        merged[loser] = winner
    here = [row for row in rows if row.lane not in merged or row.source_id == row.lane]
    return here, merged


def _winner(row: Row[Any]) -> str | None:
    """Return into which Account the Account of *row* was merged, if that has not been dealt with."""
    if row.source_kind != "Account" or row.code == CHILDREN_READ or '"@deleted":"' not in row.payload:
        return None
    winner = plain.loads(row.payload)["@deleted"]
    return winner if isinstance(winner, str) else None


def _alias(writing: Writing, loser: str, winner: str) -> None:
    known = links.of_source(writing.connection, [loser, winner])
    theirs = {it.sync for it in known if it.source_id == winner}
    for it in known:
        if it.source_id != loser or "merged_into" in it.parts:
            continue
        new = [replace(it, parts={**it.parts, "merged_into": winner})]
        if it.sync not in theirs:
            # The winner takes over the record, which keeps its external id; the next save of the winner writes to it.
            new.append(replace(it, source_id=winner, version=0, modified_at=BEFORE_ALL, fingerprint=""))
        links.save(writing, new)
        writing.say("merged", "bridge", sync=it.sync, source_id=loser, target=f"{it.target_kind}/{it.target_id}",
                    detail=f"into {winner}")  # fmt: skip


def told(row: Row[Any], known: Link | None, winners: Link | None, winner: str) -> tuple[str, str, str]:
    """Return code, owner and sentence of the task that a merge leaves for accounting."""
    label = "vendor" if row.sync == "vendor" else row.sync.replace("_", " ")
    if known is None:
        reason = f"It was merged into {winner} in Salesforce; NetSuite had no {label} of it."
        return "MERGED_IN_SALESFORCE", "nobody", reason
    if winners is None or winners.target_id == known.target_id or "gone" in known.parts:
        reason = (
            f"It was merged into {winner} in Salesforce, which goes on with its NetSuite {label} {known.target_id}."
        )
        return "MERGED_IN_SALESFORCE", "nobody", reason
    reason = (
        f"It was merged into {winner} in Salesforce. NetSuite still has two {label}s: {winners.target_id}, which is"
        f" kept up to date, and {known.target_id}. Merge {known.target_id} into {winners.target_id} in NetSuite."
    )
    return "MERGE_IN_NETSUITE", "accounting", reason


def must_be_there(push: Push, known: Link | None, row: Row[Any]) -> None:
    """Raise Rejected where accounting deleted the NetSuite record: making it anew is for a person to decide."""
    is_decided = row.forced or row.state == UNCERTAIN
    if known is not None and known.parts.get("deleted") == known.target_id and not is_decided:
        raise deleted(push, known.target_id)


def deleted(push: Push, netsuite_id: str) -> Rejected:
    """Return what is told of a record that NetSuite no longer has."""
    sentence = (
        f"Its NetSuite {push.label.lower()} {netsuite_id} was deleted in NetSuite. Send it again to make"
        " it anew, or delete it in Salesforce too."
    )
    return Rejected(sentence, code="DELETED_IN_NETSUITE", who="accounting")


def unnamed(push: Push, netsuite_id: str, name: str) -> Rejected:
    """Return what is told of a record that is there, and would be made a second time."""
    sentence = (
        f"Its NetSuite {push.label.lower()} {netsuite_id} has lost its external id. Give it {name} by an import in"
        " NetSuite, then send it again."
    )
    return Rejected(sentence, code="EXTERNAL_ID_LOST", who="accounting")


def stopped(push: Push, known: Link | None) -> str | None:
    """Say why a record that was merged away is not sent any more, in Salesforce or in NetSuite; None if it is."""
    parts, label = known.parts if known else {}, push.label.lower()
    winner, gone = parts.get("merged_into"), parts.get("gone")
    if known is None or not (winner or parts.get("unnamed")):
        return None
    if winner and gone:
        return (
            f"Accounting merged its NetSuite {label} {gone} into {parts.get('survivor')}, which belongs to {winner}."
            " Merge the two Accounts in Salesforce."
        )
    if winner:
        return f"It was merged into {winner}; {label} {known.target_id} is no longer kept up to date for it."
    return (
        f"Accounting merged its NetSuite {label} {gone} into {known.target_id}, which has no external id. Give"
        f" {known.target_id} the external id {known.external_id} by an import in NetSuite; then the bridge goes on."
    )
