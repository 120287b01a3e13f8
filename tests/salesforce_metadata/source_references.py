"""What no offline tool sees in sources: names in components, Apex, actions, labels and the manifest mean something.

Each check yields one sentence for each mistake it finds.

Must not know: how the files are found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.salesforce_metadata.dx_package import Package, child

LWC_TARGETS = {"lightning__RecordPage", "lightning__RecordAction", "lightning__AppPage", "lightning__HomePage"}
FOR_PEOPLE = {
    *("label", "pluralLabel", "masterLabel", "description", "inlineHelpText", "errorMessage", "relationshipLabel"),
    *("shortDescription", "value", "name", "title", "helpText"),
}
# Internal label keys of Opportunity whose files this package has; Salesforce calls them by no other name.
LABEL_KEY = re.compile(r"opportunity_[a-z0-9_]+$")
# fmt: off
KINDS = {  # folder → type in package.xml
    "classes": "ApexClass", "triggers": "ApexTrigger", "fields": "CustomField", "customMetadata": "CustomMetadata",
    "objects": "CustomObject", "customPermissions": "CustomPermission", "tabs": "CustomTab",
    "lwc": "LightningComponentBundle", "externalClientApps": "ExternalClientApplication", "labels": "CustomLabels",
    "externalCredentials": "ExternalCredential", "layouts": "Layout", "flexipages": "FlexiPage",
    "listViews": "ListView", "namedCredentials": "NamedCredential", "reports": "Report", "quickActions": "QuickAction",
    "permissionsets": "PermissionSet", "reportTypes": "ReportType", "validationRules": "ValidationRule",
    "objectTranslations": "CustomObjectTranslation", "staticresources": "StaticResource",
    "extlClntAppGlobalOauthSets": "ExtlClntAppGlobalOauthSettings",
    "extlClntAppOauthSettings": "ExtlClntAppOauthSettings",
    "extlClntAppOauthPolicies": "ExtlClntAppOauthConfigurablePolicies",
}
# fmt: on
PARTS_OF_OBJECTS = {"fields", "listViews", "validationRules"}


def components_resolve(package: Package) -> Iterator[str]:
    apex = {path.rsplit("/", 1)[1][:-4]: text for path, text in package.scripts("classes", ".cls")}
    labels = {name for one in package.of("labels") for name in one.texts("labels/fullName")}
    bundles = package.names("lwc")
    for path, text in package.scripts("lwc", ".js"):
        for class_name, method in re.findall(r"@salesforce/apex/(\w+)\.(\w+)", text):
            shape = rf"@AuraEnabled(\([^)]*\))?\s+public static [\w<>., ]+ {method}\("
            if not re.search(shape, apex.get(class_name, "")):
                yield f"{path} calls {class_name}.{method}"
        for object_name, field in re.findall(r"@salesforce/schema/(\w+)\.(\w+)", text):
            if not package.has_field(object_name, field):
                yield f"{path} imports {object_name}.{field}"
        for name in re.findall(r"@salesforce/label/c\.(\w+)", text):
            if name not in labels:
                yield f"{path} imports the label {name}"
        for name in re.findall(r"""from ["']c/(\w+)["']""", text):
            if name not in bundles:
                yield f"{path} imports c/{name}"
    for path, text in package.scripts("lwc", ".html"):
        for tag in set(re.findall(r"<c-([a-z0-9-]+)", text)):
            if re.sub(r"-(\w)", lambda m: m[1].upper(), tag) not in bundles:
                yield f"{path} shows c-{tag}"
    for one in package.of("lwc"):
        given = {*one.texts("targets/target")}
        for node in one.nodes("targetConfigs/targetConfig"):
            given |= set((node.get("targets") or "").split(","))
        for name in given - LWC_TARGETS:
            yield f"{one.path} has the target {name}"
        for name in one.texts("targetConfigs/targetConfig/objects/object"):
            if name not in package.objects:
                yield f"{one.path} is for {name}"
        folder = one.path.rsplit("/", 1)[0]
        for need in (f"{folder}/{one.name}.js", f"{folder}/__tests__/{one.name}.test.js"):
            if need not in package.paths:
                yield f"{need} is missing"


def fixtures_match_apex(package: Package) -> Iterator[str]:
    """The component's tests are fed what Apex really answers: the same members, no more and no fewer."""
    text = next((text for path, text in package.scripts("classes", "/BridgeStatus.cls")), "")
    outer, *inner = text.split("public with sharing class ")[1:] or [""]
    members = {
        block.split(" ")[0]: set(re.findall(r"@AuraEnabled\s+public [\w<>.]+ (\w+)", block))
        for block in (outer, *inner)
    }
    parts = {
        "orders": "Order",
        "fees": "Fee",
        "remittances": "Remittance",
        "lines": "Line",
        "commissions": "Commission",
        "receivables": "Receivable",
        "documents": "Document",
    }

    def compare(path: str, given: object, name: str) -> Iterator[str]:
        if isinstance(given, list):
            for one in given:
                yield from compare(path, one, name)
        elif isinstance(given, dict):
            for member in sorted(set(given) ^ members.get(name, set())):
                yield f"{path} and {name} do not agree about {member}"
            for member, value in given.items():
                yield from compare(path, value, parts.get(member, ""))

    for path in package.paths:
        if "/netsuiteStatus/__tests__/data/" in path:
            yield from compare(path, json.loads(package.read(path)), "BridgeStatus")


def actions_resolve(package: Package) -> Iterator[str]:
    bundles = {one.name: one for one in package.of("lwc")}
    for one in package.of("quickActions"):
        object_name, name = one.name.partition(".")[0], one.text("lightningWebComponent")
        if object_name not in package.objects:
            yield f"{one.path} is of the object {object_name}"
        if name not in bundles or "lightning__RecordAction" not in bundles[name].texts("targets/target"):
            yield f"{one.path} runs {name}"


def labels_are_translated(package: Package) -> Iterator[str]:
    for one in package.of("objectTranslations"):
        object_name = one.path.split("/")[-2].partition("-")[0]
        if one.path.endswith(".objectTranslation-meta.xml"):
            if one.name != one.path.split("/")[-2] or object_name not in package.objects:
                yield f"{one.path} translates an object that is not there"
            continue
        if one.text("name") != one.name:
            yield f"{one.path} translates {one.text('name')}"
        if not LABEL_KEY.fullmatch(one.name) and one.name not in package.fields.get(object_name, {}):
            yield f"{one.path} translates a label that is not there"


def people_read_application(package: Package) -> Iterator[str]:
    for one in package.components:
        for node in one.root.iter("{*}*"):
            tag = node.tag.split("}")[1] if isinstance(node.tag, str) else ""
            if "__mdt/" in one.path:
                continue  # administrators choose API names there
            is_said = tag in FOR_PEOPLE and (tag != "value" or one.folder in ("objectTranslations", "labels"))
            if is_said and re.search(r"\bOpportunit(y|ies)\b(?!\.)", node.text or ""):
                yield f"{one.path} says Opportunity to people"
    for path, text in package.scripts("lwc", ".html"):
        if "Opportunit" in text:
            yield f"{path} says Opportunity to people"


def records_resolve(package: Package) -> Iterator[str]:
    for one in package.of("customMetadata"):
        kind = one.name.partition(".")[0] + "__mdt"
        for name in one.texts("values/field"):
            if name not in package.fields.get(kind, {}):
                yield f"{one.path} sets {kind}.{name}"
        given = {child(node, "field"): child(node, "value") for node in one.nodes("values")}
        object_name, field = given.get("Object__c"), given.get("Field__c")
        if object_name and field and field != "CurrencyIsoCode" and not package.has_field(object_name, field):
            yield f"{one.path} reads {object_name}.{field}"


def apex_is_whole(package: Package) -> Iterator[str]:
    for folder, suffix in (("classes", ".cls"), ("triggers", ".trigger")):
        sources = {path for path, _ in package.scripts(folder, suffix)}
        metas = {path.removesuffix("-meta.xml") for path in package.paths if path.endswith(suffix + "-meta.xml")}
        for path in sorted(sources - metas):
            yield f"{path} has no meta file"
        for path in sorted(metas - sources):
            yield f"{path} has only a meta file"
    for path, text in package.scripts("triggers", ".trigger"):
        if re.search(r"\bHttp(Request)?\b|callout:|@future|enqueueJob", text):
            yield f"{path} calls out"
        found = re.match(r"(?:\s|/\*.*?\*/|//[^\n]*)*trigger\s+(\w+)\s+on\s+(\w+)", text, re.S)
        if not found or found[1] != path.rsplit("/", 1)[1][:-8] or found[2] not in package.objects:
            yield f"{path} is of another object or name"
    labels = {name for one in package.of("labels") for name in one.texts("labels/fullName")}
    known = {name for fields in package.fields.values() for name in fields} | package.objects
    for path, text in package.scripts("classes", ".cls"):
        if "/classes/tests/" in path:
            continue  # tests name what is not there on purpose
        for name in set(re.findall(r"(?:System\.)?\bLabel\.(\w+)", text)) - labels:
            yield f"{path} says the label {name}"
        for name in set(re.findall(r"\b[A-Z]\w*__(?:c|mdt)\b", text)) - known:
            yield f"{path} names {name}"
        for name in re.findall(r"checkPermission\('(\w+)'\)", text):
            if name not in package.names("customPermissions"):
                yield f"{path} asks for the permission {name}"


def versions_agree(package: Package) -> Iterator[str]:
    version = json.loads(package.read("sfdx-project.json"))["sourceApiVersion"]
    for one in package.components:
        for found in one.texts("apiVersion"):
            if found != version:
                yield f"{one.path} is of API version {found}, not {version}"
        if one.folder in ("classes", "triggers", "lwc") and not one.texts("apiVersion"):
            yield f"{one.path} has no API version"


def manifest_is_complete(package: Package) -> Iterator[str]:
    for path in ("manifest/package.xml", "destructive/package.xml", "destructive/destructiveChanges.xml"):
        if package.parse(path).text("version") != json.loads(package.read("sfdx-project.json"))["sourceApiVersion"]:
            yield f"{path} is of another API version"
    manifest = package.parse("manifest/package.xml")
    listed = {
        (child(node, "name"), (member.text or "").rstrip("/"))
        for node in manifest.nodes("types")
        for member in node.findall("{*}members")
    }
    present = set()
    for one in package.components:
        if not one.path.startswith("force-app/") or one.path.endswith(".fieldTranslation-meta.xml"):
            continue
        name, parts = one.name, one.path.split("/")
        if one.folder in PARTS_OF_OBJECTS:
            name = f"{parts[-3]}.{name}"
        elif one.folder == "reports" and one.path.endswith(".report-meta.xml"):
            name = f"{parts[-2]}/{name}"
        present.add((KINDS[one.folder], name))
    for kind, name in sorted(present - listed):
        yield f"manifest/package.xml lacks {kind} {name}"
    for kind, name in sorted(listed - present):
        yield f"manifest/package.xml lists {kind} {name}, which is not there"
