"""What the package's formulas do to records: fields that follow others or the day, and saves that are refused.

``Derived`` fills formula fields when a row is written, when a record that it looks up is, and when the day turns;
``check`` runs the validation rules, after the before triggers (Apex Developer Guide, "Triggers and Order of
Execution"). A day is Pacific, as the org's default time zone (assumption).

Must not know: HTTP, SOQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bridge.sandbox.salesforce_formulas import Formula, Scope, compiled, names
from bridge.sandbox.salesforce_schema import Schema, SObjectType
from bridge.sandbox.salesforce_tables import Row, Table, Transaction
from bridge.sandbox.salesforce_values import Refused

if TYPE_CHECKING:
    from bridge.sandbox.salesforce_org import Org

PACIFIC = ZoneInfo("America/Los_Angeles")
BYPASS = frozenset({"Bridge_Bypass"})
DEPTH = 3  # formulas that look at formulas of the same row


class Derived:
    """Formula fields and validation rules of all objects."""

    def __init__(self, schema: Schema) -> None:
        self._fields: dict[str, dict[str, Formula]] = {}
        self._rules = {
            kind.name: [(compiled(text), message) for text, message in kind.rules] for kind in schema if kind.rules
        }
        self._lookers: dict[str, list[tuple[str, str]]] = {}  # object → objects whose formulas look at it, and how
        self._day: date | None = None
        for kind in schema:
            for one in kind.fields.values():
                if one.formula is None:
                    continue
                self._fields.setdefault(kind.name, {})[one.name] = compiled(one.formula)
                for head in {name.partition(".")[0] for name in names(one.formula) if "." in name}:
                    through = kind.relationships.get(head.lower())
                    if through is None or through.reference_to is None:
                        raise ValueError(f"the formula of {kind.name}.{one.name} names {head}, which is not there")
                    pair = (kind.name, through.name)
                    if pair not in self._lookers.setdefault(through.reference_to, []):
                        self._lookers[through.reference_to].append(pair)

    def filled(self, org: Org, kind: SObjectType, row: Row) -> Row:
        """Return *row* with its formula fields as they are now."""
        formulas = self._fields.get(kind.name)
        if not formulas:
            return row
        for _ in range(DEPTH):
            scope = self._scope(org, kind, row, None)
            values = {name: formula(scope) for name, formula in formulas.items()}
            new = {name: value for name, value in {**row, **values}.items() if value is not None}
            if new == row:
                break
            row = new
        return row

    def follow(self, org: Org, transaction: Transaction, kind: SObjectType, record_id: str) -> None:
        """Fill the rows again that look this one up: nothing else of them changes, and no trigger fires."""
        for name, through in self._lookers.get(kind.name, ()):
            table = org.tables[name]
            for child in table.children(through, record_id):
                org.write(transaction, table, child, table.rows[child])

    def turn(self, org: Org) -> None:
        """Fill all formula fields again once the day has turned."""
        today = org.now().astimezone(PACIFIC).date()
        if self._day == today:
            return
        with org.lock:
            self._day = today
            for name in self._fields:
                table: Table = org.tables[name]
                for record_id, row in list(table.rows.items()):
                    new = self.filled(org, table.kind, row)
                    if new is not row:
                        table.replace(record_id, new)

    def check(self, org: Org, transaction: Transaction, kind: SObjectType, old: Row | None, new: Row) -> None:
        """Refuse a save that a validation rule forbids."""
        rules = self._rules.get(kind.name)
        if not rules:
            return
        row = self.filled(org, kind, {name: value for name, value in new.items() if value is not None})
        scope = self._scope(org, kind, row, old, transaction)
        for formula, message in rules:
            if formula(scope):
                raise Refused("FIELD_CUSTOM_VALIDATION_EXCEPTION", message)

    def _scope(
        self, org: Org, kind: SObjectType, row: Row, old: Row | None, transaction: Transaction | None = None
    ) -> Scope:
        def related(relationship: str, name: str) -> Any:
            through = kind.relationships[relationship.lower()]
            parent: Mapping[str, Any] = org.row(str(row.get(through.name))) or {}
            return parent.get(org.schema.type(through.reference_to or "").field(name).name)

        user = transaction.user if transaction else None
        permissions = (BYPASS if user.bypass else user.permissions) if user else frozenset()
        today = org.now().astimezone(PACIFIC).date()
        return Scope(row, old, related, today, user.id if user else "", permissions)
