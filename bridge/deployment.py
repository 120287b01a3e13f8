"""Change the SuiteTalk bindings while money moves: fetch, compare, rehearse, deploy, roll back.

`Shelf` holds the sets that a site has; `deploy` makes one live, after everything that could break was tried; a
`Watcher` in every process notices within `EVERY_S`, loads the set beside the one that is in use, and changes over with
one assignment. Calls in flight finish on the bindings they began with.

Must not know: HTTP, Flask, any record.
"""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

import suitetalk_wsdl
from bridge.errors import BridgeError
from bridge.ledger import Ledger, incidents
from bridge.ledger import bindings as kept
from bridge.ledger.bindings import Instance, KeptSet, Live
from bridge.ledger.incidents import Incident
from bridge.mapping import Syncs
from bridge.netsuite.kinds import Kind, kind_of
from bridge.netsuite.lifecycle import Lifetime, lifetime
from bridge.netsuite.sets import WsdlSet, refused, whole
from bridge.netsuite.soap import SoapNetSuite
from bridge.netsuite.wsdl import Bindings
from bridge.settings import Settings

if TYPE_CHECKING:  # a start needs neither the comparison nor the sandbox: they are loaded when somebody asks
    from bridge.netsuite.compare import Report
    from bridge.rehearsal import Scene

LOG = logging.getLogger("bridge.deployment")
EVERY_S = 0.5  # how soon an instance notices what was deployed
ALIVE_S = 60.0  # how often it says that it is there
KEPT_S = 3600.0  # how long it keeps what it ran on before, so that going back is at once
DRIFTS = 50  # fields told at once; an endpoint that changed altogether is not told field by field
SWITCH_S = 0.0005  # while a set is loaded, other threads wait no longer than this for the interpreter


@dataclass(frozen=True, slots=True)
class Choice:
    """A set that can be chosen. *seal* is None for the one that the settings name or that came with the bridge."""

    version: str
    seal: str | None
    source: str
    kept: KeptSet | None = None

    @property
    def name(self) -> str:
        return f"{self.version} ({self.seal[:12] if self.seal else self.source})"


class Shelf:
    """The sets of a site: those that were fetched, in the ledger, and the one that the settings name."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self.ledger = ledger
        self.version = settings.suitetalk_version
        self.folder = own_folder(settings)
        self.own = "BRIDGE_SUITETALK_WSDL" if settings.suitetalk_wsdl else "shipped"

    def choices(self) -> list[Choice]:
        """Return every set there is, the newest first; the settings' own last."""
        with self.ledger.read() as connection:
            found = [Choice(it.version, it.seal, it.source, it) for it in kept.kept(connection)]
        return [*found, Choice(self.version, None, self.own)]

    def choose(self, name: str) -> Choice:
        """Return the newest set called *name*: a version, the beginning of a seal, or ``shipped``."""
        found = [it for it in self.choices() if name == it.version or (it.seal or "").startswith(name)]
        if name in ("shipped", self.own):
            found = [it for it in self.choices() if it.seal is None]
        if not found or not name:
            raise refused(f"There is no set '{name}'; bridge wsdl fetch {name} gets it from NetSuite.")
        return found[0]

    def live(self) -> Live | None:
        with self.ledger.read() as connection:
            return kept.live(connection)

    def read(self, seal: str | None) -> WsdlSet:
        """Return a whole set. Raises Misconfigured when it was changed since it was fetched."""
        if seal is None:
            return settings_set(self.folder, self.version)
        with self.ledger.read() as connection:
            noted = next((it for it in kept.kept(connection) if it.seal == seal), None)
            files = kept.files_of(connection, seal)
        if noted is None:
            raise refused("The set that is to be live is not there any more; fetch it again.", seal)
        return whole(noted.files, files, seal, noted.version)

    def load(self, live: Live | None) -> Bindings:
        """Load what is live. Raises Misconfigured."""
        if live is None or live.seal is None:
            return Bindings.load(self.folder, self.version)
        made = self.read(live.seal)
        return Bindings.of(made.files, made.version)

    def at_start(self) -> tuple[int, Bindings]:
        """Load what is live, before it is known whether the database has its tables. Raises Misconfigured."""
        try:
            live = self.live()
        except SQLAlchemyError:
            live = None  # an empty database, or none: whoever needs it says so soon
        return (live.n if live else 0), self.load(live)

    def keep(self, made: WsdlSet, source: str, actor: str) -> bool:
        """Keep a fetched set; False when it is there already."""
        with self.ledger.write() as writing:
            return kept.keep(writing, made.seal, made.version, source, actor, made.manifest, made.files)


def own_folder(settings: Settings) -> Path:
    """Return the folder of the set that the settings name, or the subset that is shipped."""
    return settings.suitetalk_wsdl or shipped_folder(settings.suitetalk_version)


def shipped_folder(version: str) -> Path:
    """Return the folder of our own subset of *version*."""
    return Path(suitetalk_wsdl.__file__).parent / version


