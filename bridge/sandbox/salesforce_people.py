"""Who works in the fake org, and its price book: made once at start, past the save procedure.

``People.users`` by username, ``People.entries`` price book entry ids by fee type.

Must not know: HTTP, triggers.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from bridge.sandbox.salesforce_org import Org
from bridge.sandbox.salesforce_tables import User
from bridge.sandbox.salesforce_values import base62, id18

USERS = (
    ("integration@sandbox.example", "Bridge", "Integration", True),
    ("sales@sandbox.example", "Sam", "Seller", False),
    ("admin@sandbox.example", "Ada", "Admin", False),
    ("controller@sandbox.example", "Cora", "Controller", False),
)
APPROVERS = {"controller@sandbox.example": frozenset({"Approve_Credits"})}
FEES = ("Origination Fee", "Underwriting Fee", "Wire Fee", "Legal Fee", "UCC Filing Fee")


class People:
    """Users, the organization, products and the standard price book."""

    def __init__(self, org: Org, *, zone: str) -> None:
        self.org = org
        self.users: dict[str, User] = {}
        self.entries: dict[str, str] = {}
        # Older than every save of the day, so that the set-up never shows up as a change of this morning.
        self._stamp = org.now() - timedelta(days=200)
        self._creator = id18("0055e0000000001")
        for number, (username, first, last, bypass) in enumerate(USERS, start=1):
            record_id = id18(f"0055e00000{base62(number, 5)}")
            names = {"FirstName": first, "LastName": last, "Name": f"{first} {last}", "Alias": last[:8].lower()}
            more = {"Username": username, "Email": username, "IsActive": True, "UserType": "Standard"}
            self._put("User", record_id, **names, **more, TimeZoneSidKey=zone)
            self.users[username] = User(record_id, username, bypass, APPROVERS.get(username, frozenset()))
        about = {"Name": "Sandbox Funding", "InstanceName": "SBX1", "IsSandbox": True}
        self._put("Organization", org.org_id, **about, OrganizationType="Developer Edition", TimeZoneSidKey=zone)
        book = id18("01s5e0000000001")
        self._put("Pricebook2", book, Name="Standard Price Book", IsActive=True, IsStandard=True)
        lines = org.schema.type("OpportunityLineItem").fields.get("fee_type__c")
        for number, fee in enumerate((lines.picklist if lines else ()) or FEES, start=1):
            product, entry = (id18(f"{prefix}5e00000{base62(number, 5)}") for prefix in ("01t", "01u"))
            self._put("Product2", product, Name=fee, IsActive=True)
            links = {"Pricebook2Id": book, "Product2Id": product}
            self._put("PricebookEntry", entry, Name=fee, UnitPrice=Decimal("0.00"), IsActive=True, **links)
            self.entries[fee] = entry
        org.reserve({"005": 1000, "01s": 1000, "01t": 1000, "01u": 1000})

    def _put(self, kind: str, record_id: str, **values: Any) -> None:
        row: dict[str, Any] = {"Id": record_id, "IsDeleted": False, **values}
        row |= {"CreatedDate": self._stamp, "LastModifiedDate": self._stamp, "SystemModstamp": self._stamp}
        row |= {"CreatedById": self._creator, "LastModifiedById": self._creator}
        self.org.tables[kind].put(record_id, row)
