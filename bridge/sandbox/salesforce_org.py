"""The fake org: records and the save procedure that every write goes through.

``Org.transaction`` opens one; ``insert`` ``update`` ``upsert`` ``delete`` ``undelete`` ``merge`` write in it. A write
checks values, required fields, references, uniqueness and permission, lets the package's triggers act, and brings
roll-ups up to date, in that order (Apex Developer Guide, "Triggers and Order of Execution").

Must not know: HTTP, SOQL, the bridge.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

from bridge.sandbox import salesforce_rules as rules
from bridge.sandbox.salesforce_derived import Derived
from bridge.sandbox.salesforce_schema import Field, Schema, SObjectType
from bridge.sandbox.salesforce_tables import Row, Table, Transaction, User
from bridge.sandbox.salesforce_values import Refused, as_id, base62, id18, stored


class Triggers(Protocol):
    """The package's Apex, as the save procedure sees it."""

    def before(self, transaction: Transaction, kind: str, old: Row | None, new: Row, *, again: bool = False) -> bool:
        """Let the before-save part change *new*. True when it raised the version."""
        ...

    def deleted(self, transaction: Transaction, kind: str, row: Row) -> None:
        """A row was deleted by a person or by merge (not by cascade)."""
        ...

    def committed(self, transaction: Transaction) -> None:
        """The outermost transaction is durable; called without the org's lock."""
        ...


