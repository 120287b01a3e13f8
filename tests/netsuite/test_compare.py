"""The comparison names every difference in what is used, and says truly which of them break."""

from __future__ import annotations

import pytest

from bridge.netsuite.compare import compare
from bridge.netsuite.inventory import Inventory
from bridge.netsuite.samples import sample
from bridge.overlay import site_syncs
from bridge.site import parse
from bridge.used import uses
from tests import wsdl_mutants as mutants
from tests.wsdl_mutants import (
    SUBSET,
    attribute_removed,
    fault_removed,
    field_added,
    field_changed,
    field_moved_to_the_end,
    field_removed,
    mutated,
    operation_removed,
    type_made_abstract,
    word_dropped,
)

SHIPPED = Inventory.read(mutants.read(SUBSET))
PLAIN = {"site": {"subsidiary": "Parent Company"}, "fees": {"Wire Fee": {"sale_item": "Wire Fee"}}}

# fmt: off
# The change, what it is called, where, and if it breaks this site.
MUTATIONS = [
    (field_removed("Customer", "phone"), "field", "gone", "Customer.phone", True),
    (field_removed("Customer", "fax"), "field", "gone", "Customer.fax", False),
    (field_removed("SalesOrderItem", "rate"), "field", "gone", "SalesOrderItem.rate", True),
    (field_removed("CustomerPayment", "unapplied"), "field", "gone", "CustomerPayment.unapplied", True),
    (field_removed("CustomerPaymentApply", "refNum"), "field", "gone", "CustomerPaymentApply.refNum", True),
    (field_removed("Status", "statusDetail"), "field", "gone", "Status.statusDetail", True),
    (field_changed("Vendor", "companyName", name="businessName"), "field", "gone", "Vendor.companyName", True),
    (field_moved_to_the_end("Contact", "email"), "order", "moved", "Contact.email", False),
    (field_changed("SalesOrderItem", "amount", type="xs:string"), "field", "changed", "SalesOrderItem.amount", True),
    (field_changed("Contact", "fax", type="xs:long"), "field", "changed", "Contact.fax", False),
    (field_changed("Customer", "email", minOccurs="1"), "field", "changed", "Customer.email", True),
    (field_changed("Customer", "companyName", minOccurs="1"), "field", "changed", "Customer.companyName", False),
    (field_added("Customer", "mood"), "field", "new", "Customer.mood", False),
    (field_added("Customer", "temper", minOccurs="1"), "field", "new", "Customer.temper", True),
    (word_dropped("CustomerStage", "_prospect"), "enumeration", "gone", "CustomerStage: _prospect", True),
    (word_dropped("CustomerStage", "_lead"), "enumeration", "gone", "CustomerStage: _lead", False),
    (word_dropped("SearchDateFieldOperator", "within"),
     "enumeration", "gone", "SearchDateFieldOperator: within", True),
    (word_dropped("FaultCodeType", "SESSION_TIMED_OUT"),
     "enumeration", "gone", "FaultCodeType: SESSION_TIMED_OUT", False),
    (operation_removed("upsertList"), "operation", "gone", "upsertList", True),
    (attribute_removed("Customer", "externalId"), "attribute", "gone", "Customer.externalId", True),
    (attribute_removed("SalesOrderItemList", "replaceAll"),
     "attribute", "gone", "SalesOrderItemList.replaceAll", True),
    (fault_removed("upsert", "UnexpectedErrorFault"), "fault", "gone", "upsert: UnexpectedErrorFault", False),
    (field_removed("SoapFault", "code"), "field", "gone", "UnexpectedErrorFault.code", True),
    (type_made_abstract("PurchaseOrder"), "type", "changed", "PurchaseOrder", True),
]  # fmt: skip


def report_of(files: mutants.Files, *, old: Inventory = SHIPPED, site: dict[str, object] = PLAIN):
    made, problems = parse(site)
    assert not problems
    used = uses(site_syncs(made), lambda kind: sample(SHIPPED, kind))
    return compare(old, Inventory.read(files), SHIPPED, used)


