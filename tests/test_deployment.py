"""Bindings are changed while saves come in: nothing is lost, nothing is doubled, and what breaks does not go live."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
import requests
from sqlalchemy import delete, select, update

from bridge import changing, deployment, operating, playground, records, timetable
from bridge.app import Bridge, build
from bridge.deployment import Shelf, deploy, status
from bridge.errors import Misconfigured
from bridge.ledger import Ledger, audit, incidents, marks
from bridge.ledger import bindings as kept
from bridge.ledger.models import audit as trail
from bridge.ledger.models import message, wsdl_file
from bridge.netsuite import sets
from bridge.netsuite.lifecycle import lifetime
from bridge.overlay import site_syncs
from bridge.playground import Playground
from bridge.ports import Record, Ref, Written
from bridge.rehearsal import rehearse
from bridge.settings import NotConfigured
from bridge.site import NetSuiteTable, Quotes
from bridge.site import read as read_site
from tests import wsdl_mutants as mutants
from tests.wsdl_mutants import SUBSET, as_version, field_added, field_changed, field_moved_to_the_end, mutated

DEMO = Path(playground.__file__).parent / "demo.toml"
WHO = {"actor": "ann", "reason": "a test"}
# What NetSuite may do to a live endpoint without breaking anything here.
SAFE = (
    field_moved_to_the_end("Customer", "phone"),
    field_moved_to_the_end("SalesOrderItem", "amount"),
    field_added("Customer", "mood"),
    mutants.word_dropped("CustomerStage", "_lead"),
    mutants.field_removed("Customer", "fax"),
)
BREAKING = {
    "removed": mutants.field_removed("Customer", "phone"),
    "renamed": field_changed("Customer", "companyName", name="businessName"),
    "type changed": field_changed("Customer", "url", type="xs:long"),
    "word dropped": mutants.word_dropped("CustomerStage", "_prospect"),
    "operation removed": mutants.operation_removed("upsert"),
}


class World:
    """A house with two instances on one database, and a NetSuite that speaks several versions."""

    def __init__(self, folder: Path, versions: dict[str, mutants.Files], instances: int = 2) -> None:
        self.folders = [mutants.write(files, folder / version) for version, files in versions.items()]
        self.house: Playground = playground.start(folder / "bridge.sqlite3", schema_dir=[SUBSET, *self.folders])
        settings, site = self.house.bridge.settings, self.house.bridge.site
        self.others: list[Bridge] = [build(settings, site) for _ in range(instances - 1)]
        for it in self.others:
            it.start()
        self.bridges = (self.house.bridge, *self.others)
        self.shelf: Shelf = self.house.bridge.shelf
        self.saved: list[str] = []

    def fetch(self, folder: Path, version: str) -> None:
        self.shelf.keep(sets.from_path(folder, version), folder.name, "ann")

    def deploy(self, name: str) -> tuple[deployment.Trial, int | None]:
        bridge = self.house.bridge
        return deploy(self.shelf, self.shelf.choose(name), bridge.engine.syncs, bridge.netsuite, **WHO)

    def until(self, true: Callable[[], object], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "it did not come true"
            time.sleep(0.02)

    def everybody_uses(self, version: str) -> None:
        self.until(lambda: all(it.netsuite.version == version for it in self.bridges))

    @contextmanager
    def load(self, callers: int = 2, pause_s: float = 0.03) -> Iterator[None]:
        """People save Accounts, and save them again, all the time; callouts go to the first instance."""
        over = threading.Event()
        sf = self.house.salesforce

        def save(caller: int) -> None:
            n = 0
            while not over.is_set():
                made = sf.insert("Account", Name=f"Merchant {caller}-{n}", Phone="1")
                self.saved.append(made)
                sf.update(made, Phone=f"555-{n}")
                n += 1
                time.sleep(pause_s)

        threads = [threading.Thread(target=save, args=(it,)) for it in range(callers)]
        for it in threads:
            it.start()
        try:
            yield
        finally:
            over.set()
            for it in threads:
                it.join()

    def check(self) -> None:
        """Every Account became one customer with the phone that was saved last; nothing failed."""
        self.house.salesforce.drain()
        ns, sf = self.house.netsuite, self.house.salesforce
        ours = {str(it.external_id): it for it in ns.store.records["customer"].values()}

        def arrived() -> bool:
            found = (ours.get(f"sf-cus-{it}") for it in self.saved)
            rows = ((it, sf.row(name)) for it, name in zip(found, self.saved, strict=True))
            return all(
                it is not None and row is not None and it.fields.get("phone") == row["Phone"] for it, row in rows
            )

        def look() -> bool:
            ours.update({str(it.external_id): it for it in ns.store.records["customer"].values()})
            return arrived()

        self.until(look)
        assert len(ns.store.records["customer"]) == len(set(self.saved))
        with self.house.bridge.ledger.read() as connection:
            failed = connection.execute(select(message).where(message.c.state.in_(("rejected", "dead")))).all()
        assert not failed

    def stop(self) -> None:
        for it in self.others:
            it.stop()
        self.house.stop()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def start(*, instances: int = 2, **versions: mutants.Files) -> World:
        made.append(World(tmp_path, {name.removeprefix("v"): files for name, files in versions.items()}, instances))
        return made[-1]

    yield start
    for it in made:
        it.stop()


def test_a_deployment_and_its_rollback_under_load_lose_nothing(world):
    """Older, newer, and changed: sets that were never seen, deployed one after the other while people save."""
    base = mutants.read(SUBSET)
    here = world(v2019_1=as_version(base, "2019_1"), v2031_2=mutated(as_version(base, "2031_2"), *SAFE))
    for folder in here.folders:
        here.fetch(folder, folder.name)

    with here.load():
        for version in ("2019_1", "2031_2"):
            trial, number = here.deploy(version)
            assert trial.reasons == []
            assert number
            here.everybody_uses(version)
            time.sleep(0.3)
        back = kept.roll_back(here.shelf.ledger, "2025_2", **WHO)
        here.everybody_uses("2019_1")
        time.sleep(0.3)

    here.check()
    assert (back.version, back.n, back.action) == ("2019_1", 3, "rollback")
    paths = {it.operation for it in here.house.netsuite.calls if it.status != "ok"}
    assert paths == set()
    said = status(here.shelf, date(2026, 11, 25))
    assert {it.n for it in said.instances} == {3}
    assert next((it.version, it.actor, it.reason) for it in said.history) == ("2019_1", "ann", "a test")
    with here.shelf.ledger.read(still=True) as connection:
        assert list(audit.verify(connection, here.shelf.ledger.audit_key)) == []


@pytest.mark.parametrize("what", BREAKING)
def test_what_breaks_does_not_go_live(what, world):
    here = world(v2031_2=mutated(as_version(mutants.read(SUBSET), "2031_2"), BREAKING[what]))
    here.fetch(here.folders[0], "2031_2")

    trial, number = here.deploy("2031_2")

    assert number is None
    assert trial.report.breaking
    assert trial.scenes == ()
    assert here.shelf.live() is None
    with here.shelf.ledger.read() as connection:
        refused = connection.exec_driver_sql("SELECT actor, detail FROM audit WHERE action = 'wsdl refused'").all()
    assert refused[0].actor == "ann"
    assert trial.report.breaking[0].where in refused[0].detail


def test_what_the_comparison_does_not_see_fails_in_the_rehearsal(world):
    """An element that is renamed inside an answer's own type, for example, is found by playing it."""
    here = world()
    made = sets.from_path(SUBSET, "2025_2")
    syncs = here.house.bridge.engine.syncs
    sandbox = rehearse(made, syncs)
    broken = sets.WsdlSet("2025_2", {**made.files, "xsd/lists.relationships.xsd": b"<x/>"})

    assert not [it for it in sandbox if it.ok is False]
    assert sum(it.ok is True for it in sandbox) > 20
    assert [it.ok for it in rehearse(broken, syncs)] == [False]


