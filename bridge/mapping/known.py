"""The NetSuite records that a mapping names before any Salesforce record is looked at: items, terms, subsidiaries.

Asked for ahead of time, so that no save waits for a look-up, and so that a wrong name is found before it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator

from bridge.mapping.base import Context, Rule
from bridge.mapping.choices import const, crosswalk, currency, lines, site, when
from bridge.mapping.fields import choice
from bridge.mapping.syncs import Push
from bridge.ports import Record, Ref


def named(push: Push, context: Context) -> Iterator[Record]:
    """Yield one record for each name, holding nothing but the field that the name stands in."""
    for field, rule in push.fields.items():
        if isinstance(rule, lines):
            for row in (rule.fields, *rule.first):
                for inner, one in row.items():
                    for ref in _refs(one, context):
                        yield Record(Ref(push.target), {field: [{inner: ref}]})
        else:
            for ref in _refs(rule, context):
                yield Record(Ref(push.target), {field: ref})


def _refs(rule: Rule, context: Context) -> Iterator[Ref]:
    found: list[object] = []
    match rule:
        case const():
            found = [rule.constant]
        case choice():
            found = list(rule.table.values())
        case site():
            found = [rule.chosen(context)]
        case currency():
            found = [Ref("currency", name=str(context.site["currency"]))]
        case crosswalk():
            rows = [row for _, table in rule.tables for row in context.site.get(table, {}).values()]
            rows += [part for bundle in context.site.get("bundles", {}).values() for part in bundle["parts"]]
            names = [*(row.get(rule.column) for row in rows), context.site.get(rule.otherwise or "")]
            found = [Ref(rule.ref, name=it) for it in dict.fromkeys(names) if it and rule.ref]
        case when():
            found = [*_refs(rule.then, context), *_refs(rule.otherwise, context)]
    for ref in found:
        if isinstance(ref, Ref) and ref.name is not None and ref.id is None:
            yield ref
