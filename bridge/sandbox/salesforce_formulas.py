"""Formulas of the package: fields that are worked out when they are read, and rules that refuse a save.

``compiled`` turns a formula into a function of a ``Scope``; what it does not know is refused when the metadata is
loaded. Source: Salesforce Help, "Formula Operators and Functions"; a blank is nought or empty unless ISBLANK asks.

Must not know: HTTP, SOQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>\d+(?:\.\d+)?)|(?P<name>\$?[A-Za-z]\w*(?:\.\w+)*)'
    r"|(?P<sign><>|<=|>=|==|!=|&&|\|\||[-+*/&<>=(),]))"
)


@dataclass(frozen=True)
class Scope:
    """What a formula may look at: the row, what it was before, its lookups, the day, and who saves it."""

    row: Mapping[str, Any]
    old: Mapping[str, Any] | None
    related: Callable[[str, str], Any]  # relationship, field → value
    today: date
    user_id: str = ""
    permissions: frozenset[str] = field(default_factory=frozenset)


Formula = Callable[[Scope], Any]


@lru_cache(maxsize=512)
def compiled(text: str) -> Formula:
    """Return *text* as a function. Raises ValueError for what the fake cannot work out."""
    parser = _Parser(text)
    made = parser.either()
    if parser.peek() is not None:
        raise ValueError(f"the fake Salesforce cannot read the formula {text!r}")
    return made


def names(text: str) -> list[str]:
    """List the fields and relationships that a formula names."""
    return [found["name"] for found in TOKEN.finditer(text) if found["name"] and "(" not in found["name"]]


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.place = text.strip(), 0
        self.tokens: list[tuple[str, str]] = []
        while self.place < len(self.text):
            found = TOKEN.match(self.text, self.place)
            if found is None:
                raise ValueError(f"the fake Salesforce cannot read the formula {text!r}")
            kind = str(found.lastgroup)
            self.tokens.append((kind, found[kind]))
            self.place = found.end()
        self.at = 0

    def peek(self) -> str | None:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else None

    def take(self, *wanted: str) -> str | None:
        if self.at < len(self.tokens) and self.tokens[self.at][0] == "sign" and self.peek() in wanted:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def either(self) -> Formula:
        left = self.both()
        while self.take("||"):
            left = _joined(any, [left, self.both()])
        return left

    def both(self) -> Formula:
        left = self.compared()
        while self.take("&&"):
            left = _joined(all, [left, self.compared()])
        return left

    def compared(self) -> Formula:
        left = self.sum()
        while sign := self.take("=", "==", "<>", "!=", "<=", ">=", "<", ">"):
            left = _comparison(sign, left, self.sum())
        return left

    def sum(self) -> Formula:
        left = self.product()
        while sign := self.take("+", "-", "&"):
            left = _arithmetic(sign, left, self.product())
        return left

    def product(self) -> Formula:
        left = self.one()
        while sign := self.take("*", "/"):
            left = _arithmetic(sign, left, self.one())
        return left

    def one(self) -> Formula:
        if self.take("("):
            inner = self.either()
            self.close()
            return inner
        if self.take("-"):
            inner = self.one()
            return lambda scope: -_number(inner(scope))
        kind, word = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        self.at += 1
        if kind == "text":
            value = re.sub(r"\\(.)", r"\1", word[1:-1])
            return lambda scope: value
        if kind == "number":
            number = Decimal(word)
            return lambda scope: number
        if kind != "name":
            raise ValueError(f"the fake Salesforce cannot read the formula {self.text!r}")
        if self.take("("):
            return self.call(word.upper())
        if word.upper() in ("TRUE", "FALSE"):
            return lambda scope: word.upper() == "TRUE"
        return _named(word)

    def call(self, name: str) -> Formula:
        named = self.peek() or ""
        given: list[Formula] = []
        while not self.take(")"):
            given.append(self.either())
            if not self.take(","):
                self.close()
                break
        made = _call(name, given, named)
        if made is None:
            raise ValueError(f"the fake Salesforce does not know the formula function {name}")
        return made

    def close(self) -> None:
        if not self.take(")"):
            raise ValueError(f"the fake Salesforce cannot read the formula {self.text!r}")


def _named(word: str) -> Formula:
    head, _, rest = word.partition(".")
    if head == "$Permission":
        return lambda scope: rest in scope.permissions
    if word == "$User.Id":
        return lambda scope: scope.user_id
    if head.startswith("$"):
        raise ValueError(f"the fake Salesforce does not know {word}")
    if rest:
        return lambda scope: scope.related(head, rest)
    return lambda scope: scope.row.get(word)


def _call(name: str, given: list[Formula], named: str) -> Formula | None:
    """Return a call of a function; *named* is the field that stands first in it."""
    first = given[0] if given else None
    if name == "TODAY" and not given:
        return lambda scope: scope.today
    if name in ("AND", "OR"):
        return _joined(all if name == "AND" else any, given)
    if name == "ISNEW":
        return lambda scope: scope.old is None
    if first is None:
        return None
    if name == "ISCHANGED":
        return lambda scope: scope.old is not None and scope.old.get(named) != scope.row.get(named)
    if name == "PRIORVALUE":
        return lambda scope: (scope.row if scope.old is None else scope.old).get(named)
    simple: dict[str, Formula] = {
        "NOT": lambda scope: not first(scope),
        "ISBLANK": lambda scope: first(scope) in (None, ""),
        "TEXT": lambda scope: _text(first(scope)),
        "LEN": lambda scope: Decimal(len(_text(first(scope)))),
    }
    if name in simple:
        return simple[name]
    if name == "ISPICKVAL" and len(given) == 2:
        return lambda scope: _text(first(scope)) == given[1](scope)
    if name == "IF" and len(given) == 3:
        return lambda scope: given[1](scope) if first(scope) else given[2](scope)
    if name == "BLANKVALUE" and len(given) == 2:
        return lambda scope: given[1](scope) if first(scope) in (None, "") else first(scope)
    return None


def _joined(how: Callable[[Any], bool], parts: list[Formula]) -> Formula:
    return lambda scope: how(bool(part(scope)) for part in parts)


def _comparison(sign: str, left: Formula, right: Formula) -> Formula:
    def compare(scope: Scope) -> bool:
        a, b = left(scope), right(scope)
        if isinstance(a, date) or isinstance(b, date):
            if a is None or b is None:
                return False if sign not in ("<>", "!=") else a != b
        elif isinstance(a, Decimal) or isinstance(b, Decimal):
            a, b = _number(a), _number(b)
        elif not isinstance(a, bool) and not isinstance(b, bool):
            a, b = _text(a), _text(b)
        return bool(
            {
                "=": lambda: a == b, "==": lambda: a == b, "<>": lambda: a != b, "!=": lambda: a != b,
                "<": lambda: a < b, ">": lambda: a > b, "<=": lambda: a <= b, ">=": lambda: a >= b,
            }[sign]()
        )  # fmt: skip

    return compare


def _arithmetic(sign: str, left: Formula, right: Formula) -> Formula:
    def work_out(scope: Scope) -> Any:
        a, b = left(scope), right(scope)
        if sign == "&" or (sign == "+" and isinstance(a, str)):
            return _text(a) + _text(b)
        if isinstance(a, date):
            if sign == "-" and isinstance(b, date):
                return Decimal((a - b).days)
            days = timedelta(days=int(_number(b)))
            return a + days if sign == "+" else a - days
        a, b = _number(a), _number(b)
        return a + b if sign == "+" else a - b if sign == "-" else a * b if sign == "*" else a / b

    return work_out


def _number(value: Any) -> Decimal:
    return Decimal(0) if value is None else Decimal(value)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