def settings_set(folder: Path, version: str) -> WsdlSet:
    """Read a set that lies in a folder of this machine."""
    found = [it for it in folder.rglob("*") if it.suffix in (".wsdl", ".xsd")]
    return WsdlSet(version, {it.relative_to(folder).as_posix(): it.read_bytes() for it in found})


def compared(old: WsdlSet, new: WsdlSet, syncs: Syncs) -> Report:
    """Compare two sets in what the bridge and this site's syncs use."""
    from bridge.netsuite.compare import compare
    from bridge.netsuite.samples import sample
    from bridge.used import uses

    newest = max(it.name for it in Path(suitetalk_wsdl.__file__).parent.iterdir() if (it / "netsuite.wsdl").exists())
    shipped = settings_set(shipped_folder(newest), newest).inventory()
    return compare(old.inventory(), new.inventory(), shipped, uses(syncs, lambda kind: sample(shipped, kind)))


@dataclass(frozen=True, slots=True)
class Trial:
    """What a deployment would do: the comparison, and the scenes of the rehearsal (none where it breaks already)."""

    choice: Choice
    report: Report
    scenes: Sequence[Scene]

    @property
    def reasons(self) -> list[str]:
        """Return why it may not go live."""
        return [str(it) for it in self.report.breaking] + [
            f"rehearsal, {it.name}: {it.sentence}" for it in self.scenes if it.ok is False
        ]


def tried(shelf: Shelf, choice: Choice, syncs: Syncs) -> Trial:
    """Compare a set with what is live, and rehearse it if nothing breaks. Raises Misconfigured for a spoilt set."""
    from bridge.rehearsal import rehearse

    live = shelf.live()
    new = shelf.read(choice.seal)
    report = compared(shelf.read(live.seal if live else None), new, syncs)
    return Trial(choice, report, () if report.breaking else rehearse(new, syncs))


def deploy(
    shelf: Shelf, choice: Choice, syncs: Syncs, netsuite: SoapNetSuite, *, actor: str, reason: str,
    configuration: int | None = None,
) -> tuple[Trial, int | None]:  # fmt: skip
    """Make a set live, if nothing breaks. Returns what was tried, and the number of the deployment or None.

    *configuration* is the one that gave *syncs*, where it may change meanwhile. Raises Misconfigured for a spoilt set,
    an endpoint that the account does not serve, or if somebody else was quicker; Deferred when it cannot be asked.
    """
    live = shelf.live()
    trial = tried(shelf, choice, syncs)
    if trial.reasons:
        with shelf.ledger.write() as writing:
            writing.say(
                "wsdl refused", actor[:40], target=f"{choice.version} {choice.seal or choice.source}",
                detail="; ".join(trial.reasons)[:1000],
            )  # fmt: skip
        return trial, None
    made = shelf.read(choice.seal)
    netsuite.through(Bindings.of(made.files, made.version)).now()  # does the account serve this endpoint?
    number = kept.make_live(
        shelf.ledger, choice.seal, choice.version, "deploy", actor, reason, after=live.n if live else 0,
        configuration=configuration,
    )  # fmt: skip
    return trial, number


def wait_for_instances(ledger: Ledger, number: int, up_to_s: float) -> list[Instance]:
    """Wait until every running instance is on deployment *number*; return those that are not after *up_to_s*."""
    end = time.monotonic() + up_to_s
    while True:
        with ledger.read() as connection:
            behind = [it for it in kept.instances(connection, ledger.now(connection)) if it.n < number]
        if not behind or time.monotonic() >= end:
            return behind
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that a person asks about the bindings."""

    version: str
    seal: str | None
    number: int
    lifetime: Lifetime
    choices: Sequence[Choice]
    history: Sequence[Live]
    instances: Sequence[Instance]
    drift: Sequence[Incident]


def status(shelf: Shelf, today: date) -> Status:
    """Return what is live, for how long it lives, what else there is, and who runs on what."""
    with shelf.ledger.read() as connection:
        rows = kept.history(connection)
        running = kept.instances(connection, shelf.ledger.now(connection))
        unknown = [it for it in incidents.open_ones(connection) if it.key.startswith(("drift:", "bindings:"))]
    live = rows[0] if rows else None
    version = live.version if live else shelf.version
    seal, number = (live.seal, live.n) if live else (None, 0)
    return Status(version, seal, number, lifetime(version, today), shelf.choices(), rows, running, unknown)


# --- every instance ---


@contextmanager
def gently() -> Iterator[None]:
    """Keep saves from waiting while a set is loaded beside them.

    Other threads get the interpreter more often than usual, and nothing looks through the hundred thousands of objects
    that a set is made of for garbage: that alone stops everybody for a tenth of a second, several times. They are put
    aside for good, so each deployment costs the memory of a set until the process ends.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        sys.setswitchinterval(usual)


