"""``bridge mapping show | docs``: which field comes from where, on this site and as shipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from bridge.opening import chosen, opened
from bridge.terminal import Table, fail, out, person

if TYPE_CHECKING:
    from bridge.mapping import Syncs

mapping_app = typer.Typer(no_args_is_help=True, help="The mapping of this site.")


Shown = Annotated[Path | None, typer.Option(help="A file to show instead of what is live.")]


@mapping_app.command("show")
def show(
    sync: Annotated[str | None, typer.Argument(help="One sync; all where it is not given.")] = None,
    file: Shown = None,
) -> None:
    """Print the mapping that is live, or that of a file: target field, rule, gates."""
    from bridge.mapping import Sync, tables
    from bridge.overlay import site_syncs
    from bridge.settings import NotConfigured

    site, words = chosen(file)
    try:
        syncs = site_syncs(site)
    except NotConfigured as error:
        fail(*error.problems)
    declared: list[Sync] = [*syncs.pushes.values(), *syncs.pulls.values()]
    named = [it for it in declared if sync in (None, it.name)]
    if not named:
        fail(f"There is no sync '{sync}'; there are {', '.join(it.name for it in declared)}.")
    out.print(f"This is {words}", highlight=False)
    for it in named:
        table = Table("Target field", "Rule", title=f"{it.name}: {tables.source(it)} → {it.target}")
        for name, rule in tables.rows(it):
            table.add_row(escape(name), escape(rule))
        out.print(table)
        for gate in tables.gates(it):
            out.print(f"  only when {gate}")


@mapping_app.command("docs")
def docs() -> None:
    """Print the shipped mapping as Markdown: the text of docs/mapping.md."""
    from bridge.mapping import tables
    from bridge.records import PULLS, PUSHES
    from bridge.records.broker_commission import BROKER_COMMISSION_BILL

    typer.echo(tables.markdown((*PUSHES, BROKER_COMMISSION_BILL, *PULLS)), nl=False)


File = Annotated[Path, typer.Argument(help="The file to look at.")]
DRAFT = Path("bridge.toml")


@mapping_app.command("check")
def check(
    file: File = DRAFT,
    live: Annotated[bool, typer.Option(help="Ask Salesforce for all fields; without it only the package's.")] = False,
) -> None:
    """Compare every rule with the fields of both systems: name, type, choices, length. Nothing is sent."""
    import salesforce_metadata
    from bridge import salesforce_package
    from bridge.app import checked
    from bridge.configuring import read
    from bridge.deployment import own_folder
    from bridge.mapping.checking import findings
    from bridge.netsuite.facts import facts
    from bridge.netsuite.wsdl import Bindings
    from bridge.settings import NotConfigured, load

    try:
        _, syncs = read(_text(file), file.name)
        settings, _ = load()
    except NotConfigured as error:
        fail(*error.problems)
    if live:
        with opened() as bridge:
            found = list(checked(bridge, syncs))
    else:
        bindings = Bindings.load(own_folder(settings), settings.suitetalk_version)
        targets = {it.target: known for it in syncs.pushes.values() if (known := facts(bindings, it.target))}
        project = Path(salesforce_metadata.__file__).parent
        sources = {it.source: salesforce_package.facts(project, it.source) for it in syncs.pushes.values()}
        found = list(findings(syncs, sources, targets, custom_only=True))
    if found:
        table = Table("Sync", "Field", "What", "")
        for it in found:
            table.add_row(it.sync, escape(it.field), escape(it.sentence), "breaks" if it.breaks else "may refuse")
        out.print(table)
    if any(it.breaks for it in found):
        raise typer.Exit(1)
    out.print(f"Every rule fits the fields of both systems{'' if live else ', as far as the package knows them'}.")


@mapping_app.command("diff")
def diff(file: File = DRAFT) -> None:
    """Show how a file differs from the mapping that is live: old and new of every field, gate and choice."""
    from bridge.configuring import read
    from bridge.mapping.differences import differences
    from bridge.settings import NotConfigured

    try:
        _, syncs = read(_text(file), file.name)
    except NotConfigured as error:
        fail(*error.problems)
    with opened() as bridge:
        against = bridge.follower.number if bridge.follower else 0
        found = list(differences(bridge.engine.syncs, syncs))
    if not found:
        out.print("Nothing differs.")
        return
    table = Table("Sync", "Field, gate or choice", "Now", "Then")
    for it in found:
        table.add_row(
            it.sync, escape(it.what), *(escape("–" if one is None else one or "yes") for one in (it.old, it.new))
        )
    out.print(table)
    out.print(_compared_with(against))


@mapping_app.command("preview")
def preview(
    file: File = DRAFT,
    last: Annotated[int, typer.Option(help="How many records of each sync, the newest.", min=1, max=10_000)] = 200,
    sync: Annotated[str | None, typer.Option(help="One sync; all where it is not given.")] = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="Show every field that would change, of every record.")
    ] = False,
) -> None:
    """Show what a file would change in NetSuite, on real records, before anything is written."""
    from bridge.configuring import read
    from bridge.preview import WORDS
    from bridge.preview import preview as foresee
    from bridge.settings import NotConfigured

    try:
        _, syncs = read(_text(file), file.name)
    except NotConfigured as error:
        fail(*error.problems)
    with opened() as bridge, out.status("Reading from NetSuite …"):
        seen = foresee(bridge.ledger, bridge.netsuite, bridge.salesforce, syncs, last=last, sync=sync)
    table = Table("Sync", "Record", "Would", "Field", "Now", "Then")
    shown = 0
    for it in seen.records:
        if it.reason and (show_all or shown < SHOWN):
            table.add_row(it.sync, it.salesforce_id, it.what, "", "", escape(it.reason))
            shown += 1
        for change in it.changes:
            if show_all or shown < SHOWN:
                cells = (_value(change.now), _value(change.then))
                table.add_row(it.sync, it.salesforce_id, it.what, escape(change.field), *map(escape, cells))
                shown += 1
    if shown:
        out.print(table)
    out.print(", ".join(f"{seen.counts.get(word, 0)} {word}" for word in WORDS) + f"; {seen.wrote} writes were made.")
    if same := sum(it.what == "update" and not it.changes for it in seen.records):
        out.print(f"{same} of the updates would leave every value in NetSuite as it is.")
    out.print(_compared_with(seen.against))


@mapping_app.command("apply")
def apply(
    reason: Annotated[str, typer.Option(help="Why, for the audit.")],
    file: File = DRAFT,
    after: Annotated[
        int | None,
        typer.Option(help="The configuration that diff or preview compared it with: refused if another is live."),
    ] = None,
) -> None:
    """Make a file live on all instances, without a restart. Look at it with diff and preview first."""
    from bridge.changing import apply as make_live
    from bridge.settings import NotConfigured

    text = _text(file)
    with opened() as bridge:
        try:
            number = make_live(bridge, text, author=person(), reason=reason, after=after)
        except NotConfigured as error:
            fail(*error.problems)
        out.print(f"Configuration {number} is live; every instance has it within seconds.")
        for kind, name in _not_sent(bridge.engine.syncs):
            out.print(
                f"{kind}.{name} is read now, and the package as shipped does not send it: bridge salesforce fields."
            )


def _not_sent(syncs: Syncs) -> list[tuple[str, str]]:
    """Return the fields that the mapping reads and the shipped package does not send: a save carries them not yet."""
    import salesforce_metadata
    from bridge.salesforce_package import compare

    found = compare(Path(salesforce_metadata.__file__).parent, syncs)
    return [("Application" if kind == "Opportunity" else kind, name) for kind, name in found.missing]


@mapping_app.command("revert")
def revert(
    reason: Annotated[str, typer.Option(help="Why, for the audit.")],
    to: Annotated[
        int | None, typer.Option(help="Its number in the history; the one before where it is not given.")
    ] = None,
) -> None:
    """Go back to an earlier configuration, on all instances, without a restart."""
    from bridge.changing import revert as go_back
    from bridge.settings import NotConfigured

    with opened() as bridge:
        try:
            number = go_back(bridge, to, author=person(), reason=reason)
        except NotConfigured as error:
            fail(*error.problems)
        out.print(f"Configuration {number} is live; every instance has it within seconds.")


@mapping_app.command("history")
def history() -> None:
    """List the configurations that were made live, the newest first: when, by whom, why."""
    from bridge.ledger import configuration

    with opened() as bridge, bridge.ledger.read() as connection:
        known = configuration.history(connection, 50)
    if not known:
        out.print("Nothing was applied yet: the file of each instance holds.")
        return
    table = Table("Number", "When (UTC)", "Who", "Why", "Mapping")
    for it in known:
        table.add_row(str(it.id), f"{it.at:%Y-%m-%d %H:%M:%S}", it.author, escape(it.reason), it.mapping)
    out.print(table)


@mapping_app.command("items")
def items() -> None:
    """List what is in one catalogue and not in the other: fee types in Salesforce, items in NetSuite."""
    from collections import Counter

    from bridge.operators import catalogue

    with opened() as bridge:
        found = catalogue(bridge)
    table = Table("Where", "Name", "What", "Who can mend it")
    for it in found:
        table.add_row(it.where, escape(it.name), escape(it.sentence), it.who)
    if found:
        out.print(table)
    counts = Counter(it.where for it in found)
    out.print(", ".join(f"{counts[name]} only in {name}" for name in ("Salesforce", "bridge.toml", "NetSuite")) + ".")
    if any(it.who != "nobody" for it in found):
        raise typer.Exit(1)


def _compared_with(number: int) -> str:
    live = f"configuration {number}" if number else "the file of this instance"
    return f"Compared with {live}; bridge mapping apply --after {number} refuses where another was applied meanwhile."


SHOWN = 40  # rows of a preview, unless all are asked for


def _value(value: object) -> str:
    from bridge.ports import Ref

    if isinstance(value, Ref):
        return str(value.name or value.external_id or value.id)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(it)}" for name, it in value.items() if it is not None)
    return "–" if value is None else str(value)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.")


@mapping_app.command("affected")
def affected(
    version: Annotated[
        str, typer.Argument(help="Its number in 'bridge mapping history', or the mapping that the audit shows.")
    ],
    every: Annotated[bool, typer.Option("--all", help="List the records too.")] = False,
) -> None:
    """Count and sum what was sent by one version of the mapping: what a mistake there has touched."""
    from decimal import Decimal

    from bridge import weighing
    from bridge.ledger import audit, configuration, messages

    count: dict[str, set[str]] = {}
    sums: dict[tuple[str, str], Decimal] = {}
    with opened() as bridge, bridge.ledger.read() as connection:
        numbers = {str(it.id): it.mapping for it in configuration.history(connection, 10_000)}
        version = numbers.get(version, version)
        for rows in audit.under(connection, version, ("delivered", "recreated", "reasserted")):
            new = [row for row in rows if row.source_id not in count.setdefault(row.sync, set())]
            for row in new:
                count[row.sync].add(row.source_id)
            for sync in dict.fromkeys(row.sync for row in new):
                own = messages.by_ids(connection, [row.message_id for row in new if row.sync == sync])
                for currency, amount in weighing.sums(bridge.engine.syncs, own).items():
                    sums[sync, currency] = sums.get((sync, currency), Decimal(0)) + amount
    if not count:
        out.print(f"Nothing was sent by the mapping {version}.")
        return
    table = Table("Sync", "Records", "Together")
    for sync, ids in count.items():
        worth = " + ".join(f"{amount:,.2f} {currency}" for (name, currency), amount in sums.items() if name == sync)
        table.add_row(sync, str(len(ids)), worth)
    out.print(table)
    if every:
        for sync, ids in count.items():
            out.print(f"{sync}: {' '.join(sorted(ids))}", highlight=False)
    out.print(
        "'bridge reconcile' says which amounts differ now; 'bridge reconcile --apply --amounts' sends them again."
    )