class Org:
    """Objects, rows, users and the one lock that guards them."""

    def __init__(self, schema: Schema, *, org_id: str, clock: Callable[[], datetime], mirrors: frozenset[str]) -> None:
        self.schema, self.org_id, self.clock, self.mirrors = schema, org_id, clock, mirrors
        self.lock = threading.RLock()
        self.tables = {kind.name: Table(kind) for kind in schema}
        self.derived = Derived(schema)
        self.triggers: Triggers | None = None
        self.before_write: Callable[[str, str | None], None] = lambda _kind, _record_id: None
        self.before_job: Callable[[str], None] = lambda _kind: None
        self.commit_delay_s = 0.0
        self._numbers: dict[str, int] = {}
        self._open: Transaction | None = None
        self._summaries: dict[str, list[tuple[SObjectType, Field]]] = {}
        for kind in schema:
            for made in kind.fields.values():
                if made.summary:
                    self._summaries.setdefault(made.summary.child, []).append((kind, made))

    def now(self) -> datetime:
        """The org's clock, cut to the second: SystemModstamp has no finer grain, so stamps tie."""
        return self.clock().replace(microsecond=0)

    @contextmanager
    def transaction(self, user: User) -> Iterator[Transaction]:
        """Write all or nothing. Inside an open transaction of the same thread this joins it."""
        # The stamp is taken first and the rows become visible at commit: a reader's watermark can pass between
        # (Salesforce SystemModstamp is set in the transaction). ``commit_delay_s`` makes that gap wide.
        stamp = self.now()
        if self.commit_delay_s and self._open is None:
            threading.Event().wait(self.commit_delay_s)
        with self.lock:
            if self._open is not None:
                yield self._open
                return
            made = self._open = Transaction(user, stamp)
            try:
                yield made
            except BaseException:
                made.back_to((0, 0, 0))
                raise
            finally:
                self._open = None
        if self.triggers and (made.pushes or made.deletions):
            self.triggers.committed(made)

    def table(self, name: str) -> Table:
        """The rows of object *name*. Raises ``Refused`` NOT_FOUND."""
        return self.tables[self.schema.type(name).name]

    def reserve(self, numbers: Mapping[str, int]) -> None:
        """Let ids of these prefixes start later: the lower ones were given out past the save procedure."""
        self._numbers.update(numbers)

    def row(self, record_id: str) -> Row | None:
        """The live row with this id, whatever its object."""
        kind = self.schema.by_prefix(record_id)
        return self.tables[kind.name].rows.get(record_id) if kind else None

    # --- writes -------------------------------------------------------------------------------------------------

    def insert(self, transaction: Transaction, name: str, values: Mapping[str, Any]) -> str:
        """Create one record and return its id."""
        kind = self.schema.type(name)
        self._check_permission(transaction, kind)
        given = self.read(kind, values, creating=True)
        self.before_write(kind.name, None)
        record_id = self._next_id(kind)
        row: Row = {
            one.name: one.default for one in kind.fields.values() if one.default is not None and one.name not in given
        }
        row |= {one.name: stored(one, 0) for one in kind.fields.values() if one.summary}
        row |= {"Id": record_id, "IsDeleted": False, "CreatedDate": transaction.stamp}
        row["CreatedById"] = row["LastModifiedById"] = transaction.user.id
        row["LastModifiedDate"] = row["SystemModstamp"] = transaction.stamp
        if "ownerid" in kind.fields:
            row["OwnerId"] = transaction.user.id
        for one in kind.fields.values():
            if one.auto_number:
                row[one.name] = self._auto_number(kind, one)
        row |= {key: value for key, value in given.items() if value is not None}
        if kind.custom and "Name" not in row:
            row["Name"] = record_id[:15]
        self._save(transaction, kind, None, row, given)
        return record_id

    def update(self, transaction: Transaction, name: str, record_id: str, values: Mapping[str, Any]) -> None:
        """Change one record. Raises ``Refused`` INVALID_CROSS_REFERENCE_KEY or ENTITY_IS_DELETED when it is gone."""
        kind = self.schema.type(name)
        self._check_permission(transaction, kind)
        given = self.read(kind, values, creating=False)
        old = self.existing(kind, record_id)
        self.before_write(kind.name, old["Id"])
        new = {**old, **given, "LastModifiedDate": transaction.stamp, "LastModifiedById": transaction.user.id}
        new["SystemModstamp"] = transaction.stamp
        self._save(transaction, kind, old, new, given)

    def upsert(
        self, transaction: Transaction, name: str, key: str, value: str, values: Mapping[str, Any]
    ) -> tuple[str, bool]:
        """Create or change the record whose field *key* is *value*; return its id and whether it was created."""
        kind = self.schema.type(name)
        key_field = self.key_field(kind, key)
        if key_field.name == "Id":
            record_id = str(stored(key_field, value))
            self.update(transaction, name, record_id, values)
            return record_id, False
        found = self.tables[kind.name].with_key(key_field.name, str(stored(key_field, value) or ""))
        if len(found) > 1:
            raise MultipleChoices(kind.name, found)
        if found:
            self.update(transaction, name, found[0], values)
            return found[0], False
        return self.insert(transaction, name, {**values, key_field.name: value}), True

    def delete(self, transaction: Transaction, name: str, record_id: str, *, master: str | None = None) -> None:
        """Move one record to the recycle bin, with what hangs on it. Cascaded deletes fire no trigger."""
        kind = self.schema.type(name)
        self._check_permission(transaction, kind)
        row = self.existing(kind, record_id)
        self.before_write(kind.name, row["Id"])
        gone = self._bin(transaction, kind, row, root=row["Id"], master=master)
        if self.triggers:
            self.triggers.deleted(transaction, kind.name, gone)
        self._roll_up(transaction, kind, row, None)

    def undelete(self, transaction: Transaction, record_id: str) -> None:
        """Bring a record and what was deleted with it back from the recycle bin."""
        record_id = as_id(record_id) or record_id
        kind = self.schema.by_prefix(record_id)
        if kind is None or record_id not in self.tables[kind.name].bin:
            raise Refused("UNDELETE_FAILED", "Entity is not in the recycle bin")
        for table in self.tables.values():
            for key, row in list(table.bin.items()):
                if row.get("_root") == record_id:
                    back = {k: v for k, v in row.items() if k not in ("_root", "MasterRecordId")}
                    back |= {"IsDeleted": False, "SystemModstamp": transaction.stamp}
                    if key == record_id and self.triggers:
                        self.triggers.before(transaction, table.kind.name, row, back, again=True)
                    self.write(transaction, table, key, back)
                    self._roll_up(transaction, table.kind, None, back)

    def merge(self, transaction: Transaction, winner_id: str, loser_ids: list[str]) -> None:
        """Merge up to two records into *winner_id*: children move without triggers, losers go to the bin.

        Source: Apex Developer Guide, "Merging Records": delete triggers fire for losers, update for the winner.
        """
        winner_id, loser_ids = as_id(winner_id) or winner_id, [as_id(one) or one for one in loser_ids]
        kind = self.schema.by_prefix(winner_id)
        if kind is None or kind.name not in ("Account", "Contact") or not 1 <= len(loser_ids) <= 2:
            raise Refused("INVALID_OPERATION", "only one or two Accounts or Contacts can be merged into another")
        self.existing(kind, winner_id)
        for loser_id in loser_ids:
            for child, field_name in self._pointing_at(kind):
                table = self.tables[child.name]
                for child_id in table.children(field_name, loser_id):
                    moved = {**table.rows[child_id], field_name: winner_id, "SystemModstamp": transaction.stamp}
                    before = table.rows[child_id]
                    self.write(transaction, table, child_id, moved)
                    self._roll_up(transaction, child, before, moved)
            self.delete(transaction, kind.name, loser_id, master=winner_id)
        self.update(transaction, kind.name, winner_id, {})

    # --- reading input ------------------------------------------------------------------------------------------

    def key_field(self, kind: SObjectType, name: str) -> Field:
        """The field records may be named by. Raises ``Refused`` NOT_FOUND for one that is no external id."""
        found = kind.fields.get(name.lower())
        if found is None or not found.is_key:
            message = f"Provided external ID field does not exist or is not accessible: {name}"
            raise Refused("NOT_FOUND", message, status=404)
        return found

    def existing(self, kind: SObjectType, record_id: str) -> Row:
        """The live row to be changed or deleted."""
        full = as_id(record_id)
        table = self.tables[kind.name]
        if full is None or not full.startswith(kind.prefix):
            raise Refused("MALFORMED_ID", f"{kind.label} ID: id value of incorrect type: {record_id}", fields=("Id",))
        if full in table.bin:
            raise Refused("ENTITY_IS_DELETED", "entity is deleted", status=404)
        if full not in table.rows:
            raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", status=404)
        return table.rows[full]

    def read(self, kind: SObjectType, values: Mapping[str, Any], *, creating: bool) -> Row:
        """*values* of a request as kept values by canonical field name. Raises ``Refused``."""
        given: Row = {}
        for name, value in values.items():
            if isinstance(value, Mapping):
                one = kind.relationships.get(name.lower())
                if one is None:
                    raise Refused("INVALID_FIELD", f"No such column '{name}' on sobject of type {kind.name}")
                value = rules.by_external_id(self, one, value)
            else:
                one = kind.field(name)
            if not (one.createable if creating else one.updateable):
                raise Refused(
                    "INVALID_FIELD_FOR_INSERT_UPDATE",
                    f"Unable to create/update fields: {one.name}. Please check the security settings of this field and "
                    "verify that it is read/write for your profile or permission set.",
                    fields=(one.name,),
                )
            given[one.name] = stored(one, value)
        return given

    # --- the save procedure -------------------------------------------------------------------------------------

    def _save(self, transaction: Transaction, kind: SObjectType, old: Row | None, new: Row, given: Row) -> None:
        rules.before_save(self, kind, old, new, given)
        missing = tuple(one.name for one in kind.fields.values() if one.required and new.get(one.name) is None)
        if missing:
            raise Refused(
                "REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]", fields=missing
            )
        for name, value in given.items():
            one = kind.fields[name.lower()]
            if one.reference_to and value is not None:
                self._check_reference(one, value)
        if self.triggers:
            self.triggers.before(transaction, kind.name, old, new)
        self.derived.check(self, transaction, kind, old, new)
        table = self.tables[kind.name]
        for name in table.keys:
            one = kind.fields[name.lower()]
            others = table.with_key(name, new[name]) if one.unique and new.get(name) is not None else []
            for other in others:
                if other != new["Id"]:
                    raise Refused(
                        "DUPLICATE_VALUE",
                        f"duplicate value found: {name} duplicates value on record with id: {other[:15]}",
                    )
        new = {key: value for key, value in new.items() if value is not None}
        self.write(transaction, table, new["Id"], new)
        self._roll_up(transaction, kind, old, new)

    def write(self, transaction: Transaction, table: Table, record_id: str, row: Row) -> None:
        """Put a row so that the transaction can take it back."""
        row = self.derived.filled(self, table.kind, row)
        if record_id in table.rows:
            before, binned = table.replace(record_id, row)
            transaction.undo.append((table, record_id, before, binned))
        else:
            transaction.undo.append((table, record_id, *table.put(record_id, row)))
        self.derived.follow(self, transaction, table.kind, record_id)

    def _roll_up(self, transaction: Transaction, kind: SObjectType, old: Row | None, new: Row | None) -> None:
        """Bring the parents' computed fields up to date and save those that changed, through their triggers."""
        changes: dict[tuple[str, str], Row] = {}
        for owner, made in self._summaries.get(kind.name, ()):
            assert made.summary is not None
            for parent_id in {r[made.summary.foreign_key] for r in (old, new) if r and r.get(made.summary.foreign_key)}:
                if parent_id in self.tables[owner.name].rows:
                    value = rules.summarise(self, made, parent_id)
                    changes.setdefault((owner.name, parent_id), {})[made.name] = value
        if kind.name == "OpportunityLineItem":
            for parent_id in {r["OpportunityId"] for r in (old, new) if r}:
                if parent_id in self.tables["Opportunity"].rows:
                    changes.setdefault(("Opportunity", parent_id), {}).update(rules.line_totals(self, parent_id, new))
        for (parent, parent_id), values in changes.items():
            before = self.tables[parent].rows[parent_id]
            after = {**before, **values}
            touched = parent_id in transaction.touched
            transaction.touched.discard(parent_id)
            if after == before and not touched:
                continue
            # A roll-up saves the parent through its triggers (order of execution), yet a change of the computed value
            # alone does not move SystemModstamp; the trigger's own write of Bridge_Version__c does.
            raised = self.triggers and self.triggers.before(transaction, parent, before, after, again=touched)
            if raised:
                after |= {"SystemModstamp": transaction.stamp, "LastModifiedDate": transaction.stamp}
                after["LastModifiedById"] = transaction.user.id
            self.write(transaction, self.tables[parent], parent_id, after)
            self._roll_up(transaction, self.tables[parent].kind, before, after)

    def _bin(self, transaction: Transaction, kind: SObjectType, row: Row, *, root: str, master: str | None) -> Row:
        for child, name in self._pointing_at(kind):
            table, one = self.tables[child.name], child.fields[name.lower()]
            for child_id in table.children(name, row["Id"]):
                held = table.rows.get(child_id)
                if held is None:
                    continue
                if one.cascade:
                    self._bin(transaction, child, held, root=root, master=None)
                elif one.restrict_delete:
                    words = "Your attempt to delete could not be completed because it is associated with other records."
                    raise Refused("DELETE_FAILED", words)
                else:
                    self.write(transaction, table, child_id, {k: v for k, v in held.items() if k != name})
        gone = {**row, "IsDeleted": True, "_root": root, "SystemModstamp": transaction.stamp}
        if master:
            gone["MasterRecordId"] = master
        table = self.tables[kind.name]
        transaction.undo.append((table, row["Id"], *table.put(row["Id"], None, gone)))
        return gone

    def _pointing_at(self, kind: SObjectType) -> list[tuple[SObjectType, str]]:
        return [
            (child, one.name)
            for child in self.schema
            for one in child.fields.values()
            if one.reference_to == kind.name and one.name in self.tables[child.name].parents
        ]

    def _check_reference(self, one: Field, value: str) -> None:
        target = self.tables[one.reference_to or ""]
        if not value.startswith(target.kind.prefix):
            raise Refused("MALFORMED_ID", f"{one.label}: id value of incorrect type: {value}", fields=(one.name,))
        if value in target.bin:
            raise Refused("ENTITY_IS_DELETED", "entity is deleted", fields=(one.name,))
        if value not in target.rows:
            raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", fields=(one.name,))

    def _check_permission(self, transaction: Transaction, kind: SObjectType) -> None:
        # The package's permission sets let only the integration user write the mirrors (F-19, F-20).
        closed = kind.name in ("User", "Organization")  # Assumption: users are made in Setup, never over this API
        if closed or (kind.name in self.mirrors and not transaction.user.bypass):
            message = f"insufficient access rights on object id: {kind.name}"
            raise Refused("INSUFFICIENT_ACCESS_OR_READONLY", message)

    def _next_id(self, kind: SObjectType) -> str:
        number = self._numbers[kind.prefix] = self._numbers.get(kind.prefix, 0) + 1
        return id18(f"{kind.prefix}5e00000{base62(number, 5)}")

    def _auto_number(self, kind: SObjectType, one: Field) -> str:
        key = f"{kind.name}.{one.name}"
        number = self._numbers[key] = self._numbers.get(key, 0) + 1
        before, _, rest = (one.auto_number or "{0}").partition("{")
        digits, _, after = rest.partition("}")
        return f"{before}{number:0{len(digits)}d}{after}"


class MultipleChoices(Exception):
    """An external id names several records: answered 300 with their addresses."""

    def __init__(self, kind: str, ids: list[str]) -> None:
        super().__init__(kind)
        self.kind, self.ids = kind, ids
