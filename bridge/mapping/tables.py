"""A sync as a table for people: the rows of ``bridge mapping show`` and of ``docs/mapping.md``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

from bridge.mapping.base import Rule
from bridge.mapping.choices import lines
from bridge.mapping.syncs import Push, Sync, Syncs

HEAD = """\
# What becomes what

Written by `bridge mapping docs` from the declared syncs; a test keeps it current. It shows the mapping as shipped:
`bridge mapping show` prints the one that is live. In rules, names are those of the source's
fields, and *this site's …* is a choice of `bridge.toml`. A field whose source was not sent is left alone; one whose
source is empty is emptied.
"""


def source(sync: Sync) -> str:
    """Return the source as people call it."""
    return "Application" if sync.source == "Opportunity" else sync.source


def rows(sync: Sync) -> Iterator[tuple[str, str]]:
    """Yield target field and rule; the fields of lines and of records under this one come after their list."""
    if isinstance(sync, Push):
        yield "external id", f"sf-{sync.external_id}-{{Id}}"
    else:
        yield "NetSuite_Key__c", sync.key.describe()
    for name, rule in sync.fields.items():
        yield name, rule.describe() + (owner(sync, name) if isinstance(sync, Push) else "")
        if isinstance(rule, lines):
            for fixed in rule.first:
                yield from _under(f"{name}, fixed line", fixed)
            yield from _under(f"{name}, each line" if rule.first else name, rule.fields)
    for child in () if isinstance(sync, Push) else sync.children:
        yield child.target, f"one record for each line of {child.source}"
        yield from _under(child.target, {"NetSuite_Key__c": child.key, **child.fields})


def owner(push: Push, name: str) -> str:
    """Return whose a field is once the record exists, in words that follow its rule; none where it is Salesforce's."""
    if name in push.shared:
        return "; shared: written only while NetSuite has not changed it"
    return "; NetSuite's once the record exists" if name in push.at_first else ""


def gates(sync: Sync) -> list[str]:
    """Return what must hold before a record is sent."""
    if not isinstance(sync, Push):
        return []
    return [f"{it.describe()} (its scope)" for it in sync.scope] + [gate.describe() for gate in sync.when]


def version(syncs: Syncs) -> str:
    """Return a short word for these rules: another one whenever a rule, a gate, a sync or a site's choice differs."""
    said = [repr(it) for it in (*syncs.pushes.values(), *syncs.pulls.values(), sorted(syncs.context.site.items()))]
    # A function is known by its name: where it lies in memory is another place in each process.
    words = re.sub(r" at 0x[0-9a-f]+", "", "\n".join(sorted(said)))
    return hashlib.sha256(words.encode()).hexdigest()[:12]


def markdown(syncs: Sequence[Sync]) -> str:
    """Return the tables of *syncs* as Markdown."""
    parts = [HEAD]
    for sync in syncs:
        text = f"\n## {sync.label}: {source(sync)} → {sync.target}\n\n"
        text += "".join(f"Only when {gate}.\n" for gate in gates(sync))
        text += "Only once another record refers to it.\n" if isinstance(sync, Push) and sync.on_demand else ""
        if isinstance(sync, Push) and sync.retiring is not None:
            words = ", ".join(f"`{name}` {value}" for name, value in sync.retiring.items())
            text += f"When it was deleted in Salesforce and nothing of it is open: {words}.\n"
        text += "\n| target field | from |\n|---|---|\n"
        text += "".join(f"| {_code(name)} | {_cell(rule)} |\n" for name, rule in rows(sync))
        parts.append(text.replace("\n\n\n", "\n\n"))
    return "".join(parts)


def _under(parent: str, fields: Mapping[str, Rule]) -> Iterator[tuple[str, str]]:
    for name, rule in fields.items():
        yield f"{parent}: {name}", rule.describe()


def _code(name: str) -> str:
    parent, _, field = name.rpartition(": ")
    return f"{parent}: `{field}`" if parent else f"`{field}`" if " " not in field else field


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