@pytest.mark.parametrize(
    ("change", "what", "how", "where", "breaks"), MUTATIONS, ids=lambda it: it if isinstance(it, str) else ""
)
def test_a_mutation_is_named_and_judged(change, what, how, where, breaks):
    report = report_of(mutated(mutants.read(SUBSET), change))

    assert (what, how, where, breaks) in {(it.what, it.change, it.where, it.breaks) for it in report.differences}
    assert bool(report.breaking) is breaks


def test_the_same_set_does_not_differ():
    report = report_of(mutants.read(SUBSET))

    assert report.differences == ()
    assert report.elsewhere == 0


def test_another_version_of_the_same_set_does_not_differ():
    """Older and newer endpoints than any that was ever seen: a name of the version is no difference."""
    for version in ("2019_1", "2031_2"):
        report = report_of(mutants.as_version(mutants.read(SUBSET), version))

        assert (report.new, report.differences) == (version, ())


def test_a_renamed_field_is_perhaps_found_under_its_new_name():
    report = report_of(mutated(mutants.read(SUBSET), mutants.field_changed("Customer", "phone", name="telephone")))

    (gone,) = report.breaking
    assert gone.where == "Customer.phone"
    assert "perhaps called telephone now" in gone.sentence
    assert "customer" in gone.sentence


def test_what_the_overlay_adds_is_used():
    """A field that only this site maps breaks this site only."""
    without = mutated(mutants.read(SUBSET), mutants.field_removed("Customer", "comments"))
    overlay = {**PLAIN, "sync": {"customer": {"fields": {"comments": {"text": "Description"}}}}}

    assert report_of(without).breaking == ()
    assert [it.where for it in report_of(without, site=overlay).breaking] == ["Customer.comments"]


def test_what_the_site_switched_off_does_not_break():
    without = mutated(mutants.read(SUBSET), mutants.field_removed("Contact", "title"))
    overlay = {**PLAIN, "sync": {"contact": {"enabled": False}}}

    assert report_of(without).breaking
    assert report_of(without, site=overlay).breaking == ()


def test_a_word_that_the_site_chose_breaks_when_it_goes():
    without = mutated(mutants.read(SUBSET), mutants.word_dropped("CustomerStage", "_lead"))
    chosen = {**PLAIN, "site": {"subsidiary": "Parent Company", "customer_stage": "_lead"}}

    assert [it.where for it in report_of(without, site=chosen).breaking] == ["CustomerStage: _lead"]


def test_what_both_sets_lack_is_missing():
    """The set that is live may itself lack what the bridge learned to use since."""
    poor = mutated(mutants.read(SUBSET), mutants.field_removed("Customer", "phone"))

    report = report_of(poor, old=Inventory.read(poor))

    assert [(it.change, it.where) for it in report.breaking] == [("missing", "Customer.phone")]


@pytest.mark.full_schemas
@pytest.mark.parametrize("version", ["2023_2", "2025_2"])
def test_mutations_of_full_sets_are_named_all_at_once(version):
    files = mutants.full(version)

    report = report_of(mutated(files, *(it[0] for it in MUTATIONS)), old=Inventory.read(files))

    assert {it[1:] for it in MUTATIONS} <= {(it.what, it.change, it.where, it.breaks) for it in report.differences}


@pytest.mark.full_schemas
def test_the_published_versions_do_not_break_each_other():
    first, second = (Inventory.read(mutants.full(it)) for it in ("2023_2", "2025_2"))
    made, _ = parse(PLAIN)
    used = uses(site_syncs(made), lambda kind: sample(SHIPPED, kind))

    there, back = compare(first, second, SHIPPED, used), compare(second, first, SHIPPED, used)

    assert there.breaking == back.breaking == ()
    assert {it.where.split(":")[0] for it in there.differences} == {"StatusDetailCodeType"}
    assert there.elsewhere > 0
