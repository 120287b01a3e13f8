"""What no offline tool sees: that every name in the Salesforce package means something.

``CHECKS`` maps the name of a check to a function that yields one sentence for each mistake it finds.

Must not know: how the files are found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from tests.salesforce_metadata import source_references as sources
from tests.salesforce_metadata.dx_package import Component, Package, child

MIRRORS = {
    *("NetSuite_Order__c", "NetSuite_Order_Line__c", "Remittance__c"),
    *("NetSuite_Document__c", "NetSuite_Document_Line__c"),
}
READ_ONLY = re.compile(r"\.(NetSuite_\w+|Bridge_Version__c|Remitted_Amount__c|Remaining_Balance__c)$")
PUSHED = {"Account", "Contact", "Opportunity", "Credit_Request__c"}
# What people may write although the package defines it: a request, and its approval by somebody else.
REQUESTS = {"Credit_Requester": "Credit_Request__c", "Credit_Approver": "Credit_Request__c"}
NAMED_IN_FULL = {"fields": "fullName", "listViews": "fullName", "validationRules": "fullName"}
LIST_COLUMNS = {
    *("NAME", "FULL_NAME", "ACCOUNT.NAME", "OPPORTUNITY.NAME", "OPPORTUNITY.STAGE_NAME", "OPPORTUNITY.CLOSE_DATE"),
    *("CORE.USERS.ALIAS", "CONTACT.EMAIL"),
}
# Related lists of standard objects have names of their own; a lookup in one is named without "Id" (retrieved orgs).
STANDARD_LISTS = {("Opportunity", "RelatedLineItemList"): "OpportunityLineItem"}
LOOKUPS = {"OpportunityLineItem": ("Product2",)}
CREDENTIALS = "UserExternalCredential"
SECRETS = {"consumerKey", "consumerSecret", "password", "oauthToken", "oauthRefreshToken", "awsAccessSecret"}

Check = Callable[[Package], Iterator[str]]


def names_are_kept(package: Package) -> Iterator[str]:
    """The file name goes into package.xml, the full name into the object: Salesforce needs them equal."""
    for one in package.components:
        element = NAMED_IN_FULL.get(one.folder)
        if element and one.text(element) != one.name:
            yield f"{one.path} calls itself {one.text(element)}"
        parts = one.path.split("/")
        if element and parts[-3] not in package.objects:
            yield f"{one.path} belongs to an object that is not there"


def fields_resolve(package: Package) -> Iterator[str]:
    for object_name, fields in package.fields.items():
        for one in fields.values():
            if one.text("type") in ("Lookup", "MasterDetail") and one.text("referenceTo") not in package.objects:
                yield f"{one.path} points at {one.text('referenceTo') or 'nothing'}"
            named = [*one.texts("summaryForeignKey"), *one.texts("summaryFilterItems/field")]
            if one.text("type") == "Summary" and not named:
                yield f"{one.path} sums up nothing"
            for name in named:
                if not package.has_field(*name.split(".", 1)):
                    yield f"{one.path} names {name}"
        if object_name in MIRRORS and not any(one.text("externalId") == "true" for one in fields.values()):
            yield f"{object_name} has no external id"


def formulas_resolve(package: Package) -> Iterator[str]:
    permissions = package.names("customPermissions")
    for one in package.of("validationRules"):
        formula, object_name = one.text("errorConditionFormula"), one.path.split("/")[-3]
        for name in set(re.findall(r"(?<![.\w])\w+__c\b", formula)):
            if not package.has_field(object_name, name):
                yield f"{one.path} names the field {name}"
        for name in set(re.findall(r"\$Permission\.(\w+)", formula)) - permissions:
            yield f"{one.path} names the permission {name}"
    for object_name, fields in package.fields.items():
        for one in fields.values():
            for name in set(re.findall(r"(?<![.\w])\w+__c\b", one.text("formula"))):
                if not package.has_field(object_name, name):
                    yield f"{one.path} names the field {name}"
    guarded = {one.path.split("/")[-3] for one in package.of("validationRules") if one.text("active") == "true"}
    for object_name in sorted((MIRRORS | PUSHED) - guarded):
        yield f"no active validation rule keeps people off {object_name}"


def permission_sets_resolve(package: Package) -> Iterator[str]:
    principals = {
        f"{one.name}-{child(node, 'parameterGroup')}"
        for one in package.of("externalCredentials")
        for node in one.nodes("externalCredentialParameters")
        if child(node, "parameterType").endswith("Principal")
    }
    known = {
        "classAccesses/apexClass": package.names("classes"),
        "tabSettings/tab": package.names("tabs"),
        "customPermissions/name": package.names("customPermissions"),
        "objectPermissions/object": package.objects | {CREDENTIALS},
        "customMetadataTypeAccesses/name": {name for name in package.objects if name.endswith("__mdt")},
        "externalCredentialPrincipalAccesses/externalCredentialPrincipal": principals,
    }
    for one in package.of("permissionsets"):
        for path, names in known.items():
            for name in one.texts(path):
                if name not in names:
                    yield f"{one.path} names {name}, which is not there"
        for node in one.nodes("fieldPermissions"):
            yield from _field_permission(package, one, child(node, "field"), child(node, "editable") == "true")


def callouts_are_allowed(package: Package) -> Iterator[str]:
    """Whoever may use a principal must also read where its encrypted parameters lie, or the callout is refused.

    Source: Salesforce Help, "Enable User External Credentials".
    """
    for one in package.of("permissionsets"):
        may_call = bool(one.nodes("externalCredentialPrincipalAccesses"))
        if may_call != (CREDENTIALS in one.texts("objectPermissions/object")):
            yield f"{one.path}: a principal and {CREDENTIALS} go together"


def _field_permission(package: Package, one: Component, name: str, is_editable: bool) -> Iterator[str]:
    object_name, _, field = name.partition(".")
    if not package.has_field(object_name, field):
        yield f"{one.path} names the field {name}, which is not there"
    found = package.fields.get(object_name, {}).get(field)
    if found is None:
        return
    if found.text("type") == "MasterDetail" or found.text("required") == "true":
        yield f"{one.path} lists {name}, which everybody has; the deployment would fail"
    if is_editable and (found.text("type") == "Summary" or found.text("formula")):
        yield f"{one.path} makes {name} editable, which is computed"


def access_is_least(package: Package) -> Iterator[str]:
    """People read everything and change nothing that NetSuite or the bridge is master of."""
    for one in package.of("permissionsets"):
        is_bridge = one.name == "Bridge_Integration"
        if ("Bridge_Bypass" in one.texts("customPermissions/name")) != is_bridge:
            yield f"{one.path}: Bridge Bypass is for the bridge's own user alone"
        for node in one.nodes("objectPermissions"):
            writes = [f for f in ("allowCreate", "allowEdit", "allowDelete") if child(node, f) == "true"]
            asks = REQUESTS.get(one.name) == child(node, "object") and "allowDelete" not in writes
            if child(node, "modifyAllRecords") == "true" or (not is_bridge and writes and not asks):
                yield f"{one.path} may write {child(node, 'object')}"
        for node in one.nodes("fieldPermissions"):
            name, is_editable = child(node, "field"), child(node, "editable") == "true"
            is_ours = bool(READ_ONLY.search(name)) or name.split(".")[0] in MIRRORS
            if is_editable and is_ours != is_bridge:
                yield f"{one.path} may change {name}"
    for name in ("Bridge_User", "Bridge_Integration", "Bridge_Administrator"):
        listed = {
            f for one in package.of("permissionsets") if one.name == name for f in one.texts("fieldPermissions/field")
        }
        for object_name, fields in package.fields.items():
            for field, one in fields.items():
                is_open = one.text("type") != "MasterDetail" and one.text("required") != "true"
                if is_open and not object_name.endswith("__mdt") and f"{object_name}.{field}" not in listed:
                    yield f"{name} does not show {object_name}.{field}"


def credentials_resolve(package: Package) -> Iterator[str]:
    external = package.names("externalCredentials")
    for one in package.of("namedCredentials"):
        for name in one.texts("namedCredentialParameters/externalCredential"):
            if name not in external:
                yield f"{one.path} uses the external credential {name}"
    for one in package.of("externalCredentials"):
        formula = " ".join(one.texts("externalCredentialParameters/parameterValue"))
        if set(re.findall(r"\$Credential\.(\w+)", formula)) != {one.name}:
            yield f"{one.path} reads the parameters of another credential"
        if not re.fullmatch(r"k=\{!\$Credential\.\w+\.KeyId\},(v1=\{!HEX|s1=\{!BASE64ENCODE)\(.+\)\}", formula):
            yield f"{one.path} does not sign as the bridge expects"
    for _, text in package.scripts("classes", ".cls"):
        for name in re.findall(r"callout:(\w+)", text):
            if name not in package.names("namedCredentials"):
                yield f"Apex calls the named credential {name}"
    for one in package.components:
        for node in one.root.iter("{*}*"):
            if isinstance(node.tag, str) and node.tag.split("}")[1] in SECRETS:
                yield f"{one.path} holds a secret"
        if "AuthParameter" in one.texts("externalCredentialParameters/parameterType"):
            yield f"{one.path} holds a secret"
    apps = package.names("externalClientApps")
    for one in package.components:
        for name in one.texts("externalClientApplication"):
            if name not in apps:
                yield f"{one.path} belongs to the app {name}"
        for name in filter(None, one.text("commaSeparatedPermissionSet").split(",")):
            if name not in package.names("permissionsets"):
                yield f"{one.path} names the permission set {name}"


def list_views_resolve(package: Package) -> Iterator[str]:
    for one in package.of("listViews"):
        for name in [*one.texts("columns"), *one.texts("filters/field")]:
            if name not in LIST_COLUMNS and not package.has_field(one.path.split("/")[-3], name):
                yield f"{one.path} names {name}"
    for object_name in sorted(PUSHED):
        labels = {one.text("label") for one in package.of("listViews") if one.path.split("/")[-3] == object_name}
        for label in sorted({"Not in NetSuite yet", "Needs attention"} - labels):
            yield f"{object_name} has no list view {label!r}"


def layouts_resolve(package: Package) -> Iterator[str]:
    for one in package.of("layouts"):
        object_name = one.name.partition("-")[0]
        if object_name not in package.objects:
            yield f"{one.path} is of an object that is not there"
        for name in one.texts("layoutSections/layoutColumns/layoutItems/field"):
            if not package.has_field(object_name, name):
                yield f"{one.path} names {name}"
        for node in one.nodes("relatedLists"):
            related, _, field = child(node, "relatedList").partition(".")
            found = package.fields.get(related, {}).get(field)
            if (object_name, related) in STANDARD_LISTS:
                related = STANDARD_LISTS[object_name, related]
            elif found is None or found.text("referenceTo") != object_name:
                yield f"{one.path} names the related list {related}.{field}"
            for column in node.findall("{*}fields"):
                known = package.has_field(related, column.text or "") or column.text in LOOKUPS.get(related, ())
                if column.text not in LIST_COLUMNS and not known:
                    yield f"{one.path} names {related}.{column.text}"
        for name in one.texts("multilineLayoutFields"):
            if not package.has_field(object_name, name):
                yield f"{one.path} asks for {name} when several are added"
    laid_out = MIRRORS | {"Account", "Opportunity", "OpportunityLineItem"}
    for name in sorted(laid_out - {one.name.partition("-")[0] for one in package.of("layouts")}):
        yield f"{name} has no layout"


def tabs_resolve(package: Package) -> Iterator[str]:
    for name in sorted(package.names("tabs") - package.objects):
        yield f"the tab {name} has no object"


def pages_resolve(package: Package) -> Iterator[str]:
    bundles = {one.name: one for one in package.of("lwc")}
    for one in package.of("flexipages"):
        object_name = one.text("sobjectType")
        if object_name not in package.objects:
            yield f"{one.path} is of the object {object_name}"
        instances = one.nodes("flexiPageRegions/itemInstances/componentInstance")
        identifiers = [child(node, "identifier") for node in instances]
        if len(set(identifiers)) != len(identifiers):
            yield f"{one.path} uses an identifier twice"
        for node in instances:
            name = child(node, "componentName")
            if ":" not in name:
                bundle = bundles.get(name)
                if bundle is None:
                    yield f"{one.path} shows the component {name}"
                elif object_name not in bundle.texts("targetConfigs/targetConfig/objects/object"):
                    yield f"{name} is not made for {object_name}"
            given = {child(p, "name"): child(p, "value") for p in node.findall("{*}componentInstanceProperties")}
            listed = given.get("relatedListApiName")
            if listed and (object_name, listed) not in package.relationships:
                yield f"{one.path} shows the related list {listed}"


def reports_resolve(package: Package) -> Iterator[str]:
    columns: dict[str, set[str]] = {}
    for one in package.of("reportTypes"):
        base = one.text("baseObject")
        tables = {base: base}
        for name in one.texts("join/relationship"):
            tables[f"{base}.{name}"] = package.relationships.get((base, name), "")
        columns[one.name + "__c"] = set()
        for node in one.nodes("sections/columns"):
            table, field = child(node, "table"), child(node, "field")
            if not package.has_field(tables.get(table, ""), field) or not tables.get(table):
                yield f"{one.path} names {table}.{field}"
            columns[one.name + "__c"].add(f"{table}${field}")
    for one in package.of("reports"):
        if not one.path.endswith(".report-meta.xml"):
            continue
        if one.path.split("/")[-2] not in package.names("reports"):
            yield f"{one.path} lies in a folder that is not there"
        known = columns.get(one.text("reportType"))
        if known is None:
            yield f"{one.path} is of the report type {one.text('reportType')}"
            continue
        shown, grouped = one.texts("columns/field"), one.texts("groupingsDown/field")
        named = [*one.texts("filter/criteriaItems/column"), *one.texts("timeFrameFilter/dateColumn")]
        for name in {*shown, *grouped, *named, *one.texts("sortColumn")} - known:
            yield f"{one.path} names {name}"
        for name in set(shown) & set(grouped):
            yield f"{one.path} groups by its column {name}"


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        *(names_are_kept, fields_resolve, formulas_resolve, permission_sets_resolve, access_is_least),
        *(
            callouts_are_allowed,
            credentials_resolve,
            list_views_resolve,
            layouts_resolve,
            tabs_resolve,
            pages_resolve,
            reports_resolve,
        ),
        *(
            sources.components_resolve,
            sources.fixtures_match_apex,
            sources.actions_resolve,
            sources.labels_are_translated,
        ),
        *(sources.people_read_application, sources.records_resolve, sources.apex_is_whole),
        *(sources.versions_agree, sources.manifest_is_complete),
    )
}
