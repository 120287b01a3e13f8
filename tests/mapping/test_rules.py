"""Rules: what they copy, what they refuse and in which words, and that nothing is rounded, guessed or cleared."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import mapping
from bridge.errors import Rejected
from bridge.mapping import (
    ABSENT,
    LINE_ID,
    Context,
    Push,
    choice,
    compute,
    const,
    crosswalk,
    currency,
    flag,
    instant,
    is_in,
    is_not_blank,
    is_positive,
    is_true,
    lines,
    link,
    linked,
    money,
    number,
    site,
    text,
    when,
)
from bridge.mapping import (
    Test as Gate,
)
from bridge.ports import Ref

CONTEXT = Context(
    {"currency": "USD", "stages": ("Approved", "Funded"), "fees": {"Wire Fee": {"sale_item": "Wire", "off": None}}},
    {"customer": ("customer", "cus")},
)
quick = settings(deadline=None, max_examples=60)
COPIES = [
    text("F"), money("F"), number("F"), mapping.date("F"), instant("F"), flag("F"), choice("F", {"A": 1}),
    link("F", to="customer"), linked("F", via="customer"),
]  # fmt: skip
REQUIRED = [
    text("F", required=True), text("{F} x", required=True), money("F", required=True), number("F", required=True),
    mapping.date("F", required=True), choice("F", {"A": 1}, required=True), link("F", to="customer", required=True),
]  # fmt: skip


def value(rule, **source):
    return rule.value(source, CONTEXT)


def refusal(rule, **source):
    with pytest.raises(Rejected) as refused:
        rule.value(source, CONTEXT)
    return refused.value


def name(rule):
    return type(rule).__name__


# --- absent, null, blank


@pytest.mark.parametrize("rule", COPIES, ids=name)
def test_what_was_not_sent_is_not_sent_on(rule):
    """Fault 14: an absent key never erases a value."""
    assert value(rule) is ABSENT


@pytest.mark.parametrize("rule", COPIES, ids=name)
def test_null_clears(rule):
    assert value(rule, F=None) is None


@pytest.mark.parametrize("rule", [it for it in COPIES if name(it) != "flag"], ids=name)
def test_an_empty_text_clears(rule):
    assert value(rule, F="") is None


@pytest.mark.parametrize("rule", REQUIRED, ids=name)
@pytest.mark.parametrize("source", [{}, {"F": None}, {"F": ""}], ids=["absent", "null", "empty"])
def test_what_netsuite_needs_is_refused_when_it_is_missing(rule, source):
    error = refusal(rule, **source)

    assert (error.code, error.who, error.field) == ("REQUIRED_FIELD_MISSING", "sales", "F")
    assert error.message == "F is empty, and NetSuite needs it."


def test_an_absent_field_is_not_in_the_record():
    push = Push("x", "Account", "customer", "cus", {"a": text("A"), "b": text("B"), "c": const(1)})

    record = push.record("001", {"B": None}, CONTEXT)

    assert record.fields == {"b": None, "c": 1}
    assert record.ref == Ref("customer", external_id="sf-cus-001")


# --- text


def test_a_long_text_is_refused_with_its_length():
    error = refusal(text("Billing_Name__c", limit=5), Billing_Name__c="abcdef")

    assert error.code == "TEXT_TOO_LONG"
    assert error.message == "Billing Name has 6 characters; NetSuite takes 5."


@quick
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=30), st.integers(1, 20))
def test_a_text_is_copied_cut_or_refused_but_never_changed(content, limit):
    cut = value(text("F", limit=limit, cut=True), F=content)

    assert cut == content[:limit]
    if len(content) <= limit:
        assert value(text("F", limit=limit), F=content) == content
    else:
        assert refusal(text("F", limit=limit), F=content).code == "TEXT_TOO_LONG"


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x0b", "\x1f", "\ufffe", "\ud800"])
def test_a_character_that_xml_cannot_carry_is_refused(character):
    """One such record must not spoil the list call of fifty others."""
    assert refusal(text("Name"), Name=f"Ac{character}me").code == "TEXT_NOT_WRITABLE"


@pytest.mark.parametrize("content", ["Zoë & Søn <b>\"'", "日本語", "a\tb\nc\rd", "😀"])
def test_other_characters_are_carried(content):
    assert value(text("Name"), Name=content) == content


def test_a_template_leaves_out_what_is_empty():
    assert value(text("{A} ({B})"), A="x", B=None) == "x ()"
    assert value(text("{A} {B}"), A=None, B=None) is None
    assert value(text("{A} {B}")) is ABSENT


def test_braces_in_a_value_are_no_template():
    assert value(text("{A} (Vendor)"), A="{B}") == "{B} (Vendor)"


@pytest.mark.parametrize("amount", [Decimal("1000"), Decimal("1000.00"), Decimal("1E+3"), 1000])
def test_a_number_in_words_does_not_depend_on_how_it_arrived(amount):
    """Else a callout and a sweep would map the same record to two fingerprints."""
    assert value(text("funded {A}"), A=amount) == "funded 1000"


# --- money and numbers


@quick
@given(st.decimals(min_value=-(10**14), max_value=10**14, places=2))
def test_money_keeps_every_cent(amount):
    for given_as in (amount, str(amount)):
        got = value(money("F"), F=given_as)

        assert got == amount
        assert got.as_tuple().exponent == -2


@quick
@given(st.integers(-(10**14), 10**14), st.integers(1, 9), st.integers(3, 12))
def test_money_is_never_rounded(whole, digit, places):
    fine = Decimal(whole) + Decimal(digit).scaleb(-places)

    error = refusal(money("Amount"), Amount=fine)

    assert (error.code, error.message) == ("AMOUNT_TOO_FINE", "Amount has more than 2 decimals.")


@pytest.mark.parametrize("rule", [money("Amount"), number("Amount")], ids=name)
@pytest.mark.parametrize(
    "wrong",
    [1.5, float("nan"), True, "ten", "1_000", "1,000", Decimal("NaN"), Decimal("Infinity"), "sNaN", [1]],
    ids=repr,
)
def test_what_is_no_exact_number_is_refused(rule, wrong):
    error = refusal(rule, Amount=wrong)

    assert (error.code, error.message) == ("NOT_A_NUMBER", "Amount is not a number.")


@pytest.mark.parametrize("rule", [money("Amount"), number("Amount")], ids=name)
@pytest.mark.parametrize("wrong", [Decimal("1e15"), "-1e15", "1e400", "1e999999"])
def test_what_netsuite_could_not_hold_exactly_is_refused(rule, wrong):
    assert refusal(rule, Amount=wrong).code == "AMOUNT_TOO_LARGE"


@quick
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9))
def test_a_number_keeps_all_its_decimals(amount):
    assert value(number("F"), F=amount) == amount


# --- dates and moments


def test_a_moment_becomes_its_pacific_day():
    """NetSuite answers a date as midnight Pacific."""
    assert value(mapping.date("F"), F=datetime(2026, 11, 20, 8, 0, tzinfo=UTC)) == date(2026, 11, 20)
    assert value(mapping.date("F"), F=datetime(2026, 11, 20, 7, 59, tzinfo=UTC)) == date(2026, 11, 19)
    assert value(mapping.date("F"), F=datetime(2026, 7, 1, 7, 0, tzinfo=UTC)) == date(2026, 7, 1)


@quick
@given(st.dates(min_value=date(1900, 1, 1)))
def test_a_day_is_that_day(day):
    assert value(mapping.date("F"), F=day) == day
    assert value(mapping.date("F"), F=day.isoformat()) == day


@pytest.mark.parametrize("wrong", ["20.11.2026", "2026-13-01", "2026-02-30", "soon", 5])
def test_what_is_no_day_is_refused(wrong):
    assert refusal(mapping.date("F"), F=wrong).code == "NOT_A_DATE"


def test_a_moment_is_carried_in_utc():
    east = timezone(timedelta(hours=2))

    assert value(instant("F"), F="2026-11-20T10:00:00.000Z") == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert value(instant("F"), F=datetime(2026, 11, 20, 12, tzinfo=east)).isoformat() == "2026-11-20T10:00:00+00:00"


@pytest.mark.parametrize("wrong", ["2026-11-20T10:00:00", datetime(2026, 11, 20), "noon"])  # noqa: DTZ001
def test_a_moment_without_a_zone_is_refused(wrong):
    assert refusal(instant("F"), F=wrong).code == "NOT_A_DATE"


# --- flags, choices, references


@pytest.mark.parametrize("wrong", ["true", 1, 0, "no"])
def test_only_yes_and_no_are_flags(wrong):
    assert value(flag("F"), F=True) is True
    assert value(flag("F"), F=False) is False
    assert refusal(flag("Taxable__c"), Taxable__c=wrong).message == "Taxable is not yes or no."


def test_a_choice_outside_the_table_is_refused_by_name():
    terms = choice("Payment_Terms__c", {"Net 30": Ref("term", name="Net 30")})

    error = refusal(terms, Payment_Terms__c="Net 45")

    assert value(terms, Payment_Terms__c="Net 30") == Ref("term", name="Net 30")
    assert (error.code, error.who) == ("UNKNOWN_CHOICE", "administrator")
    assert error.message == "Payment Terms 'Net 45' is not known in NetSuite."


def test_a_link_is_our_external_id():
    assert value(link("AccountId", to="customer"), AccountId="001A") == Ref("customer", external_id="sf-cus-001A")


def test_a_link_to_a_sync_that_is_switched_off_is_left_out_or_refused():
    assert value(link("F", to="vendor"), F="001") is ABSENT
    assert refusal(link("F", to="vendor", required=True), F="001").code == "SYNC_SWITCHED_OFF"


def test_the_way_back_is_by_sync_and_netsuite_id():
    assert value(linked("entity", via="customer"), entity=Ref("customer", id="7", name="Acme")) == Ref(
        "@customer", id="7"
    )
    assert value(linked("internalId", via="sales_order"), internalId="9") == Ref("@sales_order", id="9")


def test_the_records_currency_wins_over_the_sites():
    assert value(currency(), CurrencyIsoCode="EUR") == Ref("currency", name="EUR")
    assert value(currency()) == Ref("currency", name="USD")
    with pytest.raises(Rejected, match="The currency is missing"):
        currency().value({}, Context({}, {}))


def test_a_choice_of_the_site_that_is_not_made_is_not_sent():
    assert site("subsidiary", ref="subsidiary").value({}, Context({"subsidiary": "East"}, {})) == Ref(
        "subsidiary", name="East"
    )
    assert value(site("subsidiary", ref="subsidiary")) is ABSENT


def test_what_is_not_in_the_table_is_refused_with_the_place_to_mend():
    item = crosswalk((("Fee_Type__c", "fees"),), column="sale_item", ref="item")

    unknown = refusal(item, Fee_Type__c="Legal Fee")
    off = refusal(crosswalk((("Fee_Type__c", "fees"),), column="off", ref="item"), Fee_Type__c="Wire Fee")

    assert value(item, Fee_Type__c="Wire Fee") == Ref("item", name="Wire")
    assert (unknown.code, unknown.who, unknown.detail) == ("ITEM_UNKNOWN", "accounting", "fees.Legal Fee.sale_item")
    assert unknown.message == "Fee 'Legal Fee' has no NetSuite item."
    assert off.code == "ITEM_UNKNOWN"


# --- when


def test_one_rule_or_another():
    stage = when(is_positive("N"), const("_customer"), const("_prospect"))

    assert [value(stage, N=1), value(stage, N=0), value(stage, N=None)] == ["_customer", "_prospect", "_prospect"]


def test_a_condition_on_what_was_not_sent_changes_nothing():
    assert value(when(is_positive("N"), const("_customer"), const("_prospect"))) is ABSENT


# --- lines

FEES = lines(
    "Lines",
    fields={"amount": money("UnitPrice", required=True)},
    where=lambda line, site: line.get("Fee_Type__c") != "Free",
    first=[{"amount": money("Funded", required=True)}],
    uses=("Fee_Type__c",),
)


def test_fixed_lines_come_first_and_each_line_carries_its_id():
    rows = value(
        FEES, Funded=5, Lines=[{"Id": "00k1", "UnitPrice": 1}, {"Id": "00k2", "UnitPrice": 2, "Fee_Type__c": "Free"}]
    )

    assert rows == [{LINE_ID: "first-0", "amount": Decimal(5)}, {LINE_ID: "00k1", "amount": Decimal(1)}]


def test_lines_that_were_not_sent_are_left_as_they_are():
    assert value(FEES, Funded=5) is ABSENT


def test_an_order_without_a_line_is_refused():
    """An empty list would delete all lines in NetSuite."""
    plain = lines("Lines", fields={"amount": money("UnitPrice")})

    for none in ([], None):
        assert refusal(plain, Lines=none).code == "NO_LINES"


def test_lines_say_what_they_read():
    assert FEES.reads() == ("Funded", "Lines.Id", "Lines.Fee_Type__c", "Lines.UnitPrice")


# --- rules are data


@pytest.mark.parametrize("rule", [*COPIES, currency(), site("x"), const(1), FEES], ids=name)
def test_a_rule_cannot_be_changed_and_describes_itself(rule):
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        rule.source = "Other"
    assert rule.describe()
    assert isinstance(rule.reads(), tuple)


def test_a_computed_rule_sees_the_record_and_the_site():
    both = compute(lambda source, site: source["A"] + site["currency"], ("A",), "A and the currency")

    assert value(both, A="x") == "xUSD"
    assert (both.reads(), both.describe()) == (("A",), "A and the currency")


# --- gates


@pytest.mark.parametrize(
    ("test", "source", "sentence"),
    [
        (is_in("StageName", "site:stages"), {"StageName": "New"}, "Stage is New, needs Approved or Funded"),
        (is_in("StageName", "site:stages"), {"StageName": None}, "Stage is empty, needs Approved or Funded"),
        (is_in("StageName", ["Won"]), {"StageName": "New"}, "Stage is New, needs Won"),
        (is_true("Funding_Accepted__c"), {"Funding_Accepted__c": False}, "Funding Accepted is not ticked"),
        (is_true("Funding_Accepted__c"), {"Funding_Accepted__c": "true"}, "Funding Accepted is not ticked"),
        (is_positive("Funded_Amount__c"), {"Funded_Amount__c": Decimal(0)}, "Funded Amount is not above zero"),
        (is_positive("Funded_Amount__c"), {"Funded_Amount__c": None}, "Funded Amount is not above zero"),
        (is_not_blank("Broker__c"), {"Broker__c": ""}, "Broker is empty"),
        (is_not_blank("Broker__c"), {}, "Broker was not sent"),
    ],
)
def test_a_closed_gate_explains_itself(test, source, sentence):
    assert not test.holds(source, CONTEXT)
    assert test.explain(source, CONTEXT) == sentence


def test_open_gates_hold_nothing_and_closed_ones_are_told_together():
    push = Push("x", "Opportunity", "salesOrder", "so", {}, when=(is_in("StageName", ["Won"]), is_true("Ok__c")))

    assert push.held({"StageName": "Won", "Ok__c": True}, CONTEXT) is None
    assert (
        push.held({"StageName": "New", "Ok__c": False}, CONTEXT)
        == "Not sent: Stage is New, needs Won; Ok is not ticked."
    )


def test_a_gate_on_an_amount_that_is_no_number_is_refused():
    with pytest.raises(Rejected):
        is_positive("Amount").holds({"Amount": 1.5}, CONTEXT)


# --- more gates


@pytest.mark.parametrize(
    ("gate", "value", "reason"),
    [
        (Gate("Type", "is not in", ("Framework",)), "Framework", "Type is Framework, which is not sent"),
        (Gate("Type", "is not in", ("Framework",)), "New", None),
        (Gate("Funded__c", "is at most", Decimal(500)), Decimal("500.01"), "Funded is 500.01, needs at most 500"),
        (Gate("Funded__c", "is at most", Decimal(500)), Decimal(500), None),
        (Gate("Funded__c", "is at most", Decimal(500)), None, None),
        (Gate("Funded__c", "is at least", Decimal(500)), Decimal("499.99"), "Funded is 499.99, needs at least 500"),
        (Gate("Funded__c", "is at least", Decimal(500)), None, "Funded is empty, needs at least 500"),
        (Gate("Inactive__c", "is not true"), True, "Inactive is ticked"),
        (Gate("Inactive__c", "is not true"), False, None),
        (Gate("Hold__c", "is blank"), "wait", "Hold is not empty"),
        (Gate("Hold__c", "is blank"), None, None),
    ],
)
def test_a_gate_says_what_is_missing(gate, value, reason):
    source = {gate.field: value}
    context = Context({}, {})

    assert gate.holds(source, context) is (reason is None)
    if reason is not None:
        assert gate.explain(source, context) == reason