class Watcher:
    """Changes the bindings of one process over when another set was made live, and tells of fields that are unknown.

    *netsuite* is what is used now, *number* the deployment it was loaded from.
    """

    def __init__(
        self,
        shelf: Shelf,
        netsuite: SoapNetSuite,
        *,
        number: int,
        owner: str,
        kinds: Sequence[str],
    ) -> None:
        self._shelf, self._netsuite = shelf, netsuite
        self._use: Callable[[SoapNetSuite], None] = lambda netsuite: None  # until the start
        self._number, self._owner = number, owner
        self._kinds: list[Kind] = [it for it in map(kind_of, kinds) if it is not None]
        self._before: tuple[str | None, str, SoapNetSuite, float] | None = None
        self._live: tuple[str | None, str] = (None, shelf.version)
        self._refused = 0
        self._told: set[str] = set()
        self._said_at = -ALIVE_S
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bindings", daemon=True)

    @property
    def number(self) -> int:
        """The deployment that is in use here; 0 before any."""
        return self._number

    def start(self, use: Callable[[SoapNetSuite], None], *, watch: bool) -> None:
        """Begin; *use* puts another in place of what is used.

        A process that only does one thing does not *watch*; it tells what it did not know when it ends.
        """
        self._use = use
        live = self._shelf.live()
        if live is not None and live.n == self._number:
            self._live = (live.seal, live.version)
        if watch:
            self.look()
            self._thread.start()

    def stop(self) -> None:
        """Stop looking, and say that this instance has ended."""
        self._stopping.set()
        try:
            self._tell_unknown()
            if self._thread.ident is not None:
                self._thread.join(5)
                self._shelf.ledger.commit(lambda writing: kept.gone(writing, self._owner))
        except SQLAlchemyError:
            LOG.warning("The ledger could not be told that this instance has ended.")

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            self.look()

    def look(self) -> None:
        """Change over if something else is live, say that this instance is there, tell of what is unknown."""
        try:
            with self._shelf.ledger.read() as connection:
                newest = kept.newest(connection)
            if newest not in (self._number, self._refused):
                self._change_over(newest)
            if time.monotonic() - self._said_at >= ALIVE_S:
                self._say()
            self._tell_unknown()
            if self._before is not None and time.monotonic() - self._before[3] > KEPT_S:
                self._before = None
        except SQLAlchemyError as error:
            LOG.warning("The ledger could not be asked which bindings are live: %s", type(error).__name__)

    def _change_over(self, newest: int) -> None:
        live = self._shelf.live()
        if live is None or live.n != newest:
            return  # at the next look
        began = time.monotonic()
        try:
            other = self._loaded(live)
        except SQLAlchemyError:
            raise  # at the next look
        except Exception as error:  # noqa: BLE001 - whatever a set does to its readers, this instance goes on
            self._refused = newest
            told = error.message if isinstance(error, BridgeError) else "The SuiteTalk bindings cannot be loaded."
            LOG.error("Deployment %d is not used: %s %s", newest, told, getattr(error, "detail", None) or repr(error))
            words = f"Deployment {newest} is not used. {told} What was live before stays in use."
            self._report([Incident(f"bindings:{newest}", "BINDINGS_REFUSED", words)])
            return
        self._before = (*self._live, self._netsuite, time.monotonic())
        self._use(other)  # from here on every new call; those in flight have the old one in hand
        self._netsuite, self._number, self._live = other, newest, (live.seal, live.version)
        LOG.info("SuiteTalk %s is live, loaded in %.2f s.", live.version, time.monotonic() - began)
        self._told.clear()
        self._shelf.ledger.commit(kept.changed_over)
        self._say()

    def _loaded(self, live: Live) -> SoapNetSuite:
        if self._before is not None and self._before[:2] == (live.seal, live.version):
            return self._before[2]
        with gently():
            bindings = self._shelf.load(live)
            bindings.warm(self._kinds)
        return self._netsuite.through(bindings)

    def _say(self) -> None:
        version = self._netsuite.version
        self._shelf.ledger.commit(lambda writing: kept.seen(writing, self._owner, self._number, version))
        self._said_at = time.monotonic()

    def _tell_unknown(self) -> None:
        """Report, once over all instances and restarts, fields in answers that the bindings do not know."""
        fresh = sorted(self._netsuite.unknown - self._told)
        if not fresh:
            return
        version = self._netsuite.version
        self._report(
            [
                Incident(
                    f"drift:{version}:{name}"[:120],
                    "SCHEMA_DRIFT",
                    f"NetSuite's answers hold {name}, which the {version} bindings do not know. Nothing is lost; "
                    f"fetch and compare the bindings.",
                )
                for name in fresh[:DRIFTS]
            ]
        )
        self._told.update(fresh)

    def _report(self, found: Sequence[Incident]) -> None:
        self._shelf.ledger.commit(lambda writing: incidents.report(writing, found))
