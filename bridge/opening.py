"""Open a bridge by this instance's settings, for one verb of the command line; say every problem at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bridge import logs
from bridge.terminal import err, fail

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.settings import Settings


def badge(settings: Settings) -> None:
    """Say, beside the answer, which environment it is about."""
    sides = [it for it in (settings.salesforce_org_id, settings.netsuite_account) if it]
    colour = "bold white on red" if settings.environment == "production" else "black on yellow"
    err.print(f"[{colour}] {settings.environment} [/] {' ⇄ '.join(sides)}", highlight=False)


@contextlib.contextmanager
def opened(*, work: bool = False, is_worker: bool = False) -> Iterator[Bridge]:
    """Give a started bridge by this instance's settings; every problem of them is said at once."""
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
        yield bridge
    except BridgeError as error:
        by = "" if error.who == "nobody" else f"; {error.who} can fix it"
        fail(f"{error.message} ({error.code}{by})")
    except PortTaken as error:
        fail(str(error))
    finally:
        bridge.stop()
