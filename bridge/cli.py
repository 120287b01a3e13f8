"""Every operator verb: ``bridge sandbox | serve | demo | push | pull | sweep | errors | replay | pause | resume | …``.

A verb prints sentences for people and ends with 0, or with 1 when something needs a person. Imports happen inside the
verbs, so that ``bridge --help`` is quick.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
import threading
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bridge.cli_audit import audit_app
from bridge.cli_config import config_app
from bridge.cli_console import console_app
from bridge.cli_mapping import mapping_app
from bridge.cli_salesforce import salesforce_app
from bridge.cli_shadow import shadow_app
from bridge.cli_wsdl import wsdl_app
from bridge.opening import look
from bridge.opening import opened as _open
from bridge.terminal import Table, fail, out

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(mapping_app, name="mapping")
app.add_typer(audit_app, name="audit")
app.add_typer(config_app, name="config")
app.add_typer(console_app, name="console")
app.add_typer(wsdl_app, name="wsdl")
app.add_typer(shadow_app, name="shadow")
app.add_typer(salesforce_app, name="salesforce")

OBJECTS = {
    "Account": "Account",
    "Contact": "Contact",
    "Application": "Opportunity",
    "CreditRequest": "Credit_Request__c",
}
LAST_S = 25.0  # after this a process that was asked to stop ends; what it held is taken over when its leases end


def _ending() -> threading.Event:
    """Return what SIGTERM sets from now on: before anybody may call, for it would end what is in flight."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    return ended


def _until_stopped(ended: threading.Event) -> None:
    """Wait for Ctrl-C or SIGTERM. From then on the process has `LAST_S` to end in good order."""
    # What the start made stays: looking through it for garbage would make a save wait for 30 ms, now and then.
    gc.collect()
    gc.freeze()
    gc.enable()
    # A start reads every schema, and glibc keeps the memory for a next time that never comes: 20 MB with a full set.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(KeyboardInterrupt):
        # A signal that comes just before the wait begins is acted on when the wait is next looked at.
        while not ended.wait(1.0):
            pass
    last = threading.Timer(LAST_S, os._exit, [0])
    last.daemon = True
    last.start()


@app.command()
def serve() -> None:
    """Receive callouts, deliver in the background, run the schedule, show the console."""
    gc.disable()  # until it serves; there is no garbage in a start, and looking for it takes a tenth of it
    from bridge.app import web
    from bridge.operators import console, invitation
    from bridge.serving import Served
    from bridge.settings import NotConfigured
    from bridge.timetable import timetable

    with _open(work=True) as bridge:
        settings = bridge.settings
        try:
            schedule = timetable(bridge)
        except NotConfigured as error:
            fail(*error.problems)
        front = Served(web(bridge), settings.host, settings.port)
        pages = Served(
            console(bridge, schedule), settings.console_host, settings.console_port, threads=4, proxy=settings.proxy
        )
        ended = _ending()
        front.start()
        pages.start()
        schedule.start()
        out.print(f"Callouts at {front.url}/v1/push/…, console at {pages.url}, {settings.environment}.")
        # To the terminal, never through the log: what is logged is kept, and often sent elsewhere.
        if said := invitation(bridge):
            out.print(said, soft_wrap=True, highlight=False, markup=False)
        _until_stopped(ended)
        bridge.drain()  # callouts that still come are accepted meanwhile, and delivered by whoever is next
        front.stop()
        schedule.stop()
        pages.stop()


@app.command()
def worker() -> None:
    """Deliver in the background beside other processes; needs PostgreSQL and BRIDGE_CARRIER=procrastinate."""
    with _open(work=True, is_worker=True) as bridge:
        if bridge.settings.carrier != "procrastinate":
            fail("A worker shares the work over PostgreSQL: set BRIDGE_CARRIER=procrastinate and BRIDGE_DATABASE_URL.")
        ended = _ending()
        out.print(f"Delivering, {bridge.settings.environment}.")
        _until_stopped(ended)


@app.command()
def sandbox(
    fast: Annotated[bool, typer.Option(help="Answer at once instead of with NetSuite's usual delays.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Keep the bridge's database here, and settings for other commands.")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(help="An empty PostgreSQL database, postgresql://…, to try several processes with --folder."),
    ] = None,
    empty: Annotated[bool, typer.Option(help="Start without the sample company.")] = False,
    port: Annotated[int, typer.Option(help="The first of four ports in a row; 0 takes any that are free.")] = 8080,
) -> None:
    """Run fake Salesforce, fake NetSuite and the bridge in one process. No credentials."""
    from bridge.cli_sandbox import run

    ended = _ending()
    run(lambda: _until_stopped(ended), fast=fast, folder=folder, database=database, is_empty=empty, port=port)


