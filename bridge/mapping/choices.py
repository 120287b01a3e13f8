"""Rules that choose or compose: ``const site currency lookup compute when lines applied``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.errors import Rejected
from bridge.mapping.base import ABSENT, LINE_ID, Context, Rule, apply, blank, external_id, label, missing
from bridge.mapping.fields import money
from bridge.mapping.gates import Test
from bridge.ports import Fields, Ref


@dataclass(frozen=True, slots=True)
class const:
    """Always the same value."""

    constant: Any

    def reads(self) -> tuple[str, ...]:
        return ()

    def value(self, source: Fields, context: Context) -> Any:
        return self.constant

    def describe(self) -> str:
        it = self.constant
        return f"always {it.kind} {it.name or it.id}" if isinstance(it, Ref) else f"always {it}"


@dataclass(frozen=True, slots=True)
class site:
    """A choice of this site (``bridge.toml``), as a reference of kind *ref* where one is given.

    *needed* says where it stands in the file; without it the record is refused.
    """

    name: str
    ref: str | None = None
    needed: str | None = None

    def reads(self) -> tuple[str, ...]:
        return ()

    def value(self, source: Fields, context: Context) -> Any:
        got = context.site.get(self.name)
        if blank(got) and self.needed:
            sentence = f"This site has not chosen its {label(self.name).lower()} yet ({self.needed} in bridge.toml)."
            raise Rejected(sentence, code="SITE_CHOICE_MISSING", who="administrator", detail=self.name)
        if blank(got):
            return ABSENT
        return Ref(self.ref, name=str(got)) if self.ref else got

    def describe(self) -> str:
        return f"this site's {self.name.replace('_', ' ')}"


@dataclass(frozen=True, slots=True)
class currency:
    """The record's own currency, or the site's where the organisation has only one (no ``CurrencyIsoCode`` there)."""

    source: str = "CurrencyIsoCode"

    def reads(self) -> tuple[str, ...]:
        return (self.source,)

    def value(self, source: Fields, context: Context) -> Any:
        got = source.get(self.source) or context.site.get("currency")
        if blank(got):
            raise Rejected("The currency is missing.", code="CURRENCY_MISSING", who="administrator", field=self.source)
        return Ref("currency", name=str(got))

    def describe(self) -> str:
        return f"currency {self.source}, else this site's"


@dataclass(frozen=True, slots=True)
class lookup:
    """Look *source* up in a table of the site (``[fees."Wire Fee"] sale_item = …``) and refer to what stands there."""

    source: str
    table: str
    column: str
    ref: str
    code: str = "ITEM_UNKNOWN"

    def reads(self) -> tuple[str, ...]:
        return (self.source,)

    def value(self, source: Fields, context: Context) -> Any:
        got = source.get(self.source)
        if blank(got):
            raise missing(self.source)
        row = context.site.get(self.table, {}).get(got)
        if row is None or not row.get(self.column):
            raise Rejected(
                f"{label(self.table).rstrip('s').capitalize()} '{got}' has no NetSuite {self.ref}.",
                code=self.code,
                who="accounting",
                field=self.source,
                detail=f"{self.table}.{got}.{self.column}",
            )
        return Ref(self.ref, name=row[self.column])

    def describe(self) -> str:
        return f"{self.ref} of {self.source} in the table {self.table}.{self.column}"


@dataclass(frozen=True, slots=True)
class compute:
    """What no other rule can say: a pure function of the record and the site."""

    function: Callable[[Fields, Fields], Any]
    uses: tuple[str, ...]
    words: str

    def reads(self) -> tuple[str, ...]:
        return self.uses

    def value(self, source: Fields, context: Context) -> Any:
        return self.function(source, context.site)

    def describe(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class when:
    """One rule while *test* holds, another while it does not."""

    test: Test
    then: Rule
    otherwise: Rule

    def reads(self) -> tuple[str, ...]:
        return (*self.test.reads(), *self.then.reads(), *self.otherwise.reads())

    def value(self, source: Fields, context: Context) -> Any:
        if self.test.field not in source:  # not sent: nobody knows, so nothing is changed
            return ABSENT
        return (self.then if self.test.holds(source, context) else self.otherwise).value(source, context)

    def describe(self) -> str:
        return f"{self.then.describe()} when {self.test.describe()}, else {self.otherwise.describe()}"


@dataclass(frozen=True, slots=True)
class lines:
    """A sublist: first the fixed lines of *first*, then one line for every child record that *where* admits.

    Without a *child* there are only the fixed lines.
    """

    child: str
    fields: Mapping[str, Rule]
    where: Callable[[Fields, Fields], bool] | None = None
    first: Sequence[Mapping[str, Rule]] = ()
    uses: tuple[str, ...] = ()

    def reads(self) -> tuple[str, ...]:
        own = [name for row in self.first for rule in row.values() for name in rule.reads()]
        inner = {name for rule in self.fields.values() for name in rule.reads()} | set(self.uses)
        if not self.child:
            return tuple(own)
        return (*own, f"{self.child}.Id", *(f"{self.child}.{name}" for name in sorted(inner - {"Id"})))

    def value(self, source: Fields, context: Context) -> Any:
        if self.child and self.child not in source:
            return ABSENT
        rows: list[dict[str, Any]] = []
        for index, fixed in enumerate(self.first):
            row = apply(fixed, source, context)
            rows.append({LINE_ID: f"first-{index}", **row})
        children = [it for it in source.get(self.child) or () if self.where is None or self.where(it, context.site)]
        rows += [{LINE_ID: str(it["Id"]), **apply(self.fields, it, context)} for it in children]
        if not rows:
            raise Rejected(
                "There is no fee line, and NetSuite needs one.", code="NO_LINES", who="sales", field=self.child
            )
        return rows

    def describe(self) -> str:
        return f"one line for each of {self.child}" + (" after fixed ones" if self.first else "")


@dataclass(frozen=True, slots=True)
class applied:
    """A list that applies *amount* to one document of *kind*: the one whose NetSuite id *source* holds, or, with *to*,
    the one that this sync makes of the record named there. Nothing is sent where the amount is empty or nought.
    """

    source: str
    amount: str
    kind: str
    to: str | None = None

    def reads(self) -> tuple[str, ...]:
        return (self.source, self.amount)

    def value(self, source: Fields, context: Context) -> Any:
        part = money(self.amount).value(source, context)
        if blank(part) or not part:
            return ABSENT
        named = source.get(self.source)
        if blank(named):
            raise missing(self.source)
        if self.to is None:
            return [{"apply": True, "doc": Ref(self.kind, id=str(named)), "amount": part}]
        if self.to not in context.targets:
            raise Rejected(
                f"{label(self.amount)} cannot be applied, because {self.to} is switched off.",
                code="SYNC_SWITCHED_OFF",
                who="administrator",
                field=self.amount,
            )
        ref = Ref(self.kind, external_id=external_id(context.targets[self.to][1], str(named)))
        return [{"apply": True, "doc": ref, "amount": part}]

    def describe(self) -> str:
        return f"{self.amount} applied to the {self.kind} of {self.source}"