@pytest.mark.parametrize("commission", ["custom_record", "vendor_bill"])
def test_every_sync_that_there_is_has_its_scenes_in_the_rehearsal(commission):
    """A sync that is registered and not played here would go live with bindings that nobody tried for it."""
    site, _ = read_site(DEMO)
    site = site.model_copy(
        update={"netsuite": NetSuiteTable(commission=commission), "quotes": Quotes(stages=("Underwriting",))}
    )
    syncs = site_syncs(site)

    played = {it.name: it for it in rehearse(sets.from_path(SUBSET, "2025_2"), syncs)}

    assert {*syncs.pushes, *syncs.pulls} == records.NAMES
    scenes = [*(f"{name}: one record" for name in syncs.pushes), *(f"{name}: mapping" for name in syncs.pulls)]
    scenes += [f"{pull.source}: search" for pull in syncs.pulls.values()]
    assert [played[name] for name in scenes if name not in played or played[name].ok is not True] == []
    assert [it for it in played.values() if it.ok is not True] == []


def test_an_endpoint_that_the_account_does_not_serve_does_not_go_live(world, tmp_path):
    here = world()
    here.fetch(mutants.write(as_version(mutants.read(SUBSET), "2031_2"), tmp_path / "elsewhere"), "2031_2")

    with pytest.raises(Misconfigured) as caught:
        here.deploy("2031_2")

    assert caught.value.code in ("INVALID_WS_VERSION", "INVALIDVERSIONFAULT")
    assert here.shelf.live() is None