@app.command()
def demo(
    serve_pages: Annotated[bool, typer.Option("--serve", help="Keep the pages open afterwards.")] = False,
    fast: Annotated[bool, typer.Option(help="Without NetSuite's usual delays.")] = False,
) -> None:
    """Play the story of one funding in the sandbox, then show what exists on both sides."""
    from bridge.demo import play

    try:
        play(serve=serve_pages, latency=not fast, console=out)
    except AssertionError as error:
        fail(str(error))


@app.command()
def push(
    object_name: Annotated[
        str, typer.Argument(metavar="OBJECT", help="Account, Contact, Application or CreditRequest.")
    ],
    record_id: Annotated[str, typer.Argument(metavar="ID")],
) -> None:
    """Read one record from Salesforce and send it now."""
    from bridge.ports import Ref
    from bridge.receiving import as_received, lane_of

    kind = OBJECTS.get(object_name)
    if kind is None:
        fail(f"There is no object '{object_name}'; there are {', '.join(OBJECTS)}.")
    with _open(writes=True) as bridge:
        engine = bridge.engine
        (found,) = engine.salesforce.get([Ref(kind, id=record_id)], engine.syncs.reads(kind))
        if found is None:
            fail(f"Salesforce has no {object_name} {record_id}.")
        received = as_received(found)
        engine.receive([received], origin="operator", correlation=uuid.uuid4().hex)
        budget = time.monotonic() + bridge.settings.request_budget_s
        standing = engine.settle([received.id], budget, [lane_of(received)]).get(received.id)
        engine.deliver(["status"])
        if standing is None:
            fail(f"No sync concerns this {object_name}.")
        table = Table("Sync", "State", "Why")
        for part in standing.parts:
            table.add_row(part.sync, part.state, part.error.message if part.error else "")
        out.print(table)
        for one in standing.made:
            out.print(f"{one.record} {one.number or one.id}: {one.url or ''}")
        if standing.state in ("rejected", "dead"):
            raise typer.Exit(1)


@app.command()
def pull(
    what: Annotated[str, typer.Argument(help="orders, remittances or invoices")],
    since: Annotated[datetime | None, typer.Option(help="UTC; the last pull where it is not given.")] = None,
    until: Annotated[datetime | None, typer.Option(help="UTC; the end of a backfill.")] = None,
) -> None:
    """Bring what changed in NetSuite to Salesforce, now; with --until, a backfill that goes on where it was stopped."""
    from bridge.cli_pulls import moment, pull_now

    with _open(writes=True) as bridge:
        pull_now(bridge, what, moment(since), moment(until))


@app.command()
def suspense() -> None:
    """List amounts of payments that belong to no Application yet, the oldest first, and their sums."""
    from bridge.cli_pulls import show_suspense

    with _open() as bridge:
        show_suspense(bridge)


@app.command()
def waiting() -> None:
    """List what waits to be sent, sync by sync, how quickly it is done, and how long the rest takes at that pace."""
    from bridge.cli_pulls import show_waiting

    with _open() as bridge:
        show_waiting(bridge)


@app.command()
def drift() -> None:
    """List what accounting changed on orders that Salesforce is the master of: the next change there overwrites it."""
    from bridge.cli_pulls import show_drift

    with _open() as bridge:
        show_drift(bridge)


@app.command()
def sweep() -> None:
    """Receive what was saved in Salesforce and no callout brought; then deliver it."""
    from bridge.sweep import sweep as sweep_now

    with _open(writes=True) as bridge:
        out.print(sweep_now(bridge.engine).sentence() + ".")
        while bridge.engine.deliver(most=50):
            pass


