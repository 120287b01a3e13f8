"""``bridge config export | promote``: what was tried in one environment goes to the next, with its difference shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from bridge.opening import opened
from bridge.terminal import Table, fail, out, person

config_app = typer.Typer(no_args_is_help=True, help="The configuration: take it from one environment to the next.")
MARK = "# exported from "


@config_app.command("export")
def export(
    target: Annotated[Path, typer.Argument(help="The file to write.")] = Path("bridge-export.toml"),
) -> None:
    """Write the configuration that is live, sealed, so that another environment can take it over."""
    from bridge.ledger import configuration

    with opened() as bridge:
        with bridge.ledger.read() as connection:
            applied = configuration.newest(connection)
        path = bridge.settings.config
        text = applied.text if applied else path.read_text(encoding="utf-8") if path.exists() else ""
        number = f"configuration {applied.id}" if applied else "its file"
        environment = bridge.settings.environment
    target.write_text(sealed(text, environment, number), encoding="utf-8")
    out.print(f"{target} holds {number} of {environment}.")


def sealed(text: str, environment: str, number: str) -> str:
    """Return *text* under a line that says where it is from, and what it was."""
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{MARK}{environment}, {number}, {at}, sha256 {_hash(text)}\n{text}"


def unsealed(text: str) -> tuple[str, str]:
    """Return where an export is from, and the configuration itself. Raises ValueError when it is no whole export."""
    first, _, rest = text.partition("\n")
    if not first.startswith(MARK):
        raise ValueError("it was not written by bridge config export")
    if first.rpartition(" ")[2] != _hash(rest):
        raise ValueError("it was changed since it was exported")
    return first.removeprefix(MARK).rpartition(", sha256 ")[0], rest


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@config_app.command("promote")
def promote(
    file: Annotated[Path, typer.Argument(help="What bridge config export wrote in the other environment.")],
    apply: Annotated[
        bool, typer.Option("--apply", help="Make it live; without it only the difference is shown.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the audit.")] = "",
) -> None:
    """Show how another environment's configuration differs from the one that is live here, and make it live."""
    from bridge import changing, configuring
    from bridge.app import checked
    from bridge.settings import NotConfigured

    try:
        source, text = unsealed(file.read_text(encoding="utf-8"))
        site, syncs = configuring.read(text, file.name)
    except (OSError, ValueError) as error:
        fail(f"{file} cannot be promoted: {error}.")
    except NotConfigured as error:
        fail(*error.problems)
    if apply and not reason:
        fail('Say why, for the audit: --reason "…".')
    with opened() as bridge:
        changes = list(differences(bridge.site.model_dump(), site.model_dump()))
        table = Table("Setting", f"Now in {bridge.settings.environment}", f"From {source}")
        for name, now, then in changes:
            table.add_row(escape(name), escape(_shown(now)), escape(_shown(then)))
        out.print(table if changes else "Nothing differs.")
        wrong = [it for it in checked(bridge, syncs) if it.breaks]
        if wrong:
            fail(*(f"{it.sync}, {it.field}: {it.sentence}" for it in wrong))
        if not apply and not changes:
            return
        if not apply:
            out.print(f"{len(changes)} settings would change. Nothing was; add --apply and --reason.")
            return
        words = f"promoted from {source}: {reason}"
        try:
            number = changing.apply(bridge, text, author=person(), reason=words)
        except NotConfigured as error:
            fail(*error.problems)
        out.print(f"Configuration {number} is live in {bridge.settings.environment}; {len(changes)} settings changed.")


def differences(old: Mapping[str, Any], new: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield every setting that differs by its path, with both values; None where there is none."""
    for name in dict.fromkeys((*old, *new)):
        one, other, path = old.get(name), new.get(name), f"{under}{name}"
        if isinstance(one, Mapping) or isinstance(other, Mapping):
            yield from differences(one or {}, other or {}, f"{path}.")
        elif one != other:
            yield path, one, other


def _shown(value: Any) -> str:
    return "–" if value is None else str(value)
