"""What differs between two sets of bindings in what the bridge uses, and what of it breaks.

``compare`` returns a ``Report``. Breaking is what makes a request that NetSuite would refuse, or an answer in which
something that the bridge looks for is missing. Order is not: requests follow the order of the new set, answers are read
by name. What is only new is not either, unless NetSuite insists on it.

Must not know: zeep, values of records, HTTP.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bridge.netsuite.inventory import PLAIN, Inventory, Member, Name, Type
from bridge.netsuite.uses import OPERATIONS, Need, Needs, Uses

NEW, CHANGED, MOVED, GONE, MISSING = "new", "changed", "moved", "gone", "missing"
NEW_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. *what* is operation, record, field, type, order, enumeration, attribute or fault."""

    what: str
    change: str
    where: str
    sentence: str
    breaks: bool = False

    def __str__(self) -> str:
        return f"{self.what} {self.where} {self.change}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Report:
    """The comparison of *old* with *new*. *elsewhere* counts types and operations that differ and are not used."""

    old: str
    new: str
    differences: tuple[Difference, ...]
    elsewhere: int = 0

    @property
    def breaking(self) -> tuple[Difference, ...]:
        return tuple(it for it in self.differences if it.breaks)

    @property
    def safe(self) -> tuple[Difference, ...]:
        return tuple(it for it in self.differences if not it.breaks)


def compare(old: Inventory, new: Inventory, shipped: Inventory, uses: Uses) -> Report:
    """Compare what *uses* needs of two sets. *shipped* is the set that came with the bridge: what the adapter uses."""
    needs = Needs(uses, (old, new), shipped)
    found = _Comparison(old, new, needs)
    found.operations()
    for name, need in needs.by_type.items():
        found.type(name, need)
    for kind, path in needs.lost:
        words = f"the field '{path}', which no set has" if path else "no record that the bridge knows"
        found.say("field" if path else "record", MISSING, path or kind, f"{kind}: {words}.", breaks=True)
    elsewhere = sum(old.types.get(it) != new.types.get(it) for it in (old.types | new.types) if it not in needs.by_type)
    unused = (old.operations.keys() ^ new.operations.keys()) - OPERATIONS.keys()
    return Report(old.version, new.version, tuple(found.ordered()), elsewhere + len(unused))


