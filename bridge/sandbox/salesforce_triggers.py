"""What the package's Apex does on save: raise the version, and after commit enqueue one callout job.

``PackageTriggers`` is the trigger half; the job itself is in ``salesforce_callouts``. Bypassed for the bridge's own
user, and blind to fields that the bridge does not read.

Source: DESIGN §6 and the rules of Apex triggers (Apex Developer Guide, "Triggers"; "Queueable Apex").

Must not know: HTTP, the bridge's code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from bridge.sandbox.salesforce_schema import Schema
from bridge.sandbox.salesforce_tables import Row, Transaction, User

OBJECTS = ("Account", "Contact", "Opportunity")
VERSION = "Bridge_Version__c"
LINE_FIELDS = ("Fee_Type__c", "Quantity", "UnitPrice", "TotalPrice", "Description")
NEVER_WATCHED = frozenset(
    {
        *("Id", "IsDeleted", "CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp"),
        *("MasterRecordId", VERSION),
    }
)


@dataclass(frozen=True)
class Job:
    """One queueable: the ids that a transaction changed, by object. It reads the values when it runs."""

    user: User
    changed: dict[str, list[str]] = field(default_factory=dict)
    deleted: dict[str, list[Row]] = field(default_factory=dict)


def watched_fields(schema: Schema, chosen: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    """The fields that the bridge reads, by object, in canonical spelling. Raises ``Refused`` for an unknown one.

    Without a choice: every field that is not NetSuite's answer, the version or the platform's own.
    """
    watched: dict[str, tuple[str, ...]] = {}
    for name in OBJECTS:
        kind = schema.type(name)
        if chosen is not None and name in chosen:
            watched[name] = tuple(kind.field(one).name for one in chosen[name])
        else:
            watched[name] = tuple(
                one.name
                for one in kind.fields.values()
                if not one.name.startswith("NetSuite_") and one.name not in NEVER_WATCHED
            )
    lines = schema.type("OpportunityLineItem")
    known = [one for one in LINE_FIELDS if one.lower() in lines.fields]
    watched["OpportunityLineItem"] = tuple(
        lines.field(one).name for one in (chosen or {}).get("OpportunityLineItem", known)
    )
    return watched


class PackageTriggers:
    """Triggers on Account, Contact, Opportunity and its line items over one handler."""

    def __init__(self, schema: Schema, watched: Mapping[str, tuple[str, ...]], enqueue: Callable[[Job], None]) -> None:
        self.watched, self.enqueue = watched, enqueue
        self.active = True
        self.double_fire_on_partial_save = False
        self._has_version = {name for name in OBJECTS if VERSION.lower() in schema.type(name).fields}

    def before(
        self, transaction: Transaction, kind: str, old: Row | None, new: Row, *, line_changed: bool = False
    ) -> bool:
        """Raise the version when a field changed that the bridge reads, and note the record for the callout."""
        if not self.active or transaction.user.bypass or kind not in self.watched:
            return False
        changed = line_changed or old is None or any(old.get(one) != new.get(one) for one in self.watched[kind])
        if not changed:
            return False
        if kind == "OpportunityLineItem":
            transaction.touched.add(new["OpportunityId"])
            return False
        record_id = new["Id"]
        first = record_id not in transaction.raised
        if first and kind in self._has_version:
            new[VERSION] = ((old or new).get(VERSION) or Decimal(0)) + 1
        if first:
            transaction.raised.add(record_id)
            transaction.pushes.append((kind, record_id))
        return first

    def deleted(self, transaction: Transaction, kind: str, row: Row) -> None:
        """Tell the bridge which record went away, and into which it was merged."""
        if not self.active or transaction.user.bypass:
            return
        if kind == "OpportunityLineItem":
            transaction.touched.add(row["OpportunityId"])
        elif kind in OBJECTS:
            entry = {"Id": row["Id"]}
            if row.get("MasterRecordId"):
                entry["MasterRecordId"] = row["MasterRecordId"]
            transaction.deletions.append((kind, entry))

    def committed(self, transaction: Transaction) -> None:
        """Enqueue one job for the whole transaction."""
        job = Job(transaction.user)
        for kind, record_id in transaction.pushes:
            job.changed.setdefault(kind, []).append(record_id)
        for kind, entry in transaction.deletions:
            job.deleted.setdefault(kind, []).append(entry)
        self.enqueue(job)
        if transaction.partial and self.double_fire_on_partial_save:
            # With partial success the platform rolls back and fires the triggers again for the good records
            # (Apex Developer Guide, "Bulk DML Exception Handling").
            self.enqueue(job)
