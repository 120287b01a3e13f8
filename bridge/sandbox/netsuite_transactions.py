"""Orders, bills, invoices and payments: lines, amounts, totals, statuses, and what accounting does with them.

Amounts are computed with Decimal and kept to the cent. Sources: Oracle help page ids, or "assumption".

Must not know: XML, HTTP.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bridge.sandbox.netsuite_kinds import BILL_STATUS, SETTABLE_STATUS, STATUS
from bridge.sandbox.netsuite_receivables import Receivables
from bridge.sandbox.netsuite_rules import Draft, Refusal, Rules, decimal, double, money
from bridge.sandbox.netsuite_store import Custom, Line, Link, Store, Stored, midnight, pacific


def check_transaction(rules: Rules, draft: Draft) -> None:
    """Everything NetSuite asks of a sales order, purchase order or vendor bill, and everything it fills in."""
    store, fields = rules.store, draft.fields
    rules.check_required(draft)
    entity = store.records[fields["entity"].kind][fields["entity"].id]
    if entity.fields.get("isInactive") == "true":
        raise Refusal("INVALID_KEY_OR_REF", f"Invalid entity reference key {entity.id}.")
    rules.check_company(draft, entity)
    fields["currencyName"] = store.records["currency"][fields["currency"].id].name
    fields.setdefault("exchangeRate", "1.0")
    fields.setdefault("tranDate", midnight(pacific(store.now())))
    rules.check_period(fields, "ap" if entity.kind == "vendor" else "ar")
    _check_lines(store, draft)
    if draft.kind.prefix:
        fields["tranId"] = fields.get("tranId") or store.number(draft.kind.prefix)
    else:
        # Bills are numbered by the vendor; the transaction number is NetSuite's own (section_N3658677).
        fields.setdefault("transactionNumber", store.number("BILL"))
    _check_status(draft)
    if draft.kind.name == "salesOrder" and entity.fields.get("stage") in ("_lead", "_prospect"):
        # A first sales order makes a prospect a customer (assumption, as the UI's stages work).
        entity.fields["stage"] = "_customer"
        store.changed(entity)


def _check_lines(store: Store, draft: Draft) -> None:
    lines = [*draft.lists.get("itemList", []), *draft.lists.get("expenseList", [])]
    if not lines:
        raise Refusal("USER_ERROR", "You must enter at least one line item for this transaction.")
    touched = draft.sent & {"itemList", "expenseList"}
    if touched and not draft.is_new and draft.record.fields.get("orderStatus") == "_fullyBilled":
        raise Refusal("CANT_UPDATE_LINKED_TRANS_LINES", "Lines that are billed cannot be changed.")
    for line in draft.lists.get("itemList", []):
        _price(store, draft, line)
    for line in draft.lists.get("expenseList", []):
        line.pop("_sent", None)
        if "account" not in line or "amount" not in line:
            raise Refusal("USER_ERROR", "Please enter value(s) for: Account, Amount")
        line["amount"] = double(money(Decimal(line["amount"])))
    total = double(sum((decimal(line, "amount") for line in lines), Decimal(0)))
    draft.fields["total"] = total
    if draft.kind.name == "vendorBill":
        draft.fields["userTotal"] = total
    else:
        draft.fields["subTotal"] = total


def _price(store: Store, draft: Draft, line: Line) -> None:
    """Fill in quantity, rate and amount of one item line.

    Sent amount wins over rate × quantity, and a changed rate or quantity recomputes the amount (assumption, as the
    form does). A rate needs price level -1, else the level's price would overwrite it (section_N3658677).
    """
    sent = line.pop("_sent", frozenset())
    if "item" not in line:
        raise Refusal("USER_ERROR", "Please choose an item to add")
    item = store.records[line["item"].kind][line["item"].id]
    if "item" in sent and item.fields.get("isInactive") == "true":
        raise Refusal("INVALID_KEY_OR_REF", f"Invalid item reference key {item.id}.")
    subsidiary: Link = draft.fields["subsidiary"]
    if "item" in sent and not store.has_item(subsidiary, item.id):
        # The words as of accounts on a journal (section_3928175996); of items: assumption.
        raise Refusal("INVALID_KEY_OR_REF", f"Invalid item reference key {item.id} for subsidiary {subsidiary.id}.")
    sales = draft.kind.name in ("salesOrder", "creditMemo")
    line.setdefault("quantity", "1.0")
    quantity = Decimal(line["quantity"])
    if sales and "rate" in sent and line.setdefault("price", Link("priceLevel", "-1")).id != "-1":
        line["rate"] = str(item.fields.get("rate", "0.00"))
    if "rate" in line and line["rate"].endswith("%"):
        raise Refusal("INVALID_FLD_VALUE", "A percentage rate needs a discount item.")
    if "amount" in sent or ("amount" in line and not sent & {"rate", "quantity"}):
        amount = money(Decimal(line["amount"]))
        if "rate" not in line or ("rate" not in sent and "amount" in sent):
            line["rate"] = format(money(amount / quantity) if quantity else Decimal("0.00"), "f")
    elif "rate" in line:
        try:
            amount = money(Decimal(line["rate"]) * quantity)
        except ArithmeticError:
            raise Refusal("INVALID_FLD_VALUE", f"Invalid rate {line['rate']}.") from None
    else:
        raise Refusal("USER_ERROR", "Please enter value(s) for: Amount")
    line["amount"] = double(amount)
    line.setdefault("description", item.fields.get("salesDescription") or item.name)
    if draft.kind.name == "salesOrder":
        line.setdefault("lineUniqueKey", store.line_key())


def _check_status(draft: Draft) -> None:
    kind, fields = draft.kind.name, draft.fields
    labels = STATUS.get(kind)
    if labels is None:
        fields.setdefault("status", "Open")
        return
    before = draft.record.fields.get("orderStatus")
    allowed = SETTABLE_STATUS[kind]
    if "orderStatus" in draft.sent and fields.get("orderStatus") not in (*allowed, before):
        raise Refusal("INVALID_FLD_VALUE", f"Invalid orderStatus {fields.get('orderStatus')}.")
    if "orderStatus" in draft.sent and before not in (None, *allowed):
        raise Refusal("INVALID_FLD_VALUE", "The status of this order cannot be set any more.")
    # New orders wait for approval (assumption: the accounting preference of a company that reviews them).
    fields.setdefault("orderStatus", allowed[0])
    # An order all of whose lines are closed is closed, and open again when one is (NetSuite Help, "Closing or
    # Canceling a Sales Order": a closed line is no longer fulfilled or billed).
    lines = draft.lists.get("itemList") or ()
    if lines and all(line.get("isClosed") == "true" for line in lines):
        fields["orderStatus"] = "_closed"
    elif before == "_closed":
        fields["orderStatus"] = allowed[1]
    fields["status"] = labels[fields["orderStatus"]]


class Accounting:
    """What people in accounting do in NetSuite's pages. Callers hold the account's lock."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.receivables = Receivables(store)

    def record(self, kind: str, internal_id: str) -> Stored:
        found = self.store.get(kind, str(internal_id))
        if found is None:
            raise KeyError(f"no {kind} {internal_id}")
        return found

    def set_status(self, order: Stored, status: str) -> None:
        """Set an order's orderStatus and its label."""
        order.fields["orderStatus"] = status
        order.fields["status"] = STATUS[order.kind][status]
        self.store.changed(order)

    def approve(self, order: Stored) -> None:
        """A supervisor approves an order."""
        self.set_status(order, SETTABLE_STATUS[order.kind][1])

    def close(self, order: Stored) -> None:
        self.set_status(order, "_closed")

    def invoice(self, order: Stored, amount: Decimal | None = None) -> Stored:
        """Bill a sales order: an invoice with its lines, or one line of *amount*; the order becomes billed."""
        invoice = self.store.new("invoice")
        copied = ("entity", "currency", "currencyName", "subsidiary", "exchangeRate", "memo", "otherRefNum")
        invoice.fields = {name: order.fields[name] for name in copied if name in order.fields}
        lines = order.lists["itemList"]
        kept = ("item", "quantity", "rate", "amount", "description", "line", "price")
        if amount is None:
            invoice.lists["itemList"] = [{name: line[name] for name in kept if name in line} for line in lines]
        else:
            line = {"item": lines[0]["item"], "line": "1", "quantity": "1.0"}
            invoice.lists["itemList"] = [line | {"rate": str(money(amount)), "amount": double(money(amount))}]
        total = sum((decimal(line, "amount") for line in invoice.lists["itemList"]), Decimal(0))
        today = midnight(pacific(self.store.now()))
        invoice.fields |= {"createdFrom": order.link, "tranDate": today, "dueDate": today, "status": "Open"}
        invoice.fields |= {"tranId": self.store.number("INV"), "total": double(total), "subTotal": double(total)}
        invoice.fields |= {"amountPaid": "0.0", "amountRemaining": double(total)}
        invoice.custom = dict(order.custom)
        self.store.add(invoice)
        self.set_status(order, "_fullyBilled")
        return invoice

    def bill(self, order: Stored) -> None:
        """Bill a purchase order: its status only."""
        self.set_status(order, "_fullyBilled")

    def payable(self, owed: Stored, state: str) -> None:
        """Approve or pay what a broker is owed: a vendor bill by its status, the custom record by its own field."""
        if owed.kind == "vendorBill":
            owed.fields["status"] = BILL_STATUS[state]
        else:
            values = self.store.records["customListValue"].values()
            value = next(it for it in values if it.fields["name"] == state)
            owed.custom["custrecord_bc_state"] = Custom("SelectCustomFieldRef", (value.link,))
        self.store.changed(owed)

    def pay(
        self,
        customer: Stored,
        amount: Decimal,
        applied: dict[str, Decimal] | None = None,
        *,
        memo: str = "",
        date: str | None = None,
        currency: Link | None = None,
    ) -> Stored:
        """Record a customer payment of *amount*, applied to invoices by their internal ids."""
        payment = self.store.new("customerPayment")
        currency = currency or customer.fields["currency"]
        payment.fields = {
            "customer": customer.link,
            "currency": currency,
            "currencyName": self.store.records["currency"][currency.id].name,
            "exchangeRate": "1.0",
            "tranDate": midnight(date or pacific(self.store.now())),
            "tranId": self.store.number("PYMT"),
            "status": "Not Deposited",
            "subsidiary": customer.fields["subsidiary"],
        }
        if memo:
            payment.fields["memo"] = memo
        self._apply(payment, amount, applied or {})
        self.store.add(payment)
        return payment

    def edit_payment(self, payment: Stored, amount: Decimal, applied: dict[str, Decimal] | None = None) -> None:
        """Change what was paid or where it is applied."""
        if applied is None:
            applied = {line["doc"]: Decimal(line["amount"]) for line in payment.lists.get("applyList", [])}
        self._apply_anew(payment, amount, applied)
        self.store.changed(payment)

    def void(self, payment: Stored) -> None:
        """Void a payment: it stays, with amount nought and the status Voided (voiding is not deleting)."""
        self._apply_anew(payment, Decimal(0), {})
        payment.fields["status"] = "Voided"
        payment.fields["memo"] = "VOID"
        self.store.changed(payment)

    def delete(self, record: Stored) -> None:
        """Delete *record*; a payment or credit first lets go of what it is applied to."""
        if self.receivables.is_applied(record):
            raise Refusal("CANT_DELETE_CHILD_RCRDS_EXIST", "This record cannot be deleted: something is applied to it.")
        if self.store.with_transactions.get(record.id, 0) > 0:
            # The code is the nearest in the XSD (assumption).
            raise Refusal("CANT_DELETE_CHILD_RCRDS_EXIST", "This record cannot be deleted: it has dependent records.")
        if record.kind == "customerPayment":
            self._unapply(record)
        elif record.kind == "customerRefund":
            self.receivables.edit(record, {})
        self.store.remove(record)

    def _apply_anew(self, payment: Stored, amount: Decimal, applied: dict[str, Decimal]) -> None:
        """Apply a payment elsewhere, or leave it where it is applied."""
        before = (
            Decimal(payment.fields["total"]),
            {line["doc"]: Decimal(line["amount"]) for line in payment.lists.get("applyList", [])},
        )
        self._unapply(payment)
        try:
            self._apply(payment, amount, applied)
        except Refusal:
            self._apply(payment, *before)
            raise

    def _apply(self, payment: Stored, amount: Decimal, applied: dict[str, Decimal]) -> None:
        used = sum(applied.values(), Decimal(0))
        refunded = decimal(payment.fields, "_refunded")
        if used + refunded > amount:
            raise Refusal("USER_ERROR", "More was applied than was paid.")
        lines: list[dict[str, Any]] = []
        for number, (document, part) in enumerate(applied.items()):
            invoice = self.record("invoice", document)
            try:
                self.receivables.settle(invoice, part)
            except Refusal:
                for line in lines:
                    self.receivables.settle(self.record("invoice", line["doc"]), -Decimal(line["amount"]))
                raise
            lines.append(
                {
                    "apply": "true",
                    "doc": invoice.id,
                    "line": str(number),
                    "type": "Invoice",
                    "refNum": invoice.fields["tranId"],
                    "total": invoice.fields["total"],
                    "due": invoice.fields["amountRemaining"],
                    "currency": self.store.records["currency"][payment.fields["currency"].id].fields["symbol"],
                    "amount": double(part),
                }
            )
        payment.lists["applyList"] = lines
        payment.fields |= {"payment": double(amount), "total": double(amount)}
        payment.fields |= {"applied": double(used), "unapplied": double(amount - used - refunded)}

    def _unapply(self, payment: Stored) -> None:
        for line in payment.lists.get("applyList", []):
            self.receivables.settle(self.record("invoice", line["doc"]), -Decimal(line["amount"]))
        payment.lists["applyList"] = []
