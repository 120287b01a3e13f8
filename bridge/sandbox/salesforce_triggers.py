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
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from lxml import etree

from bridge.sandbox.salesforce_schema import Schema
from bridge.sandbox.salesforce_tables import Row, Transaction, User

REQUEST = "Credit_Request__c"
OBJECTS = ("Account", "Contact", "Opportunity", REQUEST)
VERSION = "Bridge_Version__c"
PACIFIC = ZoneInfo("America/Los_Angeles")  # the org's default time zone (assumption)
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


def package_fields(root: Path) -> dict[str, list[str]]:
    """The active ``Bridge_Field__mdt`` records of the package in *root*, by object: the list that the Apex reads.

    A field marked dynamic may be absent (``CurrencyIsoCode`` in a single-currency org) and is named ``?Field``.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(root.glob("customMetadata/Bridge_Field.*.md-meta.xml")):
        values = _values(path, path.stat().st_mtime_ns)
        if values.get("Active__c") == "true":
            name = ("?" if values.get("Dynamic__c") == "true" else "") + values["Field__c"]
            found.setdefault(values["Object__c"], []).append(name)
    return found


@lru_cache(maxsize=512)
def _values(path: Path, stamp: int) -> Mapping[str | None, str]:
    """Read a custom metadata record once for as long as its file stays as it is."""
    node = etree.parse(path, etree.XMLParser(resolve_entities=False, no_network=True)).getroot()
    return {one.findtext("{*}field"): (one.findtext("{*}value") or "").strip() for one in node.iterfind("{*}values")}


def watched_fields(schema: Schema, chosen: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    """The fields that the bridge reads, by object, in canonical spelling and sorted by name, as Apex sends them.

    Without a choice: the package's own list; every business field of an object that the list does not name.
    Raises ``Refused`` for a field that does not exist.
    """
    if chosen is None:
        chosen = package_fields(schema.root) if schema.root else {}
    watched: dict[str, tuple[str, ...]] = {}
    for name in (*OBJECTS, "OpportunityLineItem"):
        if name == REQUEST and schema.get(name) is None:
            continue  # metadata without it
        kind = schema.type(name)
        if name in chosen:
            names = [one.removeprefix("?") for one in chosen[name] if one[0] != "?" or one[1:].lower() in kind.fields]
        elif name == "OpportunityLineItem":
            names = [one for one in LINE_FIELDS if one.lower() in kind.fields]
        else:
            fields = [one.name for one in kind.fields.values()]
            names = [one for one in fields if not one.startswith("NetSuite_") and one not in NEVER_WATCHED]
        watched[name] = tuple(sorted(kind.field(one).name for one in names))
    return watched


class CreditRequests:
    """What the package does with a credit request on save: whose invoice, who asked and approved, which part is paid
    back."""

    def __init__(self) -> None:
        self.row: Callable[[str], Row | None] = lambda record_id: None  # how a record is found by its id

    def prepare(self, transaction: Transaction, old: Row | None, new: Row) -> None:
        invoice = self.row(str(new.get("Invoice__c"))) or {}
        user = self.row(transaction.user.id) or {}
        new["Account__c"], new["Application__c"] = invoice.get("Account__c"), invoice.get("Application__c")
        if old is None:
            new["Requested_By__c"] = user.get("Name")
            new["Credit_Date__c"] = new.get("Credit_Date__c") or transaction.stamp.astimezone(PACIFIC).date()
        if new.get("Approved__c") and not (old or {}).get("Approved__c"):
            amount = new.get("Amount__c") or Decimal(0)
            whole = new.get("Kind__c") == "Credit"
            reduces = amount if whole else min(amount, invoice.get("Open_Amount__c") or Decimal(0))
            new["Approved_By__c"], new["Approved_At__c"] = user.get("Name"), transaction.stamp
            new["Reduces_Invoice__c"], new["Paid_Back__c"] = reduces, amount - reduces
        elif not new.get("Approved__c"):
            for name in ("Approved_By__c", "Approved_At__c", "Reduces_Invoice__c", "Paid_Back__c"):
                new[name] = None


class PackageTriggers:
    """Triggers on Account, Contact, Opportunity and its line items over one handler."""

    def __init__(self, schema: Schema, watched: Mapping[str, tuple[str, ...]], enqueue: Callable[[Job], None]) -> None:
        self.watched, self.enqueue = watched, enqueue
        self.credits = CreditRequests()
        self.active = True
        self.double_fire_on_partial_save = False
        self._fields = {name: schema.type(name).fields for name in OBJECTS if name in watched}

    def before(self, transaction: Transaction, kind: str, old: Row | None, new: Row, *, again: bool = False) -> bool:
        """Raise the version when a field changed that the bridge reads, and note the record for the callout.

        *again*: send it whatever changed (a fee line did, or the record was undeleted). A version that a person
        raised means the same ("Send again").
        """
        if not self.active or transaction.user.bypass or kind not in self.watched:
            return False
        if kind == "OpportunityLineItem":
            if old is None or any(old.get(one) != new.get(one) for one in self.watched[kind]):
                transaction.touched.add(new["OpportunityId"])
            return False
        if kind == REQUEST:
            self.credits.prepare(transaction, old, new)
        if old is None:
            self._clear(kind, new)
        elif not again and all(old.get(one) == new.get(one) for one in (*self.watched[kind], VERSION)):
            return False
        record_id = new["Id"]
        if record_id in transaction.raised:
            return False
        fields = self._fields[kind]
        if VERSION.lower() in fields:
            new[VERSION] = ((old or {}).get(VERSION) or Decimal(0)) + 1
        for name, value in (("Status", "waiting"), ("Error", None), ("Error_Code", None), ("Error_Owner", None)):
            if f"netsuite_{name}__c".lower() in fields:
                new[f"NetSuite_{name}__c"] = value
        transaction.raised.add(record_id)
        transaction.pushes.append((kind, record_id))
        return True

    def _clear(self, kind: str, new: Row) -> None:
        """A new record has nothing of NetSuite yet, not even when it is a copy of one that has."""
        for name in [one for one in new if one.startswith("NetSuite_")]:
            new[name] = None
        if kind == "Opportunity":
            new["Remitted_Amount__c"] = new["Remaining_Balance__c"] = None

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