class _Comparison:
    def __init__(self, old: Inventory, new: Inventory, needs: Needs) -> None:
        self._old, self._new, self._needs = old, new, needs
        self._found: list[Difference] = []

    def say(self, what: str, change: str, where: str, sentence: str, *, breaks: bool = False) -> None:
        self._found.append(Difference(what, change, where, sentence, breaks))

    def ordered(self) -> list[Difference]:
        return sorted(dict.fromkeys(self._found), key=lambda it: (not it.breaks, it.what, it.where))

    # Operations and faults

    def operations(self) -> None:
        for name, headers in OPERATIONS.items():
            old, new = self._old.operations.get(name), self._new.operations.get(name)
            if new is None:
                change = GONE if old else MISSING
                self.say("operation", change, name, "The bridge calls it.", breaks=True)
                continue
            for part in headers:
                if part not in new.headers:
                    sentence = f"It takes no header {part} any more, which the bridge sends."
                    self.say("operation", CHANGED, name, sentence, breaks=True)
            if old is None:
                continue
            for word, before, now in (
                ("SOAP action", old.action, new.action),
                ("request", old.request, new.request),
                ("answer", old.answer, new.answer),
                ("type of the request", self._old.elements[old.request], self._new.elements[new.request]),
                ("type of the answer", self._old.elements[old.answer], self._new.elements[new.answer]),
            ):
                if before != now:
                    sentence = f"Its {word} was {_word(before)} and is {_word(now)}."
                    self.say("operation", CHANGED, name, sentence, breaks=True)
            self._faults(name, old.faults.keys(), new.faults.keys())

    def _faults(self, operation: str, old: Iterable[str], new: Iterable[str]) -> None:
        before, now = set(old), set(new)
        for one in sorted(now - before):
            words = "It may come now. One that the bridge does not know counts as in doubt: it looks the record up."
            self.say("fault", NEW, f"{operation}: {one}", words)
        for one in sorted(before - now):
            self.say("fault", GONE, f"{operation}: {one}", "It does not come any more.")

    # Types

    def type(self, name: Name, need: Need) -> None:
        old, new = self._old.types.get(name), self._new.types.get(name)
        who = _who(need)
        if new is None:
            self._gone(name, need, old)
            return
        if old is None:
            if need.asked or need.read or need.words:
                self._needed_members(name, need)
            return
        if old.simple != new.simple:
            self.say("type", CHANGED, name[1], f"It was another kind of type. {who}.", breaks=True)
        elif new.simple:
            self._enumeration(old, new, need)
        else:
            self._derivation(name, need)
            self._members(name, need)
            self._attributes(name, need)
            self._order(name)

    def _gone(self, name: Name, need: Need, old: Type | None) -> None:
        what = self._what(name)
        elsewhere = next((it for it in self._new.types if it[1] == name[1]), None)
        if elsewhere is not None and old is not None:
            sentence = f"It was in {name[0]} and is in {elsewhere[0]}. {_who(need)}."
            self.say(what, MOVED, name[1], sentence, breaks=True)
            return
        used = bool(need.asked or need.read or need.is_asked)
        self.say(what, GONE if old else MISSING, name[1], f"{_who(need)}.", breaks=used)

    def _what(self, name: Name) -> str:
        line = self._old.line(name) or self._new.line(name)
        if name[0].startswith("faults"):
            return "fault"
        return "record" if any(it.name[1] == "Record" for it in line[1:]) else "type"

    def _derivation(self, name: Name, need: Need) -> None:
        before = [it.name for it in self._old.line(name)]
        now = [it.name for it in self._new.line(name)]
        lost = [it[1] for it in before if it not in now]
        if lost:
            sentence = f"It is no {lost[-1]} any more. {_who(need)}."
            self.say("type", CHANGED, name[1], sentence, breaks=need.is_asked)
        if self._new.types[name].abstract and not self._old.types[name].abstract:
            sentence = f"It cannot be sent as it is any more. {_who(need)}."
            self.say("type", CHANGED, name[1], sentence, breaks=need.is_asked)

    def _members(self, name: Name, need: Need) -> None:
        old = {it.name: it for it in self._old.members(name)}
        new = {it.name: it for it in self._new.members(name)}
        fresh = [it for it in new if it not in old]
        for one, member in old.items():
            if one not in new:
                self._lost_member(name, need, member, [new[it] for it in fresh])
        for one in fresh:
            self._new_member(name, need, new[one])
        for one in old.keys() & new.keys():
            self._changed_member(name, need, old[one], new[one])
        for one in sorted(_elements(need) - old.keys() - new.keys()):
            self.say("field", MISSING, f"{name[1]}.{one}", f"{_used(one, need)}.", breaks=True)

    def _needed_members(self, name: Name, need: Need) -> None:
        """Judge a type that the old set does not have: everything that is needed must be there."""
        there = {it.name for it in self._new.members(name)} | {f"@{it}" for it in self._new.attributes(name)}
        for one in sorted((need.asked | need.read) - there):
            self.say("field", MISSING, f"{name[1]}.{one.lstrip('@')}", f"{_used(one, need)}.", breaks=True)
        for member in self._new.members(name):
            if member.least and need.is_asked and member.name not in need.always | need.asked:
                self._new_member(name, need, member)

    def _lost_member(self, name: Name, need: Need, old: Member, fresh: Sequence[Member]) -> None:
        hint = ""
        alike = [it.name for it in fresh if it.type == old.type and it.many == old.many]
        before = _before(self._old.members(name), old.name)
        near = [it for it in alike if _before(self._new.members(name), it) == before]
        if near or len(alike) == 1:
            hint = f" It is perhaps called {(near or alike)[0]} now."
        breaks = old.name in need.asked | need.read
        self.say("field", GONE, f"{name[1]}.{old.name}", f"{_used(old.name, need)}.{hint}", breaks=breaks)

    def _new_member(self, name: Name, need: Need, new: Member) -> None:
        insists = bool(new.least) and need.is_asked and new.name not in need.always
        words = "NetSuite insists on it, and it is not always sent" if insists else "The bridge need not send it"
        self.say("field", NEW, f"{name[1]}.{new.name}", f"{words}.", breaks=insists)

    def _changed_member(self, name: Name, need: Need, old: Member, new: Member) -> None:
        where, used = f"{name[1]}.{old.name}", old.name in need.asked | need.read
        says = _used(old.name, need)
        if old.type != new.type:
            sentence = f"Its type was {_word(old.type)} and is {_word(new.type)}. {says}."
            self.say("field", CHANGED, where, sentence, breaks=used)
        if old.many != new.many:
            before, now = ("a list", "single") if old.many else ("single", "a list")
            self.say("field", CHANGED, where, f"It was {before} and is {now}. {says}.", breaks=used)
        if old.qualified != new.qualified:
            self.say("field", CHANGED, where, f"It is in another namespace. {says}.", breaks=used)
        if new.least > old.least:
            insists = need.is_asked and old.name not in need.always
            self.say("field", CHANGED, where, f"NetSuite insists on it now. {says}.", breaks=insists)
        elif new.least < old.least:
            self.say("field", CHANGED, where, "It may be left out now.")

    def _attributes(self, name: Name, need: Need) -> None:
        old, new = self._old.attributes(name), self._new.attributes(name)
        for one in sorted(old.keys() | new.keys()):
            where, used = f"{name[1]}.{one}", f"@{one}" in need.asked | need.read
            says = _used(f"@{one}", need)
            if one not in new:
                self.say("attribute", GONE, where, f"{says}.", breaks=used)
            elif one not in old:
                insists = new[one].required and need.is_asked
                self.say("attribute", NEW, where, "NetSuite insists on it." if insists else says + ".", breaks=insists)
            elif old[one].type != new[one].type:
                sentence = f"Its type was {_word(old[one].type)} and is {_word(new[one].type)}. {says}."
                self.say("attribute", CHANGED, where, sentence, breaks=used)
            elif new[one].required and not old[one].required:
                breaks = need.is_asked and f"@{one}" not in need.always
                self.say("attribute", CHANGED, where, f"NetSuite insists on it now. {says}.", breaks=breaks)
            elif old[one].default != new[one].default:
                sentence = f"Left out it meant {old[one].default}, and means {new[one].default} now."
                self.say("attribute", CHANGED, where, sentence)
        for one in sorted(it[1:] for it in need.asked | need.read if it.startswith("@")):
            if one not in old and one not in new:
                self.say("attribute", MISSING, f"{name[1]}.{one}", f"{_used('@' + one, need)}.", breaks=True)

    def _enumeration(self, old: Type, new: Type, need: Need) -> None:
        name = old.name[1]
        sent = need.words
        for word in (it for it in old.values if it not in new.values):
            used = need.is_asked and (sent is None or word in sent)
            words = f"{_who(need)}" if used else "The bridge does not send it"
            self.say("enumeration", GONE, f"{name}: {word}", f"{words}.", breaks=used)
        fresh = [it for it in new.values if it not in old.values]
        for word in fresh:
            self.say("enumeration", NEW, f"{name}: {word}", "It may come in answers, and may be sent.")
        for word in sorted((sent or set()) - set(old.values) - set(new.values)):
            self.say("enumeration", MISSING, f"{name}: {word}", f"{_who(need)}.", breaks=need.is_asked)
        kept = [it for it in old.values if it in new.values]
        if kept != [it for it in new.values if it in old.values]:
            self.say("order", MOVED, name, "The words stand in another order, which means nothing.")
        if old.facets != new.facets:
            before, now = (", ".join(f"{k} {v}" for k, v in it.facets) or "nothing" for it in (old, new))
            self.say("type", CHANGED, name, f"It asked for {before}, and asks for {now}.", breaks=need.is_asked)

    def _order(self, name: Name) -> None:
        places = {it.name: n for n, it in enumerate(self._new.members(name))}
        common = [it.name for it in self._old.members(name) if it.name in places]
        for one in sorted(set(common) - _staying([(it, places[it]) for it in common])):
            after = _before(self._new.members(name), one)
            words = f"It stands after {after} now" if after else "It stands first now"
            self.say("order", MOVED, f"{name[1]}.{one}", f"{words}; the bridge writes in the new order.")


