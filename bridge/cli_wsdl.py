"""``bridge wsdl list | fetch | compare | deploy | rollback | status``: the SuiteTalk bindings, changed without fear."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.opening import badge
from bridge.terminal import Table, fail, out, person

if TYPE_CHECKING:
    from bridge.deployment import Trial
    from bridge.ledger import Ledger
    from bridge.netsuite.compare import Report
    from bridge.settings import Settings
    from bridge.site import Site

wsdl_app = typer.Typer(no_args_is_help=True, help="The SuiteTalk bindings: fetch, compare, deploy, roll back.")

WAIT_S = 15.0  # for all instances to change over
Name = Annotated[str, typer.Argument(metavar="VERSION", help="Such as 2025_2, or the beginning of a set's seal.")]
By = Annotated[str, typer.Option("--by", help="Who does it, for the audit; the user of this machine if not given.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit.")]
ACTOR_LENGTH = 40


def actor(given: str) -> str:
    """Return who acts, as the audit keeps it."""
    return given[:ACTOR_LENGTH] or person()


@contextlib.contextmanager
def _ledger() -> Iterator[tuple[Settings, Site, Ledger]]:
    """Give the ledger alone: looking, fetching and going back need neither Salesforce nor NetSuite to answer."""
    from sqlalchemy.exc import SQLAlchemyError

    from bridge.errors import BridgeError
    from bridge.ledger import Ledger
    from bridge.settings import NotConfigured, load

    try:
        settings, site = load()
    except NotConfigured as error:
        fail(*error.problems)
    badge(settings)
    ledger: Ledger | None = None
    try:
        ledger = Ledger(settings.database_url, audit_key=settings.audit_key.get_secret_value().encode())
        ledger.create()
        yield settings, site, ledger
    except BridgeError as error:
        fail(f"{error.message} ({error.code})" + (f" {error.detail}" if error.detail else ""))
    except (SQLAlchemyError, OSError) as error:
        fail(f"The database {settings.database} cannot be used ({type(error).__name__}); see BRIDGE_DATABASE_URL.")
    finally:
        if ledger is not None:
            ledger.close()


@wsdl_app.command("list")
def list_sets() -> None:
    """List the sets that were fetched, and the one that came with the bridge."""
    from bridge.deployment import Shelf

    with _ledger() as (settings, _, ledger):
        shelf = Shelf(ledger, settings)
        live = shelf.live()
        table = Table("Version", "Seal", "Files", "From", "Fetched", "By", "")
        for it in shelf.choices():
            is_live = it.seal == (live.seal if live else None)
            known = it.kept
            at = f"{known.fetched_at:%Y-%m-%d %H:%M} UTC" if known else ""
            table.add_row(
                it.version, (it.seal or "")[:12], str(len(known.files)) if known else "", it.source, at,
                known.actor if known else "", "live" if is_live else "",
            )  # fmt: skip
        out.print(table)


@wsdl_app.command()
def fetch(
    version: Name,
    source: Annotated[
        Path | None, typer.Option("--from", help="A folder or a zip; the account's own address if not given.")
    ] = None,
    by: By = "",
) -> None:
    """Get a whole set, check it and keep it. Nothing changes by that."""
    import re

    from bridge.deployment import Shelf
    from bridge.netsuite import sets
    from bridge.netsuite.soap import account_host
    from bridge.netsuite.transport import new_session

    if not re.fullmatch(r"20\d\d_[12]", version):
        fail(f"'{version}' is not an endpoint version; they are called such as 2025_2.")
    with _ledger() as (settings, _, ledger):
        if source is not None:
            made, place = sets.from_path(source, version), str(source)
        else:
            if not (settings.netsuite_url or settings.netsuite_account):
                fail("BRIDGE_NETSUITE_ACCOUNT is missing: it says from which account; or give a folder with --from.")
            account = account_host(settings.netsuite_account or "")
            place = settings.netsuite_url or f"https://{account}.suitetalk.api.netsuite.com"
            is_loopback = settings.environment != "production"
            made = sets.from_account(place, version, new_session(1), allow_loopback=is_loopback)
        is_new = Shelf(ledger, settings).keep(made, place, actor(by))
        size = sum(map(len, made.files.values())) / 1e6
        known = "" if is_new else " It is known already."
        out.print(f"{version} from {place}: {len(made.files)} files, {size:.1f} MB, seal {made.seal[:12]}.{known}")


@wsdl_app.command()
def compare(
    version: Name,
    to: Annotated[str, typer.Option("--with", help="Another set than the one that is live.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Name every safe difference.")] = False,
) -> None:
    """Say what differs from what is live in all that this site uses, and what of it breaks."""
    from bridge import configuring
    from bridge.deployment import Shelf, compared
    from bridge.overlay import site_syncs
    from bridge.settings import NotConfigured

    with _ledger() as (settings, site, ledger):
        shelf = Shelf(ledger, settings)
        live = shelf.live()
        new = shelf.choose(version)
        old = shelf.choose(to).seal if to else live.seal if live else None
        try:
            syncs = site_syncs(configuring.live(ledger, site))
        except NotConfigured as error:
            fail(*error.problems)
        report = compared(shelf.read(old), shelf.read(new.seal), syncs)
        _show(report, every=every)
        if report.breaking:
            raise typer.Exit(1)


def _show(report: Report, *, every: bool = False) -> None:
    from bridge.netsuite.compare import told

    out.print(f"{report.old} → {report.new}")
    for it in report.breaking:
        out.print(f"[red]breaking[/]  {it}", highlight=False)
    for line in told(report, every=every):
        out.print(f"safe      {line}", highlight=False)
    count = f"{len(report.breaking)} breaking, {len(report.safe)} safe"
    out.print(f"{count}; {report.elsewhere} differences where nothing is used.")


@wsdl_app.command()
def deploy(
    version: Name,
    by: By = "",
    reason: Reason = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare and rehearse only.")] = False,
) -> None:
    """Compare, rehearse everything this site does in the sandbox, and make a set live on all instances."""
    from bridge.deployment import deploy as deploy_now
    from bridge.deployment import tried, wait_for_instances
    from bridge.opening import opened

    if not reason and not dry_run:
        fail('Say why, for the audit: --reason "…".')
    with opened() as bridge:
        shelf = bridge.shelf
        choice = shelf.choose(version)
        if dry_run:
            trial, number = tried(shelf, choice, bridge.engine.syncs), None
        else:
            configuration = bridge.follower.number if bridge.follower else None  # before its syncs are looked at
            trial, number = deploy_now(
                shelf, choice, bridge.engine.syncs, bridge.netsuite, actor=actor(by), reason=reason,
                configuration=configuration,
            )  # fmt: skip
        _show(trial.report)
        _rehearsed(trial)
        if trial.reasons:
            fail(f"{choice.name} does not go live.")
        if number is None:
            out.print(f"{choice.name} could go live.")
            return
        behind = wait_for_instances(shelf.ledger, number, WAIT_S)
        out.print(f"{choice.name} is live, as deployment {number}.")
        for it in behind:
            out.print(f"The instance {it.owner} still uses {it.version}; its log says why.")


def _rehearsed(trial: Trial) -> None:
    for it in trial.scenes:
        if it.ok is not True:
            word = "[red]failed[/]" if it.ok is False else "left out"
            out.print(f"{word}  {it.name}: {it.sentence}", highlight=False)
    if trial.scenes:
        good = sum(it.ok is True for it in trial.scenes)
        out.print(f"Rehearsal: {good} of {len(trial.scenes)} scenes as expected.")


@wsdl_app.command()
def rollback(by: By = "", reason: Reason = "") -> None:
    """Make live again what was live before. One command, and no questions: it was live before."""
    from bridge.ledger.bindings import roll_back  # nothing more, so that it is quick

    with _ledger() as (settings, _, ledger):
        live = roll_back(ledger, settings.suitetalk_version, actor=actor(by), reason=reason or "rolled back")
        name = live.seal[:12] if live.seal else "of the settings"
        out.print(f"{live.version} ({name}) is live again, as deployment {live.n}.")


@wsdl_app.command()
def status() -> None:
    """Say which endpoint is live, until when NetSuite supports it, and which instance runs on what."""
    from bridge.deployment import Shelf
    from bridge.deployment import status as status_now

    with _ledger() as (settings, _, ledger):
        found = status_now(Shelf(ledger, settings), datetime.now(UTC).date())
        seal = f", seal {found.seal[:12]}" if found.seal else f", {Shelf(ledger, settings).own}"
        out.print(f"Live: {found.version}{seal}, deployment {found.number}. {settings.environment}.")
        out.print(found.lifetime.sentence)
        for one in found.instances:
            word = "uses it" if one.n == found.number else f"still uses deployment {one.n} ({one.version})"
            out.print(f"Instance {one.owner} {word}.")
        for it in found.drift:
            out.print(it.sentence)
        if found.history:
            table = Table("Deployment", "Set", "What", "When", "By", "Why")
            for row in found.history:
                name = f"{row.version} {(row.seal or '')[:12]}"
                table.add_row(str(row.n), name, row.action, f"{row.at:%Y-%m-%d %H:%M:%S} UTC", row.actor, row.reason)
            out.print(table)