def test_a_set_that_was_tampered_with_is_not_used(world):
    """Not at a deployment, and not by an instance that was told to use it: it stays on what it has, and says so."""
    base = mutants.read(SUBSET)
    here = world(v2031_2=as_version(base, "2031_2"))
    here.fetch(here.folders[0], "2031_2")
    seal = here.shelf.choose("2031_2").seal
    with here.shelf.ledger.write() as writing:
        row = wsdl_file.c.name == "xsd/platform.core.xsd"
        content = writing.connection.execute(select(wsdl_file.c.content).where(row)).scalar()
        writing.connection.execute(update(wsdl_file).where(row).values(content=content[:-5]))

    with pytest.raises(Misconfigured, match="not as they were fetched"):
        here.deploy("2031_2")
    kept.make_live(here.shelf.ledger, seal, "2031_2", "deploy", "mallory", "by hand", after=0)

    def is_told() -> bool:
        with here.shelf.ledger.read() as connection:
            return "BINDINGS_REFUSED" in {it.code for it in incidents.open_ones(connection)}

    here.until(is_told)
    assert {it.netsuite.version for it in here.bridges} == {"2025_2"}
    with pytest.raises(Misconfigured):  # and an instance does not start on it
        build(here.house.bridge.settings, here.house.bridge.site)


def test_a_set_that_turns_in_a_circle_is_refused_by_the_rehearsal_and_by_every_instance(world, tmp_path):
    """Its hashes are right and its schemas well formed, but whoever loads it never comes to an end."""
    files = mutants.read(SUBSET)
    core = files["xsd/platform.core.xsd"].decode()
    start = core.index('<xs:complexType name="Record"')
    end = core.index("</xs:complexType>", start)
    head, body = core[start:end].split(">", 1)
    extended = '<xs:complexContent><xs:extension base="core:{}">{}</xs:extension></xs:complexContent></xs:complexType>'
    circle = f'{head}>{extended.format("Round", body)}<xs:complexType name="Round">{extended.format("Record", "")}'
    round_core = core[:start] + circle + core[end + len("</xs:complexType>") :]
    here = world(instances=1)
    here.fetch(mutants.write({**files, "xsd/platform.core.xsd": round_core.encode()}, tmp_path / "round"), "2025_2")
    choice = here.shelf.choose("2025_2")

    trial, number = here.deploy(str(choice.seal))

    assert number is None
    assert [it.name for it in trial.scenes if it.ok is False] == ["loading"]
    kept.make_live(here.shelf.ledger, choice.seal, "2025_2", "deploy", "mallory", "by hand", after=0)

    def is_told() -> bool:
        with here.shelf.ledger.read() as connection:
            return "BINDINGS_REFUSED" in {it.code for it in incidents.open_ones(connection)}

    here.until(is_told)
    with here.load(callers=1):
        time.sleep(0.2)
    here.check()
    kept.roll_back(here.shelf.ledger, "2025_2", **WHO)
    here.until(lambda: here.house.bridge.watcher.number == 2)


def test_half_a_set_is_refused(world):
    here = world(v2031_2=as_version(mutants.read(SUBSET), "2031_2"))
    here.fetch(here.folders[0], "2031_2")
    with here.shelf.ledger.write() as writing:
        writing.connection.execute(delete(wsdl_file).where(wsdl_file.c.name == "xsd/platform.core.xsd"))

    with pytest.raises(Misconfigured, match="not as they were fetched"):
        here.deploy("2031_2")


def test_an_instance_that_starts_later_uses_what_is_live(world):
    here = world(v2031_2=as_version(mutants.read(SUBSET), "2031_2"))
    here.fetch(here.folders[0], "2031_2")
    here.deploy("2031_2")

    late = build(here.house.bridge.settings, here.house.bridge.site)

    assert late.netsuite.version == "2031_2"
    assert late.netsuite.now() is not None
    late.ledger.close()


