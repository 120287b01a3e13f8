"""What kinds of record the fake NetSuite knows: types, groups, references, lines, pages, statuses. Tables only.

A kind is NetSuite's own word (``salesOrder``); its values follow the XSD of the version in use.

Sources are Oracle help page ids (``section_…``) or "assumption" where the help is silent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ITEMS = ("serviceSaleItem", "servicePurchaseItem")
SALE_ITEMS, PURCHASE_ITEMS = ("serviceSaleItem",), ("servicePurchaseItem",)
ENTITIES = ("customer", "vendor", "contact")


@dataclass(frozen=True)
class Lines:
    """A sublist: its element, and the field that keys its lines (section_N3441570)."""

    element: str
    key: str


@dataclass(frozen=True)
class Kind:
    """One kind of record."""

    name: str
    type: str
    label: str
    page: str
    group: str = ""
    prefix: str = ""
    writable: bool = False
    refs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lists: Mapping[str, Lines] = field(default_factory=dict)
    read_only: frozenset[str] = frozenset()
    created: str = "dateCreated"
    modified: str = "lastModifiedDate"
    # Fields that the form insists on, with the labels of its sentence (section_N3439180, section_N3539978).
    required: Mapping[str, str] = field(default_factory=dict)


# References that mean the same in every kind. A reference that is not listed points at nothing the fake holds, so any
# value of it is INVALID_KEY_OR_REF.
REFERENCES: dict[str, tuple[str, ...]] = {
    "subsidiary": ("subsidiary",),
    "representingSubsidiary": ("subsidiary",),
    "currency": ("currency",),
    "terms": ("term",),
    "entityStatus": ("customerStatus",),
    "priceLevel": ("priceLevel",),
    "price": ("priceLevel",),
    "account": ("account",),
    "arAcct": ("account",),
    "expenseAccount": ("account",),
    "payablesAccount": ("account",),
    "incomeAccount": ("account",),
    "receivablesAccount": ("account",),
    "customer": ("customer",),
    "company": ("customer", "vendor"),
    "taxCode": ("salesTaxItem",),
    "taxItem": ("salesTaxItem",),
    "createdFrom": ("estimate", "salesOrder", "purchaseOrder", "invoice"),
    "salesOrder": ("salesOrder",),
    "recType": ("customRecordType",),
    "nextApprover": ("employee",),
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ENTITY_READ_ONLY = _words(
    "dateCreated lastModifiedDate balance overdueBalance daysOverdue unbilledOrders depositBalance consolBalance "
    "balancePrimary unbilledOrdersPrimary firstVisit lastVisit visits defaultAddress"
)
_TRAN_READ_ONLY = _words(
    "createdDate lastModifiedDate status total subTotal taxTotal balance currencyName amountPaid amountRemaining "
    "applied unapplied"
)
_NAME = {"companyName": "Company Name", "subsidiary": "Subsidiary"}
_TRAN = "/app/accounting/transactions/"
_ENTITY = "/app/common/entity/"

_KINDS = (
    Kind(
        "customer",
        "Customer",
        "Customers",
        _ENTITY + "custjob.nl",
        group="Entity",
        writable=True,
        refs={"parent": ("customer",)},
        lists={"currencyList": Lines("currency", "currency")},
        read_only=_ENTITY_READ_ONLY,
        required=_NAME,
    ),
    Kind(
        "vendor",
        "Vendor",
        "Vendors",
        _ENTITY + "vendor.nl",
        group="Entity",
        writable=True,
        lists={"currencyList": Lines("vendorCurrency", "currency")},
        read_only=_ENTITY_READ_ONLY,
        required=_NAME,
    ),
    Kind(
        "contact",
        "Contact",
        "Contacts",
        _ENTITY + "contact.nl",
        group="Entity",
        writable=True,
        read_only=_ENTITY_READ_ONLY,
        required={"entityId": "Name", "subsidiary": "Subsidiary"},
    ),
    Kind(
        "estimate",
        "Estimate",
        "Estimates",
        _TRAN + "estimate.nl",
        group="Transaction",
        prefix="EST",
        writable=True,
        created="createdDate",
        refs={"entity": ("customer",), "item": SALE_ITEMS},
        lists={"itemList": Lines("item", "line")},
        read_only=_TRAN_READ_ONLY,
        required={"entity": "Customer"},
    ),
    Kind(
        "salesOrder",
        "SalesOrder",
        "Sales orders",
        _TRAN + "salesord.nl",
        group="Transaction",
        prefix="SO",
        writable=True,
        created="createdDate",
        refs={"entity": ("customer",), "item": SALE_ITEMS, "createdFrom": ("estimate",)},
        lists={"itemList": Lines("item", "line")},
        read_only=_TRAN_READ_ONLY,
        required={"entity": "Customer"},
    ),
    Kind(
        "purchaseOrder",
        "PurchaseOrder",
        "Purchase orders",
        _TRAN + "purchord.nl",
        group="Transaction",
        prefix="PO",
        writable=True,
        created="createdDate",
        refs={"entity": ("vendor",), "item": PURCHASE_ITEMS},
        lists={"itemList": Lines("item", "line"), "expenseList": Lines("expense", "line")},
        read_only=_TRAN_READ_ONLY,
        required={"entity": "Vendor"},
    ),
    Kind(
        "invoice",
        "Invoice",
        "Invoices",
        _TRAN + "custinvc.nl",
        group="Transaction",
        prefix="INV",
        created="createdDate",
        refs={"entity": ("customer",), "item": SALE_ITEMS},
        lists={"itemList": Lines("item", "line")},
        read_only=_TRAN_READ_ONLY,
        required={"entity": "Customer"},
    ),
    Kind(
        "customerPayment",
        "CustomerPayment",
        "Customer payments",
        _TRAN + "custpymt.nl",
        group="Transaction",
        prefix="PYMT",
        created="createdDate",
        lists={"applyList": Lines("apply", "doc")},
        read_only=_TRAN_READ_ONLY,
        required={"customer": "Customer"},
    ),
    Kind(
        "creditMemo",
        "CreditMemo",
        "Credit memos",
        _TRAN + "custcred.nl",
        group="Transaction",
        prefix="CM",
        writable=True,
        created="createdDate",
        refs={"entity": ("customer",), "item": SALE_ITEMS, "createdFrom": ("invoice",)},
        lists={"itemList": Lines("item", "line"), "applyList": Lines("apply", "doc")},
        read_only=_TRAN_READ_ONLY,
        required={"entity": "Customer"},
    ),
    Kind(
        "customerRefund",
        "CustomerRefund",
        "Customer refunds",
        _TRAN + "custrfnd.nl",
        group="Transaction",
        prefix="RFND",
        writable=True,
        created="createdDate",
        # Deposits are refunded by a list of their own, which the fake does not take in.
        lists={"applyList": Lines("apply", "doc")},
        read_only=_TRAN_READ_ONLY,
        # The money leaves from a bank account (assumption: no payment option that would name it).
        required={"customer": "Customer", "account": "Account"},
    ),
    Kind(
        "customerDeposit",
        "CustomerDeposit",
        "Customer deposits",
        _TRAN + "custdep.nl",
        group="Transaction",
        prefix="DEP",
        created="createdDate",
        lists={"applyList": Lines("customerDepositApply", "doc")},
        read_only=_TRAN_READ_ONLY,
        required={"customer": "Customer"},
    ),
    Kind(
        "vendorBill",
        "VendorBill",
        "Vendor bills",
        _TRAN + "vendbill.nl",
        group="Transaction",
        writable=True,
        created="createdDate",
        refs={"entity": ("vendor",), "item": PURCHASE_ITEMS},
        lists={"expenseList": Lines("expense", "line"), "itemList": Lines("item", "line")},
        read_only=_TRAN_READ_ONLY - {"total"},
        required={"entity": "Vendor"},
    ),
    Kind(
        "customRecord",
        "CustomRecord",
        "Custom records",
        "/app/common/custom/custrecordentry.nl",
        group="Custom",
        writable=True,
        created="created",
        modified="lastModified",
        read_only=frozenset({"created", "lastModified", "scriptId", "customRecordId"}),
        required={"name": "Name"},
    ),
    Kind(
        "serviceSaleItem",
        "ServiceSaleItem",
        "Sale items",
        "/app/common/item/item.nl",
        group="Item",
        created="createdDate",
    ),
    Kind(
        "servicePurchaseItem",
        "ServicePurchaseItem",
        "Purchase items",
        "/app/common/item/item.nl",
        group="Item",
        created="createdDate",
    ),
    Kind("account", "Account", "Accounts", "/app/accounting/account/account.nl", created="", modified=""),
    Kind(
        "subsidiary", "Subsidiary", "Subsidiaries", "/app/common/otherlists/subsidiarytype.nl", created="", modified=""
    ),
    Kind(
        "accountingPeriod",
        "AccountingPeriod",
        "Accounting periods",
        "/app/setup/period/fiscalperiods.nl",
        created="",
        modified="",
    ),
    Kind("currency", "Currency", "Currencies", "/app/common/multicurrency/currency.nl", created="", modified=""),
    Kind("employee", "Employee", "Employees", _ENTITY + "employee.nl", group="Entity", created="", modified=""),
    Kind("term", "Term", "Terms", "/app/accounting/otherlists/term.nl", created="", modified=""),
    Kind("salesTaxItem", "SalesTaxItem", "Tax codes", "/app/common/item/taxitem.nl", created="", modified=""),
    Kind("priceLevel", "PriceLevel", "Price levels", "/app/common/otherlists/pricelevel.nl", created="", modified=""),
    Kind(
        "customerStatus",
        "CustomerStatus",
        "Customer statuses",
        "/app/crm/sales/customerstatus.nl",
        created="",
        modified="",
    ),
    Kind(
        "customListValue",
        "CustomListCustomValue",
        "Values of custom lists",
        "/app/common/custom/custlist.nl",
        created="",
        modified="",
    ),
    Kind(
        "customRecordType",
        "CustomRecordType",
        "Custom record types",
        "/app/common/custom/custrecord.nl",
        created="",
        modified="",
    ),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}
BY_TYPE: dict[str, Kind] = {kind.type: kind for kind in _KINDS}
TRANSACTIONS = tuple(kind.name for kind in _KINDS if kind.group == "Transaction")

# Longest values, as the forms have them (assumption; the XSD limits nothing).
LENGTHS = {
    "companyName": 83,
    "entityId": 83,
    "firstName": 32,
    "lastName": 32,
    "phone": 32,
    "mobilePhone": 32,
    "email": 254,
    "otherRefNum": 45,
    "tranId": 45,
    "memo": 4000,
    "comments": 4000,
    "description": 4000,
}

# orderStatus -> the localised label in ``status`` (labels: assumption, as the English UI has them).
SALES_ORDER_STATUS = {
    "_pendingApproval": "Pending Approval",
    "_pendingFulfillment": "Pending Fulfillment",
    "_cancelled": "Cancelled",
    "_partiallyFulfilled": "Partially Fulfilled",
    "_pendingBillingPartFulfilled": "Pending Billing/Partially Fulfilled",
    "_pendingBilling": "Pending Billing",
    "_fullyBilled": "Billed",
    "_closed": "Closed",
}
PURCHASE_ORDER_STATUS = {
    "_pendingSupervisorApproval": "Pending Supervisor Approval",
    "_pendingReceipt": "Pending Receipt",
    "_pendingBilling": "Pending Bill",
    "_partiallyReceived": "Partially Received",
    "_fullyBilled": "Fully Billed",
    "_rejectedBySupervisor": "Rejected by Supervisor",
    "_closed": "Closed",
}
STATUS = {"salesOrder": SALES_ORDER_STATUS, "purchaseOrder": PURCHASE_ORDER_STATUS}
# A bill's labels by what a broker asks: must it still be approved, may it be paid, is it paid (labels: assumption).
BILL_STATUS = {"Open": "Pending Approval", "Approved": "Open", "Paid": "Paid In Full"}
# What a client may set itself; the rest comes from what accounting does (assumption).
SETTABLE_STATUS = {
    "salesOrder": ("_pendingApproval", "_pendingFulfillment"),
    "purchaseOrder": ("_pendingSupervisorApproval", "_pendingReceipt"),
}


@dataclass(frozen=True)
class CustomField:
    """A custom field definition: its value type must match exactly (section_N3438152)."""

    script_id: str
    type: str
    kinds: tuple[str, ...]
    label: str
    selects: tuple[str, ...] = ()


def _bc(name: str, type_: str, label: str, *selects: str) -> CustomField:
    return CustomField(f"custrecord_bc_{name}", type_, ("customrecord_broker_commission",), label, selects)


_ORDERS = ("salesOrder", "purchaseOrder", "invoice", "vendorBill")
CUSTOM_FIELDS: tuple[CustomField, ...] = (
    CustomField("custbody_funded_amount", "DoubleCustomFieldRef", _ORDERS, "Funded amount"),
    CustomField("custbody_purchased_amount", "DoubleCustomFieldRef", _ORDERS, "Purchased amount"),
    CustomField("custbody_receivables_percent", "DoubleCustomFieldRef", _ORDERS, "Receivables percent"),
    _bc("broker", "SelectCustomFieldRef", "Broker", "vendor"),
    _bc("amount", "DoubleCustomFieldRef", "Amount"),
    _bc("rate", "DoubleCustomFieldRef", "Rate"),
    _bc("basis", "DoubleCustomFieldRef", "Basis"),
    _bc("due", "DateCustomFieldRef", "Due"),
    _bc("application", "StringCustomFieldRef", "Application"),
    _bc("order", "SelectCustomFieldRef", "Sales order", "salesOrder"),
    _bc("currency", "SelectCustomFieldRef", "Currency", "currency"),
    _bc("state", "SelectCustomFieldRef", "Payable state", "customListValue"),
)
