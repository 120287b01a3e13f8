"""Do a site's own rules fit the fields of both systems? Asked before they are used: a misspelt name stops the start.

What is shipped fits (its tests say so), so only what ``bridge.toml`` adds or changes is looked at, by the bindings in
use and the package at hand. Salesforce is asked only where the file reads a field that neither of them knows.

Must not know: SQL, HTTP.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import salesforce_metadata
from bridge import salesforce_package
from bridge.errors import BridgeError
from bridge.mapping import Push, Syncs
from bridge.mapping.checking import Facts, Finding, findings
from bridge.records import PUSHES
from bridge.settings import NotConfigured
from bridge.site import Site

LOG = logging.getLogger("bridge.fitting")
PROJECT = Path(salesforce_metadata.__file__).parent
Salesforce = Callable[[str], Facts]  # by object; raises Deferred or Misconfigured
NetSuite = Callable[[str], Facts | None]  # by record, of the bindings in use; None for one that no schema holds


def check(site: Site, syncs: Syncs, salesforce: Salesforce, netsuite: NetSuite) -> None:
    """Raise NotConfigured with every one of *site*'s own rules and gates that never can work; an operator acts."""
    problems = []
    for name, overlay in site.sync.items():
        push = syncs.pushes.get(name)
        if push is not None:
            own = {*overlay.fields, *(it.field for it in (*overlay.gates, *overlay.scope))}
            found = _findings(push, syncs, salesforce, netsuite) if own else ()
            problems += [f"sync.{name}, {it.field}: {it.sentence}" for it in found if it.breaks and it.field in own]
    if problems:
        raise NotConfigured(dict.fromkeys(problems))


def _findings(push: Push, syncs: Syncs, salesforce: Salesforce, netsuite: NetSuite) -> Iterator[Finding]:
    source: Facts | None = salesforce_package.facts(PROJECT, push.source)
    shipped = {field for it in PUSHES if it.source == push.source for field in it.reads()}
    is_package = not set(push.reads()) - shipped - set(source or ())
    if not is_package:
        try:
            source = salesforce(push.source)
        except BridgeError as error:  # it is asked again when a record is sent
            LOG.warning("Whether Salesforce has every field that %s reads is not known: %s", push.name, error.message)
            source = None
    target = netsuite(push.target)
    sources = {} if source is None else {push.source: source}
    targets = {} if target is None else {push.target: target}
    yield from findings(Syncs({push.name: push}, {}, syncs.context), sources, targets, custom_only=is_package)
