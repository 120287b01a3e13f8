"""Verbs for the console's local accounts: ``bridge console account | remove | accounts | sign-out``."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.terminal import Table, fail, out

if TYPE_CHECKING:
    from bridge.ledger import Ledger

console_app = typer.Typer(no_args_is_help=True, help="Who may use the console without the sign-in provider.")


@contextmanager
def _ledger() -> Iterator[Ledger]:
    """Give the ledger alone: an account can be made before either system can be reached."""
    from sqlalchemy.exc import SQLAlchemyError

    from bridge.ledger import Ledger
    from bridge.settings import NotConfigured, load

    try:
        settings, _ = load()
    except NotConfigured as error:
        fail(*error.problems)
    try:
        ledger = Ledger(settings.database_url, audit_key=settings.audit_key.get_secret_value().encode())
        ledger.create()
    except (SQLAlchemyError, OSError) as error:
        fail(f"The database {settings.database} cannot be opened ({type(error).__name__}); see BRIDGE_DATABASE_URL.")
    try:
        yield ledger
    finally:
        ledger.close()


def _password(name: str) -> str:
    from bridge.ledger.accounts import wrong_password

    if sys.stdin.isatty():
        given = getpass.getpass(f"Password for {name}: ")
        if getpass.getpass("Once more: ") != given:
            fail("The two are not the same.")
    else:
        given = sys.stdin.readline().rstrip("\n")
    if (wrong := wrong_password(given)) is not None:
        fail(wrong)
    return given


@console_app.command()
def account(
    name: str,
    role: Annotated[
        str, typer.Option(help="viewer, operator, accountant, administrator or auditor.")
    ] = "administrator",
) -> None:
    """Make a local account, or give it a new password. The password is asked for, or read from standard input.

    Its second factor is set up at the next sign-in.
    """
    from bridge.ledger import accounts, people

    if role not in people.ROLES:
        fail(f"There is no role '{role}'; there are {', '.join(people.ROLES)}.")
    if (wrong := accounts.wrong_name(name)) is not None:
        fail(wrong)
    password = _password(name)
    with _ledger() as ledger:
        is_new = accounts.set_account(ledger, name, role, password, actor="operator")
    out.print(f"{name} is {role}; {'made' if is_new else 'changed, and signed out everywhere'}.")


@console_app.command()
def remove(name: str) -> None:
    """Remove a local account, and end its sessions."""
    from bridge.ledger import accounts

    with _ledger() as ledger:
        if not accounts.remove_account(ledger, name, actor="operator"):
            fail(f"There is no local account '{name}'.")
    out.print(f"{name} is removed.")


@console_app.command()
def accounts() -> None:
    """List local accounts, whether each has a second factor, and when it was last used."""
    from bridge.ledger.accounts import accounts as listed

    with _ledger() as ledger, ledger.read() as connection:
        table = Table("Name", "Role", "Second factor", "Last used")
        for row in listed(connection):
            used = f"{row.used_at:%Y-%m-%d %H:%M UTC}" if row.used_at else "never"
            table.add_row(row.name, row.role, "yes" if row.factor else "not yet", used)
        out.print(table)


@console_app.command("sign-out")
def sign_out(
    name: Annotated[str | None, typer.Argument(help="One person; everybody where it is left out.")] = None,
) -> None:
    """End sessions at once: of one person, or all of them."""
    from bridge.ledger import people

    with _ledger() as ledger, ledger.write() as writing:
        ended = people.end_all(writing, name)
        writing.say("signed_out", "operator", detail=name or "everybody")
    out.print(f"{ended} sessions ended.")


@console_app.command("error-codes")
def error_codes() -> None:
    """Print every error code with its sentence and who can fix it, as Markdown."""
    from bridge.catalogue import markdown

    sys.stdout.write(markdown())
