"""``bridge mapping show | docs``: which field comes from where, on this site and as shipped."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bridge.terminal import fail, out

mapping_app = typer.Typer(no_args_is_help=True, help="The mapping of this site.")


@mapping_app.command("show")
def show(sync: Annotated[str | None, typer.Argument(help="One sync; all where it is not given.")] = None) -> None:
    """Print the mapping as this site has it: target field, rule, gates."""
    from bridge.mapping import Sync, tables
    from bridge.overlay import site_syncs
    from bridge.settings import NotConfigured, load

    try:
        _, site = load()
        syncs = site_syncs(site)
    except NotConfigured as error:
        fail(*error.problems)
    declared: list[Sync] = [*syncs.pushes.values(), *syncs.pulls.values()]
    chosen = [it for it in declared if sync in (None, it.name)]
    if not chosen:
        fail(f"There is no sync '{sync}'; there are {', '.join(it.name for it in declared)}.")
    for it in chosen:
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
