"""How verbs of the command line speak to people: sentences to the terminal, and the end with 1 when one must act."""

from __future__ import annotations

import getpass
import os
from typing import Any, NoReturn

import rich.table
import typer
from rich.console import Console
from rich.markup import escape

WIDE = 1000  # columns of a file or a pipe: nothing in it is wrapped or cut


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE
    return console


out, err = _console(), _console(stderr=True)


class Table(rich.table.Table):
    """A table whose cells are folded where the terminal is narrow, so that no id and no amount is cut."""

    def add_column(self, *args: Any, **options: Any) -> None:
        """Add a column that folds."""
        super().add_column(*args, **{"overflow": "fold"} | options)


def fail(*sentences: str) -> NoReturn:
    """Say what is wrong and end with 1."""
    for sentence in sentences:
        err.print(f"[red]✗[/] {escape(sentence)}", highlight=False, soft_wrap=True)
    raise typer.Exit(1)


def person() -> str:
    """Return who types: on a command line that is the system's own user."""
    try:
        return f"cli:{getpass.getuser()}"[:40]
    except (KeyError, OSError):
        return "cli"
