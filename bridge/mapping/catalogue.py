"""What is in one catalogue and not in the other: fee types and products in Salesforce, items in NetSuite.

Must not know: how either is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

COLUMNS = {"sale_item": "sales orders", "purchase_item": "purchase orders"}


@dataclass(frozen=True, slots=True)
class Gap:
    """One name that leads nowhere. *where* is the catalogue that has it, *who* can mend it."""

    where: str
    name: str
    sentence: str
    who: str


def gaps(site: Mapping[str, Any], fee_types: Iterable[str], items: Mapping[str, Iterable[str]]) -> Iterator[Gap]:
    """Yield what does not meet. *items* are the names that orders can have now, by the column that refers to them."""
    known = {column: {it.casefold(): it for it in names} for column, names in items.items()}
    rows = {f"fees.{name}": row for name, row in site["fees"].items()}
    rows |= {f"products.{name}": row for name, row in site["products"].items()}
    for name, bundle in site["bundles"].items():
        rows |= {f"bundles.{name}[{n}]": part for n, part in enumerate(bundle["parts"])}
    used: set[str] = set()
    for place, row in rows.items():
        for column, words in COLUMNS.items():
            item = row.get(column)
            if not item:
                continue
            used.add(item.casefold())
            # A nested item may be named by its last part.
            last = {it.rpartition(" : ")[2] for it in known.get(column, {})}
            if item.casefold() not in known.get(column, {}) and item.casefold() not in last:
                sentence = f"{place} names '{item}', which {words} cannot have in NetSuite: it is unknown or inactive."
                yield Gap("bridge.toml", item, sentence, "accounting")
    fees = list(fee_types)
    for name in fees:
        if name not in site["fees"] and name not in site["bundles"]:
            yield Gap("Salesforce", name, f"The fee type '{name}' has no NetSuite item: it is refused.", "accounting")
    for name in site["fees"] if fees else ():
        if name not in fees:
            yield Gap("bridge.toml", name, f"Salesforce has no fee type '{name}' any more.", "administrator")
    used |= {it.casefold() for it in (site.get("purchase_item"),) if it}
    everything = {key: it for names in known.values() for key, it in names.items()}
    for key, item in sorted(everything.items()):
        if key not in used and key.rpartition(" : ")[2] not in used:
            yield Gap("NetSuite", item, f"No fee, product or bundle is the item '{item}'.", "nobody")
