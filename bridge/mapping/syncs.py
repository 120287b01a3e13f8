"""A sync is declared once: `Push` to NetSuite, `Pull` to Salesforce, and the set of them that a site has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.mapping.base import Context, Rule, apply, blank, external_id
from bridge.mapping.choices import applied
from bridge.mapping.fields import link, text
from bridge.mapping.gates import Test
from bridge.mapping.worth import Worth
from bridge.ports import Fields, Record, Ref


@dataclass(frozen=True)
class Push:
    """A declared sync from Salesforce to NetSuite.

    *when* holds the gates. *scope* says which records are its business at all: one that leaves it keeps its link and is
    no longer sent, without anything being undone. *retiring* is written when the Salesforce record was deleted and
    nothing is open. *at_first* names fields that are sent with the record's first write only: NetSuite owns them
    from then on; *shared* those that are written only while NetSuite has what it had when both last
    agreed. *on_demand*: only made once another record links to it. *numbered*: the answer to an upsert holds only ids,
    so number and line keys are read back. *withdrawn* says what happens when a gate closes after
    the record exists: ``flag`` tells accounting, ``block`` puts it on their desk, ``close`` closes the record, by
    *closing* or, with *closes_lines*, line by line; ``leave`` is for what stays by
    design, as a quote does once it is an order. *made_from* is the sync of the quote that an order is made from.
    *approved*: its values were approved in Salesforce, so nobody corrects them on the way.
    """

    name: str
    source: str
    target: str
    external_id: str
    fields: Mapping[str, Rule]
    label: str = ""
    when: Sequence[Test] = ()
    scope: Sequence[Test] = ()
    retiring: Fields | None = None
    on_demand: bool = False
    numbered: bool = False
    closing: Fields | None = None
    closes_lines: bool = False
    worth: Worth | None = None  # the money that waits with it
    at_first: Sequence[str] = ()
    shared: Sequence[str] = ()
    withdrawn: str = "close"
    made_from: str | None = None
    approved: bool = False
    closed_period: str = "hold"  # or "next_open": a transaction that a closed period refuses is dated into that

    def reads(self) -> tuple[str, ...]:
        """List the source fields that this sync looks at, ``Lines.X`` for a field of a line."""
        tests = (*self.scope, *self.when)
        names = [n for t in tests for n in t.reads()] + [n for r in self.fields.values() for n in r.reads()]
        return tuple(dict.fromkeys(names))

    def held(self, source: Fields, context: Context) -> str | None:
        """Return why the record is not sent, or None when every gate is open and it is in scope."""
        if (reason := self.outside(source, context)) is not None:
            return f"Out of scope: {reason}."
        reasons = [test.explain(source, context) for test in self.when if not test.holds(source, context)]
        return None if not reasons else f"Not sent: {'; '.join(reasons)}."

    def outside(self, source: Fields, context: Context) -> str | None:
        """Return why the record is out of this sync's scope, or None."""
        reasons = [test.explain(source, context) for test in self.scope if not test.holds(source, context)]
        return "; ".join(reasons) or None

    def unjudged(self, source: Fields) -> bool:
        """Say whether a gate looks at a field that was not sent: closed then, but nothing is undone because of it."""
        return any(test.field not in source for test in self.when)

    def links(self, source: Fields) -> Iterator[tuple[str, str]]:
        """Yield ``(sync, Salesforce id)`` for every record that this one refers to."""
        for rule in self.fields.values():
            if isinstance(rule, link | applied) and rule.to and not blank(source.get(rule.source)):
                yield rule.to, str(source[rule.source])

    def needs_id(self, to: str) -> bool:
        """Say whether a record that *to* makes must be there before: its NetSuite id is sent, not our external id."""
        return any(isinstance(rule, applied) and rule.to == to for rule in self.fields.values())

    def record(self, salesforce_id: str, source: Fields, context: Context) -> Record:
        """Map one Salesforce record. Raises Rejected for what a person must change."""
        ref = Ref(self.target, external_id=external_id(self.external_id, salesforce_id))
        return Record(ref, apply(self.fields, source, context))

    def before(self, salesforce_id: str) -> list[tuple[str, str]]:
        """Return the record of the same Salesforce record that this one is made from, if it exists."""
        return [(self.made_from, salesforce_id)] if self.made_from else []

    def following(self, record: Record, there: Mapping[tuple[str, str], Any], salesforce_id: str) -> Record:
        """Return *record* as its first write says it: with what it is made from, where *there* has a link to that."""
        for it in (there[pair] for pair in self.before(salesforce_id) if pair in there):
            source = Ref(it.target_kind, id=it.target_id)
            record = replace(record, fields={**record.fields, "createdFrom": source})
        return record

    def closed(self, salesforce_id: str, source: Fields, context: Context) -> Record | None:
        """Return what closes the record in NetSuite when a gate closes after it exists; None where nothing does.

        An order is closed line by line: it stays, and nothing more of it is fulfilled or billed. Raises Rejected.
        """
        ref = Ref(self.target, external_id=external_id(self.external_id, salesforce_id))
        if self.closing is not None:
            return Record(ref, self.closing) if self.withdrawn == "close" else None
        if self.withdrawn != "close" or not self.closes_lines:
            return None
        return with_lines_closed(self.record(salesforce_id, source, context), True)

    def reopened(self, record: Record) -> Record:
        """Return *record* so that it undoes what was written when its gate closed, or when it was deleted."""
        if self.retiring is not None:
            back = {name: not value for name, value in self.retiring.items() if name not in record.fields}
            return replace(record, fields={**record.fields, **back})
        return with_lines_closed(record, False) if self.closes_lines else record

    def lasting(self, record: Record) -> Record:
        """Return *record* without what is sent at first only: what is compared, and what a later write holds."""
        if not self.at_first:
            return record
        return replace(record, fields={k: v for k, v in record.fields.items() if k not in self.at_first})


