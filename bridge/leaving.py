"""Records that leave: out of scope, behind a closed gate, or deleted in Salesforce. What becomes of theirs in NetSuite.

Each decision is a sentence why nothing is sent (`Stop`), or the record that says the last word in NetSuite.

Must not know: any system, SQL, HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from bridge.errors import Rejected
from bridge.ledger.links import Link
from bridge.mapping import Context, Push
from bridge.ports import Fields, Record, Ref, Written

LOOKING, LOOKED = "LOOKING_FOR_OPEN_ORDERS", "NO_OPEN_ORDERS"  # an Account was deleted: is anything open of it?
OUTSIDE, AFTER = "OUT_OF_SCOPE", "OUT_OF_SCOPE_AFTER"
# SuiteTalk's words for orders with which accounting is done, what its pages call them, and a commission's own.
DONE = {
    "_fullybilled", "_closed", "_cancelled", "_rejectedbysupervisor",
    "billed", "fully billed", "closed", "cancelled", "rejected by supervisor", "paid",
}  # fmt: skip
STATES = ("orderStatus", "status", "custrecord_bc_state")
BALANCES = ("balance", "depositBalance")  # a vendor has no deposits


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a record is not sent, and who can do something about it."""

    reason: str
    code: str
    who: str = "sales"


def outside(push: Push, known: Link | None, source: Fields, context: Context) -> Stop | None:
    """Say that a record is none of this sync's business; its link stays, for it may come back."""
    if (reason := push.outside(source, context)) is None:
        return None
    if known is None:
        return Stop(f"Out of scope: {reason}.", OUTSIDE)
    told = f"Out of scope: {reason}. {_named(push, known)} stays in NetSuite and is no longer kept up to date."
    return Stop(told, AFTER)


def closed(push: Push, known: Link | None, reason: str, source: Fields, context: Context) -> Stop | Record:
    """Decide about a record whose gate is closed: it may be there already. Raises Rejected."""
    if known is None or push.withdrawn == "leave":
        return Stop(reason, "GATE_CLOSED")
    told = f"{reason} {_named(push, known)} stays in NetSuite."
    is_judged = not push.unjudged(source)
    if push.withdrawn == "block" and is_judged:
        raise Rejected(told, code="GATE_CLOSED_AFTER", who="accounting")
    record = push.closed(known.source_id, source, context) if is_judged else None
    return record or Stop(told, "GATE_CLOSED_AFTER", "accounting")


def deleted(push: Push, known: Link | None, context: Context, *, has_left: bool) -> Stop | Record:
    """Decide about a record that was deleted in Salesforce. Nothing is ever deleted in NetSuite."""
    if known is None:
        return Stop("It was deleted in Salesforce.", "DELETED_IN_SALESFORCE", "accounting")
    if has_left:
        return Stop(f"It was deleted in Salesforce, out of scope; {_named(push, known)} stays in NetSuite.", AFTER)
    is_ours = not known.parts.keys() & {"deleted", "merged_into", "gone", "unnamed"}
    if push.retiring is None or not is_ours or context.site["deleted_account"] != "inactivate":
        reason = "It was deleted in Salesforce; its NetSuite record stays."
        return Stop(reason, "DELETED_IN_SALESFORCE", "accounting")
    return Record(Ref(push.target, external_id=known.external_id), push.retiring)


def is_done(source: Fields) -> bool:
    """Say whether accounting was done with an order or a commission when it was last read."""
    words = (getattr(it, "name", None) or it for it in map(source.get, STATES))
    return bool(source.get("isInactive")) or any(str(it).casefold() in DONE for it in words if it)


def refused(push: Push, known: Link, found: Record | None) -> Rejected | Written | None:
    """Return why the NetSuite record *found* must stay active; Written where it is gone, None where nothing is open."""
    if found is None:
        return Written(Ref(push.target, id=known.target_id))
    if "balance" not in found.fields:
        return still_open(push, known, "its balance cannot be read")
    owed = {it: Decimal(found.fields[it] or 0) for it in BALANCES if it in found.fields}
    words = " and ".join(
        f"its {'balance' if name == 'balance' else 'deposits'} {'is' if name == 'balance' else 'are'} {amount:,.2f}"
        for name, amount in owed.items()
        if amount
    )
    # The whole is told in the record's own currency, where what is owed in one may make up for another.
    parts = [it for it in found.fields.get("currencyList") or () if it.get("balance")]
    words = words or " and ".join(f"its balance in {_currency(it)} is {it['balance']:,.2f}" for it in parts)
    return still_open(push, known, words) if words else None


def still_open(push: Push, known: Link, why: str) -> Rejected:
    """Return what is told of the record of a deleted Account that accounting must settle first."""
    return Rejected(
        f"It was deleted in Salesforce, and {_named(push, known)} stays active, for {why}. Settle that and send this"
        " again, or dismiss it.",
        code="DELETED_WITH_SOMETHING_OPEN",
        who="accounting",
    )


def _currency(row: Fields) -> str:
    named = row.get("currency")
    return str(getattr(named, "name", None) or getattr(named, "id", None) or "another currency")


def _named(push: Push, known: Link) -> str:
    return f"{push.label} {known.number or known.target_id}"
