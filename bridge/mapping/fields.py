"""Rules that copy one field: ``text money number date flag choice link linked``."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from bridge.errors import Rejected
from bridge.mapping.base import ABSENT, PACIFIC, Context, blank, decimal, external_id, label, missing, plain
from bridge.ports import Fields, Ref

CENT = Decimal("0.01")
# XML 1.0 has no way to write these, not even escaped.
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


@cache
def _names(source: str) -> tuple[str, ...]:
    """Return the fields that *source*, a field or a template, names."""
    return tuple(re.findall(r"\{(\w+)\}", source)) or (source,)


@cache
def _form(source: str) -> tuple[tuple[str, ...], str]:
    """Return the fields that the template *source* names, and itself with ``%s`` where each goes."""
    return _names(source), "%s".join(re.split(r"\{\w+\}", source.replace("%", "%%")))


@lru_cache(maxsize=4096)  # the records of a page share their days
def _pacific_day(moment: dt.datetime) -> dt.date:
    return moment.astimezone(PACIFIC).date()


@dataclass(frozen=True, slots=True)
class text:
    """Copy text. *source* is a field, or a template such as ``"{Name} (Vendor)"``; *limit* counts characters.

    A longer text is refused, or cut when *cut* is true (descriptions may be cut, names may not).
    """

    source: str
    limit: int | None = None
    required: bool = False
    cut: bool = False

    def reads(self) -> tuple[str, ...]:
        return _names(self.source)

    def value(self, source: Fields, context: Context) -> Any:
        got = self._filled(source) if "{" in self.source else source.get(self.source, ABSENT)
        if type(got) is not str or not got:
            if blank(got):
                if self.required:
                    raise missing(self.reads()[0])
                return None if got == "" else got
            got = plain(got)
        # What can be printed is written without a closer look, as nearly all is.
        if not got.isprintable() and UNWRITABLE.search(got):
            raise Rejected(
                f"{label(self.reads()[0])} holds a character that NetSuite cannot take.",
                code="TEXT_NOT_WRITABLE",
                who="sales",
                field=self.reads()[0],
            )
        if self.limit is not None and len(got) > self.limit:
            if not self.cut:
                raise Rejected(
                    f"{label(self.reads()[0])} has {len(got)} characters; NetSuite takes {self.limit}.",
                    code="TEXT_TOO_LONG",
                    who="sales",
                    field=self.reads()[0],
                )
            got = got[: self.limit]
        return got

    def _filled(self, source: Fields) -> Any:
        """Return the template with its fields filled in; None where they are all blank, ABSENT where none was sent."""
        names, form = _form(self.source)
        words = []
        for name in names:
            it = source.get(name)
            words.append(it if type(it) is str else "" if it is None else plain(it))
        if any(words):
            return (form % tuple(words)).strip()
        return None if self.required or any(map(source.__contains__, names)) else ABSENT

    def describe(self) -> str:
        extra = (f", at most {self.limit}" if self.limit else "") + (", required" if self.required else "")
        return f"text {self.source}{extra}"


@dataclass(frozen=True, slots=True)
class money:
    """Copy an amount as a Decimal with exactly *places* decimals; a finer amount is refused, never rounded."""

    source: str
    required: bool = False
    places: int = 2

    def reads(self) -> tuple[str, ...]:
        return (self.source,)

    def value(self, source: Fields, context: Context) -> Any:
        got = source.get(self.source, ABSENT)
        if type(got) is not Decimal and blank(got):
            if self.required:
                raise missing(self.source)
            return None if got == "" else got
        amount = decimal(got, self.source)
        exact = amount.quantize(CENT if self.places == 2 else Decimal(1).scaleb(-self.places))
        if exact != amount:
            raise Rejected(
                f"{label(self.source)} has more than {self.places} decimals.",
                code="AMOUNT_TOO_FINE",
                who="sales",
                field=self.source,
            )
        return exact

    def describe(self) -> str:
        return f"money {self.source}" + (", required" if self.required else "")


@dataclass(frozen=True, slots=True)
class number:
    """Copy a number (a rate, a quantity) as a Decimal, whatever its decimals."""

    source: str
    required: bool = False

    def reads(self) -> tuple[str, ...]:
        return (self.source,)

    def value(self, source: Fields, context: Context) -> Any:
        got = source.get(self.source, ABSENT)
        if type(got) is not Decimal and blank(got):
            if self.required:
                raise missing(self.source)
            return None if got == "" else got
        return decimal(got, self.source)

    def describe(self) -> str:
        return f"number {self.source}" + (", required" if self.required else "")


@dataclass(frozen=True, slots=True)
class date:
    """Copy a calendar day. A moment in time becomes its Pacific day, as NetSuite's dates are."""

    source: str
    required: bool = False

    def reads(self) -> tuple[str, ...]:
        return (self.source,)

    def value(self, source: Fields, context: Context) -> Any:
        got = source.get(self.source, ABSENT)
        if blank(got):
            if self.required:
                raise missing(self.source)
            return None if got == "" else got
        if isinstance(got, dt.datetime):
            return _pacific_day(got)
        if isinstance(got, dt.date):
            return got
        try:
            return dt.date.fromisoformat(str(got))
        except ValueError as error:
            raise Rejected(
                f"{label(self.source)} is not a date.", code="NOT_A_DATE", who="sales", field=self.source
            ) from error

    def describe(self) -> str:
        return f"date {self.source}" + (", required" if self.required else "")


