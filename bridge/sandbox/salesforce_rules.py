"""What single objects do on save: names put together, stages, fee line prices, roll-ups, foreign keys by external id.

Must not know: HTTP, SOQL, triggers.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bridge.sandbox import salesforce_standard as standard
from bridge.sandbox.salesforce_schema import Field, SObjectType
from bridge.sandbox.salesforce_tables import Row
from bridge.sandbox.salesforce_values import Refused, stored

if TYPE_CHECKING:
    from bridge.sandbox.salesforce_org import Org

CENT = Decimal("0.01")


def before_save(org: Org, kind: SObjectType, old: Row | None, new: Row, given: Row) -> None:
    """Fill the fields of *new* that the platform works out itself."""
    if kind.name in ("Contact", "User"):
        new["Name"] = " ".join(filter(None, (new.get("FirstName"), new.get("LastName")))) or None
    elif kind.name == "Opportunity":
        _application(old, new)
    elif kind.name == "OpportunityLineItem":
        _fee_line(org, old, new, given)
    elif kind.name == "PricebookEntry":
        product = org.row(str(new.get("Product2Id"))) or {}
        new["Name"], new["ProductCode"] = product.get("Name"), product.get("ProductCode")


def _application(old: Row | None, new: Row) -> None:
    closed, won, probability = standard.STAGES.get(str(new.get("StageName")), (False, False, 0))
    new["IsClosed"], new["IsWon"] = closed, won
    if old is None or old.get("StageName") != new.get("StageName"):
        new["Probability"] = Decimal(probability)
    new.setdefault("HasOpportunityLineItem", False)
    if old is not None and old.get("HasOpportunityLineItem"):
        # Object Reference, "Opportunity.Amount": with products, an update of Amount is ignored and not refused.
        new["Amount"] = old.get("Amount")


def _fee_line(org: Org, old: Row | None, new: Row, given: Row) -> None:
    """A line's prices. Source: Object Reference, "OpportunityLineItem": UnitPrice or TotalPrice, never both."""
    if given.get("UnitPrice") is not None and given.get("TotalPrice") is not None:
        words = "field integrity exception: unknown (only one of unit price or total price may be specified)"
        raise Refused("FIELD_INTEGRITY_EXCEPTION", words)
    if old is None and given.get("UnitPrice") is None and given.get("TotalPrice") is None:
        raise Refused("REQUIRED_FIELD_MISSING", "Required fields are missing: [UnitPrice]", fields=("UnitPrice",))
    quantity = new.get("Quantity")
    if quantity is None:
        return  # the required check names it
    if quantity == 0:
        raise Refused("FIELD_INTEGRITY_EXCEPTION", "Quantity must be nonzero", fields=("Quantity",))
    if given.get("TotalPrice") is not None:
        new["UnitPrice"] = (new["TotalPrice"] / quantity).quantize(CENT)
    elif new.get("UnitPrice") is not None:
        new["TotalPrice"] = (new["UnitPrice"] * quantity).quantize(CENT)
    if old is not None:
        return
    entry = org.tables["PricebookEntry"].rows.get(str(new.get("PricebookEntryId")))
    application = org.tables["Opportunity"].rows.get(str(new.get("OpportunityId")))
    if entry is None or application is None:
        return  # the required and reference checks name what is missing
    if not entry["IsActive"]:
        raise Refused(
            "FIELD_INTEGRITY_EXCEPTION", "field integrity exception: PricebookEntryId (pricebook entry is inactive)"
        )
    if application.get("Pricebook2Id") not in (None, entry["Pricebook2Id"]):
        words = "field integrity exception: PricebookEntryId (pricebook entry is in a different pricebook)"
        raise Refused("FIELD_INTEGRITY_EXCEPTION", words, fields=("PricebookEntryId",))
    new["Product2Id"], new["ProductCode"] = entry["Product2Id"], entry.get("ProductCode")
    new["ListPrice"] = entry["UnitPrice"]
    new["Name"] = f"{application['Name']} {entry.get('Name') or ''}".strip()


