"""What customers owe and are owed: credit memos, refunds and deposits, and what each is applied to.

``Receivables`` checks what the integration writes and does what people in accounting do. An application is refused
before anything changes: never more than what is open, never another customer's or currency's document.

Sources: Oracle help page ids, or "assumption". Which code says that too much is applied is not documented.

Must not know: XML, HTTP.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bridge.sandbox.netsuite_rules import Draft, Refusal, Rules, decimal, double, money
from bridge.sandbox.netsuite_store import Line, Link, Store, Stored, midnight, pacific

if TYPE_CHECKING:
    from collections.abc import Mapping

# What each kind can be applied to. A deposit is refunded by a list of its own.
TARGETS = {
    "customerPayment": ("invoice",),
    "creditMemo": ("invoice",),
    "customerRefund": ("creditMemo", "customerPayment", "customerDeposit"),
}
OWED = ("invoice", "creditMemo", "customerPayment", "customerDeposit", "vendorBill")
WORDS = {
    "invoice": "Invoice",
    "creditMemo": "Credit Memo",
    "customerPayment": "Payment",
    "customerDeposit": "Customer Deposit",
}
ZERO = Decimal(0)


def payer(fields: Mapping[str, Any]) -> Any:
    """The customer of a transaction, however its kind calls it."""
    return fields.get("entity") or fields.get("customer")


class Receivables:
    """Callers hold the account's lock."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # --- what is open ---

    def open(self, document: Stored) -> Decimal:
        """What of *document* may still be applied to it, or be paid out of it."""
        fields = document.fields
        if document.kind == "invoice":
            return decimal(fields, "amountRemaining")
        if document.kind == "customerDeposit":
            return decimal(fields, "payment") - decimal(fields, "_refunded")
        if document.kind == "customerPayment":
            return decimal(fields, "unapplied")
        return decimal(fields, "amountRemaining")

    def balances(self, entity: Stored) -> dict[str, str]:
        """What a customer owes and has deposited, or what a vendor is owed: NetSuite adds it up for the page and get.

        A customer's balance is its open invoices less what it may still apply; of a vendor, its unpaid bills (names and
        meaning: schema browser, Customer and Vendor; that zero is told as 0.0: assumption). Each line of the list of
        currencies tells its own; that the whole is added up as if they were one currency: assumption, worse than real.
        """
        if not self.store.with_transactions.get(entity.id):
            own: list[Stored] = []
        else:
            own = [it for kind in OWED for it in self.store.records[kind].values() if payer(it.fields) == entity.link]
        owed, deposits = ZERO, ZERO
        by_currency: dict[Any, Decimal] = {}
        for it in own:
            before = owed
            if it.kind == "customerDeposit":
                deposits += self.open(it)
            elif it.kind == "vendorBill":
                owed += ZERO if it.fields.get("status") == "Paid In Full" else decimal(it.fields, "total")
            else:
                owed += self.open(it) if it.kind == "invoice" else -self.open(it)
            currency = it.fields.get("currency")
            by_currency[currency] = by_currency.get(currency, ZERO) + owed - before
        for line in entity.lists.get("currencyList", []):
            line["balance"] = double(by_currency.get(line.get("currency"), ZERO))
        told = {"balance": double(owed)}
        return told | {"depositBalance": double(deposits)} if entity.kind == "customer" else told

    def settle(self, document: Stored, part: Decimal) -> None:
        """Apply *part* to *document*; negative takes it back."""
        fields = document.fields
        if document.kind == "invoice":
            paid = decimal(fields, "amountPaid") + part
            rest = decimal(fields, "total") - paid
            if rest < 0:
                raise Refusal("USER_ERROR", "More was applied than the invoice's amount.")
            fields |= {"amountPaid": double(paid), "amountRemaining": double(rest)}
            fields["status"] = "Paid In Full" if rest == 0 else "Open"
        else:
            fields["_refunded"] = double(decimal(fields, "_refunded") + part)
            if document.kind == "customerPayment":
                fields["unapplied"] = double(decimal(fields, "unapplied") - part)
            elif document.kind == "creditMemo":
                _sum_up(fields)
            else:
                fields["status"] = "Fully Applied" if self.open(document) == 0 else "Deposited"
        self.store.changed(document)

    def is_applied(self, record: Stored) -> bool:
        """Say whether something hangs on *record*, which therefore cannot be deleted (assumption)."""
        if record.kind == "invoice":
            return decimal(record.fields, "amountPaid") != 0
        if record.kind == "creditMemo":
            return decimal(record.fields, "amountPaid") != 0
        return decimal(record.fields, "_refunded") != 0

    # --- what the integration writes ---

    def check(self, rules: Rules, draft: Draft) -> None:
        """Check what a credit memo or a refund is applied to, and apply it: the last thing before it is saved."""
        if draft.kind.name == "customerRefund":
            self._check_refund(rules, draft)
        left = decimal(draft.fields, "total") - decimal(draft.record.fields, "_refunded")
        self._apply(draft.record, draft.fields, draft.lists, left)
        if draft.kind.name == "creditMemo":
            _sum_up(draft.fields)

    def _check_refund(self, rules: Rules, draft: Draft) -> None:
        fields = draft.fields
        rules.check_required(draft)
        rules.check_company(draft, self.store.records["customer"][fields["customer"].id])
        fields["currencyName"] = self.store.records["currency"][fields["currency"].id].name
        fields.setdefault("exchangeRate", "1.0")
        fields.setdefault("tranDate", midnight(pacific(self.store.now())))
        rules.check_period(fields)
        fields["tranId"] = fields.get("tranId") or self.store.number(draft.kind.prefix)
        fields["total"] = double(sum(_wanted(draft.lists).values(), ZERO))
        if decimal(fields, "total") <= 0:
            raise Refusal("USER_ERROR", "You must apply this refund to at least one credit.")
        fields.setdefault("status", "Open")

    def _apply(self, record: Stored, fields: dict[str, Any], lists: dict[str, list[Line]], left: Decimal) -> None:
        wanted, before = _wanted(lists), _wanted(record.lists)
        targets = {doc: self._target(record.kind, fields, doc) for doc in {**before, **wanted}}
        for doc, part in wanted.items():
            if part < 0 or part > self.open(targets[doc]) + before.get(doc, ZERO):
                code = "INVALID_REFUND_AMT" if record.kind == "customerRefund" else "CANT_APPLY_PMT"
                raise Refusal(code, f"The amount applied to {targets[doc].name} is more than what is open on it.")
        used = sum(wanted.values(), ZERO)
        if used > left:
            raise Refusal("USER_ERROR", "More was applied than the amount of this transaction.")
        for doc, target in targets.items():
            change = wanted.get(doc, ZERO) - before.get(doc, ZERO)
            if change:
                self.settle(target, change)
            if target.kind == "customerDeposit":
                _note(target, record, wanted.get(doc, ZERO))
        lists["applyList"] = [
            self._line(number, targets[doc], part, fields) for number, (doc, part) in enumerate(wanted.items())
        ]
        if record.kind == "creditMemo":
            fields["applied"] = double(used)

    def _target(self, kind: str, fields: Mapping[str, Any], doc: str) -> Stored:
        found = next((it for name in TARGETS[kind] if (it := self.store.get(name, doc)) is not None), None)
        if found is None or payer(found.fields) != payer(fields) or found.fields["currency"] != fields["currency"]:
            raise Refusal("INVALID_KEY_OR_REF", f"Invalid doc reference key {doc}.")
        return found

    def _line(self, number: int, target: Stored, part: Decimal, fields: Mapping[str, Any]) -> Line:
        return {
            "apply": "true",
            "doc": target.id,
            "line": str(number),
            "type": WORDS[target.kind],
            "refNum": target.name,
            "total": target.fields.get("total") or target.fields["payment"],
            "due": double(self.open(target)),
            "currency": self.store.records["currency"][fields["currency"].id].fields["symbol"],
            "amount": double(part),
        }

    # --- what people in accounting do ---

    def credit(
        self, customer: Stored, amount: Decimal, applied: Mapping[str, Decimal], currency: Link, **fields: Any
    ) -> Stored:
        """Write a credit memo of one line, applied to invoices by their internal ids."""
        memo = self._new("creditMemo", customer, currency, "entity", **fields)
        item = next(iter(self.store.records["serviceSaleItem"].values()))
        line = {"item": item.link, "line": "1", "quantity": "1.0", "rate": str(money(amount)), "amount": double(amount)}
        memo.lists["itemList"] = [line | {"description": item.name}]
        memo.fields |= {"total": double(amount), "subTotal": double(amount)}
        return self._added(memo, applied, amount)

    def refund(self, customer: Stored, applied: Mapping[str, Decimal], currency: Link, **fields: Any) -> Stored:
        """Pay money back, out of credit memos, payments or deposits by their internal ids."""
        total = sum(applied.values(), ZERO)
        made = self._new("customerRefund", customer, currency, "customer", **fields)
        made.fields["total"] = double(total)
        return self._added(made, applied, total)

    def deposit(self, customer: Stored, amount: Decimal, currency: Link, order: Link | None, **fields: Any) -> Stored:
        """Take money in advance, for a sales order or for none."""
        made = self._new("customerDeposit", customer, currency, "customer", **fields)
        made.fields |= {"payment": double(amount), "status": "Not Deposited"}
        if order is not None:
            made.fields["salesOrder"] = order
        self.store.add(made)
        return made

    def edit(self, record: Stored, applied: Mapping[str, Decimal]) -> None:
        """Apply a credit memo to other invoices, or a refund to other credits."""
        left = decimal(record.fields, "total") - decimal(record.fields, "_refunded")
        lists = {"applyList": _lines(applied)}
        self._apply(record, record.fields, lists, left)
        record.lists["applyList"] = lists["applyList"]
        if record.kind == "creditMemo":
            _sum_up(record.fields)
        self.store.changed(record)

    def void(self, record: Stored) -> None:
        """Void a credit memo or a refund: it stays, with amount nought (voiding is not deleting)."""
        if record.kind == "creditMemo" and decimal(record.fields, "_refunded"):
            raise Refusal("USER_ERROR", "A credit memo that was refunded cannot be voided.")
        self.edit(record, {})
        record.fields |= {"total": "0.0", "subTotal": "0.0"}
        if record.kind == "creditMemo":
            _sum_up(record.fields)
        record.fields |= {"status": "Voided", "memo": "VOID"}
        self.store.changed(record)

    def _new(self, kind: str, customer: Stored, currency: Link, owner: str, **fields: Any) -> Stored:
        made = self.store.new(kind)
        day = fields.pop("date", None)
        made.fields = {
            owner: customer.link,
            "currency": currency,
            "currencyName": self.store.records["currency"][currency.id].name,
            "exchangeRate": "1.0",
            "tranDate": midnight(day or pacific(self.store.now())),
            "subsidiary": customer.fields["subsidiary"],
            "status": "Open",
            **{name: value for name, value in fields.items() if value},
        }
        return made

    def _added(self, made: Stored, applied: Mapping[str, Decimal], left: Decimal) -> Stored:
        lists = {"applyList": _lines(applied)}
        self._apply(made, made.fields, lists, left)
        made.lists["applyList"] = lists["applyList"]
        if made.kind == "creditMemo":
            _sum_up(made.fields)
        self.store.add(made)
        return made


