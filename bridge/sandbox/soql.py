"""A small, strict grammar of SOQL: text in, ``Query`` out; what it does not know is MALFORMED_QUERY, never a guess.

``parse`` reads SELECT (fields, parent paths, one level of child queries, COUNT SUM MIN MAX), WHERE (AND OR NOT,
= != < <= > >= IN NOT IN LIKE), GROUP BY, ORDER BY, LIMIT, OFFSET and ALL ROWS.

Source: SOQL and SOSL Reference, "SOQL SELECT Syntax".

Must not know: records, fields that exist, HTTP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from bridge.sandbox.salesforce_values import Refused, day, instant

MAX_LENGTH = 100_000  # characters of one query (SOQL and SOSL Limits)
MAX_PARENTS = 5  # levels of a parent path (Relationship Query Limitations)
KEYWORDS = frozenset(
    {
        "select",
        "from",
        "where",
        "and",
        "or",
        "not",
        "in",
        "like",
        "group",
        "by",
        "order",
        "asc",
        "desc",
        "nulls",
        "first",
        "last",
        "limit",
        "offset",
        "all",
        "rows",
        "null",
        "true",
        "false",
        "having",
        "with",
        "for",
        "using",
        "typeof",
        "includes",
        "excludes",
        "scope",
        "update",
    }
)
FUNCTIONS = frozenset({"count", "sum", "min", "max"})
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<datetime>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2}))
    | (?P<date>\d{4}-\d{2}-\d{2})
    | (?P<number>[+-]?\d+(?:\.\d+)?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
    | (?P<sign><=|>=|!=|<>|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "N": "\n", "r": "\r", "R": "\r", "t": "\t", "T": "\t", "b": "\b", "f": "\f"}


@dataclass(frozen=True)
class Path:
    """A field, through zero or more parents."""

    steps: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.steps)


@dataclass(frozen=True)
class Aggregate:
    """``SUM(Amount) total``; *path* is None for ``COUNT()``."""

    function: str
    path: Path | None
    alias: str | None


@dataclass(frozen=True)
class Literal:
    """A value in a condition and how it was written: string, number, boolean, null, date, datetime."""

    kind: str
    value: str | Decimal | bool | date | datetime | None


@dataclass(frozen=True)
class Condition:
    """``path operator value``; for IN and NOT IN *value* is a tuple of literals."""

    path: Path
    operator: str
    value: Literal | tuple[Literal, ...]


@dataclass(frozen=True)
class Logic:
    """``and``, ``or``, ``not`` over *parts*."""

    word: str
    parts: tuple[Any, ...]


@dataclass(frozen=True)
class Order:
    """One column of ORDER BY."""

    path: Path
    descending: bool = False
    nulls_last: bool = False


@dataclass
class Query:
    """A parsed query."""

    source: str
    select: list[Path | Aggregate | Query] = field(default_factory=list)
    where: Condition | Logic | None = None
    group: list[Path] = field(default_factory=list)
    order: list[Order] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0
    all_rows: bool = False

    @property
    def is_count(self) -> bool:
        """``SELECT COUNT() FROM …``: the answer is a size without records."""
        first = self.select[0]
        return isinstance(first, Aggregate) and first.path is None

    @property
    def is_aggregate(self) -> bool:
        """The answer holds AggregateResults."""
        return bool(self.group) or any(isinstance(one, Aggregate) for one in self.select)


def parse(text: str) -> Query:
    """Parse *text*. Raises ``Refused`` MALFORMED_QUERY."""
    if len(text) > MAX_LENGTH:
        raise Refused("QUERY_TOO_COMPLICATED", "SOQL statements cannot be longer than 100000 characters.")
    parser = _Parser(text)
    query = parser.query(nested=False)
    parser.end()
    return query


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0
        self.tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(text):
            if not text[position:].strip():
                break
            match = _TOKEN.match(text, position)
            if match is None:
                raise _malformed(f"unexpected token: '{text[position:].strip()[:1]}'")
            kind = str(match.lastgroup)
            self.tokens.append((kind, match.group(kind)))
            position = match.end()

    # --- tokens -------------------------------------------------------------------------------------------------

    def peek(self, ahead: int = 0) -> tuple[str, str]:
        place = self.place + ahead
        return self.tokens[place] if place < len(self.tokens) else ("end", "<EOF>")

    def word(self, ahead: int = 0) -> str:
        kind, text = self.peek(ahead)
        return text.lower() if kind == "word" else text if kind == "sign" else ""

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.place += 1
        return token

    def accept(self, *words: str) -> bool:
        if all(self.word(ahead) == word for ahead, word in enumerate(words)):
            self.place += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        for word in words:
            if not self.accept(word):
                raise self.unexpected()

    def unexpected(self) -> Refused:
        return _malformed(f"unexpected token: '{self.peek()[1]}'")

    def end(self) -> None:
        if self.peek()[0] != "end":
            raise self.unexpected()

    def name(self) -> str:
        kind, text = self.take()
        if kind != "word" or text.lower() in KEYWORDS:
            self.place -= 1
            raise self.unexpected()
        return text

    # --- clauses ------------------------------------------------------------------------------------------------

    def query(self, *, nested: bool) -> Query:
        self.expect("select")
        select = [self.item(nested=nested)]
        while self.accept(","):
            select.append(self.item(nested=nested))
        self.expect("from")
        query = Query(self.name(), select)
        if "." in query.source:
            raise _malformed(f"unexpected token: '{query.source}'")
        if self.accept("where"):
            query.where = self.condition()
        if self.accept("group", "by"):
            query.group = self.paths()
        if self.accept("order", "by"):
            query.order = [self.ordering()]
            while self.accept(","):
                query.order.append(self.ordering())
        if self.accept("limit"):
            query.limit = self.whole()
        if self.accept("offset"):
            query.offset = self.whole()
        if not nested and self.accept("all", "rows"):
            query.all_rows = True
        self._check(query, nested=nested)
        return query

    def _check(self, query: Query, *, nested: bool) -> None:
        if query.offset > 2000:
            raise Refused("NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000")
        if nested and query.is_aggregate:
            raise _malformed("aggregates are not allowed in a child query")
        if query.is_count and len(query.select) > 1:
            raise _malformed("COUNT() must be the only element in the SELECT list")
        seen = [str(one).lower() for one in query.select if isinstance(one, Path)]
        for one in seen:
            if seen.count(one) > 1:
                raise Refused("INVALID_FIELD", f"duplicate field selected: {one}")
        if query.is_aggregate and not query.is_count:
            grouped = {str(one).lower() for one in query.group}
            for item in query.select:
                if isinstance(item, Query) or (isinstance(item, Path) and str(item).lower() not in grouped):
                    shown = "child query" if isinstance(item, Query) else str(item)
                    raise _malformed(f"Field must be grouped or aggregated: {shown}")

    def item(self, *, nested: bool) -> Path | Aggregate | Query:
        if self.accept("("):
            if nested:
                raise _malformed("only one level of child queries is supported")
            inner = self.query(nested=True)
            self.expect(")")
            return inner
        if self.word(1) == "(":
            function = self.name().lower()
            if function not in FUNCTIONS:
                raise _malformed(f"unexpected token: '{function}' (this function is not known here)")
            self.expect("(")
            path = None if function == "count" and self.word() == ")" else self.path()
            self.expect(")")
            kind, text = self.peek()
            alias = self.name() if kind == "word" and text.lower() not in KEYWORDS else None
            return Aggregate(function, path, alias)
        return self.path()

    def paths(self) -> list[Path]:
        found = [self.path()]
        while self.accept(","):
            found.append(self.path())
        return found

    def path(self) -> Path:
        steps = tuple(self.name().split("."))
        if len(steps) > MAX_PARENTS + 1:
            raise _malformed(f"a parent path has at most {MAX_PARENTS} levels: {'.'.join(steps)}")
        if self.word() == "(":
            raise self.unexpected()
        return Path(steps)

    def ordering(self) -> Order:
        path = self.path()
        descending = not self.accept("asc") and self.accept("desc")
        nulls_last = False
        if self.accept("nulls"):
            nulls_last = not self.accept("first")
            if nulls_last:
                self.expect("last")
        return Order(path, descending, nulls_last)

    def whole(self) -> int:
        kind, text = self.take()
        if kind != "number" or not text.isdigit():
            self.place -= 1
            raise self.unexpected()
        return int(text)

    # --- conditions ---------------------------------------------------------------------------------------------

    def condition(self) -> Condition | Logic:
        first = self.term()
        word = self.word()
        if word not in ("and", "or"):
            return first
        parts = [first]
        while self.accept(word):
            parts.append(self.term())
        if self.word() in ("and", "or"):
            # SOQL refuses AND beside OR without parentheses instead of ranking them.
            raise self.unexpected()
        return Logic(word, tuple(parts))

    def term(self) -> Condition | Logic:
        if self.accept("not"):
            return Logic("not", (self.term(),))
        if self.accept("("):
            inner = self.condition()
            self.expect(")")
            return inner
        path = self.path()
        if self.accept("not", "in"):
            return Condition(path, "not in", self.literals())
        if self.accept("in"):
            return Condition(path, "in", self.literals())
        if self.accept("like"):
            value = self.literal()
            if value.kind != "string":
                raise _malformed("LIKE needs a string in quotes")
            return Condition(path, "like", value)
        kind, sign = self.take()
        if kind != "sign" or sign not in ("=", "!=", "<>", "<", "<=", ">", ">="):
            self.place -= 1
            raise self.unexpected()
        return Condition(path, "!=" if sign == "<>" else sign, self.literal())

    def literals(self) -> tuple[Literal, ...]:
        self.expect("(")
        if self.word() == "select":
            raise _malformed("a query inside IN is not known here")
        values = [self.literal()]
        while self.accept(","):
            values.append(self.literal())
        self.expect(")")
        return tuple(values)

    def literal(self) -> Literal:
        kind, text = self.take()
        if kind == "string":
            return Literal("string", _unquoted(text))
        if kind == "number":
            return Literal("number", Decimal(text))
        if kind == "date" and (value := day(text)):
            return Literal("date", value)
        if kind == "datetime" and (moment := instant(text)):
            return Literal("datetime", moment)
        if kind == "word" and text.lower() in ("true", "false"):
            return Literal("boolean", text.lower() == "true")
        if kind == "word" and text.lower() == "null":
            return Literal("null", None)
        self.place -= 1
        raise self.unexpected()


def _unquoted(text: str) -> str:
    r"""The value of a quoted string. ``\%`` and ``\_`` keep their backslash for LIKE."""

    def plain(match: re.Match[str]) -> str:
        sign = match.group(1)
        if sign in _ESCAPES:
            return _ESCAPES[sign]
        if sign in "%_":
            return "\\" + sign
        if sign in "'\"\\":
            return sign
        raise _malformed(f"Illegal string literal: invalid string literal. Illegal character sequence '\\{sign}'")

    return re.sub(r"\\(.)", plain, text[1:-1], flags=re.DOTALL)


def _malformed(message: str) -> Refused:
    return Refused("MALFORMED_QUERY", message)
