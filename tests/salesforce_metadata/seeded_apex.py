"""Mistakes in Apex, metadata and components that ``scripts/check-salesforce`` must find.

Each is one change of one file and names the check that has to fail and words of what it says;
``scripts/check-salesforce --prove`` makes them one by one in a copy of the package.
"""

from dataclasses import dataclass

MAIN = "force-app/main/default"
CLASSES = f"{MAIN}/classes"


@dataclass(frozen=True)
class Mistake:
    """*old* becomes *new* in *file*; an empty *old* means that *new* is put in front. *check* must say *says*."""

    what: str
    check: str
    file: str
    old: str
    new: str
    says: str


MISTAKES = (
    Mistake(
        "a missing semicolon",
        "apex-types",
        f"{CLASSES}/BridgeLog.cls",
        "problems.add(sentence);",
        "problems.add(sentence)",
        "BridgeLog.cls",
    ),
    Mistake(
        "an unknown method of the platform",
        "apex-types",
        f"{CLASSES}/BridgeClient.cls",
        "request.setBody(body)",
        "request.setContent(body)",
        "setContent",
    ),
    Mistake(
        "a wrong number of arguments",
        "apex-types",
        f"{CLASSES}/BridgePushJob.cls",
        "BridgeClient.post(call.path(), body)",
        "BridgeClient.post(body)",
        "BridgePushJob.cls",
    ),
    Mistake(
        "a field of the settings that does not exist",
        "apex-types",
        f"{CLASSES}/BridgeSettings.cls",
        "between(setting.Chunk_Size__c, 1",
        "between(setting.Chunk_Sice__c, 1",
        "Chunk_Sice__c",
    ),
    Mistake(
        "a method of an interface that is missing",
        "apex-types",
        f"{CLASSES}/BridgePushFinalizer.cls",
        "public void execute(FinalizerContext context)",
        "public void run(FinalizerContext context)",
        "execute",
    ),
    Mistake(
        "a class without its meta file",
        "apex-types",
        f"{CLASSES}/Orphan.cls",
        "",
        "public with sharing class Orphan {\n}\n",
        "Orphan",
    ),
    Mistake(
        "an unknown field of a standard object",
        "compiler",
        f"{CLASSES}/BridgeCommissions.cls",
        "owed.due = application.Commission_Due__c",
        "owed.due = application.Commission_Date__c",
        "Commission_Date__c",
    ),
    Mistake(
        "a token of a field that does not exist",
        "compiler",
        f"{CLASSES}/BridgeStamp.cls",
        "Account.NetSuite_Vendor_Id__c",
        "Account.NetSuite_Vendor__c",
        "NetSuite_Vendor__c",
    ),
    Mistake(
        "a query of a field that does not exist",
        "compiler",
        f"{CLASSES}/BridgeStatusController.cls",
        "SELECT Fee_Type__c, TotalPrice",
        "SELECT Fee__c, TotalPrice",
        "no field Fee__c",
    ),
    Mistake(
        "a text where an amount belongs",
        "compiler",
        f"{CLASSES}/BridgeStatusController.cls",
        "shown.total = row.Total__c",
        "shown.total = row.Status__c",
        "BridgeStatusController.cls",
    ),
    Mistake(
        "a reserved word as a name",
        "compiler",
        f"{CLASSES}/BridgeStatus.cls",
        "public String orderNumber;",
        "public String number;",
        "number",
    ),
    Mistake(
        "an empty catch",
        "pmd",
        f"{CLASSES}/BridgeTriggerHandler.cls",
        "BridgeLog.problem(error);",
        "",
        "EmptyCatchBlock",
    ),
    Mistake(
        "a query in a loop",
        "pmd",
        f"{CLASSES}/BridgeVersion.cls",
        "next(row, row);",
        "next(row, row);\n      Database.query('SELECT Id FROM Account LIMIT 1', AccessLevel.SYSTEM_MODE);",
        "OperationWithLimitsInLoop",
    ),
    Mistake(
        "a hard-coded id",
        "pmd",
        f"{CLASSES}/BridgeTriggerHandler.cls",
        "private Map<Id, SObject> oldById;",
        "private Map<Id, SObject> oldById;\n  private Id owner = '0015000000WUP9JAAX';",
        "AvoidHardcodingId",
    ),
    Mistake(
        "a test that asserts nothing",
        "pmd",
        f"{CLASSES}/tests/BridgeSettingsTest.cls",
        "Assert.areEqual(1, jobs, 'One job for both.');",
        "",
        "ApexUnitTestClassShouldHaveAsserts",
    ),
    Mistake(
        "a public method without its description",
        "pmd",
        f"{CLASSES}/BridgeCall.cls",
        "   * @return true when it names no record\n",
        "",
        "ApexDoc",
    ),
    Mistake(
        "a class that does not name its sharing",
        "rules",
        f"{CLASSES}/BridgeAnswer.cls",
        "public with sharing class BridgeAnswer",
        "public class BridgeAnswer",
        "sharing",
    ),
    Mistake(
        "a query without its access mode",
        "rules",
        f"{CLASSES}/BridgeStatusController.cls",
        "WITH USER_MODE",
        "",
        "USER_MODE",
    ),
    Mistake(
        "a save without its access mode",
        "rules",
        f"{CLASSES}/BridgeStamp.cls",
        "Database.update(BridgeRoom.fitting(stamped), false, AccessLevel.SYSTEM_MODE)",
        "Database.update(BridgeRoom.fitting(stamped), false)",
        "AccessLevel",
    ),
    Mistake(
        "a statement that saves without its access mode",
        "rules",
        f"{CLASSES}/tests/BridgeTestData.cls",
        "insert as system rows;",
        "insert rows;",
        "as user or as system",
    ),
    Mistake(
        "a callout in a trigger",
        "rules",
        f"{MAIN}/triggers/BridgeAccountTrigger.trigger",
        "new BridgeTriggerHandler(Account.SObjectType)",
        "BridgeClient.post('Account', '{}');\n  new BridgeTriggerHandler(Account.SObjectType)",
        "a trigger holds one call",
    ),
    Mistake(
        "a trigger that hands over another object",
        "rules",
        f"{MAIN}/triggers/BridgeContactTrigger.trigger",
        "BridgeTriggerHandler(Contact.",
        "BridgeTriggerHandler(Account.",
        "its own object",
    ),
    Mistake(
        "a badly formatted class",
        "format",
        f"{CLASSES}/BridgeVersion.cls",
        "return results;",
        "return    results;",
        "BridgeVersion.cls",
    ),
    Mistake(
        "a misspelt element of a field",
        "schema",
        f"{MAIN}/objects/Bridge_Field__mdt/fields/Field__c.field-meta.xml",
        "<length>80</length>",
        "<lenght>80</lenght>",
        "no such element",
    ),
    Mistake(
        "a type of field that does not exist",
        "schema",
        f"{MAIN}/objects/Bridge_Field__mdt/fields/Field__c.field-meta.xml",
        "<type>Text</type>",
        "<type>Word</type>",
        "is not one of FieldType",
    ),
    Mistake(
        "a yes that is not true",
        "schema",
        f"{MAIN}/objects/Bridge_Setting__mdt/fields/Chunk_Size__c.field-meta.xml",
        "<required>true</required>",
        "<required>yes</required>",
        "neither true nor false",
    ),
    Mistake(
        "repeated elements that are not adjacent",
        "schema",
        f"{MAIN}/customMetadata/Bridge_Field.Account_Name.md-meta.xml",
        "<protected>false</protected>",
        "<values>\n        <field>Active__c</field>\n    </values>\n    <protected>false</protected>",
        "adjacent",
    ),
    Mistake(
        "a required element that is missing",
        "schema",
        f"{MAIN}/classes/BridgeLog.cls-meta.xml",
        "<apiVersion>65.0</apiVersion>",
        "",
        "lacks apiVersion",
    ),
    Mistake(
        "a file that is not well-formed",
        "schema",
        f"{MAIN}/customMetadata/Bridge_Setting.Default.md-meta.xml",
        "</CustomMetadata>",
        "",
        "not well-formed",
    ),
    Mistake(
        "a component that the manifest lacks",
        "convert",
        "manifest/package.xml",
        "<members>BridgeLog</members>",
        "",
        "not current",
    ),
    Mistake(
        "a file of no known kind",
        "convert",
        f"{MAIN}/tabs/Wrong.tabb-meta.xml",
        "",
        '<?xml version="1.0" encoding="UTF-8" ?>\n',
        "tabb",
    ),
    Mistake(
        "an import in a component that nothing uses",
        "eslint",
        f"{MAIN}/lwc/netsuiteStatus/netsuiteStatus.js",
        "",
        'import unused from "@salesforce/apex/BridgeStatusController.getStatus";\n',
        "unused",
    ),
    Mistake(
        "a loop in a component without keys",
        "lwc",
        f"{MAIN}/lwc/netsuiteStatus/netsuiteStatus.html",
        "<template>",
        '<template>\n  <template for:each={orders} for:item="one"><p>{one.name}</p></template>',
        "netsuiteStatus.html",
    ),
    Mistake(
        "a share that is ten times too large",
        "jest",
        f"{MAIN}/lwc/netsuiteStatus/netsuiteStatus.js",
        "one.percent / 100",
        "one.percent / 10",
        "netsuiteStatus.test.js",
    ),
)