@dataclass(frozen=True)
class Follow:
    """Read, with each page, the records of *kind* that *source* names, so that the mapping can look at them.

    *then* is read with those in turn.
    """

    source: Callable[[Fields], Iterable[str]]
    kind: str
    fields: tuple[str, ...]
    then: tuple[Follow, ...] = ()


@dataclass(frozen=True)
class Pull:
    """A declared sync from NetSuite to Salesforce: one source record makes one or more target records.

    *expand* turns the source (and what *follow* read, by id) into rows; the rules map each row; *key* is the row's
    external id. *children* are lines: ``(sublist, target, key template, lookup to the parent, rules)``.
    A row none of whose *anchors* leads to Salesforce is held: it belongs to somebody else's business.
    """

    name: str
    source: str
    target: str
    key: text
    fields: Mapping[str, Rule]
    label: str = ""
    expand: Callable[[Fields, Mapping[str, Fields]], Iterable[Fields]] = lambda source, related: (source,)
    follow: tuple[Follow, ...] = ()
    children: tuple[Child, ...] = ()
    anchors: tuple[str, ...] = ()
    gone: Fields | None = None  # written over a row that the source no longer has
    deleted: Fields | None = None  # written over the rows of a source that was deleted
    belongs: Belongs | None = None
    totals: Totals | None = None
    worth: Worth | None = None  # the money that waits with it
    mirrors: str | None = None  # the push whose orders these are: their numbers are remembered on its links

    @property
    def owned(self) -> Belongs | None:
        """To whom a row belongs, where a row without it waits in suspense."""
        return self.totals or self.belongs

    def followed(self, source: Fields, related: Mapping[str, Fields]) -> dict[str, Fields]:
        """Return those of *related* that *source* leads to."""
        found: dict[str, Fields] = {}
        _follow(self.follow, source, related, found)
        return found

    def records(self, source: Fields, related: Mapping[str, Fields], context: Context) -> list[Record]:
        """Map one NetSuite record to the Salesforce records it stands for, parents first."""
        found: list[Record] = []
        for row in self.expand(source, related):
            key = self.key.value(row, context)
            ref = Ref(self.target, external_id=key)
            found.append(Record(ref, apply(self.fields, row, context)))
            for child in self.children:
                for line in row.get(child.source) or ():
                    inner = {"key": key, **line}
                    own = Ref(child.target, external_id=child.key.value(inner, context))
                    found.append(Record(own, {child.parent: ref, **apply(child.fields, inner, context)}))
        return found


def _follow(
    follows: tuple[Follow, ...], source: Fields, related: Mapping[str, Fields], found: dict[str, Fields]
) -> None:
    for follow in follows:
        for one in follow.source(source):
            if one in related:
                found[one] = related[one]
                _follow(follow.then, related[one], related, found)


@dataclass(frozen=True)
class Child:
    """A sublist that becomes records of their own under the parent's. *gone* is written over a line that left it."""

    source: str
    target: str
    key: text
    parent: str
    fields: Mapping[str, Rule]
    gone: Fields | None = None


@dataclass(frozen=True)
class Belongs:
    """A row belongs to the *parent* of *parent_kind*; while that is unknown, its *amount* waits in suspense."""

    parent: str
    parent_kind: str
    amount: str


@dataclass(frozen=True)
class Totals(Belongs):
    """After rows were written: add *amount* up per *parent* in *order*, from *start*, and write the balances.

    ``running`` is the field of the row that holds the balance after it; ``total`` and ``remaining`` are the parent's.
    An amount in another *currency* than the parent's is converted by the rate of the day in *posted* (a field of the
    row) or *agreed* (of the parent), as the site chooses; *converted* are the row's fields for amount, rate and day.
    """

    order: tuple[str, ...]
    start: str
    running: str
    total: str
    remaining: str
    currency: str
    converted: tuple[str, str, str]
    posted: str
    agreed: str


Sync = Push | Pull


def with_lines_closed(record: Record, is_closed: bool) -> Record:
    """Return *record* with every line of its items closed, or open again."""
    rows = [{**row, "isClosed": is_closed} for row in record.fields.get("itemList") or ()]
    return replace(record, fields={**record.fields, "itemList": rows}) if rows else record


def with_fields(
    sync: Push, fields: Mapping[str, Rule | None], gates: Sequence[Test] = (), scope: Sequence[Test] = ()
) -> Push:
    """Return *sync* with rules added or replaced (``None`` removes one), gates and scope added: the site's overlay."""
    merged = {k: r for k, r in {**sync.fields, **fields}.items() if r is not None}
    return replace(sync, fields=merged, when=(*sync.when, *gates), scope=(*sync.scope, *scope))


@dataclass(frozen=True)
class Syncs:
    """All syncs of this site, by name, with the context in which they map."""

    pushes: Mapping[str, Push]
    pulls: Mapping[str, Pull]
    context: Context = field(repr=False)

    def every(self) -> list[Sync]:
        return [*self.pushes.values(), *self.pulls.values()]

    def of_source(self, kind: str) -> list[Push]:
        return [push for push in self.pushes.values() if push.source == kind]

    def reads(self, kind: str) -> tuple[str, ...]:
        """List the fields of a Salesforce object that any sync reads: what Apex watches and a sweep selects."""
        return tuple(dict.fromkeys(name for push in self.of_source(kind) for name in push.reads()))
