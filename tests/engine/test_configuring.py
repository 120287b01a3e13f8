"""A configuration goes live on every instance without a restart, with its author and reason, and back again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge import configuring
from bridge.configuring import Decided
from bridge.errors import Misconfigured, Rejected
from bridge.ledger import bindings as kept
from bridge.ledger import configuration, incidents
from bridge.mapping.tables import version
from bridge.settings import NotConfigured
from tests.engine.conftest import House, build

BASE = (Path(__file__).parents[2] / "bridge" / "demo.toml").read_text(encoding="utf-8")
COMMENTS = '[sync.customer.fields.comments]\ntext = "Description"\nlimit = 4000\ncut = true\n'


def apply(house: House, text: str, *, author: str = "cli:admin", reason: str = "the beginning") -> int:
    number = configuring.apply(house.engine, text, Decided(author, reason))
    house.syncs = house.engine.syncs  # by which the tests read a record as Apex would send it
    return number


@pytest.fixture
def based(house) -> House:
    apply(house, BASE)
    return house


def comments(house: House, account: str) -> str | None:
    return house.there("customer", f"sf-cus-{account}").fields.get("comments")


def test_what_is_applied_holds_for_the_next_save(based):
    account = based.account(Description="Likes ovens")
    based.push(account)
    assert comments(based, account) is None

    number = apply(based, BASE + COMMENTS, reason="accounting asked for it")
    based.sf.update(account, Phone="555-0100")
    based.push(account)

    assert comments(based, account) == "Likes ovens"
    (said,) = [it for it in based.audit(action="mapping_applied") if "accounting" in it.detail]
    assert (said.actor, said.detail) == ("cli:admin", f"number {number}: accounting asked for it")
    assert (said.before, said.after) == (version(configuring.read(BASE)[1]), based.ledger.mapping)
    assert based.audit(action="delivered", sync="customer")[-1].mapping == based.ledger.mapping


def test_going_back_is_one_more_configuration(based):
    before = based.ledger.mapping
    configuring.apply(based.engine, BASE + COMMENTS, Decided("cli:admin", "try"))

    configuring.revert(based.engine, None, Decided("cli:other", "wrong field"))

    assert based.ledger.mapping == before
    with based.ledger.read() as connection:
        known = configuration.history(connection, 10)
    assert [(it.author, it.reason) for it in known] == [
        ("cli:other", "back to 1: wrong field"),
        ("cli:admin", "try"),
        ("cli:admin", "the beginning"),
    ]
    assert [it.text == BASE for it in known] == [True, False, True]


def test_the_file_before_the_first_configuration_is_kept_to_go_back_to(house):
    decided = Decided("cli:admin", "more fields", file=BASE)
    configuring.apply(house.engine, BASE + COMMENTS, decided)

    configuring.revert(house.engine, None, Decided("cli:admin", "wrong"))

    with house.ledger.read() as connection:
        known = configuration.history(connection, 10)
    assert [it.text for it in known] == [BASE, BASE + COMMENTS, BASE]
    assert known[2].reason == configuring.FILE


def test_of_two_people_who_apply_at_once_one_is_refused(based):
    with based.ledger.read() as connection:
        seen = configuration.newest_id(connection)
    configuring.apply(based.engine, BASE + COMMENTS, Decided("cli:ann", "comments", configuration=seen))
    before = based.ledger.mapping

    with pytest.raises(Misconfigured) as caught:
        configuring.apply(based.engine, BASE, Decided("cli:bob", "as it was", configuration=seen))

    assert (caught.value.code, "cli:ann (comments)" in caught.value.message) == ("APPLIED_MEANWHILE", True)
    assert based.ledger.mapping == before


def test_bindings_that_were_deployed_meanwhile_are_looked_at_first(based):
    kept.make_live(based.ledger, None, "2025_2", "deploy", "ann", "new", after=0)

    with pytest.raises(Misconfigured) as caught:
        configuring.apply(based.engine, BASE + COMMENTS, Decided("cli:bob", "x", deployment=0))

    assert caught.value.code == "DEPLOYED_MEANWHILE"
    with based.ledger.read() as connection:
        number = configuration.newest_id(connection)
    with pytest.raises(Misconfigured) as caught:
        kept.make_live(based.ledger, None, "2025_2", "deploy", "ann", "again", after=1, configuration=number - 1)
    assert caught.value.code == "APPLIED_MEANWHILE"


def test_what_does_not_fit_is_not_applied(based):
    def fits(site, syncs) -> None:
        raise NotConfigured(["sync.customer, mood: NetSuite's customer has no field mood."])

    before = based.ledger.mapping
    with pytest.raises(NotConfigured):
        configuring.apply(based.engine, BASE + COMMENTS, Decided("cli:admin", "x", fits=fits))

    assert based.ledger.mapping == before


def test_there_must_be_something_to_go_back_to(based):
    for number in (None, 99):
        with pytest.raises(Rejected) as caught:
            configuring.revert(based.engine, number, Decided("cli:admin", "x"))
        assert caught.value.code == "CONFIGURATION_UNKNOWN"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[sync", "this is not TOML"),
        ("[sync.customers]\nenabled = true\n", "sync.customers is not a sync"),
        ("[sites]\n", "sites is not a setting"),
    ],
)
def test_what_cannot_work_is_not_applied(based, text, sentence):
    before = based.ledger.mapping

    with pytest.raises(NotConfigured) as caught:
        configuring.apply(based.engine, text, Decided("cli:admin", "typo"))

    assert sentence in str(caught.value)
    assert based.ledger.mapping == before
    with based.ledger.read() as connection:
        assert len(configuration.history(connection, 10)) == 1


def test_every_instance_takes_it_over(based, clock, ledger):
    other = build(clock, ledger)
    seen = []

    def changed(site, syncs):
        configuring.use(other.engine, syncs)
        seen.append(site.site.currency)

    follower = configuring.Follower(ledger, changed)
    assert follower.look()
    configuring.apply(based.engine, BASE + COMMENTS, Decided("cli:admin", "more"))
    assert follower.look()
    assert not follower.look()

    assert "comments" in other.engine.syncs.pushes["customer"].fields
    assert seen == ["USD", "USD"]
    other.salesforce.close()
    other.sf.close()


def test_a_choice_outside_of_the_mapping_is_taken_over_too(based, ledger):
    seen = []
    follower = configuring.Follower(ledger, lambda site, syncs: seen.append(site.alerts.lag_minutes))
    follower.look()

    configuring.apply(based.engine, BASE + "[alerts]\nlag_minutes = 7\n", Decided("cli:admin", "sooner"))

    assert follower.look()
    assert seen == [30, 7]


def test_an_instance_that_cannot_use_a_configuration_stays_on_what_it_has_and_says_so(based, ledger):
    """As an older instance does with a setting that it does not know yet."""
    seen = []
    follower = configuring.Follower(ledger, lambda site, syncs: seen.append(site))
    follower.look()
    with ledger.write() as writing:
        configuration.add(
            writing,
            author="ann",
            reason="newer",
            text="[of_a_newer_version]\n",
            mapping="x",
            before=None,
            what="applied",
        )
    follower._look_and_tell()
    follower._look_and_tell()

    def told() -> list[str]:
        with ledger.read() as connection:
            return [it.sentence for it in incidents.open_ones(connection) if it.code == "CONFIGURATION_REFUSED"]

    (sentence,) = told()
    assert "of_a_newer_version is not a setting" in sentence
    assert (len(seen), follower.number) == (1, 1)
    configuring.apply(based.engine, BASE, Decided("cli:admin", "back"))
    follower._look_and_tell()
    assert (len(seen), told()) == (2, [])


def test_the_file_is_a_draft_once_something_was_applied(based, tmp_path):
    path = tmp_path / "bridge.toml"
    path.write_text(BASE, encoding="utf-8")
    assert configuring.differs(based.ledger, path) is None

    path.write_text(BASE + COMMENTS, encoding="utf-8")

    assert configuring.differs(based.ledger, path).reason == "the beginning"
    site, _ = configuring.read(BASE)
    assert configuring.live(based.ledger, configuring.read(BASE + COMMENTS)[0]) == site


def test_a_field_that_netsuite_owns_is_sent_once_only(based):
    """F-39, F-81: accounting's terms stay, whatever Salesforce says later."""
    owned = '[sync.customer.fields.comments]\ntext = "Description"\nowner = "netsuite"\n'
    apply(based, BASE + owned, reason="accounting owns it")
    account = based.account(Description="first words")
    based.push(account)
    based.ns.admin.edit({"comments": "accounting's words"}, kind="customer", externalId=f"sf-cus-{account}")

    based.clock.advance(seconds=5)
    based.sf.update(account, Description="second words")
    assert based.push_one(account).state in ("unchanged", "delivered")
    assert based.states("customer", account)[-1] == "unchanged", "nothing else differs, so nothing is sent"
    based.sf.update(account, Phone="555-0199")
    based.push(account)

    assert comments(based, account) == "accounting's words"
    assert based.there("customer", f"sf-cus-{account}").fields["phone"] == "555-0199"