def _elements(need: Need) -> set[str]:
    return {it for it in need.asked | need.read if not it.startswith("@")}


def _who(need: Need) -> str:
    return f"Used by {', '.join(sorted(need.who))}"


def _used(name: str, need: Need) -> str:
    who = ", ".join(sorted(need.who))
    if name in need.asked:
        return f"Sent by {who}"
    return f"Read by {who}" if name in need.read else "Not used at this site"


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return f"{value[0]}:{value[1]}" if value[0] == PLAIN else str(value[1])
    return f"'{value}'"


def _before(members: Sequence[Member], name: str) -> str:
    """Return the name of the element before *name*; empty for the first."""
    names = [it.name for it in members]
    place = names.index(name) if name in names else 0
    return names[place - 1] if place else ""


def _staying(places: Sequence[tuple[str, int]]) -> set[str]:
    """Return the most names whose places still rise: what is left out has moved (longest increasing subsequence)."""
    tails: list[int] = []
    ends: list[int] = []
    back: list[int] = []
    for at, (_, place) in enumerate(places):
        n = bisect_left(tails, place)
        back.append(ends[n - 1] if n else -1)
        if n == len(tails):
            tails.append(place)
            ends.append(at)
        else:
            tails[n], ends[n] = place, at
    found: set[str] = set()
    at = ends[-1] if ends else -1
    while at >= 0:
        found.add(places[at][0])
        at = back[at]
    return found


def told(report: Report, *, every: bool = False) -> Iterator[str]:
    """Yield the safe differences, one a line; many of one kind as one line, unless *every* is asked for."""
    groups: dict[tuple[str, str], list[Difference]] = {}
    for it in report.safe:
        groups.setdefault((it.what, it.change), []).append(it)
    for (what, change), found in groups.items():
        if every or len(found) <= NEW_SHOWN:
            yield from map(str, found)
        else:
            some = ", ".join(it.where for it in found[:NEW_SHOWN])
            yield f"{len(found)} times {what} {change}: {some}, …"
