"""The composition root: settings → ledger + two systems + carrier → delivery → web and clock.

`build` puts a bridge together without starting anything; `Bridge.start` begins to work, `Bridge.stop` ends gracefully.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from wsgiref.types import WSGIApplication

import requests
from pydantic import SecretStr

from bridge import configuring, courtesy, fitting, logs, operating, pinning, recovering, reopening, retaining, watching
from bridge.alerts import Channel, Event, through_apprise, to_log, to_webhook
from bridge.carriers import Carrier
from bridge.carriers.embedded import Embedded
from bridge.delivery import Delivery
from bridge.deployment import Shelf, Watcher
from bridge.learning import Learner
from bridge.ledger import Ledger
from bridge.ledger.incidents import Incident
from bridge.ledger.slots import LeasedSlots
from bridge.mapping import Syncs
from bridge.mapping.checking import Finding
from bridge.mapping.checking import findings as compared
from bridge.netsuite.facts import facts
from bridge.netsuite.passport import TokenCredentials
from bridge.netsuite.soap import SoapNetSuite
from bridge.overlay import site_syncs
from bridge.ports import Check
from bridge.pulling import SETTLE, pull
from bridge.reconcile import compare
from bridge.records.status import Made, stamp
from bridge.rotating import Rotation
from bridge.salesforce.auth import ClientCredentials, JwtBearer
from bridge.salesforce.rest import RestSalesforce
from bridge.settings import NotConfigured, Settings, load, secrets_folder
from bridge.site import Site
from bridge.surviving import follow
from bridge.sweep import sweep
from bridge.web.callouts import create_callouts
from bridge.web.health import add_health
from bridge.web.rate import Rate
from bridge.web.refusals import Refusals

LOG = logging.getLogger("bridge")
# The records of a page live until they are written: to look through all of them again after every 700 new objects, as
# is usual, costs a tenth of a pull.
GARBAGE = (20_000, 20, 20)
GRACE_S = 20.0  # how long calls in flight may take when the process is asked to stop


@dataclass
class Bridge:
    """A bridge that is put together: everything a way in needs."""

    settings: Settings
    site: Site
    ledger: Ledger
    engine: Delivery
    slots: LeasedSlots
    carrier: Carrier
    learner: Learner
    netsuite: SoapNetSuite
    salesforce: RestSalesforce
    shelf: Shelf
    watcher: Watcher
    settle: timedelta = SETTLE  # how far a pull's window ends before NetSuite's clock
    channels: list[Channel] = field(default_factory=lambda: [to_log])
    follower: configuring.Follower | None = None
    rotation: Rotation | None = None
    witness: recovering.Witness = field(default_factory=recovering.Witness)
    stopping: threading.Event = field(default_factory=threading.Event)

    def start(self, *, work: bool = True) -> None:
        """Bring the schema up to date and begin; with *work* the carrier delivers in the background.

        Raises NotConfigured where the configuration that was applied last does not work here, a rule of the site fits
        no field, or the database belongs to another organisation, account or environment.
        """
        gc.set_threshold(*GARBAGE)
        self.ledger.create()
        pinning.hold(self.ledger, self.settings)
        self.follower = configuring.Follower(self.ledger, self.take_over)
        self.follower.start()
        if work:
            fitting.check(self.site, self.engine.syncs, self.salesforce.facts, partial(facts, self.netsuite.bindings))
            recovering.check(self.engine, self.settings.audit_anchors, self.witness, self.shown)
        operating.note_mapping(self.engine)
        self.carrier.prepare()
        self.slots.start()
        self.watcher.start(self.speak_through, watch=work)
        if work:
            self.carrier.start()
            self.learner.start()
            self.rotation = Rotation(
                secrets_folder(),
                self.engine,
                now=lambda: self.settings,
                read=lambda: load(connecting=True)[0],
                take=self.take_secrets,
            )
            self.rotation.start()

    def shown(self, after: datetime, until: datetime) -> bool:
        """Say whether Salesforce shows an Account or Application as delivered between these. Raises as reading does.

        The first condition is on an indexed field: an organisation may hold millions of records.
        """
        then, end = (it.strftime("%Y-%m-%dT%H:%M:%SZ") for it in (after, until + timedelta(seconds=1)))
        synced = f"NetSuite_Synced_At__c > {then} AND NetSuite_Synced_At__c < {end}"
        said = f"SystemModstamp > {then} AND {synced} AND NetSuite_Status__c = 'delivered'"
        asked = (f"SELECT Id FROM {kind} WHERE {said} LIMIT 1" for kind in ("Account", "Opportunity"))  # noqa: S608
        return any(row for soql in asked for row in self.salesforce.query(soql))

    def take_over(self, site: Site, syncs: Syncs) -> None:
        """Go on by another configuration; cadences are the schedule's own."""
        configuring.use(self.engine, syncs)
        self.site, self.learner.syncs = site, syncs

    def speak_through(self, netsuite: SoapNetSuite) -> None:
        """Use NetSuite through other bindings from the next call on; calls in flight have the old ones in hand."""
        self.netsuite = self.engine.netsuite = self.learner.teacher = netsuite

    def take_secrets(self, settings: Settings) -> None:
        """Use other secrets from the next call on, both ways. Raises NotConfigured or Misconfigured, changing nothing.

        The audit's key, the database's password and the sign-in provider's secret are read at the start only.
        """
        told = channels(settings)
        logs.hide(settings.secrets())
        self.salesforce.log_in_as(_salesforce_auth(settings))
        self.netsuite.sign_as(_netsuite_credentials(settings))
        self.settings, self.channels = settings, told

    def drain(self) -> bool:
        """Say that this instance is no longer ready, claim nothing more and let calls in flight finish.

        True if they all did; what did not is taken over when its lease ends.
        """
        self.stopping.set()
        return self.carrier.stop(GRACE_S)

    def stop(self) -> None:
        """Stop claiming, finish what is in flight, give leases back."""
        self.learner.stop()
        if self.rotation is not None:
            self.rotation.stop()
        if self.follower is not None:
            self.follower.stop()
        self.drain()
        self.watcher.stop()
        self.slots.stop()
        self.salesforce.close()
        self.ledger.close()


