"""The rehearsal of a set of bindings: everything this site's syncs do, against the fake NetSuite that speaks the set.

``rehearse`` sends one record of every sync, reads it back, sends it again in a list, searches page by page, reads what
accounting adds and what is deleted, and takes every kind of refusal. Nothing real is touched. What the sandbox does not
know of the site's own choices (departments, say) is left out and told.

Must not know: the ledger, Salesforce, HTTP.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import requests

from bridge.comparing import agrees
from bridge.errors import BridgeError, Deferred, Misconfigured, Rejected, Uncertain
from bridge.invented import invented
from bridge.mapping import Context, Push, Syncs, applied, named
from bridge.mapping.syncs import Follow
from bridge.netsuite.codec import custom_value, is_custom_field
from bridge.netsuite.kinds import kind_of
from bridge.netsuite.passport import TokenCredentials
from bridge.netsuite.sets import WsdlSet
from bridge.netsuite.soap import SoapNetSuite
from bridge.netsuite.wsdl import Bindings
from bridge.ports import Fields, Record, Ref, Written
from bridge.props import LEFT_OUT, compared, only, refs, sendable, without
from bridge.sandbox.netsuite import NO_LATENCY, FakeNetSuite
from bridge.sandbox.netsuite_kinds import CustomField
from bridge.sandbox.wsgi import WsgiAdapter

ACCOUNT = "1234567"
SMALL_PAGE = 5  # so that a search has more pages than one
EXTRA = 7  # customers, for the same
FEE = {"Rehearsal Fee": {"sale_item": "Rehearsal Fee", "purchase_item": "Rehearsal Fee Withheld", "purchase_sign": -1}}
CREDITS = {"credit_item": "Rehearsal Fee", "refund_account": "Rehearsal Account"}
SUBSIDIARY = "Parent Company"
# What the bridge must make of each fault; each is an action of the sandbox.
FAULTS: Mapping[str, type[BridgeError]] = {
    "throttle": Deferred,
    "session": Deferred,
    "auth": Misconfigured,
    "permission": Misconfigured,
    "maintenance": Misconfigured,
    "unexpected": Uncertain,
    "no_detail": Uncertain,
    "reject": Rejected,
}
_NAME_FIELDS = {"account": "acctName", "serviceSaleItem": "itemId", "servicePurchaseItem": "itemId"}


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that was tried. *ok* is None where it could not be tried in the sandbox."""

    name: str
    ok: bool | None
    sentence: str


class _NotTried(Exception):
    """The scene cannot be played in the sandbox; the text says why."""


class _Free:
    """Slots without a limit: the sandbox is all ours."""

    @contextmanager
    def lease(self, *, interactive: bool, unless: Callable[[], bool] | None = None) -> Iterator[bool]:
        yield True

    def throttled(self) -> None:
        """Nothing slows down."""