@dataclass(frozen=True, slots=True)
class instant:
    """Copy a moment in time, aware and in UTC."""

    source: str

    def reads(self) -> tuple[str, ...]:
        return (self.source,)

    def value(self, source: Fields, context: Context) -> Any:
        got = source.get(self.source, ABSENT)
        if blank(got):
            return None if got == "" else got
        try:
            moment = got if isinstance(got, dt.datetime) else dt.datetime.fromisoformat(str(got))
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise Rejected(
                f"{label(self.source)} is not a moment in time.", code="NOT_A_DATE", who="sales", field=self.source
            )
        return moment if moment.tzinfo is dt.UTC else moment.astimezone(dt.UTC)

    def describe(self) -> str:
        return f"moment {self.source}"


@dataclass(frozen=True, slots=True)
class flag:
    """Copy a checkbox."""

    source: str

    def reads(self) -> tuple[str, ...]:
        return (self.source,)

    def value(self, source: Fields, context: Context) -> Any:
        got = source.get(self.source, ABSENT)
        if got is ABSENT or got is None or isinstance(got, bool):
            return got
        raise Rejected(f"{label(self.source)} is not yes or no.", code="NOT_A_FLAG", who="sales", field=self.source)

    def describe(self) -> str:
        return f"flag {self.source}"


@dataclass(frozen=True, slots=True)
class choice:
    """Translate a picklist value by a table; a value outside it is refused with its name."""

    source: str
    table: Mapping[str, Any]
    required: bool = False

    def reads(self) -> tuple[str, ...]:
        return (self.source,)

    def value(self, source: Fields, context: Context) -> Any:
        got = source.get(self.source, ABSENT)
        if blank(got):
            if self.required:
                raise missing(self.source)
            return None if got == "" else got
        if got not in self.table:
            raise Rejected(
                f"{label(self.source)} '{got}' is not known in NetSuite.",
                code="UNKNOWN_CHOICE",
                who="administrator",
                field=self.source,
            )
        return self.table[got]

    def describe(self) -> str:
        words = [f"{key} → {named}" if (named := _named(it)) != key else key for key, it in self.table.items()]
        return f"choice {self.source} of {', '.join(words)}"


def _named(value: Any) -> str:
    return str(value.name or value.id) if isinstance(value, Ref) else str(value)


@dataclass(frozen=True, slots=True)
class link:
    """Refer to the NetSuite record that the sync *to* makes of the Salesforce record named in *source*."""

    source: str
    to: str
    required: bool = False

    def reads(self) -> tuple[str, ...]:
        return (self.source,)

    def value(self, source: Fields, context: Context) -> Any:
        got = source.get(self.source, ABSENT)
        if blank(got):
            if self.required:
                raise missing(self.source)
            return None if got == "" else got
        if self.to not in context.targets:  # this site has switched that sync off: there is nothing to refer to
            if self.required:
                raise Rejected(
                    f"{label(self.source)} cannot be referred to, because {self.to} is switched off.",
                    code="SYNC_SWITCHED_OFF",
                    who="administrator",
                    field=self.source,
                )
            return ABSENT
        kind, short = context.targets[self.to]
        return Ref(kind, external_id=external_id(short, str(got)))

    def describe(self) -> str:
        return f"link {self.source} to {self.to}" + (", required" if self.required else "")


@dataclass(frozen=True, slots=True)
class linked:
    """The way back: the Salesforce record that the sync *via* made the referenced NetSuite record from.

    The value is a ``Ref`` of kind ``@<sync>``, which the engine replaces by way of the link table, or by nothing.
    """

    source: str
    via: str

    def reads(self) -> tuple[str, ...]:
        return (self.source,)

    def value(self, source: Fields, context: Context) -> Any:
        got = source.get(self.source, ABSENT)
        if blank(got):
            return None if got == "" else got
        return Ref(f"@{self.via}", id=got.id if isinstance(got, Ref) else str(got))

    def describe(self) -> str:
        return f"the record behind {self.source}, linked by {self.via}"