def build(
    settings: Settings,
    site: Site,
    *,
    netsuite_session: requests.Session | None = None,
    salesforce_mount: Mapping[str, requests.adapters.BaseAdapter] | None = None,
    is_worker: bool = False,
) -> Bridge:
    """Put a bridge together. Raises NotConfigured or Misconfigured; an operator acts."""
    syncs = site_syncs(site)
    ledger = Ledger(settings.database_url, audit_key=_secret(settings.audit_key).encode())
    is_sandbox = settings.environment != "production"
    engine_owner = f"{settings.host}:{settings.port}"
    slots = LeasedSlots(ledger, f"{engine_owner}-{id(ledger):x}", settings.netsuite_concurrency)
    shelf = Shelf(ledger, settings)
    number, bindings = shelf.at_start()
    kinds = netsuite_kinds(syncs)
    netsuite = SoapNetSuite(
        account=settings.netsuite_account or "",
        credentials=_netsuite_credentials(settings),
        bindings=bindings,
        slots=slots,
        base_url=settings.netsuite_url,
        session=netsuite_session,
        application_base_url=settings.netsuite_url if is_sandbox else None,
        allow_loopback=is_sandbox,
        pool_size=settings.netsuite_concurrency,
        kinds=kinds,
        breathe=courtesy.breathe,
    )
    stopping = threading.Event()
    salesforce = RestSalesforce(
        auth=_salesforce_auth(settings),
        org_id=settings.salesforce_org_id or "",
        version=settings.salesforce_version,
        mount=salesforce_mount,
        allow_loopback=is_sandbox,
        leaving=stopping,
    )
    engine = Delivery(ledger=ledger, syncs=syncs, netsuite=netsuite, salesforce=salesforce, stopping=stopping)
    learner = Learner(netsuite, syncs)
    watcher = Watcher(shelf, netsuite, number=number, owner=engine.owner, kinds=kinds)
    return Bridge(
        settings,
        site,
        ledger,
        engine,
        slots,
        new_carrier(settings.carrier, engine, settings.netsuite_concurrency, is_worker=is_worker),
        learner,
        netsuite,
        salesforce,
        shelf,
        watcher,
        channels=channels(settings),
        stopping=stopping,
    )