def rehearse(wsdl: WsdlSet, syncs: Syncs) -> list[Scene]:
    """Return what was tried with *wsdl*, in order. Takes some seconds; nothing outside this process is touched."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name, content in wsdl.files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        try:
            bindings = Bindings.of(wsdl.files, wsdl.version)
            kinds = (*(it.target for it in syncs.pushes.values()), *(it.source for it in syncs.pulls.values()))
            bindings.warm(it for it in map(kind_of, dict.fromkeys(kinds)) if it is not None)  # as every instance does
            fake = FakeNetSuite(schema_dir=Path(folder), account=ACCOUNT, latency=NO_LATENCY)
        except Exception as error:  # noqa: BLE001 - whatever it is, such a set does not go live
            return [Scene("loading", False, f"The set cannot be loaded: {error}")]
        return list(_Stage(fake, bindings, syncs).play())


class _Stage:
    def __init__(self, fake: FakeNetSuite, bindings: Bindings, syncs: Syncs) -> None:
        self.fake = fake
        chosen = {**syncs.context.site, "subsidiary": syncs.context.site.get("subsidiary") or SUBSIDIARY}
        if not any(row.get("sale_item") for row in chosen.get("fees", {}).values()):
            chosen["fees"] = {**chosen.get("fees", {}), **FEE}
        chosen |= {name: it for name, it in CREDITS.items() if not chosen.get(name)}
        self.syncs = replace(syncs, context=Context(chosen, syncs.context.targets))
        session = requests.Session()
        session.mount("https://", WsgiAdapter(fake))
        self.netsuite = SoapNetSuite(
            account=ACCOUNT,
            credentials=TokenCredentials(
                ACCOUNT, "sandbox-consumer-key", "sandbox-consumer-secret", "sandbox-token-id", "sandbox-token-secret"
            ),
            bindings=bindings,
            slots=_Free(),
            session=session,
            clock=fake.clock,
            page_size=SMALL_PAGE,
        )
        self.sent: dict[str, Record] = {}
        self.invoice: str | None = None
        self.start = fake.clock() - timedelta(minutes=1)

    def play(self) -> Iterator[Scene]:
        yield from self._teach()
        pushes = self.syncs.pushes.values()
        later = [push for push in pushes if any(isinstance(rule, applied) for rule in push.fields.values())]
        for push in pushes:
            if push not in later:
                yield from self._try(f"{push.name}: one record", partial(self._send, push))
        if self.sent:
            yield from self._try("all of them again, as a list", partial(self._again, list(self.sent.values())))
            yield from self._try("emptying a field", self._clear)
        yield from self._try("what accounting adds", self._account)
        for push in later:  # they take something away from what accounting added
            yield from self._try(f"{push.name}: one record", partial(self._send, push))
        again = [self.sent[push.name] for push in later if push.name in self.sent]
        if again:
            yield from self._try("credits and refunds again", partial(self._again, again))
        for kind in dict.fromkeys(pull.source for pull in self.syncs.pulls.values()):
            yield from self._try(f"{kind}: search", partial(self._search, kind))
        yield from self._try("a search of several pages", self._pages)
        for pull in self.syncs.pulls.values():
            yield from self._try(f"{pull.name}: mapping", partial(self._pull, pull.name))
        yield from self._try("what was deleted", self._deleted)
        yield from self._try("the clock", self._clock)
        first = next(iter(self.sent.values()), None)
        if first is not None:
            for action, expected in FAULTS.items():
                yield from self._try(f"fault {action}", partial(self._fault, first, action, expected))
            yield from self._try("an element that no schema knows", partial(self._unknown, first))

    def _try(self, name: str, work: Callable[[], str | None]) -> Iterator[Scene]:
        """Do *work*; it returns what is wrong, or None."""
        try:
            wrong = work()
        except _NotTried as reason:
            yield Scene(name, None, str(reason))
            return
        except BridgeError as error:
            wrong = f"{error.message} ({error.code}{': ' + error.detail if error.detail else ''})"
        except Exception as error:  # noqa: BLE001 - the next line says why
            # A set that the sandbox cannot speak is a reason not to deploy it, not a reason to fail here.
            wrong = f"{type(error).__name__}: {error}"
        yield Scene(name, wrong is None, wrong or "as expected")

    # What the site has of its own

    def _teach(self) -> Iterator[Scene]:
        """Tell the sandbox of the items, terms and accounts that the site's mapping names."""
        unknown: set[str] = set()
        for push in self.syncs.pushes.values():
            for record in named(push, self.syncs.context):
                for ref in refs(record.fields):
                    if not self._add(push, ref):
                        unknown.add(ref.kind)
        self.unknown = unknown
        for kind in sorted(unknown):
            yield Scene(f"references to a {kind}", None, f"The sandbox knows no {kind}; these fields are left out.")

    def _add(self, push: Push, ref: Ref) -> bool:
        store = self.fake.store
        kind = ref.kind
        if kind == "item":
            kind = "serviceSaleItem" if push.target == "salesOrder" else "servicePurchaseItem"
        if kind not in store.records:
            return False
        name = str(ref.name)
        there = {word.casefold() for it in store.records[kind].values() for word in (it.name, it.fields.get("symbol"))
                 if word}  # fmt: skip
        if name.casefold() not in there:
            record = store.new(kind)
            record.fields = {_NAME_FIELDS.get(kind, "name"): name, "isInactive": "false"}
            if kind == "currency":
                record.fields |= {"symbol": name, "exchangeRate": "1.0", "isBaseCurrency": "false"}
            store.add(record)
        return True

    def _learn_custom(self, record: Record) -> None:
        rows = [record.fields, *(row for value in record.fields.values() if isinstance(value, list) for row in value)]
        for row in rows:
            for name, value in row.items() if isinstance(row, Mapping) else ():
                if is_custom_field(name) and value is not None and name not in self.fake.store.custom_fields:
                    kind, _ = custom_value(Ref("x", id="1") if isinstance(value, Ref) else value, name)
                    selects = (value.kind,) if isinstance(value, Ref) else ()
                    self.fake.store.custom_fields[name] = CustomField(
                        name, f"{kind}CustomFieldRef", (record.ref.kind,), name, selects
                    )

    # The scenes

    def _send(self, push: Push) -> str | None:
        try:
            source = {**invented(push, self.syncs.context), **self._applied_to(push)}
        except LookupError as error:
            raise _NotTried(f"The bridge has no invented record of {push.source} to try it with.") from error
        closed = push.held(source, self.syncs.context)
        if closed is not None:
            raise _NotTried(f"Its gates cannot be opened with an invented record. {closed}")
        try:
            record = push.record(str(source["Id"]), source, self.syncs.context)
        except Rejected as error:
            raise _NotTried(f"The mapping refuses the invented record. {error.message}") from error
        fields = {name: without(value, self.unknown) for name, value in record.fields.items()}
        record = Record(record.ref, {name: value for name, value in fields.items() if value is not LEFT_OUT})
        record = self._with_documents(record)
        self._learn_custom(record)
        wrong = self._upsert([sendable(record)])
        if wrong is None:
            self.sent[push.name] = record
            (found,) = self.netsuite.get([record.ref])
            if found is None:
                return "It was written and cannot be found."
            comparable = compared(record)
            if not agrees(comparable, found):
                different = [it for it in comparable.fields if not agrees(only(comparable, it), found)]
                return f"It was not read back as it was sent: {', '.join(different)}."
        return wrong

    def _applied_to(self, push: Push) -> Fields:
        """Return the fields that name the invoice which *push* reduces."""
        named = [it.source for it in push.fields.values() if isinstance(it, applied) and it.to is None]
        if named and self.invoice is None:
            raise _NotTried("There is no invoice in the sandbox that it could be applied to.")
        return dict.fromkeys(named, self.invoice)

    def _with_documents(self, record: Record) -> Record:
        """Return *record* with NetSuite's own ids of what it is applied to, as the engine gives them."""
        fields = dict(record.fields)
        for row in fields.get("applyList") or ():
            if row["doc"].id is None:
                (found,) = self.netsuite.get([row["doc"]])
                row["doc"] = replace(row["doc"], id=found.ref.id if found else "0", external_id=None)
        return Record(record.ref, fields)

    def _upsert(self, records: list[Record]) -> str | None:
        for outcome in self.netsuite.upsert(records):
            if isinstance(outcome, BridgeError):
                raise outcome
        return None

    def _again(self, sent: Sequence[Record]) -> str | None:
        records = [sendable(it) for it in sent]
        before = [it.ref.id if it else None for it in self.netsuite.get([it.ref for it in records])]
        self._upsert(records)
        after = [it.ref.id if it else None for it in self.netsuite.get([it.ref for it in records])]
        return None if before == after else "Sending them again made other records."

    def _clear(self) -> str | None:
        for record in self.sent.values():
            name = next((it for it in ("phone", "memo", "title") if isinstance(record.fields.get(it), str)), None)
            if name is not None:
                return self._upsert([Record(record.ref, {**only(sendable(record), name).fields, name: None})])
        return None

    def _account(self) -> str | None:
        """Bill the order, take money for it and in advance, give some back: something of every kind that is read."""
        people = self.fake.admin
        if "customer" in self.sent:
            customer = str(self.sent["customer"].ref.external_id)
            people.deposit(customer, "5.00")
            people.refund(customer, {people.credit(customer, "1.00").id: "1.00"})
        if "sales_order" in self.sent:
            order = {"kind": "salesOrder", "externalId": str(self.sent["sales_order"].ref.external_id)}
            people.approve(**order)
            self.invoice = people.bill(**order).id
            payer = self.fake.store.records["invoice"][self.invoice].fields["entity"].id
            people.pay(payer, "10.00", {self.invoice: "10.00"})
        return None

    def _search(self, kind: str) -> str | None:
        until = self.fake.clock() + timedelta(minutes=1)
        windows = list(self.netsuite.windows(kind, self.start, until))
        read = sum(len(it.rows) for it in windows)
        counted = self.netsuite.count(kind, self.start, until)
        return None if read == counted else f"{counted} records were counted and {read} read."

    def _pages(self) -> str | None:
        record = self.sent.get("customer")
        if record is None:
            return None
        for n in range(EXTRA):
            ref = replace(record.ref, external_id=f"{record.ref.external_id}-{n}")
            self._upsert([Record(ref, {**sendable(record).fields, "companyName": f"Rehearsal {n}"})])
        until = self.fake.clock() + timedelta(minutes=1)
        found = {it.ref.id for it in self.netsuite.changed("customer", self.start, until)}
        return None if len(found) > EXTRA else f"Of {EXTRA + 1} customers {len(found)} were read."

    def _pull(self, name: str) -> str | None:
        pull, read = self.syncs.pulls[name], 0
        until = self.fake.clock() + timedelta(minutes=1)
        for window in self.netsuite.windows(pull.source, self.start, until):
            for record in window.rows:
                related = self._related(pull.follow, [record.fields])
                source = {**record.fields, "internalId": record.ref.id, "url": self.netsuite.url(record.ref)}
                if not pull.records(source, related, self.syncs.context):
                    return f"The {pull.source} {record.ref.id} became nothing."
                read += 1
        if not read:
            raise _NotTried(f"The sandbox holds no {pull.source} to try it with.")
        return None

    def _related(self, follows: Sequence[Follow], sources: Sequence[Fields]) -> dict[str, Fields]:
        found: dict[str, Fields] = {}
        for it in follows:
            ids = dict.fromkeys(one for source in sources for one in it.source(source))
            there = [one for one in self.netsuite.get([Ref(it.kind, id=one) for one in ids]) if one] if ids else []
            found |= {str(one.ref.id): one.fields for one in there}
            found |= self._related(it.then, [one.fields for one in there])
        return found

    def _deleted(self) -> str | None:
        record = self.sent.get("contact") or self.sent.get("purchase_order")
        if record is None:
            return None
        with self.fake.lock:
            group = "Entity" if record.ref.kind == "contact" else "Transaction"
            made = self.fake.store.find(group, str(record.ref.external_id))
            if made is not None:
                self.fake.accounting.delete(made)
        gone = list(self.netsuite.deleted(record.ref.kind, self.start, self.fake.clock() + timedelta(minutes=1)))
        return None if gone else "The deletion was not told."

    def _clock(self) -> str | None:
        apart = abs(self.netsuite.now() - self.fake.clock())
        return None if apart < timedelta(minutes=1) else f"It is {apart} off."

    def _fault(self, record: Record, action: str, expected: type[BridgeError]) -> str | None:
        options = {"code": "INVALID_KEY_OR_REF", "message": "Invalid reference key."} if action == "reject" else {}
        self.fake.faults.add(action, operation="upsert", **options)
        try:
            (outcome,) = self.netsuite.upsert([sendable(record)])
        finally:
            self.fake.faults.clear()
        if type(outcome) is expected:
            return None
        got = outcome.outcome if isinstance(outcome, BridgeError) else "a success"
        return f"It was taken for {got}; {expected.outcome} is right."

    def _unknown(self, record: Record) -> str | None:
        self.fake.faults.add("unknown_element", operation="upsert")
        try:
            (outcome,) = self.netsuite.upsert([sendable(record)])
        finally:
            self.fake.faults.clear()
        return None if isinstance(outcome, Written) and outcome.ref.id else "The record's id was not read."