def test_the_console_shows_what_is_live_for_how_long_and_who_did_it(world):
    here = world(instances=1, v2031_2=as_version(mutants.read(SUBSET), "2031_2"))
    here.fetch(here.folders[0], "2031_2")
    here.deploy("2031_2")
    here.everybody_uses("2031_2")
    end = time.monotonic() + 10  # an instance says so after it does
    while "uses it" not in (answer := requests.get(f"{here.house.console.url}/bindings", timeout=10)).text:
        assert time.monotonic() < end, answer.text
        time.sleep(0.1)

    assert answer.status_code == 200
    for words in ("<strong>2031_2</strong> is live", "no endpoint after 2025_2", "ann", "a test", "sandbox"):
        assert words in answer.text


def test_two_deployments_at_once_are_one(world):
    here = world()
    kept.make_live(here.shelf.ledger, None, "2025_2", "deploy", after=0, **WHO)

    with pytest.raises(Misconfigured) as caught:
        kept.make_live(here.shelf.ledger, None, "2025_2", "deploy", after=0, **WHO)

    assert caught.value.code == "DEPLOYED_MEANWHILE"


def test_a_configuration_holds_on_every_instance_with_its_cadences_and_limits(world, monkeypatch):
    monkeypatch.setattr(timetable, "LOOK_S", 0.1)
    here = world()
    bridge, other = here.bridges
    text = bridge.settings.config.read_text() + (
        "[schedule.jobs.sweep]\nevery_minutes = 7\n[alerts]\nlag_minutes = 9\n"
        '[sync.customer.fields.comments]\ntext = "Description"\n'
    )

    number = changing.apply(bridge, text, author="ann", reason="a test")

    here.until(lambda: other.follower.number == bridge.follower.number == number)
    assert [it.site.alerts.lag_minutes for it in here.bridges] == [9, 9]
    assert ["comments" in it.engine.syncs.pushes["customer"].fields for it in here.bridges] == [True, True]
    here.until(lambda: {it.name: it.cadence for it in here.house.schedule.rows()}["sweep"] == "every 7 minutes")
    changing.revert(other, None, author="bob", reason="as it was")
    here.until(lambda: [it.site.alerts.lag_minutes for it in here.bridges] == [30, 30])


def test_going_back_past_a_change_of_the_bindings_loses_nothing(world):
    """A rule writes a field that only the newer set has: its sync pauses, once, until one of both is back."""
    newer = mutated(as_version(mutants.read(SUBSET), "2031_2"), field_added("Customer", "mood"))
    here = world(instances=1, v2031_2=newer)
    bridge, sf, text = here.house.bridge, here.house.salesforce, DEMO.read_text()
    here.fetch(here.folders[0], "2031_2")
    here.deploy("2031_2")
    here.everybody_uses("2031_2")
    moody = changing.apply(
        bridge, f'{text}[sync.customer.fields.mood]\ntext = "Website"\n', author="ann", reason="more"
    )
    kept.roll_back(here.shelf.ledger, "2025_2", **WHO)
    here.everybody_uses("2025_2")

    accounts = [sf.insert("Account", Name=name, Website="glad") for name in ("Acme", "Brown", "Clark")]
    sf.drain()

    def paused() -> list[tuple[str, str]]:
        with here.shelf.ledger.read() as connection:
            return [(it.scope, it.code) for it in marks.pauses(connection)]

    def moods() -> list[str | None]:
        found = (here.house.netsuite.store.find("Entity", f"sf-cus-{it}") for it in accounts)
        return [it.fields.get("mood", "") if it else None for it in found]

    here.until(paused)
    assert (paused(), moods()) == ([("customer", "FIELD_UNKNOWN")], [None] * 3)
    with here.shelf.ledger.read() as connection:
        states = set(connection.execute(select(message.c.state).where(message.c.sync == "customer")).scalars())
        told = connection.execute(select(trail.c.sync).where(trail.c.action == "paused")).scalars().all()
    assert (states, told) == ({"pending"}, ["customer"])
    changing.revert(bridge, None, author="bob", reason="as it was")
    operating.probe(bridge.engine)
    here.until(lambda: moods() == [""] * 3)
    assert paused() == []
    with pytest.raises(NotConfigured, match="customer has no field mood"):
        changing.revert(bridge, moody, author="ann", reason="again")
    kept.roll_back(here.shelf.ledger, "2025_2", **WHO)
    here.everybody_uses("2031_2")
    changing.revert(bridge, moody, author="ann", reason="again")
    sf.update(accounts[0], Phone="555-0100")
    here.until(lambda: moods() == ["glad", "", ""])