def new_carrier(name: str, engine: Delivery, concurrency: int, *, is_worker: bool = True) -> Carrier:
    """Return the carrier of that name. With worker processes about, one that serves callouts does little besides."""
    # One more than NetSuite takes calls at once: while one thread waits for Salesforce, no slot is without work.
    threads = concurrency + 1
    if name == "embedded":
        return Embedded(engine, threads=threads)
    from bridge.carriers.procrastinate import Procrastinate

    return Procrastinate(engine, threads=threads if is_worker else 1)


def netsuite_kinds(syncs: Syncs) -> tuple[str, ...]:
    """Return every kind of NetSuite record that this site's syncs write, read or follow."""
    kinds = [push.target for push in syncs.pushes.values()]
    for it in syncs.pulls.values():
        kinds += [it.source, *(follow.kind for follow in it.follow)]
    return tuple(dict.fromkeys(kinds))


def salesforce_reads(syncs: Syncs) -> dict[str, tuple[str, ...]]:
    """Return the fields that the bridge reads, by Salesforce object."""
    return {kind: syncs.reads(kind) for kind in dict.fromkeys(push.source for push in syncs.pushes.values())}


def salesforce_writes(syncs: Syncs) -> dict[str, tuple[str, ...]]:
    """Return the fields that the bridge writes, by Salesforce object: ids and status on the sources, the mirrors."""
    found: dict[str, list[str]] = {}
    for kind in salesforce_reads(syncs):
        made = [Made(push.target, "1", "1", "https://example") for push in syncs.of_source(kind)]
        found[kind] = list(stamp(kind, "", "delivered", made, None, datetime.now(UTC)).fields)
    for it in syncs.pulls.values():
        found.setdefault(it.target, []).extend(("NetSuite_Key__c", *it.fields))
        for child in it.children:
            found.setdefault(child.target, []).extend(("NetSuite_Key__c", child.parent, *child.fields))
        if it.totals is not None:
            found.setdefault(it.target, []).extend((it.totals.running, *it.totals.converted))
            found.setdefault(it.totals.parent_kind, []).extend((it.totals.total, it.totals.remaining))
    return {kind: tuple(dict.fromkeys(fields)) for kind, fields in found.items()}


def checked(bridge: Bridge, syncs: Syncs) -> Iterator[Finding]:
    """Yield what of *syncs* does not fit the fields that both systems have now. Raises Deferred or Misconfigured."""
    pushes, bindings = syncs.pushes.values(), bridge.netsuite.bindings
    sources = {kind: bridge.salesforce.facts(kind) for kind in dict.fromkeys(it.source for it in pushes)}
    targets = {it.target: known for it in pushes if (known := facts(bindings, it.target))}
    yield from compared(syncs, sources, targets)


def findings(bridge: Bridge) -> Iterator[tuple[str, Iterator[Check]]]:
    """Yield each system's name and what is reachable and permitted there."""
    syncs = bridge.engine.syncs
    yield "Salesforce", bridge.salesforce.check(salesforce_reads(syncs), salesforce_writes(syncs))
    yield "NetSuite", bridge.netsuite.check()


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""


def _netsuite_credentials(settings: Settings) -> TokenCredentials:
    return TokenCredentials(
        settings.netsuite_account or "",
        _secret(settings.netsuite_consumer_key),
        _secret(settings.netsuite_consumer_secret),
        _secret(settings.netsuite_token_id),
        _secret(settings.netsuite_token_secret),
    )


def _salesforce_auth(settings: Settings) -> Any:
    domain = settings.salesforce_url or settings.salesforce_domain or ""
    if settings.salesforce_jwt_key:
        key, user = _secret(settings.salesforce_jwt_key), settings.salesforce_username or ""
        return JwtBearer(domain, settings.salesforce_client_id or "", user, key)
    return ClientCredentials(domain, settings.salesforce_client_id or "", _secret(settings.salesforce_client_secret))


# Jobs by name: what runs by the clock, and what `bridge pull` and the console run at once.
PULLED = {
    # The commission last: only its record type may be missing, and that must not keep the orders back.
    "orders": ("sales_order_mirror", "purchase_order_mirror", "commission_mirror"),
    "remittances": ("remittance",),
    "invoices": ("invoice_mirror", "credit_memo_mirror", "customer_refund_mirror", "customer_deposit_mirror"),
}


