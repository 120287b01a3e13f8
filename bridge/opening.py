"""Open a bridge by this instance's settings, for one verb of the command line; say every problem at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bridge import logs
from bridge.terminal import err, fail

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.settings import Settings
    from bridge.site import Site


def badge(settings: Settings) -> None:
    """Say, beside the answer, which environment it is about."""
    sides = [it for it in (settings.salesforce_org_id, settings.netsuite_account) if it]
    colour = "bold white on red" if settings.environment == "production" else "black on yellow"
    err.print(f"[{colour}] {settings.environment} [/] {' ⇄ '.join(sides)}", highlight=False)


def chosen(file: Path | None) -> tuple[Site, str]:
    """Return the site's choices that are live, or those of *file*, and in words which they are.

    Reads the database and nothing else; says what is wrong to the person who asked.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from bridge.ledger import Ledger, configuration
    from bridge.settings import NotConfigured, load

    try:
        settings, own = load(config=file) if file else load()
    except NotConfigured as error:
        fail(*error.problems)
    badge(settings)
    ledger: Ledger | None = None
    try:
        ledger = Ledger(settings.database_url)
        applied = configuration.if_any(ledger)
        if applied is None:
            return own, f"{settings.config.name}; nothing was applied yet, so the file of each instance is live."
        if file is not None:
            return own, f"{file.name}, which is not live: that is configuration {applied.id}."
        from bridge.configuring import read

        words = f"configuration {applied.id}, which {applied.author} applied at {applied.at:%Y-%m-%d %H:%M} UTC"
        return read(applied.text, f"configuration {applied.id}")[0], f"{words}: {applied.reason}"
    except NotConfigured as error:
        fail(*error.problems)
    except (SQLAlchemyError, OSError) as error:
        hint = "--file shows a file instead" if file is None else "see BRIDGE_DATABASE_URL"
        fail(f"What is live is kept in {settings.database}, which cannot be read ({type(error).__name__}); {hint}.")
    finally:
        if ledger is not None:
            ledger.close()


def look(bridge: Bridge) -> str | None:
    """Look whether the database is an older copy, and pause NetSuite where it is; return why, when it is news."""
    from bridge import recovering

    return recovering.check(bridge.engine, bridge.settings.audit_anchors, bridge.witness, bridge.shown)


def _look(bridge: Bridge) -> None:
    from bridge import recovering

    look(bridge)
    if reason := recovering.why(bridge.ledger):
        err.print(f"[yellow]![/] Nothing is sent to NetSuite. {reason}", highlight=False, soft_wrap=True)


@contextlib.contextmanager
def opened(*, work: bool = False, is_worker: bool = False, writes: bool = False) -> Iterator[Bridge]:
    """Give a started bridge by this instance's settings; every problem of them is said at once.

    A verb that *writes* first looks whether the database is an older copy, as `serve` does, and says so.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from bridge.app import build
    from bridge.errors import BridgeError
    from bridge.serving import PortTaken
    from bridge.settings import NotConfigured, load

    try:
        settings, site = load(connecting=True)
        # A verb speaks to a person, who asked for its sentences; a process that serves has only its log.
        is_quiet = not work and "log_level" not in settings.model_fields_set
        logs.start("warning" if is_quiet else settings.log_level, settings.log_format, settings.secrets())
        bridge = build(settings, site, is_worker=is_worker)
    except OSError as error:
        fail(f"The database {settings.database} cannot be opened ({error.strerror}); see BRIDGE_DATABASE_URL.")
    except NotConfigured as error:
        err.print("Without real systems to connect to, try: bridge sandbox", highlight=False)
        fail(*error.problems)
    except BridgeError as error:
        fail(f"{error.message} ({error.code})")
    badge(settings)
    try:
        bridge.start(work=work)
    except NotConfigured as error:
        fail(*error.problems)
    except (SQLAlchemyError, OSError) as error:
        fail(f"The database {settings.database} cannot be opened ({type(error).__name__}); see BRIDGE_DATABASE_URL.")
    try:
        if writes:
            _look(bridge)
        yield bridge
    except BridgeError as error:
        by = "" if error.who == "nobody" else f"; {error.who} can fix it"
        fail(f"{error.message} ({error.code}{by})")
    except PortTaken as error:
        fail(str(error))
    finally:
        bridge.stop()
