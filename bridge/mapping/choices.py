"""Rules that choose or compose: ``const site currency crosswalk compute when lines applied``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

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
        got = self.chosen(context)
        if got is ABSENT and self.needed:
            sentence = f"This site has not chosen its {label(self.name).lower()} yet ({self.needed} in bridge.toml)."
            raise Rejected(sentence, code="SITE_CHOICE_MISSING", who="administrator", detail=self.name)
        return got

    def chosen(self, context: Context) -> Any:
        """Return what the site has chosen, whether or not it is needed; ABSENT where it is nothing."""
        got = context.site.get(self.name)
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


Row = Mapping[str, Any]
ROW: Final = "@row"  # on a part of a bundle: the row of the table that the part stands for, instead of a key to it


@dataclass(frozen=True, slots=True)
class crosswalk:
    """What a line is in NetSuite: the first field of *tables* that holds something is looked up in its table.

    *tables* are (field of the line, table of the site), *column* is the item's name there, *ref* what it refers to;
    without one the value itself is given. What is *optional* and not there is the site's choice *otherwise*, or is not
    sent; anything else refuses the record.
    """

    tables: tuple[tuple[str, str], ...]
    column: str
    ref: str | None = "item"
    code: str = "ITEM_UNKNOWN"
    optional: bool = False
    otherwise: str | None = None

    def reads(self) -> tuple[str, ...]:
        return tuple(field for field, _ in self.tables)

    def row(self, line: Fields, site: Fields) -> Row | None:
        """Return the row of the site's table that *line* stands for; None where there is none."""
        if ROW in line:
            part: Row = line[ROW]
            return part
        for field, table in self.tables:
            if not blank(line.get(field)):
                found: Row | None = site.get(table, {}).get(line[field])
                return found
        return None

    def value(self, source: Fields, context: Context) -> Any:
        row = self.row(source, context.site)
        found = row.get(self.column) if row is not None else None
        if blank(found) and self.otherwise:
            found = context.site.get(self.otherwise)
        if not blank(found):
            return Ref(self.ref, name=str(found)) if self.ref else found
        if self.optional:
            return ABSENT
        named = [(field, table) for field, table in self.tables if not blank(source.get(field))]
        if not named:
            raise missing(self.tables[0][0])
        field, table = named[0]
        raise Rejected(
            f"{label(table).rstrip('s').capitalize()} '{source[field]}' has no NetSuite {self.ref}.",
            code=self.code,
            who="accounting",
            field=field,
            detail=f"{table}.{source[field]}.{self.column}",
        )

    def describe(self) -> str:
        words = [f"of {field} in the table {table}.{self.column}" for field, table in self.tables]
        if self.otherwise:
            words.append(f"this site's {self.otherwise.replace('_', ' ')}")
        return f"{self.ref or 'value'} {', else '.join(words)}{', if there is one' if self.optional else ''}"


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

    *expand* makes several of one child (the parts of a bundle). Without a *child* there are only the fixed lines.
    """

    child: str
    fields: Mapping[str, Rule]
    where: Callable[[Fields, Fields], bool] | None = None
    expand: Callable[[Fields, Fields], Iterable[Fields]] | None = None
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
        children: Iterable[Fields] = source.get(self.child) or () if self.child else ()
        if self.expand is not None:
            children = [part for it in children for part in self.expand(it, context.site)]
        children = [it for it in children if self.where is None or self.where(it, context.site)]
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
