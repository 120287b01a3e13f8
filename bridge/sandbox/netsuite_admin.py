"""The admin endpoint of the fake NetSuite: what people in accounting do, chosen faults, and the call log, as JSON.

``POST /sandbox/<verb>`` with a JSON object; ``GET /sandbox/calls | faults | records/<kind>``. The same verbs are
methods of ``Admin`` for tests.

Must not know: SOAP.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bridge.sandbox.answers import Answer, Environ, json_answer, read_body
from bridge.sandbox.faults import ACTIONS
from bridge.sandbox.netsuite_kinds import KINDS, REFERENCES, TRANSACTIONS, CustomField
from bridge.sandbox.netsuite_rules import Incoming, Refusal
from bridge.sandbox.netsuite_schema import RefValue
from bridge.sandbox.netsuite_store import Custom, Link, Stored, midnight

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.sandbox.netsuite import FakeNetSuite

HOW = (
    'POST {"action": "maintenance", "count": 100} here to have the next 100 calls fail so; "operation" (upsert) and '
    '"record" (customer) narrow it, "skip" lets some pass first, what else is given are options of the action. '
    '{"action": "clear"} takes all back.'
)


class Admin:
    """Verbs on one account. Records are named by kind and id, or by kind and externalId."""

    def __init__(self, fake: FakeNetSuite) -> None:
        self._fake = fake
        self._store, self._accounting = fake.store, fake.accounting

    def answer(self, environ: Environ) -> Answer:
        """Serve one request; every mistake is a 400 with a sentence."""
        _, _, verb = environ["PATH_INFO"].partition("/sandbox/")
        if environ["REQUEST_METHOD"] == "GET":
            return self._look(verb)
        handler: Callable[..., Any] | None = None if verb.startswith("_") else getattr(self, verb.strip("/"), None)
        if handler is None or verb == "answer":
            return json_answer(404, {"error": f"no such verb: {verb}"})
        try:
            options = json.loads(read_body(environ) or b"{}")
            result = handler(**options)
        except (Refusal, KeyError, TypeError, ValueError, ArithmeticError) as error:
            return json_answer(400, {"error": f"{type(error).__name__}: {error}"})
        return json_answer(200, describe(result) if isinstance(result, Stored) else {"ok": True, "result": result})

    def faults(self, action: str = "", **options: Any) -> dict[str, Any]:
        """Plan a failure; see ``bridge.sandbox.faults``."""
        if action == "clear":
            self._fake.faults.clear()
            return {}
        return asdict(self._fake.faults.add(action, **options))

    def approve(self, **names: str) -> Stored:
        with self._fake.lock:
            order = self._named(names)
            self._accounting.approve(order)
            return order

    def close(self, **names: str) -> Stored:
        with self._fake.lock:
            order = self._named(names)
            self._accounting.close(order)
            return order

    def status(self, orderStatus: str, **names: str) -> Stored:  # noqa: N803 - NetSuite's own word
        with self._fake.lock:
            order = self._named(names)
            self._accounting.set_status(order, orderStatus)
            return order

    def bill(self, amount: str | None = None, **names: str) -> Stored:
        """Bill an order: a sales order gives the invoice, a purchase order itself."""
        with self._fake.lock:
            order = self._named(names)
            if order.kind == "salesOrder":
                return self._accounting.invoice(order, None if amount is None else Decimal(amount))
            self._accounting.bill(order)
            return order

    invoice = bill

    def pay(
        self,
        customer: str,
        amount: str,
        apply: dict[str, str] | None = None,
        *,
        memo: str = "",
        date: str | None = None,
        currency: str | None = None,
    ) -> Stored:
        """Record a payment by *customer* (id or external id); *apply* is {invoice id: amount}."""
        with self._fake.lock:
            payer = self._payer(customer)
            link = self._currency(currency) if currency else None
            applied = {key: Decimal(value) for key, value in (apply or {}).items()}
            return self._accounting.pay(payer, Decimal(amount), applied, memo=memo, date=date, currency=link)

    def edit_payment(self, amount: str, apply: dict[str, str] | None = None, **names: str) -> Stored:
        with self._fake.lock:
            payment = self._named({"kind": "customerPayment", **names})
            applied = None if apply is None else {key: Decimal(value) for key, value in apply.items()}
            self._accounting.edit_payment(payment, Decimal(amount), applied)
            return payment

    def payable(self, state: str, **names: str) -> Stored:
        """Say how a commission stands: *state* is Open, Approved or Paid; a vendor bill or a custom record."""
        with self._fake.lock:
            owed = self._named(names)
            if owed.kind not in ("vendorBill", "customRecord"):
                raise KeyError(f"no commission is a {owed.kind}")
            self._accounting.payable(owed, state)
            return owed

    def void(self, **names: str) -> Stored:
        """Void a payment, a credit memo or a refund."""
        with self._fake.lock:
            record = self._named({"kind": "customerPayment", **names})
            if record.kind == "customerPayment":
                self._accounting.void(record)
            else:
                self._accounting.receivables.void(record)
            return record

    def credit(
        self,
        customer: str,
        amount: str,
        apply: dict[str, str] | None = None,
        *,
        memo: str = "",
        date: str | None = None,
        currency: str | None = None,
    ) -> Stored:
        """Write a credit memo for *customer*; *apply* is {invoice id: amount}."""
        with self._fake.lock:
            payer = self._payer(customer)
            applied = {key: Decimal(value) for key, value in (apply or {}).items()}
            link = self._currency(currency) if currency else payer.fields["currency"]
            number = self._store.number("CM")
            return self._accounting.receivables.credit(
                payer, Decimal(amount), applied, link, memo=memo, date=date, tranId=number
            )

    def refund(self, customer: str, apply: dict[str, str], *, currency: str | None = None) -> Stored:
        """Pay money back to *customer*; *apply* is {id of a credit memo, payment or deposit: amount}."""
        with self._fake.lock:
            payer = self._payer(customer)
            applied = {key: Decimal(value) for key, value in apply.items()}
            link = self._currency(currency) if currency else payer.fields["currency"]
            return self._accounting.receivables.refund(payer, applied, link, tranId=self._store.number("RFND"))

    def deposit(self, customer: str, amount: str, order: str | None = None, *, currency: str | None = None) -> Stored:
        """Take money from *customer* in advance, for a sales order (its id) or for none."""
        with self._fake.lock:
            payer = self._payer(customer)
            link = self._currency(currency) if currency else payer.fields["currency"]
            sold = self._accounting.record("salesOrder", order).link if order else None
            number = self._store.number("DEP")
            return self._accounting.receivables.deposit(payer, Decimal(amount), link, sold, tranId=number)

    def apply(self, apply: dict[str, str], **names: str) -> Stored:
        """Apply a credit memo or a refund to other documents: {id: amount}."""
        with self._fake.lock:
            record = self._named(names)
            self._accounting.receivables.edit(record, {key: Decimal(value) for key, value in apply.items()})
            return record

    def close_periods(self, through: str | None) -> dict[str, Any]:
        """Close the accounting periods up to the one of a day; None opens them all."""
        with self._fake.lock:
            for month, period in self._store.periods.items():
                period.fields["closed"] = "true" if through is not None and month <= through[:7] else "false"
                self._store.changed(period)
        return {"through": through}

    def lock_period(self, month: str, side: str = "ar", *, locked: bool = True) -> dict[str, Any]:
        """Lock one accounting period (2026-11) for receivables (ar), payables (ap) or everything (all)."""
        with self._fake.lock:
            period = self._store.periods[month]
            period.fields[f"{side}Locked"] = "true" if locked else "false"
            self._store.changed(period)
        return {"month": month, "side": side, "locked": locked}

    def create(self, kind: str, **fields: str) -> Stored:
        """Make a customer, vendor or contact by hand, as a person does: without an external id."""
        with self._fake.lock:
            rules = next(iter(self._fake.operations.values())).rules
            refs = {**REFERENCES, **KINDS[kind].refs}
            values = {name: RefValue(str(it), None) if name in refs else str(it) for name, it in fields.items()}
            draft = rules.draft(Incoming(KINDS[kind], "", None, None, values), None)
            (rules.check_contact if kind == "contact" else rules.check_entity)(draft)
            return rules.save(draft, None)

    def workflow(self, approver: str | None, **names: str) -> Stored:
        """Have a workflow lock a record until an employee (id) approves it; None releases it (section_N3539978)."""
        with self._fake.lock:
            record = self._named(names)
            for field, value in (("nextApprover", approver and Link("employee", approver)), ("_locked", approver)):
                if value is None:
                    record.fields.pop(field, None)
                else:
                    record.fields[field] = value
            self._store.changed(record)
        return record

    def edit(self, fields: dict[str, Any], **names: str) -> Stored:
        """Change fields of a record as a person does in NetSuite; None blanks one, a reference is given by its id."""
        with self._fake.lock:
            record = self._named(names)
            name = record.name
            for field, value in fields.items():
                targets = KINDS[record.kind].refs.get(field) or REFERENCES.get(field, ())
                if field in self._store.custom_fields:
                    self._set_custom(record, field, value)
                elif value is None:
                    record.fields.pop(field, None)
                elif targets:
                    found = [Link(kind, str(value)) for kind in targets if self._store.get(kind, str(value))]
                    record.fields[field] = found[0]
                else:
                    record.fields[field] = midnight(str(value)) if field.endswith("Date") else str(value)
            self._store.changed(record)
            self._store.renames += record.name != name
            return record

    def rate(self, currency: str, rate: str, date: str, base: str = "USD") -> list[str]:
        """Set what one unit of *currency* is worth in *base* from *date* on; both by their symbols."""
        with self._fake.lock:
            pair = (self._currency(currency).id, self._currency(base).id)
            rates = self._store.rates.setdefault(pair, [])
            rates.append((datetime.fromisoformat(date).date(), str(Decimal(rate))))
            rates.sort()
            return [f"{since} {value}" for since, value in rates]

    def merge(self, into: str, **names: str) -> Stored:
        """Merge a customer or vendor *into* another: what was its own moves, and it counts as deleted (assumption)."""
        with self._fake.lock:
            loser = self._named({"kind": "customer", **names})
            winner = self._accounting.record(loser.kind, into)
            for records in self._store.records.values():
                for record in records.values():
                    moved = [field for field, value in record.fields.items() if value == loser.link]
                    if moved:
                        record.fields |= dict.fromkeys(moved, winner.link)
                        self._store.changed(record)
            owned = self._store.with_transactions
            owned[winner.id] = owned.get(winner.id, 0) + owned.pop(loser.id, 0)
            self._store.remove(loser)
            return winner

    def define_custom_field(
        self,
        script_id: str,
        value_type: str,
        kinds: list[str],
        label: str = "",
        selects: list[str] | None = None,
    ) -> dict[str, str]:
        """Make a custom field known; *value_type* is its xsi:type, ``StringCustomFieldRef``."""
        found = CustomField(script_id, value_type, tuple(kinds), label or script_id, tuple(selects or ()))
        with self._fake.lock:
            self._store.custom_fields[script_id] = found
        return {"scriptId": script_id}

    def delete(self, **names: str) -> dict[str, str]:
        with self._fake.lock:
            record = self._named(names)
            self._accounting.delete(record)
            return {"kind": record.kind, "id": record.id}

    def hide(self, code: str = "INSUFFICIENT_PERMISSION", **names: str) -> dict[str, str]:
        """Keep a record from the integration's role: searches count it and leave it out (assumption)."""
        with self._fake.lock:
            record = self._named(names)
            self._store.hidden[record.kind, record.id] = code
            return {"kind": record.kind, "id": record.id}

    def restrict(self, item: str, subsidiaries: list[str]) -> dict[str, str]:
        """Let only these *subsidiaries* have an *item*; all by internal ids."""
        with self._fake.lock:
            self._store.item_subsidiaries[str(item)] = frozenset(map(str, subsidiaries))
            return {"item": str(item)}

    def show(self, **names: str) -> Stored:
        """Let the integration's role see a record again."""
        with self._fake.lock:
            record = self._named(names)
            self._store.hidden.pop((record.kind, record.id), None)
            return record

    def _set_custom(self, record: Stored, script_id: str, value: Any) -> None:
        definition = self._store.custom_fields[script_id]
        if value is None:
            record.custom.pop(script_id, None)
        elif definition.selects:
            record.custom[script_id] = Custom(definition.type, (Link(definition.selects[0], str(value)),))
        else:
            record.custom[script_id] = Custom(definition.type, (str(value),))

    def _named(self, names: dict[str, str]) -> Stored:
        kind = names.get("kind", "")
        if kind not in KINDS:
            raise KeyError(f"unknown kind {kind!r}")
        found = None
        if "id" in names:
            found = self._store.get(kind, str(names["id"]))
        elif "externalId" in names:
            found = self._store.find(self._store.group(kind, names.get("subtype", "")), names["externalId"])
        if found is None or found.kind != kind:
            raise KeyError(f"no such {kind}")
        return found

    def _payer(self, customer: str) -> Stored:
        payer = self._store.get("customer", customer) or self._store.find("Entity", customer)
        if payer is None:
            raise KeyError(f"no customer {customer}")
        return payer

    def _currency(self, symbol: str) -> Link:
        return next(item.link for item in self._store.records["currency"].values() if item.fields["symbol"] == symbol)

    def _look(self, what: str) -> Answer:
        fake = self._fake
        with fake.lock:
            if what == "calls":
                seen = [asdict(item) for item in fake.calls]
                counts = dict(fake.calls_by_operation)
                return json_answer(200, {"peak_in_flight": fake.peak_in_flight, "counts": counts, "calls": seen})
            if what == "faults":
                return json_answer(200, {"planned": fake.faults.listed(), "how": HOW, "actions": ACTIONS})
            kind = what.removeprefix("records/")
            if kind in KINDS:
                return json_answer(200, [describe(record) for record in self._store.records[kind].values()])
        verbs = [name for name in dir(self) if not name.startswith("_") and name != "answer"]
        return json_answer(404, {"error": "unknown", "look": ["calls", "faults", *TRANSACTIONS], "verbs": verbs})


def describe(record: Stored) -> dict[str, Any]:
    """A record as plain JSON."""
    return {
        "kind": record.kind,
        "id": record.id,
        "externalId": record.external_id,
        "modified": record.modified.isoformat(),
        "fields": {name: list(value) if isinstance(value, Link) else value for name, value in record.fields.items()},
        "lists": record.lists,
        "custom": {name: list(value.values) for name, value in record.custom.items()},
    }
