"""A gate is data: field, operator, value. A closed one explains itself in a salesperson's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.mapping.base import Context, blank, decimal, label
from bridge.ports import Fields


@dataclass(frozen=True, slots=True)
class Test:
    """A gate: field, operator, value. *value* may be ``site:<name>``, a list that the site chooses."""

    field: str
    operator: str  # one of: is not blank, is true, is in, is positive, is known
    value: Any = None

    def reads(self) -> tuple[str, ...]:
        return (self.field,)

    def _wanted(self, context: Context) -> Any:
        if isinstance(self.value, str) and self.value.startswith("site:"):
            return context.site[self.value.removeprefix("site:")]
        return self.value

    def holds(self, source: Fields, context: Context) -> bool:
        got = source.get(self.field)
        match self.operator:
            case "is not blank":
                return not blank(got)
            case "is true":
                return got is True
            case "is in":
                return got in self._wanted(context)
            case "is positive":
                return not blank(got) and decimal(got, self.field) > 0
        raise ValueError(self.operator)

    def explain(self, source: Fields, context: Context) -> str:
        """Return why the gate is closed, in the words of a salesperson."""
        got, name = source.get(self.field), label(self.field)
        if self.field not in source:
            return f"{name} was not sent"
        if self.operator == "is in":
            return f"{name} is {'empty' if blank(got) else got}, needs {' or '.join(map(str, self._wanted(context)))}"
        if self.operator == "is true":
            return f"{name} is not ticked"
        if self.operator == "is positive":
            return f"{name} is not above zero"
        return f"{name} is empty"

    def describe(self) -> str:
        if self.value is None:
            return f"{label(self.field)} {self.operator}"
        if isinstance(self.value, str):
            return (
                f"{label(self.field)} {self.operator} this site's {self.value.removeprefix('site:').replace('_', ' ')}"
            )
        return f"{label(self.field)} {self.operator} {', '.join(self.value)}"


def is_not_blank(name: str) -> Test:
    return Test(name, "is not blank")


def is_true(name: str) -> Test:
    return Test(name, "is true")


def is_in(name: str, values: Sequence[str] | str) -> Test:
    return Test(name, "is in", values if isinstance(values, str) else tuple(values))


def is_positive(name: str) -> Test:
    return Test(name, "is positive")
