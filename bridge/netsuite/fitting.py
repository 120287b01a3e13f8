"""Does a transaction fit its customer or vendor? NetSuite takes only their own currencies and their own subsidiary.

`Fitting.check` refuses before sending what cannot be accepted; `Fitting.explained` puts a plain sentence in place of
NetSuite's refusal. An order in the account's base currency costs no look-up of its customer before it is sent; which
items its subsidiary has is asked once an hour.

Must not know: HTTP, when to try again.

Source: NetSuite Help section_N3658677 (a transaction's currency must be in the entity's list); OneWorld subsidiaries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bridge.errors import BridgeError, Rejected
from bridge.netsuite.faults import TWICE
from bridge.netsuite.kinds import NAMED
from bridge.netsuite.names import Names
from bridge.netsuite.offered import Offered
from bridge.ports import Record, Ref, Written

KEPT = timedelta(minutes=10)  # what accounting adds to a customer is seen after as long
REFUSED = ("INVALID_KEY_OR_REF", "USER_ERROR", "INVALID_INITIALIZE_REF", "INVALID_SUB")
LOCKED = "RCRD_LOCKED_BY_WF"
ENTITIES = ("customer", "vendor")


@dataclass(frozen=True, slots=True)
class Own:
    """What is an entity's own."""

    name: str
    subsidiary: Ref | None
    currencies: frozenset[str]


class Fitting:
    """What is known of customers and vendors. Safe to share between threads."""

    def __init__(
        self, get: Callable[[Sequence[Ref]], list[Record | None]], names: Names, clock: Callable[[], datetime]
    ) -> None:
        self._get, self._names, self._clock = get, names, clock
        self._known: dict[tuple[str, str | None, str | None], tuple[datetime, Own]] = {}
        self._offered = Offered(names, clock)

    def check(self, record: Record, *, interactive: bool = False) -> None:
        """Raise Rejected where *record*, whose references have their ids, cannot be accepted."""
        entity, currency = _entity(record), record.fields.get("currency")
        if entity is None:
            return
        kept = self._known.get((entity.kind, entity.id, entity.external_id))
        own = kept[1] if kept is not None and kept[0] > self._clock() else None
        if own is None and isinstance(currency, Ref) and not self._names.is_base(currency):
            own = self._look_up(entity)
        wrong = _misfit(record, own, self._names) if own is not None else None
        if wrong is not None:
            raise wrong
        self._check_items(record, entity, own, interactive)

    def _check_items(self, record: Record, entity: Ref, own: Own | None, interactive: bool) -> None:
        # An order that names no subsidiary gets its customer's.
        subsidiary = record.fields.get("subsidiary") or (own and own.subsidiary)
        lines = record.fields.get("itemList") or ()
        if entity.id is None or not isinstance(subsidiary, Ref) or subsidiary.id is None:
            return  # without subsidiaries every item is everybody's
        items = {it.id: it for line in lines if isinstance(it := line.get("item"), Ref) and it.id is not None}
        if not items:
            return
        kind = record.ref.kind
        missing = self._offered.missing(kind, entity.id, subsidiary.id, items, interactive=interactive)
        if missing:
            item, where = items[min(missing)], subsidiary.name or subsidiary.id
            raise Rejected(
                f"The item {item.name or item.id} is not one of {where} in NetSuite.",
                code="ITEM_NOT_OF_SUBSIDIARY",
                who="accounting",
                field="itemList.item",
            )

    def explained(self, record: Record, outcome: Written | BridgeError) -> Written | BridgeError:
        """Return *outcome*, or the reason why NetSuite refused the record where that is its entity or an item.

        One that is there under the same name is never taken over by ourselves: people say whether it is the same.
        """
        entity = _entity(record)
        if isinstance(outcome, Rejected) and outcome.code in TWICE:
            adopt = "adopt it on the console, or " if record.ref.kind in NAMED else ""
            outcome.message += f" If it is the same one, {adopt}give it the external id {record.ref.external_id} by an"
            outcome.message += " import in NetSuite, then send this again; else change the name."
            return outcome
        if isinstance(outcome, Rejected) and outcome.code == LOCKED:
            return self._locked(record, outcome)
        if not isinstance(outcome, Rejected) or outcome.code not in REFUSED or entity is None:
            return outcome
        try:
            own = self._look_up(entity)
            wrong = _misfit(record, own, self._names) if own is not None else None
            if wrong is None and "item" in (outcome.detail or outcome.message).lower():
                wrong = self._wrong_item(record, entity, own)
        except BridgeError:
            return outcome  # NetSuite's own words must do
        if wrong is not None:
            wrong.detail = outcome.detail
        return wrong or outcome

    def _locked(self, record: Record, outcome: Rejected) -> Rejected:
        """Name who must approve the record, where NetSuite says so: a workflow keeps it locked until then."""
        try:
            (found,) = self._get([record.ref])
        except BridgeError:
            return outcome
        approver = found.fields.get("nextApprover") if found is not None else None
        if isinstance(approver, Ref) and approver.name:
            outcome.message = f"A workflow in NetSuite has locked the record until {approver.name} approves it."
        return outcome

    def _wrong_item(self, record: Record, entity: Ref, own: Own | None) -> Rejected | None:
        """Look at the items anew: one may have been made inactive, or taken from the subsidiary, in the last hour."""
        unknown = self._names.learn([record])
        self._offered.forget()
        try:
            if not unknown:
                self._check_items(self._names.resolve(record, interactive=False), entity, own, False)
        except Rejected as error:
            unknown.append(error)
        return next((it for it in unknown if isinstance(it, Rejected)), None)

    def _look_up(self, entity: Ref) -> Own | None:
        (found,) = self._get([entity])
        if found is None:
            return None
        fields = found.fields
        lines: Any = fields.get("currencyList") or ()
        ids = {it["currency"].id for it in lines if isinstance(it.get("currency"), Ref)}
        currency, subsidiary = fields.get("currency"), fields.get("subsidiary")
        ids |= {currency.id} if isinstance(currency, Ref) else set()
        name = fields.get("companyName") or fields.get("entityId") or entity.external_id or entity.id
        own = Own(str(name), subsidiary if isinstance(subsidiary, Ref) else None, frozenset(filter(None, ids)))
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[entity.kind, entity.id, entity.external_id] = (self._clock() + KEPT, own)
        return own


