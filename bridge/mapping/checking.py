"""Check a mapping against what both systems say of their fields, before anything is sent.

`findings` compares every rule with a `Described` of its source and of its target: does the field exist, does what the
rule gives fit what the field holds, does the choice's table cover the picklist, may the bridge write it.

Must not know: how a system is asked, SQL, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bridge.mapping.base import Rule, label
from bridge.mapping.choices import compute, const, crosswalk, currency, lines, site, when
from bridge.mapping.fields import choice, date, flag, instant, link, linked, money, number, text
from bridge.mapping.syncs import Push, Syncs
from bridge.ports import Fact, Ref

# What a rule gives, in the words of `Fact.holds`; what a NetSuite field of each kind takes of it.
GIVES: Mapping[type, str] = {
    text: "text", money: "number", number: "number", date: "day", instant: "time", flag: "flag", link: "reference",
    linked: "reference", currency: "reference", lines: "list",
}  # fmt: skip
TAKES: Mapping[str, tuple[str, ...]] = {
    "text": ("text", "number"),
    "number": ("number",),
    "flag": ("flag",),
    "time": ("day", "time"),
    "choice": ("text",),
    "reference": ("reference",),
    "list": ("list",),
}
# What a rule can read of a Salesforce field.
READS: Mapping[type, tuple[str, ...]] = {
    money: ("number",), number: ("number",), date: ("day", "time"), instant: ("time",), flag: ("flag",),
    choice: ("choice", "text"), link: ("reference",), crosswalk: ("choice", "text"),
}  # fmt: skip
CUSTOM = ("custbody", "custcol", "custentity", "custrecord", "custitem")  # no schema holds these; their account does


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one rule. *breaks*: every record, or every one with that value, would be refused."""

    sync: str
    field: str
    sentence: str
    breaks: bool = True


Facts = Mapping[str, Fact]


def findings(
    syncs: Syncs, sources: Mapping[str, Facts], targets: Mapping[str, Facts], *, custom_only: bool = False
) -> Iterator[Finding]:
    """Yield what does not fit. *sources* and *targets* are fields by object; an object that is not there is skipped.

    Fields of lines are named ``Lines.UnitPrice`` and ``itemList.item``. With *custom_only* the sources hold custom
    fields alone, and nothing is said of others.
    """
    for push in syncs.pushes.values():
        known, there = sources.get(push.source), targets.get(push.target)
        if known is not None and custom_only:
            standard = [it for it in push.reads() if not it.endswith("__c")]
            known = {**{it: Fact(it, "") for it in standard}, **known}
        for gate in (*push.scope, *push.when):
            if known is not None and gate.field not in known:
                yield Finding(push.name, gate.field, _no_field(push, gate.field, "is asked for by a gate"))
        yield from _owned(push)
        for field, rule in push.fields.items():
            yield from _rule(push, field, rule, "", known, there)
            if isinstance(rule, lines):
                for row in (*rule.first, rule.fields):
                    prefix = f"{rule.child}." if row is rule.fields and rule.child else ""
                    for inner, one in row.items():
                        yield from _rule(push, f"{field}.{inner}", one, prefix, known, there)
    yield from _doubled(syncs.pushes.values())


def _owned(push: Push) -> Iterator[Finding]:
    """Each field has one owner, and a list of lines is Salesforce's as a whole."""
    for name in dict.fromkeys((*push.at_first, *push.shared)):
        if name not in push.fields:
            yield Finding(push.name, name, f"{name} has an owner, and no rule.")
        elif name in push.at_first and name in push.shared:
            yield Finding(push.name, name, f"{name} is shared with NetSuite, or NetSuite's; it cannot be both.")
        elif name in push.shared and isinstance(push.fields[name], lines):
            yield Finding(push.name, name, f"{name} is a list, which cannot be shared.")


