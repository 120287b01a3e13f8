"""The configuration that is live: the last one applied, else the file of this instance.

`apply` makes a text live on all instances without a restart, `revert` goes back to an earlier one; `Follower` is how an
instance notices. Once something was applied, the file is a draft: changing it changes nothing until it is applied.

Must not know: any system, HTTP.
"""

from __future__ import annotations

import logging
import threading
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from bridge.delivery import Delivery
from bridge.errors import Rejected
from bridge.failpoints import reached
from bridge.ledger import Ledger, clocks, configuration, incidents, marks
from bridge.ledger import live as live_now
from bridge.ledger.configuration import Applied
from bridge.ledger.incidents import Incident
from bridge.mapping import Syncs
from bridge.mapping.tables import version
from bridge.overlay import site_syncs
from bridge.settings import NotConfigured
from bridge.site import Site, parse

LOG = logging.getLogger("bridge.configuring")
FILE = "what the file said before the first configuration was applied"
LOOK_S = 2.0  # how soon every instance has a new configuration


def read(text: str, name: str = "bridge.toml") -> tuple[Site, Syncs]:
    """Return what a configuration says. Raises NotConfigured with all that is wrong with it."""
    try:
        tables = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise NotConfigured([f"{name}: this is not TOML: {error}."]) from error
    site, problems = parse(tables, name)
    if problems:
        raise NotConfigured(problems)
    return site, site_syncs(site)


def live(ledger: Ledger, file: Site) -> Site:
    """Return the site's choices that hold: the applied ones, else *file*. Raises NotConfigured."""
    with ledger.read() as connection:
        found = configuration.newest(connection)
    return file if found is None else read(found.text, f"configuration {found.id}")[0]


def differs(ledger: Ledger, path: Path) -> Applied | None:
    """Return the live configuration where the file at *path* says something else; None where they agree."""
    with ledger.read() as connection:
        found = configuration.newest(connection)
    if found is None or not path.exists():
        return None
    return None if path.read_text(encoding="utf-8") == found.text else found


@dataclass(frozen=True, slots=True)
class Decided:
    """By whom and why a configuration is made live, and what was live when that was decided.

    Where the numbers of the live *configuration* and of the *deployment* of bindings are given, nobody may have changed
    them since. *fits* raises NotConfigured for what cannot work at this site. *file* is what held until the first
    configuration is applied: it is kept as one of its own, so that there is something to go back to.
    """

    author: str
    reason: str
    configuration: int | None = None
    deployment: int | None = None
    fits: Callable[[Site, Syncs], None] = lambda site, syncs: None
    file: str | None = None


def apply(engine: Delivery, text: str, decided: Decided) -> int:
    """Make *text* live, on this instance at once and on the others within seconds.

    Raises NotConfigured for what cannot work, Misconfigured if somebody else was quicker.
    """
    return _add(engine, text, decided, "applied")


def revert(engine: Delivery, number: int | None, decided: Decided) -> int:
    """Make an earlier configuration live again: *number*, or the one before the live one. Raises Rejected too."""
    with engine.ledger.read() as connection:
        known = configuration.history(connection, 1000)
    chosen = next((it for it in known[1:] if number in (None, it.id)), None)
    if chosen is None:
        words = (
            "There is no earlier configuration." if number is None else f"There is no earlier configuration {number}."
        )
        raise Rejected(words, code="CONFIGURATION_UNKNOWN", who="administrator")
    reason = f"back to {chosen.id}: {decided.reason}"
    return _add(engine, chosen.text, replace(decided, reason=reason, configuration=known[0].id), "reverted")


def _add(engine: Delivery, text: str, decided: Decided, what: str) -> int:
    site, syncs = read(text)
    decided.fits(site, syncs)
    with engine.ledger.write() as writing:
        live_now.hold(writing, configuration=decided.configuration, deployment=decided.deployment)
        add = partial(configuration.add, writing, author=decided.author, before=engine.ledger.mapping)
        if decided.file not in (None, text) and configuration.newest(writing.connection) is None:
            add(reason=FILE, text=decided.file, mapping=engine.ledger.mapping or "", what="kept")
        made = add(reason=decided.reason, text=text, mapping=version(syncs), what=what)
        marks.probe_now(writing)  # a sync may have been paused for a rule that is gone now
        reached("in_change")
    use(engine, syncs)
    return made


def use(engine: Delivery, syncs: Syncs) -> None:
    """Let *engine* map by *syncs* from its next decision on; what is being sent was decided by the old ones."""
    engine.syncs, engine.ledger.mapping = syncs, version(syncs)


class Follower:
    """Notices on every instance what was applied on any of them, and hands its site and syncs to *changed*.

    *number* is the configuration that is in use here; 0 is the file of this instance.
    """

    def __init__(self, ledger: Ledger, changed: Callable[[Site, Syncs], None]) -> None:
        self._ledger, self._changed = ledger, changed
        self.number = self._refused = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="configuration", daemon=True)

    def start(self) -> None:
        """Take over what is live now, then look for more. Raises NotConfigured where that does not work here."""
        self.look()
        self._over(but=())
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(5)

    def look(self) -> bool:
        """Take over a configuration that was applied since; True if there was one."""
        with self._ledger.read() as connection:
            number = configuration.newest_id(connection)
            found = configuration.newest(connection) if number not in (self.number, self._refused) else None
        if found is None:
            return False
        try:
            site, syncs = read(found.text, f"configuration {found.id}")
        except NotConfigured:
            self._refused = found.id
            raise
        self._changed(site, syncs)
        self.number, self._refused = found.id, 0
        self._over(but=[_key(found.id)])  # others may still refuse it
        LOG.info("Configuration %s is live: %s (%s).", found.id, found.reason, found.author)
        return True

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                self._look_and_tell()
            except SQLAlchemyError as error:
                LOG.warning("The database could not be asked for the configuration (%s).", type(error).__name__)

    def _look_and_tell(self) -> None:
        clocks.look(self._ledger)  # every process runs this, also one without a schedule
        try:
            self.look()
        except NotConfigured as error:  # applied by a newer version of the bridge, for example
            LOG.error("The applied configuration does not work here: %s", " ".join(error.problems))
            words = f"Configuration {self._refused} is not used: {error.problems[0]} What was live before stays in use."
            told = Incident(_key(self._refused), "CONFIGURATION_REFUSED", words)
            self._ledger.commit(lambda writing: incidents.report(writing, [told]))

    def _over(self, but: Sequence[str]) -> None:
        self._ledger.commit(lambda writing: incidents.end(writing, ("configuration",), but))


def _key(number: int) -> str:
    return f"configuration:{number}"
