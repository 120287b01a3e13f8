"""The describe calls: what the fake says its objects and fields are.

Source: REST API Developer Guide, "sObject Describe" and "Describe Global".

Must not know: records, HTTP.
"""

from __future__ import annotations

from typing import Any

from bridge.sandbox.salesforce_schema import Field, Schema, SObjectType
from bridge.sandbox.salesforce_values import NUMBER_TYPES, TEXT_TYPES


def described_globally(schema: Schema, version_url: str) -> dict[str, Any]:
    """``GET sobjects``."""
    return {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": [_basics(kind, version_url) for kind in schema]}


def described(schema: Schema, kind: SObjectType, version_url: str) -> dict[str, Any]:
    """``GET sobjects/X/describe``."""
    made = _basics(kind, version_url)
    made["fields"] = [_field(one) for one in kind.fields.values()]
    made["childRelationships"] = [
        {
            "childSObject": child,
            "field": name,
            "relationshipName": schema.type(child).field(name).child_relationship,
            "cascadeDelete": schema.type(child).field(name).cascade,
        }
        for child, name in kind.children.values()
    ]
    made["recordTypeInfos"] = []
    return made


def _basics(kind: SObjectType, version_url: str) -> dict[str, Any]:
    base = f"{version_url}/sobjects/{kind.name}"
    writable = kind.name not in ("User", "Organization")
    return {
        "name": kind.name,
        "label": kind.label,
        "labelPlural": kind.plural,
        "keyPrefix": kind.prefix,
        "custom": kind.custom,
        "createable": writable,
        "updateable": writable,
        "deletable": writable,
        "undeletable": writable,
        "mergeable": kind.name in ("Account", "Contact"),
        "queryable": True,
        "retrieveable": True,
        "replicateable": True,
        "triggerable": True,
        "urls": {"sobject": base, "describe": f"{base}/describe", "rowTemplate": base + "/{ID}"},
    }


def _field(one: Field) -> dict[str, Any]:
    return {
        "name": one.name,
        "label": one.label,
        "type": one.type,
        "length": one.length if one.type in TEXT_TYPES or one.type in ("id", "reference") else 0,
        "precision": one.precision if one.type in NUMBER_TYPES and one.type != "int" else 0,
        "digits": one.precision if one.type == "int" else 0,
        "scale": one.scale,
        "nillable": not one.required and one.type not in ("boolean", "id") and not (one.name_field and one.custom),
        "createable": one.createable,
        "updateable": one.updateable,
        "unique": one.unique,
        "caseSensitive": one.case_sensitive,
        "externalId": one.external_id,
        "idLookup": one.is_key,
        "nameField": one.name_field,
        "autoNumber": one.auto_number is not None,
        "calculated": one.calculated,
        "custom": one.custom,
        "cascadeDelete": one.cascade,
        "defaultedOnCreate": one.default is not None or one.type == "boolean" or one.name == "OwnerId",
        "defaultValue": one.default,
        "filterable": one.filterable,
        "sortable": one.filterable,
        "groupable": one.filterable and one.type not in ("double", "currency", "percent", "datetime"),
        "aggregatable": one.filterable and one.type != "boolean",
        "restrictedPicklist": one.restricted,
        "picklistValues": [
            {"value": value, "label": value, "active": True, "defaultValue": False} for value in one.picklist
        ],
        "referenceTo": [one.reference_to] if one.reference_to else [],
        "relationshipName": one.relationship,
    }