def pulled_by(bridge: Bridge, job: str) -> list[str]:
    """Return the pulls of a job; a site may have switched one off."""
    return [name for name in PULLED[job] if name in bridge.engine.syncs.pulls]


def run_job(bridge: Bridge, name: str) -> str:
    """Do one scheduled job and return its report as a sentence. Raises Deferred or Misconfigured."""
    if name == "sweep":
        return sweep(bridge.engine).sentence()
    if name == "probe":
        operating.probe(bridge.engine)
        opened = reopening.look(bridge.engine)
        return f"asked what is paused{f'; {opened} go into reopened periods' if opened else ''}"
    if name in HOUSEKEEPING:
        return HOUSEKEEPING[name](bridge)
    now = bridge.netsuite.now()  # asked once for all kinds of the run
    followed = follow(bridge.engine, now, bridge.settle).sentence()  # first: rows must lead to the right Account
    reports = [pull(bridge.engine, it, now=now, settle=bridge.settle) for it in pulled_by(bridge, name)]
    told = [f"{it.sync}: {it.sentence()}" for it in reports]
    return "; ".join([*told, *([followed] if followed else [])])


def _watch(bridge: Bridge) -> str:
    recovering.watch(bridge.engine, bridge.witness, bridge.shown)
    found = watching.look(bridge.engine, watched(bridge))
    told = watching.tell(bridge.ledger, [partial(_tell, bridge, it) for it in bridge.channels])
    return f"{len(found)} things to worry about, {told} told"


def _tell(bridge: Bridge, channel: Channel, it: Incident) -> bool:
    event = Event(bridge.settings.environment, it.key, it.code, it.sentence, it.who, it.since, it.ended_at)
    return channel(event)


HOUSEKEEPING: Mapping[str, Callable[[Bridge], str]] = {
    "watch": _watch,
    "reconcile": lambda bridge: compare(bridge.engine, is_stopped=bridge.stopping.is_set).sentence(),
    "anchor": lambda bridge: watching.write_anchor(bridge.ledger, bridge.settings.audit_anchors),
    "verify": lambda bridge: watching.verify(bridge.ledger, bridge.settings.audit_anchors),
    "tally": lambda bridge: f"took in {operating.tally(bridge.engine)} rows",
    "retention": lambda bridge: retaining.expire(bridge.ledger, bridge.site.retention),
}


def watched(bridge: Bridge) -> watching.Watched:
    """Return what is looked at besides the ledger."""

    def usage() -> float:
        used = bridge.salesforce.usage
        return used[0] / used[1] if used and used[1] else 0.0

    limits, ends = bridge.site.alerts, tuple(bridge.settings.expiries())
    return watching.Watched(limits, bridge.site.site.timezone, ends, usage, space=bridge.ledger.space)


def channels(settings: Settings) -> list[Channel]:
    """Return where incidents are told. Raises NotConfigured for one that cannot be reached at all."""
    found: list[Channel] = [to_log]
    try:
        if urls := _secret(settings.alert_urls).split():
            found.append(through_apprise(urls))
    except ImportError:
        raise NotConfigured(["BRIDGE_ALERT_URLS needs Apprise: install the bridge with the extra 'alerts'."]) from None
    except ValueError as error:
        raise NotConfigured([f"BRIDGE_ALERT_URLS: {error}."]) from error
    if settings.alert_webhook:
        found.append(to_webhook(settings.alert_webhook, _secret(settings.alert_webhook_secret).encode()))
    # The log reaches nobody: where there is another way, only that one counts as told.
    return found if len(found) == 1 else [lambda event: not to_log(event), *found[1:]]


def web(bridge: Bridge, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> WSGIApplication:
    """Return the app that Apex and the monitoring call."""
    settings = bridge.settings
    app = create_callouts(
        bridge.engine,
        lambda: bridge.settings.signing_keys,
        org=settings.salesforce_org_id,
        budget_s=settings.request_budget_s,
        clock=clock,
        rate=Rate(settings.records_per_minute),
        refusals=Refusals(bridge.ledger, bridge.site.alerts.refused_callouts),
    )
    add_health(app, bridge.engine, bridge.stopping.is_set, lambda: bridge.salesforce.usage)
    return app