@app.command()
def reconcile(
    apply: Annotated[bool, typer.Option(help="Link again, and send what is missing or older in NetSuite.")] = False,
    amounts: Annotated[
        bool, typer.Option(help="With --apply: also write over amounts that NetSuite says otherwise.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="List every difference.")] = False,
) -> None:
    """Compare Salesforce, the ledger and NetSuite record by record; writes nothing without --apply."""
    from bridge.cli_reconcile import reconcile as reconcile_now

    with _open(writes=True) as bridge:
        differing = reconcile_now(bridge, apply=apply, amounts=amounts, every=every)
    if differing and not apply:
        raise typer.Exit(1)


@app.command()
def errors() -> None:
    """List what needs a person, grouped by cause."""
    from bridge.ledger import desk

    with _open() as bridge, bridge.ledger.read() as connection:
        causes = desk.errors(connection)
        if not causes:
            out.print("Nothing needs a person.")
            return
        table = Table("Code", "What it means", "Who", "Records", "Newest message")
        for cause in causes:
            table.add_row(cause.code, cause.reason, cause.who, str(cause.count), str(cause.newest))
        out.print(table)
        raise typer.Exit(1)


@app.command()
def replay(
    messages: Annotated[list[int], typer.Argument(help="Numbers of messages, as the console shows them.")],
    reason: Annotated[str, typer.Option(help="For the audit.")] = "",
) -> None:
    """Send messages again as they were stored. A newer save of the same record still wins."""
    from bridge import operating

    with _open(writes=True) as bridge:
        count = operating.replay(bridge.engine, messages, actor="operator", reason=reason)
        out.print(f"{count} of {len(messages)} are on their way again.")
        while bridge.engine.deliver(most=50):
            pass
        if count < len(messages):
            fail("The others do not exist, or are on their way already: 'bridge errors' lists what waits for a person.")


@app.command()
def choose(
    side: Annotated[str, typer.Argument(help="Whose value counts: salesforce or netsuite.")],
    messages: Annotated[list[int], typer.Argument(help="Numbers of messages whose record both sides changed.")],
    reason: Annotated[str, typer.Option(help="For the audit.")] = "",
) -> None:
    """Choose one side's value of fields that were changed in Salesforce and in NetSuite, and send the rest."""
    from bridge.cli_desk import choose as choose_now

    with _open(writes=True) as bridge:
        choose_now(bridge, side, messages, reason)


@app.command()
def adopt(
    message: Annotated[int, typer.Argument(help="The number of a message, as the console shows it.")],
    netsuite_id: Annotated[str | None, typer.Option("--id", help="Which of those that are listed.")] = None,
    reason: Annotated[str, typer.Option(help="For the audit.")] = "",
) -> None:
    """List who has the name in NetSuite already; with --id, make that one the record's own, and send it."""
    from bridge.cli_desk import adopt as adopt_now

    with _open(writes=True) as bridge:
        adopt_now(bridge, message, netsuite_id, reason)


@app.command()
def pause(scope: str, reason: Annotated[str, typer.Option(help="For the audit and the console.")] = "by hand") -> None:
    """Stop sending one sync, or '*netsuite' or '*salesforce'. Accepting goes on."""
    from bridge import operating

    with _open() as bridge:
        known = {*bridge.engine.syncs.pushes, *bridge.engine.syncs.pulls, "*netsuite", "*salesforce"}
        if scope not in known:
            fail(f"There is no sync '{scope}'; there are {', '.join(sorted(known))}.")
        done = operating.pause(bridge.engine, scope, actor="operator", reason=reason)
        out.print(f"{scope} is paused." if done else f"{scope} was paused already.")


@app.command()
def resume(scope: str) -> None:
    """Go on with what was paused; what waits drains in order."""
    from bridge import operating, recovering

    with _open() as bridge:
        if scope == recovering.SCOPE and (lost := look(bridge)):
            fail(lost, f"Run this again to go on all the same: bridge resume '{scope}'.")
        done = operating.resume(bridge.engine, scope, actor="operator")
        out.print(f"{scope} goes on." if done else f"{scope} was not paused.")


@app.command()
def doctor() -> None:
    """Say in plain words what is configured, reachable and permitted on each side."""
    from bridge.app import findings
    from bridge.configuring import differs

    with _open() as bridge:
        settings = bridge.settings
        out.print(f"Environment {settings.environment}, database {settings.database}.")
        if live := differs(bridge.ledger, settings.config):
            sentence = f"says something else than configuration {live.id}, which is live ({live.author}: {live.reason})"
            hint = "apply it with 'bridge mapping apply', or change it back."
            out.print(f"  [yellow]?[/] {settings.config.name} {escape(sentence)}; {hint}", highlight=False)
        healthy = True
        for title, checks in findings(bridge):
            out.print(f"[bold]{title}[/]")
            for check in checks:
                mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]?[/]"}[check.ok]
                out.print(f"  {mark} {check.name}: {check.sentence}", highlight=False)
                healthy = healthy and check.ok is not False
    if not healthy:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; the console script."""
    sys.exit(app())
