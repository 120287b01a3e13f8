"""Verbs for the Salesforce package: ``bridge salesforce fields | package``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridge.opening import chosen
from bridge.terminal import fail, out

salesforce_app = typer.Typer(
    no_args_is_help=True, help="The Salesforce package: its field list, and the zip to deploy."
)


def _project(folder: Path | None) -> Path:
    """Return the package's folder: the given one, or the one that came with this installation."""
    import salesforce_metadata

    return folder or Path(salesforce_metadata.__file__).parent


@salesforce_app.command("fields")
def salesforce_fields(
    folder: Annotated[Path | None, typer.Option(help="The package's folder; the shipped one if not given.")] = None,
    write: Annotated[bool, typer.Option(help="Write the records that are missing.")] = False,
    prune: Annotated[bool, typer.Option(help="With --write, delete those that no sync reads.")] = False,
    file: Annotated[Path | None, typer.Option(help="The mapping of a file instead of the one that is live.")] = None,
) -> None:
    """Compare the fields that Salesforce watches and sends with those that the mapping reads."""
    from bridge import salesforce_package as package
    from bridge.overlay import site_syncs
    from bridge.settings import NotConfigured

    site, words = chosen(file)
    try:
        project, syncs = _project(folder), site_syncs(site)
    except NotConfigured as error:
        fail(*error.problems)
    out.print(f"The mapping is {words}", highlight=False)
    if write:
        for name in package.write(project, syncs, prune=prune):
            out.print(f"changed {name}")
    found = package.compare(project, syncs)
    for words, fields in (
        ("is read and not sent; --write adds it", found.missing),
        ("is read, and the package defines no such field", found.unknown),
        ("is sent and not read", found.extra),
    ):
        for kind, name in fields:
            shown = "Application" if kind == "Opportunity" else kind
            out.print(f"{shown}.{name} {words}.")
    if found.is_wrong:
        raise typer.Exit(1)
    out.print(f"Salesforce sends every field that the mapping reads ({len(package.needed(syncs))}).")


@salesforce_app.command("package")
def salesforce_package(
    target: Annotated[Path, typer.Argument(help="The zip to write.")] = Path("netsuite-bridge.zip"),
    folder: Annotated[Path | None, typer.Option(help="The package's folder; the shipped one if not given.")] = None,
) -> None:
    """Write package.xml and all components into a zip that a deployment takes as it is."""
    from bridge import salesforce_package as package

    members = package.pack(_project(folder), target)
    out.print(f"{target} holds {len(members)} files. Deploy it with: sf project deploy start --metadata-dir {target}")