def line_totals(org: Org, application_id: str, line: Row | None) -> Row:
    """What an Application takes from its lines: Amount is their sum while there are any.

    Source: Object Reference, "Opportunity.Amount". Assumptions: removing the last line leaves Amount as it was, and
    the first line sets the price book.
    """
    table = org.tables["OpportunityLineItem"]
    lines = [table.rows[one] for one in table.children("OpportunityId", application_id)]
    values: Row = {"HasOpportunityLineItem": bool(lines)}
    if lines:
        values["Amount"] = sum((one["TotalPrice"] for one in lines), Decimal("0.00"))
    application = org.tables["Opportunity"].rows[application_id]
    if line is not None and application.get("Pricebook2Id") is None:
        entry = org.tables["PricebookEntry"].rows[line["PricebookEntryId"]]
        values["Pricebook2Id"] = entry["Pricebook2Id"]
    return values


def summarise(org: Org, made: Field, parent_id: str) -> Decimal:
    """The value of a roll-up field for one parent."""
    summary = made.summary
    assert summary is not None
    table = org.tables[summary.child]
    kept = [table.rows[one] for one in table.children(summary.foreign_key, parent_id)]
    for name, operation, value in summary.filters:
        kept = [row for row in kept if _passes(table.kind.field(name), row, operation, value)]
    if summary.operation == "count":
        return Decimal(len(kept))
    source = table.kind.field(summary.summarized or "").name
    return Decimal(sum((row.get(source) or Decimal(0) for row in kept), Decimal(0))).quantize(
        Decimal(1).scaleb(-made.scale)
    )


def _passes(one: Field, row: Row, operation: str, value: str) -> bool:
    """One filter item of a roll-up; several values are separated by commas (Metadata API Guide, "FilterItem")."""
    held = row.get(one.name)
    if one.type == "boolean":
        wanted: list[Any] = [value.strip().lower() in ("true", "1")]
    else:
        texts = [part.strip() for part in value.split(",")]
        wanted = [
            stored(one, text) if one.type in ("date", "datetime", "double", "currency") else text for text in texts
        ]
    if operation == "equals":
        return any(_same(held, each) for each in wanted)
    if operation == "notEqual":
        return not any(_same(held, each) for each in wanted)
    if held is None or len(wanted) != 1:
        return False
    compare = {
        "lessThan": lambda a, b: a < b,
        "greaterThan": lambda a, b: a > b,
        "lessOrEqual": lambda a, b: a <= b,
        "greaterOrEqual": lambda a, b: a >= b,
    }.get(operation)
    if compare is None:
        raise ValueError(f"the fake Salesforce does not know the filter operation {operation!r}")
    return bool(compare(held, wanted[0]))


def _same(held: Any, wanted: Any) -> bool:
    if isinstance(held, str) and isinstance(wanted, str):
        return held.lower() == wanted.lower()
    return bool(held == wanted)


def by_external_id(org: Org, one: Field, value: Mapping[str, Any]) -> str:
    """The id of the record that ``{"Rel__r": {"Ext__c": "value"}}`` names.

    Source: REST API Developer Guide, "Upsert a Record by External ID", relating records by external id.
    """
    named = {key: held for key, held in value.items() if key != "attributes"}
    kind = org.schema.type(one.reference_to or "")
    if len(named) != 1:
        raise Refused("INVALID_FIELD", f"exactly one external id field must name the {kind.name} of {one.name}")
    [(key, wanted)] = named.items()
    key_field = kind.field(key)
    if not key_field.is_key:
        raise Refused("INVALID_FIELD", f"{key_field.name} of {kind.name} is not an external id field")
    text: str | None = stored(key_field, wanted)
    table = org.tables[kind.name]
    found = [text] if key_field.name == "Id" and text is not None and text in table.rows else []
    if key_field.name != "Id" and text is not None:
        found = table.with_key(key_field.name, text)
    if not found:
        words = f"Foreign key external ID: {wanted} not found for field {key_field.name} in entity {kind.name}"
        raise Refused("INVALID_FIELD", words)
    if len(found) > 1:
        words = f"Foreign key external ID: {wanted} matches several records of {kind.name}"
        raise Refused("DUPLICATE_EXTERNAL_ID", words)
    return found[0]
