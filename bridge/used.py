"""What this site's syncs use of NetSuite's schema: read off the rules, for a rule is data.

A pull's code (``expand``, ``follow``, ``compute``) cannot be read off, so it is watched: it is given one record in
which every field is filled, and what it looks at is noted.

Must not know: SOAP, SQL, HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from bridge.errors import BridgeError
from bridge.mapping import Context, Pull, Push, Rule, Syncs, applied, const, currency, lines, link, site, when
from bridge.mapping import choice as choice_rule
from bridge.mapping.syncs import Follow
from bridge.netsuite.uses import Uses
from bridge.ports import Fields

NUMBERED = ("tranId", "itemList.line", "expenseList.line")  # read back after an order was sent
Sample = Callable[[str], dict[str, Any]]  # kind → a record of it in which every field is filled


def uses(syncs: Syncs, sample: Sample) -> Uses:
    """Return what the syncs of a site write and read. *sample* makes a NetSuite record to watch a pull with."""
    writes: dict[str, dict[str, frozenset[str] | None]] = {}
    always: dict[str, set[str]] = {}
    reads: dict[str, set[str]] = {}
    named: dict[str, list[str]] = {}
    for push in syncs.pushes.values():
        own = writes.setdefault(push.target, {})
        for path, words, is_always in written(push, syncs.context):
            known = own.get(path, frozenset())
            own[path] = None if words is None or known is None else known | words
            if is_always:
                always.setdefault(push.target, set()).add(path)
        if push.numbered:
            back = [it for it in NUMBERED if it.partition(".")[0] in {"tranId", *push.fields}]
            reads.setdefault(push.target, set()).update(back)
        named.setdefault(push.target, []).append(push.name)
    for pull in syncs.pulls.values():
        for kind, paths in read(pull, syncs.context, sample).items():
            reads.setdefault(kind, set()).update(paths)
            named.setdefault(kind, []).append(pull.name)
    return Uses(
        writes,
        {kind: frozenset(paths) for kind, paths in always.items()},
        {kind: frozenset(paths) for kind, paths in reads.items()},
        # A reconciliation searches for what is pushed.
        frozenset([*(it.source for it in syncs.pulls.values()), *(it.target for it in syncs.pushes.values())]),
        {kind: tuple(dict.fromkeys(names)) for kind, names in named.items()},
    )


def written(push: Push, context: Context) -> Iterator[tuple[str, frozenset[str] | None, bool]]:
    """Yield each path that a push writes, the words it may send there (None for any), and if it always does."""
    for name, rule in push.fields.items():
        if isinstance(rule, lines):
            yield name, None, False
            if push.numbered:
                yield f"{name}.line", None, False  # the key by which NetSuite finds a line again
            for row in (rule.fields, *rule.first):
                for inner, one in row.items():
                    yield f"{name}.{inner}", _words(one, context), False
        elif isinstance(rule, applied):
            yield name, None, False
            yield from ((f"{name}.{inner}", None, False) for inner in ("apply", "doc", "amount"))
        else:
            yield name, _words(rule, context), _is_always(rule)
    for name, value in (push.closing or {}).items():
        yield name, frozenset({value}) if isinstance(value, str) else None, False


def _is_always(rule: Rule) -> bool:
    return isinstance(rule, const | currency) or bool(getattr(rule, "required", False))


def _words(rule: Rule, context: Context) -> frozenset[str] | None:
    """Return the words a rule can come to; None where that cannot be told."""
    found: list[Any] = []
    match rule:
        case const():
            found = [rule.constant]
        case site():
            found = [rule.chosen(context)]
        case choice_rule():
            found = list(rule.table.values())
        case when():
            inner = [_words(rule.then, context), _words(rule.otherwise, context)]
            return None if None in inner else frozenset().union(*(it for it in inner if it is not None))
        case link() | currency():
            return frozenset()
        case _:
            return None
    return frozenset(it for it in found if isinstance(it, str))


def read(pull: Pull, context: Context, sample: Sample) -> dict[str, set[str]]:
    """Return the paths that a pull looks at, by kind: of its source, and of what it follows."""
    source = Watched(sample(pull.source))
    asked = [name for rule in pull.fields.values() for name in rule.reads()] + list(pull.key.reads())
    for child in pull.children:
        asked += [f"{child.source}.{name}" for rule in child.fields.values() for name in rule.reads()]
    others: dict[str, Watched] = {}
    ids: set[str] = set()
    found: dict[str, set[str]] = {}
    _follow(pull.follow, source, sample, others, ids, found)
    for other in (*others.values(), None):
        related = {} if other is None else dict.fromkeys(ids, other)
        _quietly(partial(pull.records, source, related, context))
    there = _paths(sample(pull.source))
    found.setdefault(pull.source, set()).update(it for it in (*asked, *source.seen) if it in there)
    for kind, other in others.items():
        there = _paths(sample(kind))
        found.setdefault(kind, set()).update(it for it in other.seen if it in there)
    return found


def _follow(
    follows: Sequence[Follow],
    source: Watched,
    sample: Sample,
    others: dict[str, Watched],
    ids: set[str],
    found: dict[str, set[str]],
) -> None:
    """Note what *follows* lead to: invented records by kind, their ids, and the fields that are asked for."""
    for it in follows:
        other = others.setdefault(it.kind, Watched(sample(it.kind)))
        ids.update(_quietly(partial(it.source, source)))
        found.setdefault(it.kind, set()).update(it.fields)
        _follow(it.then, other, sample, others, ids, found)


def _quietly(work: Callable[[], Any]) -> list[str]:
    try:
        return list(work())
    except (BridgeError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError):
        return []  # an invented record need not make sense; what it looked at before it failed is noted


def _paths(fields: Mapping[str, Any]) -> set[str]:
    found = set(fields)
    for name, value in fields.items():
        if isinstance(value, list):
            found |= {f"{name}.{inner}" for row in value if isinstance(row, Mapping) for inner in row}
    return found


class Watched(dict[str, Any]):
    """A record that notes which of its fields were looked at, also those of its lines."""

    def __init__(self, fields: Fields, under: str = "", seen: set[str] | None = None) -> None:
        self.seen: set[str] = set() if seen is None else seen
        self._under = under
        made = {
            name: [Watched(row, f"{name}.", self.seen) if isinstance(row, Mapping) else row for row in value]
            if isinstance(value, list)
            else value
            for name, value in fields.items()
        }
        super().__init__(made)

    def __getitem__(self, name: str) -> Any:
        self.seen.add(f"{self._under}{name}")
        return super().__getitem__(name)

    def get(self, name: str, otherwise: Any = None) -> Any:
        self.seen.add(f"{self._under}{name}")
        return super().get(name, otherwise)
