"""How verbs of the command line speak to people: sentences to the terminal, and the end with 1 when one must act."""

from __future__ import annotations

import getpass
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

out, err = Console(), Console(stderr=True)


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
