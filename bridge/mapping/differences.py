"""How two sets of syncs differ, field by field and gate by gate: what a person reads before a change goes live.

Must not know: where either came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.mapping.syncs import Sync, Syncs
from bridge.mapping.tables import gates, rows


@dataclass(frozen=True, slots=True)
class Difference:
    """One field, gate or whole sync: *old* is None where it is new, *new* where it is gone."""

    sync: str
    what: str
    old: str | None
    new: str | None


def differences(old: Syncs, new: Syncs) -> Iterator[Difference]:
    """Yield what differs, in the order of the syncs."""
    before: dict[str, Sync] = {**old.pushes, **old.pulls}
    after: dict[str, Sync] = {**new.pushes, **new.pulls}
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name), after.get(name)
        if one is None or other is None:
            words = ("on", "off") if other is None else ("off", "on")
            yield Difference(name, "the sync", *words)
            continue
        left, right = dict(rows(one)), dict(rows(other))
        for field in dict.fromkeys((*left, *right)):
            if left.get(field) != right.get(field):
                yield Difference(name, field, left.get(field), right.get(field))
        for gate in dict.fromkeys((*gates(one), *gates(other))):
            if (gate in gates(one)) != (gate in gates(other)):
                told = ("", None) if gate in gates(one) else (None, "")
                yield Difference(name, f"only when {gate}", *told)
    yield from _site(old, new)


def _site(old: Syncs, new: Syncs) -> Iterator[Difference]:
    """Yield the site's choices that differ: rules name them, but do not hold them."""
    for name in dict.fromkeys((*old.context.site, *new.context.site)):
        left, right = old.context.site.get(name), new.context.site.get(name)
        if isinstance(left, dict) and isinstance(right, dict):
            for key in dict.fromkeys((*left, *right)):
                if left.get(key) != right.get(key):
                    yield Difference("site", f"{name}.{key}", _words(left.get(key)), _words(right.get(key)))
        elif left != right:
            yield Difference("site", name, _words(left), _words(right))


def _words(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, dict):
        return ", ".join(f"{name} {it}" for name, it in value.items() if it is not None)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