def _lines(applied: Mapping[str, Decimal]) -> list[Line]:
    return [{"apply": "true", "doc": doc, "amount": double(part)} for doc, part in applied.items()]


def _wanted(lists: Mapping[str, list[Line]]) -> dict[str, Decimal]:
    """What is applied, by the document's internal id; a line that is not ticked is none."""
    found: dict[str, Decimal] = {}
    for line in lists.get("applyList", ()):
        if line.get("apply") == "true" and "doc" in line:
            if "amount" not in line:
                raise Refusal("USER_ERROR", "Please enter value(s) for: Amount")
            found[line["doc"]] = money(Decimal(line["amount"]))
    return {doc: part for doc, part in found.items() if part}


def _note(deposit: Stored, refund: Stored, part: Decimal) -> None:
    """List a refund on the deposit that it pays out (assumption: as the page's list of applications shows it)."""
    kept = [line for line in deposit.lists.get("applyList", []) if line["doc"] != refund.id]
    line = {"apply": "true", "doc": refund.id, "type": "Customer Refund", "amount": double(part)}
    deposit.lists["applyList"] = [*kept, line] if part else kept


def _sum_up(fields: dict[str, Any]) -> None:
    used = decimal(fields, "applied") + decimal(fields, "_refunded")
    rest = decimal(fields, "total") - used
    fields |= {"amountPaid": double(used), "amountRemaining": double(rest), "unapplied": double(rest)}
    fields["status"] = "Fully Applied" if rest == 0 else "Open"
