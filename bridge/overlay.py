"""The site's overlay: what ``bridge.toml`` adds to, replaces in or removes from the declared syncs.

`site_syncs` gives the syncs of a site, or raises `NotConfigured` with every problem at once.

Must not know: any system, SQL, HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bridge.mapping import (
    Push,
    Rule,
    Syncs,
    Test,
    applied,
    choice,
    const,
    date,
    flag,
    instant,
    lines,
    link,
    money,
    number,
    text,
    with_fields,
)
from bridge.ports import Ref
from bridge.records import PULLS, PUSHES, syncs
from bridge.settings import NotConfigured
from bridge.site import FieldOverlay, Site, SyncOverlay


def choices(site: Site) -> dict[str, Any]:
    """Return what mappings may look at, as plain values."""
    return {
        "subsidiary": site.site.subsidiary,
        "currency": site.site.currency,
        "rate_of": site.site.rate_of,
        "new_customer_stage": site.site.customer_stage,
        "approval_stages": site.approval.stages,
        "quote_stages": site.quotes.stages,
        "purchase_item": site.purchase.item,
        "commission": site.netsuite.commission,
        "commission_account": site.netsuite.commission_account,
        "deleted_account": site.site.deleted_account,
        "closed_period": site.netsuite.closed_period,
        "remittance_field": site.netsuite.remittance_field,
        "sale_tax_code": site.tax.sale_code,
        "purchase_tax_code": site.tax.purchase_code,
        "commission_tax_code": site.tax.commission_code,
        "vendor_tax_code": site.tax.vendor_code,
        "credit_item": site.credits.item,
        "refund_account": site.credits.refund_account,
        "fees": {name: fee.model_dump() for name, fee in site.fees.items()},
        "products": {name: fee.model_dump() for name, fee in site.products.items()},
        "bundles": {name: bundle.model_dump() for name, bundle in site.bundles.items()},
    }


def rule(made: FieldOverlay) -> Rule | None:
    """Return the rule that a field of the file stands for; None removes the declared one."""
    match made.rule:
        case "text":
            return text(str(made.text), limit=made.limit, required=made.required, cut=made.cut)
        case "money":
            return money(str(made.money), required=made.required)
        case "number":
            return number(str(made.number), required=made.required)
        case "flag":
            return flag(str(made.flag))
        case "date":
            return date(str(made.date), required=made.required)
        case "instant":
            return instant(str(made.instant))
        case "choice":
            table = {key: Ref(made.ref, name=value) if made.ref else value for key, value in (made.table or {}).items()}
            return choice(str(made.choice), table, required=made.required)
        case "const":
            return const(Ref(made.ref, name=str(made.const)) if made.ref else made.const)
    return None


def _applied(push: Push, made: SyncOverlay) -> Push | None:
    if not made.enabled:
        return None
    gates, scope = ([Test(it.field, it.operator, it.value) for it in tests] for tests in (made.gates, made.scope))
    changed = with_fields(push, {name: rule(field) for name, field in made.fields.items()}, gates, scope)
    theirs = [name for name, field in made.fields.items() if field.owner == "netsuite" and name in changed.fields]
    both = [name for name, field in made.fields.items() if field.owner == "shared" and name in changed.fields]
    at_first = (*(it for it in changed.at_first if it not in both), *theirs)
    shared = (*(it for it in changed.shared if it not in made.fields), *both)
    return replace(changed, at_first=at_first, shared=shared, withdrawn=made.withdrawn or changed.withdrawn)


# What says which record it is, and what is said of a record as a whole: never a site's to write.
NOT_FIELDS = frozenset({"externalId", "internalId", "nullFieldList", "createdFrom"})


def _wrong_fields(name: str, made: SyncOverlay, declared: Push) -> Iterator[str]:
    """Yield why a site may not write a field as it wishes: its owner and its external id stay what they are."""
    for field, wish in made.fields.items():
        at, rule = f"bridge.toml: sync.{name}.fields.{field}", declared.fields.get(field)
        if field in NOT_FIELDS or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", field):
            yield f"{at} is not a field that a rule may write."
        elif isinstance(rule, link) and (rule.required or not wish.remove):
            yield f"{at} says whose the record is, which a site cannot change."
        elif isinstance(rule, lines | applied):
            yield f"{at} is a list, which no single rule can stand for."
        elif wish.remove and getattr(rule, "required", False):
            yield f"{at} cannot be removed: NetSuite needs it; give another rule."


def _can_close(name: str, site: Site) -> bool:
    """Say whether a record of a sync to NetSuite can be closed there once its gate closes."""
    declared = syncs(choices(site)).pushes.get(name)
    return declared is None or bool(declared.closing) or declared.closes_lines


def site_syncs(site: Site) -> Syncs:
    """Return this site's syncs. Raises NotConfigured: an operator mends the file."""
    known = {push.name for push in PUSHES} | {pull.name for pull in PULLS}
    problems = [
        f"bridge.toml: sync.{name} is not a sync; there are {', '.join(sorted(known))}."
        for name in site.sync
        if name not in known
    ]
    problems += [
        f"bridge.toml: sync.{name} is read from NetSuite; only syncs to NetSuite can be changed."
        for name in site.sync
        if name in {pull.name for pull in PULLS}
    ]
    problems += [
        f"bridge.toml: sync.{name}.withdrawn cannot be 'close', for NetSuite closes no such record; 'flag' tells "
        "accounting, 'block' puts it on their desk."
        for name, made in site.sync.items()
        if made.withdrawn == "close" and name in known and not _can_close(name, site)
    ]
    shipped = {push.name: push for push in PUSHES}
    problems += [it for name, made in site.sync.items() if name in shipped
                 for it in _wrong_fields(name, made, shipped[name])]  # fmt: skip
    if problems:
        raise NotConfigured(problems)

    def overlay(push: Push) -> Push | None:
        if push.name == "vendor":
            push = with_fields(push, {"companyName": text(site.site.vendor_name, limit=83, required=True)})
        made = site.sync.get(push.name)
        return push if made is None else _applied(push, made)

    return syncs(choices(site), overlay)
