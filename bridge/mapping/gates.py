"""A gate is data: field, operator, value. A closed one explains itself in a salesperson's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.mapping.base import Context, blank, decimal, label
from bridge.ports import Fields

OPERATORS = (
    "is not blank", "is blank", "is true", "is not true", "is in", "is not in",
    "is positive", "is at most", "is at least",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Test:
    """A gate: field, operator, value. *value* may be ``site:<name>``, a list that the site chooses."""

    field: str
    operator: str  # one of `OPERATORS`
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
            case "is blank":
                return blank(got)
            case "is not true":
                return got is not True
            case "is not in":
                return got not in self._wanted(context)
            case "is at most":  # an empty amount exceeds nothing
                return blank(got) or decimal(got, self.field) <= decimal(self._wanted(context), self.field)
            case "is at least":
                return not blank(got) and decimal(got, self.field) >= decimal(self._wanted(context), self.field)
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
        match self.operator:
            case "is not in":
                return f"{name} is {got}, which is not sent"
            case "is not true":
                return f"{name} is ticked"
            case "is positive":
                return f"{name} is not above zero"
            case "is at most" | "is at least":
                return f"{name} is {'empty' if blank(got) else got}, needs {self.operator[3:]} {self._wanted(context)}"
            case "is blank":
                return f"{name} is not empty"
        return f"{name} is empty"

    def describe(self) -> str:
        if self.value is None:
            return f"{label(self.field)} {self.operator}"
        if isinstance(self.value, str):
            return (
                f"{label(self.field)} {self.operator} this site's {self.value.removeprefix('site:').replace('_', ' ')}"
            )
        words = self.value if isinstance(self.value, tuple | list) else (self.value,)
        return f"{label(self.field)} {self.operator} {', '.join(map(str, words))}"


def is_not_blank(name: str) -> Test:
    return Test(name, "is not blank")


def is_true(name: str) -> Test:
    return Test(name, "is true")


def is_in(name: str, values: Sequence[str] | str) -> Test:
    return Test(name, "is in", values if isinstance(values, str) else tuple(values))


def is_positive(name: str) -> Test:
    return Test(name, "is positive")
