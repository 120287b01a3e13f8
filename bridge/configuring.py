"""The configuration that is live: the last one applied, else the file of this instance.

`apply` makes a text live on all instances without a restart, `revert` goes back to an earlier one; `Follower` is how an
instance notices. Once something was applied, the file is a draft: changing it changes nothing until it is applied.

Must not know: any system, HTTP.
"""

from __future__ import annotations

import logging
import threading
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from bridge.delivery import Delivery
from bridge.errors import Rejected
from bridge.ledger import Ledger, configuration
from bridge.ledger.configuration import Applied
from bridge.mapping import Syncs
from bridge.mapping.tables import version
from bridge.overlay import site_syncs
from bridge.settings import NotConfigured
from bridge.site import Site, parse

LOG = logging.getLogger("bridge.configuring")
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


def apply(engine: Delivery, text: str, *, author: str, reason: str) -> int:
    """Make *text* live, on this instance at once and on the others within seconds. Raises NotConfigured."""
    return _add(engine, text, author=author, reason=reason, what="applied")


def revert(engine: Delivery, number: int | None, *, author: str, reason: str) -> int:
    """Make an earlier configuration live again: *number*, or the one before the live one. Raises Rejected."""
    with engine.ledger.read() as connection:
        known = configuration.history(connection, 1000)
    chosen = next((it for it in known[1:] if number in (None, it.id)), None)
    if chosen is None:
        words = (
            "There is no earlier configuration." if number is None else f"There is no earlier configuration {number}."
        )
        raise Rejected(words, code="CONFIGURATION_UNKNOWN", who="administrator")
    return _add(engine, chosen.text, author=author, reason=f"back to {chosen.id}: {reason}", what="reverted")


def _add(engine: Delivery, text: str, *, author: str, reason: str, what: str) -> int:
    _, syncs = read(text)
    with engine.ledger.write() as writing:
        made = configuration.add(
            writing,
            author=author,
            reason=reason,
            text=text,
            mapping=version(syncs),
            before=engine.ledger.mapping,
            what=what,
        )
    use(engine, syncs)
    return made


def use(engine: Delivery, syncs: Syncs) -> None:
    """Let *engine* map by *syncs* from its next decision on; what is being sent was decided by the old ones."""
    engine.syncs, engine.ledger.mapping = syncs, version(syncs)


class Follower:
    """Notices on every instance what was applied on any of them, and hands its site and syncs to *changed*."""

    def __init__(self, ledger: Ledger, changed: Callable[[Site, Syncs], None]) -> None:
        self._ledger, self._changed = ledger, changed
        self._seen: int | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="configuration", daemon=True)

    def start(self) -> None:
        """Take over what is live now, then look for more."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(5)

    def look(self) -> bool:
        """Take over a configuration that was applied since; True if there was one."""
        with self._ledger.read() as connection:
            number = configuration.newest_id(connection)
            found = configuration.newest(connection) if number and number != self._seen else None
        self._seen = number
        if found is None:
            return False
        site, syncs = read(found.text, f"configuration {found.id}")
        if version(syncs) != self._ledger.mapping:
            self._changed(site, syncs)
            LOG.info("Configuration %s is live: %s (%s).", found.id, found.reason, found.author)
        return True

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                self.look()
            except NotConfigured as error:  # applied by a newer version of the bridge, for example
                LOG.error("The applied configuration does not work here: %s", " ".join(error.problems))
            except SQLAlchemyError as error:
                LOG.warning("The database could not be asked for the configuration (%s).", type(error).__name__)