def _entity(record: Record) -> Ref | None:
    entity = record.fields.get("entity") or record.fields.get("customer")
    return entity if isinstance(entity, Ref) and entity.kind in ENTITIES else None


def _misfit(record: Record, own: Own, names: Names) -> Rejected | None:
    currency, subsidiary = record.fields.get("currency"), record.fields.get("subsidiary")
    if isinstance(currency, Ref) and own.currencies and not _is_among(currency, own.currencies, names):
        words = f"{own.name} does not have the currency {names.symbol(currency).name} in NetSuite."
        return Rejected(words, code="CURRENCY_NOT_OF_CUSTOMER", who="accounting", field="currency")
    there = own.subsidiary
    if isinstance(subsidiary, Ref) and there is not None and not _is_same(subsidiary, there):
        words = f"{own.name} belongs to {there.name} in NetSuite, not to {subsidiary.name or subsidiary.id}."
        return Rejected(words, code="SUBSIDIARY_NOT_OF_CUSTOMER", who="accounting", field="subsidiary")
    return None


def _is_among(currency: Ref, own: frozenset[str], names: Names) -> bool:
    if currency.id is not None:
        return currency.id in own
    return (currency.name or "").upper() in {names.symbols().get(it) for it in own}


def _is_same(wanted: Ref, there: Ref) -> bool:
    if wanted.id is not None:
        return wanted.id == there.id
    # NetSuite writes a nested name as "Parent : Child".
    names = (there.name or "").casefold(), (there.name or "").rpartition(" : ")[2].casefold()
    return (wanted.name or "").casefold() in names
