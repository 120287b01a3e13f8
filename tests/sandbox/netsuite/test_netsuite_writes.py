"""What the fake NetSuite accepts, refuses and makes of a write."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.netsuite.suitetalk_client import Soap, customer, sale_line, sales_order, vendor

if TYPE_CHECKING:
    from bridge.sandbox.netsuite import FakeNetSuite
    from tests.sandbox.netsuite.suitetalk_client import Parsed


def contact(key: str, name: str, company: str = "") -> str:
    link = f'<rel:company externalId="{company}"/>' if company else ""
    return (
        f'<msg:record xsi:type="rel:Contact" externalId="{key}"><rel:entityId>{name}</rel:entityId>{link}'
        '<rel:subsidiary internalId="1"/></msg:record>'
    )


def purchase_order(key: str, entity: str, *lines: str, inner: str = "") -> str:
    return (
        f'<msg:record xsi:type="purch:PurchaseOrder" externalId="{key}"><purch:entity externalId="{entity}"/>{inner}'
        f"<purch:itemList>{''.join(lines)}</purch:itemList></msg:record>"
    )


def purchase_line(item: str = "141", rate: str = "5000.00") -> str:
    return (
        f'<purch:item><purch:item internalId="{item}"/><purch:quantity>1</purch:quantity>'
        f"<purch:rate>{rate}</purch:rate></purch:item>"
    )


def commission(key: str, fields: str, *, rec_type: str = "139") -> str:
    return (
        f'<msg:record xsi:type="setup:CustomRecord" externalId="{key}"><setup:name>Commission</setup:name>'
        f'<setup:recType internalId="{rec_type}"/><setup:customFieldList>{fields}</setup:customFieldList></msg:record>'
    )


def custom(script_id: str, type_: str, value: str) -> str:
    return f'<core:customField scriptId="{script_id}" xsi:type="core:{type_}CustomFieldRef">{value}</core:customField>'


def lines_of(soap: Soap, key: str = "so-1") -> list[tuple[str, str]]:
    order = soap.get("salesOrder", external_id=key)
    numbers = [line.findtext("{*}line") for line in order.all("itemList")[0]]
    return list(zip(numbers, [line.findtext("{*}amount") for line in order.all("itemList")[0]], strict=True))


@pytest.fixture
def ordered(soap: Soap) -> Soap:
    """A customer with a sales order of two lines."""
    assert soap.upsert(customer("c-1", "Acme")).ok
    assert soap.upsert(sales_order("so-1", "c-1", sale_line(), sale_line("102", "50"))).ok
    return soap


def test_an_upsert_creates_once_and_then_updates(soap: Soap, fake: FakeNetSuite) -> None:
    first = soap.upsert(customer("c-1", "Acme", ""))

    second = soap.upsert(customer("C-1", "Acme Two"))

    assert first.internal_id == second.internal_id
    assert len(fake.store.records["customer"]) == 1
    assert soap.get("customer", external_id="c-1").text("companyName") == "Acme Two"


def test_an_omitted_field_stays_an_empty_one_is_blanked_and_a_null_list_clears(soap: Soap) -> None:
    soap.upsert(
        customer("c-1", "Acme", "").replace("<rel:subsidiary", "<rel:phone>555-1234567</rel:phone><rel:subsidiary")
    )
    untouched = soap.upsert(customer("c-1", "Acme"))
    assert untouched.ok
    assert soap.get("customer", external_id="c-1").text("phone") == "555-1234567"

    null = "<core:nullFieldList><core:name>phone</core:name></core:nullFieldList>"
    cleared = soap.upsert(customer("c-1", "Acme").replace("<rel:companyName>", null + "<rel:companyName>"))

    assert cleared.ok
    assert soap.get("customer", external_id="c-1").text("phone") is None


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (customer("c-9", "Nine").replace('externalId="c-9"', ""), "EXTERNALID_REQD"),
        (customer("c-9", "Nine").replace("externalId=", 'internalId="5" externalId='), "CANT_SET_INTERNALID"),
        (customer("c-9", "acme"), "UNIQUE_CUST_ID_REQD"),
        (vendor("v-9", "ACME"), "DUP_ENTITY"),
        (customer("c-9", "Nine", subsidiary="77"), "INVALID_KEY_OR_REF"),
        (customer("c-9", "N" * 84), "EXCEEDED_MAX_FIELD_LENGTH"),
        (vendor("c-1", "Other"), "DUP_RCRD"),
        (sales_order("so-9", "c-404", sale_line()), "INVALID_KEY_OR_REF"),
        (sales_order("so-9", "c-1", sale_line("999")), "INVALID_KEY_OR_REF"),
        (sales_order("so-9", "c-1", sale_line("141")), "INVALID_KEY_OR_REF"),
        (sales_order("so-9", "c-1"), "USER_ERROR"),
        (sales_order("so-9", "c-1", sale_line(), inner='<sales:subsidiary internalId="2"/>'), "INVALID_KEY_OR_REF"),
        (purchase_order("po-9", "c-1", purchase_line()), "INVALID_KEY_OR_REF"),
        (customer("c-9", "Nine", "").replace("<rel:subsidiary", "<rel:balance>5</rel:balance><rel:subsidiary"), None),
    ],
)
def test_a_wrong_record_is_refused_with_its_code(soap: Soap, record: str, code: str | None) -> None:
    soap.upsert(customer("c-1", "Acme"))

    answer = Soap(soap.fake).raw("upsert", record)

    if code is None:  # these break the XSD's order of elements, so they never reach the rules
        assert answer.status_code == 500
        assert b"SAXException" in answer.content
    else:
        assert answer.status_code == 200
        assert f">{code}<".encode() in answer.content


def test_missing_required_fields_are_named_in_one_sentence(soap: Soap) -> None:
    answer = soap.upsert('<msg:record xsi:type="rel:Customer" externalId="c-1"/>')

    assert answer.code == "USER_ERROR"
    assert answer.text("message") == "Please enter value(s) for: Company Name, Subsidiary"


def test_vendor_names_are_unique_and_contacts_unique_in_their_company(soap: Soap) -> None:
    soap.upsert(customer("c-1"), customer("c-2"), vendor("v-1", "Payee"))
    soap.upsert(contact("k-1", "Ann Lee", "c-1"))

    assert soap.upsert(vendor("v-2", "Payee")).code == "DUP_VENDOR_NAME"
    assert soap.upsert(contact("k-2", "ann lee", "c-1")).code == "CONTACT_ALREADY_EXISTS"
    assert soap.upsert(contact("k-2", "Ann Lee", "c-2")).ok


def test_a_refused_write_leaves_nothing_behind(ordered: Soap, fake: FakeNetSuite) -> None:
    before = lines_of(ordered)

    refused = ordered.upsert(sales_order("so-1", "c-1", sale_line(rate="7"), sale_line("999")))

    assert refused.code == "INVALID_KEY_OR_REF"
    assert lines_of(ordered) == before
    assert "renamed" not in fake.store.entity_names
    assert ordered.upsert(customer("c-1", "Renamed", subsidiary="99")).code == "INVALID_KEY_OR_REF"


def test_a_list_settles_each_record_on_its_own(soap: Soap) -> None:
    answer = soap.upsert(customer("c-1"), customer("c-1b", "c-1"), customer("c-2"))

    assert [item.get("isSuccess") for item in answer.all("status")] == ["true", "true", "false", "true"]
    assert [item.get("externalId") for item in answer.all("baseRef")] == ["c-1", "c-1b", "c-2"]


def test_a_list_may_refer_to_a_record_made_earlier_in_it(soap: Soap) -> None:
    answer = soap.upsert(customer("c-1"), contact("k-1", "Ann", "c-1"), sales_order("so-1", "c-1", sale_line()))

    assert answer.ok


def test_lines_with_their_number_are_updated_and_keep_their_key(ordered: Soap) -> None:
    keys = ordered.get("salesOrder", external_id="so-1").texts("lineUniqueKey")

    ordered.upsert(sales_order("so-1", "c-1", sale_line(rate="80", line="1"), sale_line("102", "50", line="2")))

    assert lines_of(ordered) == [("1", "80.0"), ("2", "50.0")]
    assert ordered.get("salesOrder", external_id="so-1").texts("lineUniqueKey") == keys


def test_lines_without_their_number_are_made_anew(ordered: Soap) -> None:
    ordered.upsert(sales_order("so-1", "c-1", sale_line(), sale_line("102", "50")))

    assert lines_of(ordered) == [("3", "100.0"), ("4", "50.0")]


def test_replace_all_removes_what_is_not_sent_and_merge_adds_it_again(ordered: Soap) -> None:
    ordered.upsert(sales_order("so-1", "c-1", sale_line(line="1")))
    assert lines_of(ordered) == [("1", "100.0")]

    for _ in range(2):
        ordered.upsert(sales_order("so-1", "c-1", sale_line("103", "5"), replace_all="false"))

    assert lines_of(ordered) == [("1", "100.0"), ("3", "5.0"), ("4", "5.0")]


def test_amounts_are_rate_times_quantity_to_the_cent_and_totals_add_up(soap: Soap) -> None:
    soap.upsert(customer("c-1"))

    soap.upsert(sales_order("so-1", "c-1", sale_line(rate="0.335", quantity="3"), sale_line("102", "10000000.00")))

    order = soap.get("salesOrder", external_id="so-1")
    assert lines_of(soap) == [("1", "1.01"), ("2", "1.0E7")]  # as Java writes doubles
    assert order.text("total") == "1.000000101E7"


def test_an_order_gets_number_status_currency_and_makes_a_prospect_a_customer(soap: Soap) -> None:
    soap.upsert(customer("c-1", inner="<rel:stage>_prospect</rel:stage>"))

    soap.upsert(sales_order("so-1", "c-1", sale_line()))

    order = soap.get("salesOrder", external_id="so-1")
    assert (order.text("tranId"), order.text("orderStatus"), order.text("status")) == (
        "SO1001",
        "_pendingApproval",
        "Pending Approval",
    )
    assert order.text("currencyName") == "US Dollar"
    assert soap.get("customer", external_id="c-1").text("stage") == "_customer"


def test_a_currency_must_be_one_of_the_customers(soap: Soap) -> None:
    soap.upsert(customer("c-1"))
    euro = '<sales:currency internalId="2"/>'
    order = sales_order("so-1", "c-1", sale_line()).replace("<sales:tranDate", euro + "<sales:tranDate")
    assert soap.upsert(order).code == "INVALID_KEY_OR_REF"

    listed = '<rel:currencyList><rel:currency><rel:currency internalId="2"/></rel:currency></rel:currencyList>'
    assert soap.upsert(customer("c-1", inner=listed)).ok

    assert soap.upsert(order).ok


def test_a_subsidiary_cannot_change_once_there_are_transactions(ordered: Soap) -> None:
    assert ordered.upsert(customer("c-1", "Acme", subsidiary="2")).code == "CANT_MODIFY_SUB"


def test_a_date_is_kept_as_its_day_in_pacific_time(soap: Soap) -> None:
    soap.upsert(customer("c-1"))
    order = sales_order("so-1", "c-1", sale_line())

    for sent, kept in (
        ("2026-07-01T00:00:00-07:00", "2026-07-01T00:00:00.000-07:00"),
        ("2026-11-20T00:00:00Z", "2026-11-19T00:00:00.000-08:00"),
        ("2026-11-20T12:30:00", "2026-11-20T00:00:00.000-08:00"),
    ):
        soap.upsert(order.replace("2026-11-20T00:00:00-08:00", sent))
        assert soap.get("salesOrder", external_id="so-1").text("tranDate") == kept


def commission_fields(soap: Soap) -> str:
    vendor_id = soap.get("vendor", external_id="v-1").all("record")[0].get("internalId")
    return (
        custom("custrecord_bc_broker", "Select", f'<core:value internalId="{vendor_id}"/>')
        + custom("custrecord_bc_amount", "Double", "<core:value>1250.5</core:value>")
        + custom("custrecord_bc_due", "Date", "<core:value>2026-12-01T00:00:00-08:00</core:value>")
        + custom("custrecord_bc_application", "String", "<core:value>006</core:value>")
        + custom("custrecord_bc_order", "Select", '<core:value externalId="so-1"/>')
    )


def test_a_commission_is_a_custom_record_with_typed_fields(ordered: Soap) -> None:
    ordered.upsert(vendor("v-1", "Broker"))

    answer = ordered.upsert(commission("bc-1", commission_fields(ordered)))

    ref = answer.all("baseRef")[0]
    assert ref.get("typeId") == "139"
    read = ordered.call("get", '<msg:baseRef xsi:type="core:CustomRecordRef" typeId="139" externalId="bc-1"/>')
    values = {item.get("scriptId"): item.findtext("{*}value") for item in read.all("customField")}
    assert values["custrecord_bc_amount"] == "1250.5"
    assert values["custrecord_bc_due"] == "2026-12-01T00:00:00.000-08:00"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (custom("custrecord_bc_amount", "String", "<core:value>5</core:value>"), "INVALID_CSTM_FIELD_DATA_TYP"),
        (custom("custrecord_unknown", "String", "<core:value>5</core:value>"), "INVALID_CSTM_FIELD_REF"),
        (custom("custrecord_bc_broker", "Select", '<core:value internalId="1"/>'), "INVALID_KEY_OR_REF"),
    ],
)
def test_a_custom_field_must_exist_and_have_its_type(soap: Soap, fields: str, code: str) -> None:
    assert soap.upsert(commission("bc-1", fields)).code == code


def test_a_vendor_bill_with_expense_lines_is_totalled(soap: Soap) -> None:
    soap.upsert(vendor("v-1", "Broker"))

    answer = soap.upsert(
        '<msg:record xsi:type="purch:VendorBill" externalId="vb-1"><purch:entity externalId="v-1"/>'
        '<purch:tranId>B-1</purch:tranId><purch:expenseList><purch:expense><purch:account internalId="13"/>'
        "<purch:amount>1250.50</purch:amount></purch:expense></purch:expenseList></msg:record>"
    )

    assert answer.ok
    bill = soap.get("vendorBill", external_id="vb-1")
    assert (bill.text("tranId"), bill.text("userTotal"), bill.text("status")) == ("B-1", "1250.5", "Open")


def test_a_read_only_field_is_refused_unless_asked_to_ignore_it(soap: Soap) -> None:
    record = customer("c-1").replace("<rel:subsidiary", "<rel:subsidiary", 1)
    with_balance = record.replace("</msg:record>", "<rel:balance>5</rel:balance></msg:record>")

    refused = soap.upsert(with_balance)
    ignored = soap.call(
        "upsert",
        with_balance,
        extra="<msg:preferences><msg:ignoreReadOnlyFields>true</msg:ignoreReadOnlyFields></msg:preferences>",
    )

    assert refused.code == "INSUFFICIENT_PERMISSION"
    assert ignored.ok


@pytest.mark.full_schemas
def test_deleting_frees_the_external_id_and_is_reported(full_soap: Soap) -> None:
    ordered = full_soap
    ordered.upsert(customer("c-1"), sales_order("so-1", "c-1", sale_line()))

    kept = ordered.call("delete", '<msg:baseRef xsi:type="core:RecordRef" type="customer" externalId="c-1"/>')
    gone = ordered.call("delete", '<msg:baseRef xsi:type="core:RecordRef" type="salesOrder" externalId="so-1"/>')

    assert kept.code == "CANT_DELETE_CHILD_RCRDS_EXIST"
    assert gone.ok
    deleted = deletions(ordered)
    assert [item.get("externalId") for item in deleted.all("record")] == ["so-1"]
    assert ordered.get("salesOrder", external_id="so-1").code == "RCRD_DSNT_EXIST"


def deletions(soap: Soap) -> Parsed:
    return soap.call(
        "getDeleted",
        '<msg:getDeletedFilter><core:deletedDate operator="onOrAfter"><core:searchValue>2026-11-20T00:00:00Z'
        '</core:searchValue></core:deletedDate><core:type operator="anyOf"><core:searchValue>salesOrder'
        "</core:searchValue></core:type></msg:getDeletedFilter><msg:pageIndex>1</msg:pageIndex>",
    )


def test_a_hundred_upserts_at_once_make_one_record(soap: Soap, fake: FakeNetSuite) -> None:
    fake.concurrency = 100
    answers: list[Parsed] = []

    def one() -> None:
        client = Soap(fake)
        answers.append(client.upsert(customer("c-1", "Acme")))

    threads = [threading.Thread(target=one) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({answer.internal_id for answer in answers}) == 1
    assert len(fake.store.records["customer"]) == 1


@pytest.mark.full_schemas
def test_add_never_updates_and_update_never_creates(full_soap: Soap) -> None:
    assert full_soap.call("add", customer("c-1")).ok
    assert full_soap.call("add", customer("c-1", "Other")).code == "DUP_RCRD"
    assert full_soap.call("update", customer("c-2")).code == "RCRD_DSNT_EXIST"

    updated = full_soap.call("updateList", customer("c-1", "Renamed"))

    assert updated.ok
    assert full_soap.get("customer", external_id="c-1").text("companyName") == "Renamed"


@pytest.mark.full_schemas
def test_a_human_made_record_is_adopted_by_giving_it_an_external_id(full_soap: Soap) -> None:
    made = full_soap.call("add", customer("x", "Acme").replace(' externalId="x"', "")).internal_id
    assert full_soap.upsert(customer("c-1", "Acme")).code == "UNIQUE_CUST_ID_REQD"

    adopting = customer("c-1", "Acme").replace("externalId=", f'internalId="{made}" externalId=')
    assert full_soap.call("update", adopting).ok

    assert full_soap.upsert(customer("c-1", "Acme")).internal_id == made
