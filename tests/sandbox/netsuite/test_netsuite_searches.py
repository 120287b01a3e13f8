"""Searches, pages, deletions and lookups of the fake NetSuite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.netsuite.suitetalk_client import customer, preferences, sale_line, sales_order, vendor

if TYPE_CHECKING:
    from bridge.sandbox.netsuite import FakeNetSuite
    from tests.sandbox.netsuite.suitetalk_client import Parsed, Soap, SteadyClock

ORDERS = '<common:type operator="anyOf"><core:searchValue>_salesOrder</core:searchValue></common:type>'


def transactions(inner: str = ORDERS) -> str:
    return f'<msg:searchRecord xsi:type="sales:TransactionSearch"><sales:basic>{inner}</sales:basic></msg:searchRecord>'


def customers(inner: str = "") -> str:
    return f'<msg:searchRecord xsi:type="common:CustomerSearchBasic">{inner}</msg:searchRecord>'


def modified(operator: str, *values: str) -> str:
    names = ("searchValue", "searchValue2")
    inner = "".join(f"<core:{name}>{value}</core:{name}>" for name, value in zip(names, values, strict=False))
    return f'<common:lastModifiedDate operator="{operator}">{inner}</common:lastModifiedDate>'


def keys(answer: Parsed) -> list[str | None]:
    return [record.get("externalId") for record in answer.all("record")]


def more(
    soap: Soap, search_id: str | None, page: int, *, size: int | None = None, body_only: bool | None = None
) -> Parsed:
    inner = f"<msg:searchId>{search_id}</msg:searchId><msg:pageIndex>{page}</msg:pageIndex>"
    return soap.call("searchMoreWithId", inner, extra=preferences(size, body_only))


@pytest.fixture
def orders(soap: Soap) -> Soap:
    """One customer with twelve sales orders."""
    soap.upsert(customer("c-1", "Acme"))
    soap.upsert(*(sales_order(f"so-{key:02}", "c-1", sale_line(rate=str(key + 1))) for key in range(12)))
    return soap


def test_a_search_pages_by_the_preferences_of_each_call(orders: Soap) -> None:
    first = orders.search(transactions(), size=5, body_only=False)
    search_id = first.text("searchId")

    second = more(orders, search_id, 2, size=5, body_only=False)
    forgetful = more(orders, search_id, 1)

    assert (first.text("totalRecords"), first.text("totalPages")) == ("12", "3")
    assert keys(first) + keys(second) == [f"so-{key:02}" for key in range(10)]
    assert first.all("itemList")
    assert forgetful.text("pageSize") == "1000"
    assert not forgetful.all("itemList")  # body fields only is the default


def test_later_pages_run_the_search_again(orders: Soap) -> None:
    """A row that stops matching shifts the rows behind it: the eleventh order is never seen."""
    pending = "<core:searchValue>_salesOrderPendingApproval</core:searchValue>"
    status = f'<common:status operator="anyOf">{pending}</common:status>'
    first = orders.search(transactions(status + ORDERS), size=5)
    orders.fake.admin.approve(kind="salesOrder", externalId="so-00")

    second = more(orders, first.text("searchId"), 2, size=5)

    assert second.text("totalRecords") == "11"
    assert "so-05" not in keys(first) + keys(second)


def test_a_search_id_expires_after_a_quarter_of_an_hour_unused(orders: Soap, clock: SteadyClock) -> None:
    search_id = orders.search(transactions(), size=5).text("searchId")
    clock.tick(minutes=14)
    assert more(orders, search_id, 2, size=5).ok
    clock.tick(minutes=16)

    answer = more(orders, search_id, 3, size=5)

    assert answer.code == "INVALID_JOB_ID"


def test_a_page_that_is_not_there_fails(orders: Soap) -> None:
    search_id = orders.search(transactions(), size=5).text("searchId")

    assert more(orders, search_id, 4, size=5).http == 200
    assert not more(orders, search_id, 4, size=5).ok


def test_changes_are_found_in_a_window_whose_offset_is_honoured(soap: Soap, clock: SteadyClock) -> None:
    soap.upsert(customer("c-1"))
    clock.tick(hours=1)
    soap.upsert(customer("c-2"))
    clock.tick(hours=1)
    soap.upsert(customer("c-1", "Again"))

    def found(operator: str, *values: str) -> list[str | None]:
        return keys(soap.search(customers(modified(operator, *values))))

    assert found("within", "2026-11-20T18:00:00Z", "2026-11-20T19:00:00Z") == []
    assert found("within", "2026-11-20T11:00:00-08:00", "2026-11-20T11:00:01-08:00") == ["c-2"]
    assert found("within", "2026-11-20T19:00:00.000Z", "2026-11-20T20:00:00.500Z") == ["c-2"]
    assert found("onOrAfter", "2026-11-20T19:00:00Z") == ["c-1", "c-2"]
    assert found("after", "2026-11-20T19:00:00Z") == ["c-1"]
    assert found("before", "2026-11-20T12:00:00") == ["c-2"]  # without an offset it is Pacific


def test_customers_are_found_by_what_identifies_them(soap: Soap) -> None:
    soap.upsert(customer("c-1", "Acme"), customer("c-2", "Acme Two"), vendor("v-1", "Acme Three"))

    def found(inner: str) -> list[str | None]:
        return keys(soap.search(customers(inner)))

    assert found('<common:entityId operator="is"><core:searchValue>acme</core:searchValue></common:entityId>') == [
        "c-1"
    ]
    starts = '<common:companyName operator="startsWith"><core:searchValue>Acme</core:searchValue></common:companyName>'
    assert found(starts) == ["c-1", "c-2"]
    by_id = '<common:externalId operator="anyOf"><core:searchValue externalId="C-2"/></common:externalId>'
    assert found(by_id) == ["c-2"]


def test_orders_are_found_by_their_entity(orders: Soap) -> None:
    internal_id = orders.get("customer", external_id="c-1").all("record")[0].get("internalId")
    entity = f'<common:entity operator="anyOf"><core:searchValue internalId="{internal_id}"/></common:entity>'

    assert len(keys(orders.search(transactions(entity + ORDERS), size=1000))) == 12


@pytest.mark.parametrize(
    "inner",
    [
        '<common:amount operator="equalTo"><core:searchValue>5</core:searchValue></common:amount>',
        modified("notWithin", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"),
        "<common:mainLine><core:searchValue>false</core:searchValue></common:mainLine>",
    ],
)
def test_criteria_that_are_not_simulated_are_refused_never_ignored(soap: Soap, inner: str) -> None:
    assert soap.call("search", transactions(inner)).http == 501


def test_type_codes_of_saved_searches_match_nothing(orders: Soap) -> None:
    code = '<common:type operator="anyOf"><core:searchValue>SalesOrd</core:searchValue></common:type>'

    assert orders.search(transactions(code)).text("totalRecords") == "0"


def test_a_list_of_records_is_read_in_the_order_asked(orders: Soap) -> None:
    refs = "".join(
        f'<msg:baseRef xsi:type="core:RecordRef" type="{kind}" externalId="{key}"/>'
        for kind, key in (("salesOrder", "so-03"), ("customer", "nobody"), ("customer", "C-1"))
    )

    answer = orders.call("getList", refs)

    successes = [item.get("isSuccess") for item in answer.all("status") if item.get("isSuccess")]
    assert successes[1:] == [
        "true",
        "false",
        "true",
    ]
    assert keys(answer) == ["so-03", "c-1"]


def test_deletions_are_told_with_their_external_id(orders: Soap, clock: SteadyClock) -> None:
    orders.fake.admin.delete(kind="salesOrder", externalId="so-00")
    clock.tick(minutes=1)
    since, until = "2026-11-20T18:00:00Z", "2026-11-20T18:00:01Z"
    values = f"<core:searchValue>{since}</core:searchValue><core:searchValue2>{until}</core:searchValue2>"
    window = f'<core:deletedDate operator="within">{values}</core:deletedDate>'

    def asked(kind: str) -> Parsed:
        type_ = f'<core:type operator="anyOf"><core:searchValue>{kind}</core:searchValue></core:type>'
        filtered = f"<msg:getDeletedFilter>{window}{type_}</msg:getDeletedFilter>"
        return orders.call("getDeleted", filtered + "<msg:pageIndex>1</msg:pageIndex>")

    found = asked("salesOrder")
    assert [(item.get("externalId"), item.get("type")) for item in found.all("record")] == [("so-00", "salesOrder")]
    assert found.text("deletedDate") == "2026-11-20T10:00:00.000-08:00"
    assert asked("customer").text("totalRecords") == "0"


def test_select_values_currencies_and_custom_types_can_be_looked_up(soap: Soap) -> None:
    def select(record: str, field: str, sublist: str = "") -> dict[str | None, str | None]:
        part = f"<core:sublist>{sublist}</core:sublist>" if sublist else ""
        inner = (
            f"<msg:fieldDescription><core:recordType>{record}</core:recordType>{part}<core:field>{field}</core:field>"
            "</msg:fieldDescription><msg:pageIndex>1</msg:pageIndex>"
        )
        found = soap.call("getSelectValue", inner)
        return {item.findtext("{*}name"): item.get("internalId") for item in found.all("baseRef")}

    assert select("customer", "terms")["Net 30"] == "2"
    assert select("customer", "subsidiary")["Funding East"] == "2"
    assert select("salesOrder", "item", "itemList")["Wire Fee"] == "103"
    assert select("purchaseOrder", "item", "itemList")["Purchase of Receivables"] == "141"
    assert "Wire Fee" not in select("purchaseOrder", "item", "itemList")
    assert select("vendorBill", "account", "expenseList")["Commission Expense"] == "13"

    currencies = soap.call("getAll", '<msg:record recordType="currency"/>')
    assert currencies.texts("symbol") == ["USD", "EUR", "CAD"]
    types = soap.call(
        "getCustomizationId",
        '<msg:customizationType getCustomizationType="customRecordType"/>'
        "<msg:includeInactives>false</msg:includeInactives>",
    )
    assert types.all("customizationRef")[0].get("scriptId") == "customrecord_broker_commission"


def test_the_clock_is_pacific_and_whole_seconds(soap: Soap) -> None:
    assert soap.call("getServerTime", "").text("serverTime") == "2026-11-20T10:00:00.000-08:00"


def test_commissions_are_found_by_their_type(soap: Soap, fake: FakeNetSuite) -> None:
    record = (
        '<msg:record xsi:type="setup:CustomRecord" externalId="bc-1"><setup:name>One</setup:name>'
        '<setup:recType internalId="139"/></msg:record>'
    )
    soap.upsert(record)

    def found(type_id: str) -> list[str | None]:
        rec_type = f'<common:recType internalId="{type_id}"/>'
        search = f'<msg:searchRecord xsi:type="common:CustomRecordSearchBasic">{rec_type}</msg:searchRecord>'
        return keys(soap.search(search))

    assert (found("139"), found("140")) == (["bc-1"], [])