def test_going_back_needs_something_to_go_back_to(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger")
    ledger.create()

    with pytest.raises(Misconfigured, match="nothing to go back to"):
        kept.roll_back(ledger, "2025_2", **WHO)
    kept.make_live(ledger, "a" * 64, "2031_2", "deploy", after=0, **WHO)
    back = kept.roll_back(ledger, "2025_2", **WHO)
    again = kept.roll_back(ledger, "2025_2", **WHO)

    assert (back.seal, back.version) == (None, "2025_2")
    assert (again.seal, again.version) == ("a" * 64, "2031_2")
    ledger.close()


def test_a_field_that_the_bindings_do_not_know_is_told_once_and_nothing_is_lost(world):
    """NetSuite adds fields to a live endpoint: the answer is read, and one incident tells of it, over all instances."""
    poor = mutated(mutants.read(SUBSET), mutants.field_removed("Customer", "fax"))
    here = world(v2031_2=as_version(poor, "2031_2"))
    bridge = here.house.bridge
    record = Record(Ref("customer", external_id="sf-cus-x"), {"companyName": "Acme", "subsidiary": SUB, "phone": "1"})
    (written,) = bridge.netsuite.upsert([record])
    assert isinstance(written, Written)
    stored = here.house.netsuite.store.find("Entity", "sf-cus-x")
    assert stored is not None
    stored.fields["fax"] = "206 555 0199"
    stored.cache.clear()
    for it in here.bridges:
        it.speak_through(it.netsuite.through(deployment.Bindings.of(poor, "2025_2")))
        it.watcher._netsuite = it.netsuite

    found = [it.netsuite.get([written.ref])[0] for it in here.bridges]
    for it in (*here.bridges, *here.bridges):
        it.watcher.look()

    assert [one.ref.id for one in found if one] == [written.ref.id] * 2
    assert {one.fields["fax"] for one in found if one} == {"206 555 0199"}
    assert {one.fields["companyName"] for one in found if one} == {"Acme"}
    with here.shelf.ledger.read() as connection:
        told = [it for it in incidents.open_ones(connection) if it.code == "SCHEMA_DRIFT"]
        said = connection.exec_driver_sql("SELECT count(*) FROM audit WHERE code = 'SCHEMA_DRIFT'").scalar()
    assert [it.key for it in told] == ["drift:2025_2:Customer.fax"]
    assert said == 1
    assert [it.key for it in status(here.shelf, date(2026, 1, 1)).drift] == ["drift:2025_2:Customer.fax"]


SUB = Ref("subsidiary", name="Parent Company")


@pytest.mark.parametrize(
    ("version", "today", "days", "words"),
    [
        ("2025_2", date(2026, 11, 25), 615, "tokens that it needs may end with 2028.1"),
        ("2025_1", date(2026, 11, 25), 68, "Supported until release 2027.1"),
        ("2023_2", date(2026, 11, 25), 0, "does not support 2023_2 since release 2026.2, but answers it until 2028.2"),
        ("2021_1", date(2028, 3, 1), 0, "does not answer 2021_1 since release 2028.1"),
        ("2017_1", date(2026, 11, 25), 0, "does not answer 2017_1"),
        ("2026_1", date(2026, 11, 25), None, "no endpoint after 2025_2"),
        ("2025_2", date(2028, 8, 1), 0, "does not answer 2025_2 since release 2028.2"),
    ],
)
def test_the_status_says_how_long_an_endpoint_lives(version, today, days, words):
    found = lifetime(version, today)

    assert found.days_left == days
    assert words in found.sentence


@pytest.mark.full_schemas
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_full_sets_are_deployed_under_load(world):
    """2023_2, 2025_2 and a changed one as NetSuite publishes them; what breaks is refused meanwhile."""
    newer = as_version(mutants.full("2025_2"), "2026_1")
    here = world(instances=1, v2023_2=mutants.full("2023_2"), v2026_1=mutated(newer, *SAFE))
    for folder in here.folders:
        here.fetch(folder, folder.name)
    broken = mutated(newer, *BREAKING.values())
    here.fetch(mutants.write(broken, here.folders[0].parent / "broken"), "2026_1")
    worse, good = (it for it in here.shelf.choices() if it.version == "2026_1")

    with here.load(callers=1, pause_s=0.2):
        for name in ("2023_2", str(good.seal)):
            trial, number = here.deploy(name)
            assert trial.reasons == []
            assert number
            here.everybody_uses(trial.choice.version)
        refused, none = here.deploy(str(worse.seal))
        kept.roll_back(here.shelf.ledger, "2025_2", **WHO)
        here.everybody_uses("2023_2")

    here.check()
    assert none is None
    assert {it.where for it in refused.report.breaking} >= {
        "Customer.companyName", "Customer.phone", "CustomerStage: _prospect", "upsert",
    }  # fmt: skip