def _rule(
    push: Push, field: str, rule: Rule, prefix: str, known: Facts | None, there: Facts | None
) -> Iterator[Finding]:
    if known is not None:
        for name in () if isinstance(rule, lines) else rule.reads():
            # An organisation with one currency has no field for it, and the rule knows that.
            if prefix + name not in known and not isinstance(rule, currency):
                yield Finding(push.name, field, _no_field(push, prefix + name, "is read"))
        yield from _source(push, field, rule, prefix, known)
    if there is None or field.rpartition(".")[2].startswith(CUSTOM) or push.target.startswith("customrecord"):
        return
    fact = there.get(field)
    if fact is None:
        yield Finding(push.name, field, f"NetSuite's {push.target} has no field {field}.")
        return
    for gives, values in _given(rule):
        if gives and gives not in TAKES.get(fact.holds, (gives,)):
            yield Finding(push.name, field, f"{field} holds a {fact.holds} in NetSuite, and the rule gives a {gives}.")
        for value in values:
            if fact.holds == "choice" and fact.choices and value not in fact.choices:
                yield Finding(push.name, field, f"NetSuite's {field} knows no choice '{value}'.")


def _source(push: Push, field: str, rule: Rule, prefix: str, known: Facts) -> Iterator[Finding]:
    if isinstance(rule, when):
        for part in (rule.then, rule.otherwise):
            yield from _source(push, field, part, prefix, known)
        return
    readable = READS.get(type(rule))
    fact = known.get(prefix + rule.reads()[0]) if rule.reads() else None
    if fact is None:
        return
    if readable is not None and fact.holds and fact.holds not in readable:
        kind = type(rule).__name__
        sentence = f"{label(fact.name)} holds a {fact.holds} in Salesforce, which a rule for {kind} cannot read."
        yield Finding(push.name, field, sentence)
    if isinstance(rule, choice) and fact.choices:
        for value in sorted(fact.choices - set(rule.table)):
            sentence = f"{label(fact.name)} may be '{value}', which is not in the table: such records are refused."
            yield Finding(push.name, field, sentence, breaks=False)
        for value in sorted(set(rule.table) - fact.choices):
            sentence = f"'{value}' is in the table, and {label(fact.name)} has no such value."
            yield Finding(push.name, field, sentence, breaks=False)
    if isinstance(rule, text) and rule.limit and fact.length and fact.length > rule.limit and not rule.cut:
        sentence = f"{label(fact.name)} may have {fact.length} characters; more than {rule.limit} are refused."
        yield Finding(push.name, field, sentence, breaks=False)


def _given(rule: Rule) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what a rule gives, and the words it may give where they are known; ``""`` where nobody knows."""
    match rule:
        case when():
            yield from _given(rule.then)
            yield from _given(rule.otherwise)
        case choice():
            for value in rule.table.values():
                yield from _given(const(value))
        case const():
            value = rule.constant
            if isinstance(value, Ref):
                yield "reference", ()
            elif isinstance(value, bool):
                yield "flag", ()
            elif isinstance(value, str):
                yield "text", (value,)
            else:
                yield "number", ()
        case site() | crosswalk():
            yield ("reference" if rule.ref else "", ())
        case compute():
            yield "", ()
        case _:
            yield GIVES.get(type(rule), ""), ()


def _no_field(push: Push, name: str, how: str) -> str:
    source = "Application" if push.source == "Opportunity" else push.source
    return f"{name} {how}, and {source} has no such field in Salesforce, or hides it from the bridge."


def _doubled(pushes: Iterable[Push]) -> Iterator[Finding]:
    """Each field has one owner: two syncs may not write the same record."""
    seen: dict[tuple[str, str, str], str] = {}
    for push in pushes:
        key = (push.target, push.external_id, push.source)
        if key in seen:
            sentence = f"{push.name} and {seen[key]} write the same {push.target}; each field has one owner."
            yield Finding(push.name, "external id", sentence)
        seen[key] = push.name
