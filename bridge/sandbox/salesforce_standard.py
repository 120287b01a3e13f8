"""The few standard objects and fields of Salesforce that the fake offers, written by hand.

Names and types are those of the Object Reference of each object (``developer.salesforce.com/docs``, "Object
Reference for the Salesforce Platform", pages Account, Contact, Opportunity, OpportunityLineItem, Product2, Pricebook2,
PricebookEntry, User, Organization); so are lengths. What is only assumed is marked.

A row is: name, type, length (or precision.scale), flags, then a label, target, relationship or values. Flags:
``!`` required, ``r`` read-only, ``u`` unique, ``i`` idLookup, ``c`` create-only, ``n`` the name field.

Must not know: records, HTTP.
"""

from __future__ import annotations

SYSTEM = """
Id|id|18|ri|Record ID
IsDeleted|boolean||r|Deleted
CreatedDate|datetime||r|Created Date
CreatedById|reference||r|Created By ID|User|CreatedBy
LastModifiedDate|datetime||r|Last Modified Date
LastModifiedById|reference||r|Last Modified By ID|User|LastModifiedBy
SystemModstamp|datetime||r|System Modstamp
"""
OWNER = "OwnerId|reference|||Owner ID|User|Owner"

# Picklists of standard fields take any value over the API unless an administrator restricts them
# (Salesforce Help, "Picklist Considerations"), so none of these is restricted.
OBJECTS: dict[str, tuple[str, str, str, str]] = {
    "Account": (
        "001",
        "Account",
        "Accounts",
        """
Name|string|255|!n|Account Name
MasterRecordId|reference||r|Master Record ID|Account|MasterRecord
ParentId|reference|||Parent Account ID|Account|Parent|ChildAccounts
Type|picklist|255||Account Type||Prospect;Customer - Direct;Customer - Channel;Other
AccountNumber|string|40||Account Number
Phone|phone|40||Account Phone
Fax|phone|40||Account Fax
Website|url|255||Website
Industry|picklist|255||Industry||Construction;Food & Beverage;Retail;Transportation;Other
AnnualRevenue|currency|18.0||Annual Revenue
NumberOfEmployees|int|8.0||Employees
Description|textarea|32000||Account Description
BillingStreet|textarea|255||Billing Street
BillingCity|string|40||Billing City
BillingState|string|80||Billing State/Province
BillingPostalCode|string|20||Billing Zip/Postal Code
BillingCountry|string|80||Billing Country
ShippingStreet|textarea|255||Shipping Street
ShippingCity|string|40||Shipping City
ShippingState|string|80||Shipping State/Province
ShippingPostalCode|string|20||Shipping Zip/Postal Code
ShippingCountry|string|80||Shipping Country
""",
    ),
    "Contact": (
        "003",
        "Contact",
        "Contacts",
        """
MasterRecordId|reference||r|Master Record ID|Contact|MasterRecord
AccountId|reference|||Account ID|Account|Account|Contacts
LastName|string|80|!|Last Name
FirstName|string|40||First Name
Salutation|picklist|40||Salutation||Mr.;Ms.;Mrs.;Dr.;Prof.
Name|string|121|rn|Full Name
Title|string|128||Title
Department|string|80||Department
Email|email|80|i|Email
Phone|phone|40||Business Phone
MobilePhone|phone|40||Mobile Phone
Fax|phone|40||Business Fax
MailingStreet|textarea|255||Mailing Street
MailingCity|string|40||Mailing City
MailingState|string|80||Mailing State/Province
MailingPostalCode|string|20||Mailing Zip/Postal Code
MailingCountry|string|80||Mailing Country
Description|textarea|32000||Contact Description
""",
    ),
    "Opportunity": (
        "006",
        "Application",
        "Applications",
        """
AccountId|reference|||Account ID|Account|Account|Opportunities
Name|string|120|!n|Name
Description|textarea|32000||Description
StageName|picklist|255|!|Stage||New;Under Review;Underwriting;Approved;Funded;Declined
Amount|currency|18.2||Amount
Probability|percent|3.0||Probability (%)
CloseDate|date||!|Close Date
Type|picklist|255||Application Type||Existing Business;New Business
NextStep|string|255||Next Step
LeadSource|picklist|255||Lead Source||Web;Phone Inquiry;Partner Referral;Other
IsClosed|boolean||r|Closed
IsWon|boolean||r|Won
HasOpportunityLineItem|boolean||r|Has Line Item
Pricebook2Id|reference|||Price Book ID|Pricebook2|Pricebook2
""",
    ),
    "OpportunityLineItem": (
        "00k",
        "Fee Line",
        "Fee Lines",
        """
OpportunityId|reference||!c|Opportunity ID|Opportunity|Opportunity|OpportunityLineItems
SortOrder|int|9.0||Sort Order
PricebookEntryId|reference||!c|Price Book Entry ID|PricebookEntry|PricebookEntry
Product2Id|reference||r|Product ID|Product2|Product2
ProductCode|string|255|r|Product Code
Name|string|376|rn|Opportunity Product Name
Quantity|double|12.2|!|Quantity
TotalPrice|currency|18.2||Total Price
UnitPrice|currency|18.2||Sales Price
ListPrice|currency|18.2|r|List Price
ServiceDate|date|||Date
Description|string|255||Line Description
""",
    ),
    "Product2": (
        "01t",
        "Product",
        "Products",
        """
Name|string|255|!n|Product Name
ProductCode|string|255||Product Code
Description|textarea|4000||Product Description
IsActive|boolean|||Active
Family|picklist|255||Product Family||None
""",
    ),
    "Pricebook2": (
        "01s",
        "Price Book",
        "Price Books",
        """
Name|string|255|!n|Price Book Name
IsActive|boolean|||Active
IsStandard|boolean||r|Is Standard Price Book
Description|string|255||Description
""",
    ),
    "PricebookEntry": (
        "01u",
        "Price Book Entry",
        "Price Book Entries",
        """
Name|string|255|rn|Product Name
Pricebook2Id|reference||!c|Price Book ID|Pricebook2|Pricebook2|PricebookEntries
Product2Id|reference||!c|Product ID|Product2|Product2|PricebookEntries
UnitPrice|currency|18.2|!|List Price
IsActive|boolean|||Active
UseStandardPrice|boolean|||Use Standard Price
ProductCode|string|255|r|Product Code
""",
    ),
    "User": (
        "005",
        "User",
        "Users",
        """
Username|string|80|!u|Username
LastName|string|80|!|Last Name
FirstName|string|40||First Name
Name|string|121|rn|Full Name
Email|email|128|!|Email
Alias|string|8|!|Alias
IsActive|boolean|||Active
UserType|picklist|40|r|User Type||Standard
TimeZoneSidKey|picklist|40||Time Zone||America/Los_Angeles
""",
    ),
    "Organization": (
        "00D",
        "Organization",
        "Organizations",
        """
Name|string|80|rn|Name
InstanceName|string|5|r|Instance Name
IsSandbox|boolean||r|Is Sandbox
NamespacePrefix|string|15|r|Namespace Prefix
OrganizationType|picklist|40|r|Edition||Developer Edition
TrialExpirationDate|datetime||r|Trial Expiration Date
TimeZoneSidKey|picklist|40|r|Time Zone||America/Los_Angeles
""",
    ),
}
OWNED = ("Account", "Contact", "Opportunity")

# What deleting a parent does to its children (Object Reference of each child; Help, "Delete Records").
CASCADES = {("Contact", "AccountId"), ("Opportunity", "AccountId"), ("OpportunityLineItem", "OpportunityId")}

# Closed, won and probability by stage. Assumption: the package gives its stages these values.
STAGES: dict[str, tuple[bool, bool, int]] = {
    "New": (False, False, 10),
    "Under Review": (False, False, 25),
    "Underwriting": (False, False, 50),
    "Approved": (False, False, 90),
    "Funded": (True, True, 100),
    "Declined": (True, False, 0),
}
