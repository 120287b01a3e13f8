"""What a measurement says: two sides, their ratio and the target. Printed, never asserted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

out = Console(width=150)


@dataclass(frozen=True)
class Figure:
    """One line of the table. *met* is None where there is no target, or nothing could be measured."""

    name: str
    ours: str
    beside: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def at_most(value: float, most: float) -> bool:
    return value <= most


def show(title: str, figures: Iterable[Figure]) -> None:
    """Print one group of figures."""
    table = Table(title=title, title_justify="left")
    for heading in ("What", "The bridge", "Beside it", "Ratio or difference", "Target", ""):
        table.add_column(heading, overflow="fold")
    for it in figures:
        mark = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[it.met]
        table.add_row(it.name, it.ours, it.beside, it.ratio, it.target, mark)
    out.print(table)
