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

from sqlalchemy import Row, select, update

from bridge.errors import Rejected
from bridge.ledger import Writing, lanes, links, marks, messages, plain
from bridge.ledger.links import Link
from bridge.ledger.models import DEFERRED, UNCERTAIN, message
from bridge.mapping import Push

WAITING, CHILDREN_READ = "WAITING_FOR_CHILDREN", "CHILDREN_READ"
LOOKING, BACK, STILL = "LOOKING_WHETHER_BACK", "BACK_FROM_MERGE", "STILL_MERGED"
IN_SALESFORCE = "merged_in_salesforce"  # beside `merged_into`, which accounting's merges in NetSuite leave too
AGAIN = timedelta(seconds=30)  # when to try again after Salesforce did not answer, or the winner's lane was busy
FORGOTTEN = "forgotten"  # the mark of a ledger that was lost and not compared since
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
        new = [replace(it, parts={**it.parts, "merged_into": winner, IN_SALESFORCE: True})]
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


def may_be_back(row: Row[Any], known: Link) -> bool:
    """Say whether a save of an Account that was merged away may mean that it is back from the recycle bin."""
    is_merged = "merged_into" in known.parts and (IN_SALESFORCE in known.parts or "survivor" not in known.parts)
    return is_merged and row.source_kind == "Account" and row.code != STILL


def back(writing: Writing, row: Row[Any], push: Push, known: Link) -> Link | str | None:
    """Return the link by which an Account that is back from a merge goes on; None where it gets a record of its own.

    A code where that must be looked up first, or where the winner's lane is busy. Raises Rejected where the merge had
    its consequences in NetSuite: a person decides, and *send again* is the decision.
    """
    if row.code != BACK and row.state != UNCERTAIN:
        return LOOKING  # a late callout says the same as an undeletion
    winner, label = str(known.parts["merged_into"]), push.label.lower()
    parts = {name: it for name, it in known.parts.items() if name not in ("merged_into", IN_SALESFORCE)}
    if "gone" in parts:
        if row.forced:
            return None
        raise Rejected(
            f"It is back from the merge into {winner}, but accounting merged its NetSuite {label} {parts['gone']} into"
            f" {parts.get('survivor')} meanwhile. Send it again to make a {label} of its own, or dismiss it.",
            code="BACK_WITHOUT_ITS_OWN",
            who="accounting",
        )
    theirs = links.find(writing.connection, [(row.sync, winner)]).get((row.sync, winner))
    if theirs is None or theirs.target_id != known.target_id:
        writing.say("unmerged", "bridge", sync=row.sync, source_id=row.source_id, message_id=row.id,
                    target=f"{known.target_kind}/{known.target_id}", detail=f"out of {winner}")  # fmt: skip
        return replace(known, parts=parts)
    if not row.forced:
        raise Rejected(
            f"It is back from the merge into {winner}, which goes on with its NetSuite {label} {known.target_id}."
            f" Send it again to give the {label} back, with all that was posted to it meanwhile: {winner} then gets one"
            f" of its own. Or dismiss it: {winner} keeps the {label}.",
            code="BACK_AND_TAKEN_OVER",
            who="accounting",
        )
    return _given_back(writing, row, known, theirs, parts)


def relinked(
    row: Row[Any], known: Link | None, there: dict[tuple[str, str], Link], led_on: dict[tuple[str, str], Link]
) -> Link | None:
    """Let what else is decided in this transaction refer to *known*, by which a record goes on, or wait for it."""
    led_on.pop((row.sync, row.source_id), None)
    there.pop((row.sync, row.source_id), None)
    there |= {(row.sync, row.source_id): known} if known else {}
    return known


def _given_back(writing: Writing, row: Row[Any], known: Link, theirs: Link, parts: dict[str, Any]) -> Link | str:
    """Take the record from the winner, which gets one of its own once this one bears its old name again."""
    winner = theirs.source_id
    lanes.wake(writing.connection, {winner: (writing.now, messages.BULK)})
    lease = lanes.lease(writing.connection, "merge", writing.now, keys=[winner])
    if not lease:
        return BACK
    links.remove(writing, row.sync, winner)
    restored = replace(known, parts=parts, fingerprint="")
    links.save(writing, [restored])
    same = (message.c.sync == row.sync, message.c.source_id == winner)
    newest = select(message.c.id).where(*same).order_by(message.c.version.desc(), message.c.id.desc()).limit(1)
    again = {"state": DEFERRED, "queue": message.c.lane, "settled_at": None, "due_at": writing.now + AGAIN,
             "waits_for": f"{row.sync}:{row.source_id}", "created_at": writing.now, "write_back": True}  # fmt: skip
    writing.connection.execute(update(message).where(message.c.id == newest.scalar_subquery()).values(again))
    lanes.release(writing.connection, lease, (), writing.now)
    writing.wakes.add(winner)
    writing.say("unmerged", row.actor or "bridge", sync=row.sync, source_id=row.source_id, message_id=row.id,
                target=f"{known.target_kind}/{known.target_id}", detail=f"given back by {winner}")  # fmt: skip
    return restored


def is_doubted(writing: Writing, push: Push, known: Link | None) -> bool:
    """Say whether the ledger may have forgotten that an Account took such a record over from another one."""
    if known is not None or push.source != "Account":
        return False
    if FORGOTTEN not in writing.seen:
        writing.seen[FORGOTTEN] = marks.read_watermark(writing.connection, FORGOTTEN)
    return writing.seen[FORGOTTEN] is not None


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
