"""Make a configuration live at this site, once it is known to fit: its rules both systems, its cadences the jobs.

Must not know: how an instance notices.
"""

from __future__ import annotations

from functools import partial

from bridge import configuring, fitting
from bridge.app import Bridge
from bridge.configuring import Decided
from bridge.mapping import Syncs
from bridge.netsuite.facts import facts
from bridge.schedule import CADENCES, problems
from bridge.settings import NotConfigured
from bridge.site import Site


def apply(bridge: Bridge, text: str, *, author: str, reason: str, after: int | None = None) -> int:
    """Make *text* live on all instances. *after* is the configuration that it was compared with, if not the live one.

    Raises NotConfigured with all that cannot work, Misconfigured if somebody else was quicker.
    """
    return configuring.apply(bridge.engine, text, _decided(bridge, author, reason, after))


def revert(bridge: Bridge, number: int | None, *, author: str, reason: str) -> int:
    """Go back to an earlier configuration. What the bindings in use no longer hold is told: raises as `apply`."""
    return configuring.revert(bridge.engine, number, _decided(bridge, author, reason, None))


def _decided(bridge: Bridge, author: str, reason: str, after: int | None) -> Decided:
    live = bridge.follower.number if bridge.follower is not None else None
    path = bridge.settings.config
    file = path.read_text(encoding="utf-8") if path.exists() else ""
    return Decided(
        author, reason, live if after is None else after, bridge.watcher.number, partial(_fits, bridge), file
    )


def _fits(bridge: Bridge, site: Site, syncs: Syncs) -> None:
    wrong = problems(site.schedule, CADENCES)
    if wrong:
        raise NotConfigured(wrong)
    fitting.check(site, syncs, bridge.salesforce.facts, partial(facts, bridge.netsuite.bindings))
