"""``bridge audit verify | anchor | show | export | erase``: what auditors ask for."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from bridge.opening import opened
from bridge.spreadsheet import cell
from bridge.terminal import Table, fail, out, person

if TYPE_CHECKING:
    from sqlalchemy import Row

audit_app = typer.Typer(no_args_is_help=True, help="The audit trail.")
Since = Annotated[datetime | None, typer.Option(help="UTC; from the beginning where it is not given.")]
Until = Annotated[datetime | None, typer.Option(help="UTC, not included; up to now where it is not given.")]


@audit_app.command("verify")
def verify(
    anchors: Annotated[
        Path | None, typer.Option(help="The file of anchors; BRIDGE_AUDIT_ANCHORS if not given.")
    ] = None,
) -> None:
    """Recompute the chains, compare them with the anchors, and name the first row that does not fit."""
    from bridge.watching import broken

    with opened() as bridge:
        file = anchors or bridge.settings.audit_anchors
        try:
            wrong = broken(bridge.ledger, file)
        except OSError as error:
            fail(f"The anchors in {file} cannot be read: {error.strerror}.")
        if wrong:
            fail(*wrong)
        compared = "and agrees with its anchors" if file else "but has no anchors: set BRIDGE_AUDIT_ANCHORS"
        out.print(f"The audit trail holds, {compared}.")


@audit_app.command("anchor")
def anchor() -> None:
    """Write where the chains end into the file of anchors, now; the schedule does so every hour."""
    from bridge.watching import write_anchor

    with opened() as bridge:
        file = bridge.settings.audit_anchors
        if file is None:
            fail("There is no place for anchors: set BRIDGE_AUDIT_ANCHORS to a file on another machine.")
        out.print(f"{write_anchor(bridge.ledger, file)}.")


@audit_app.command("show")
def show(
    word: Annotated[
        str,
        typer.Argument(help="An id of either system, an order's number, a user, a correlation or a message number."),
    ],
    most: Annotated[int, typer.Option(help="How many rows, the newest first.")] = 50,
) -> None:
    """Print what happened to one record, or what one user or one call caused."""
    from bridge.ledger import audit

    with opened() as bridge, bridge.ledger.read() as connection:
        syncs = bridge.engine.syncs
        kinds = {it.target for it in syncs.pushes.values()} | {it.target for it in syncs.pulls.values()}
        rows = audit.about(connection, word, most, sorted(kinds))
    if not rows:
        fail(f"The audit says nothing of {word}.")
    names = ("Time (UTC)", "Who", "What", "Sync", "Salesforce", "NetSuite", "Code", "Correlation")
    cells = [
        (f"{it.at:%Y-%m-%d %H:%M:%S}", it.actor, it.action, it.sync, it.source_id, it.target, it.code, it.correlation)
        for it in rows
    ]
    # A column that says nothing takes no room from the others.
    told = [index for index in range(len(names)) if any(row[index] for row in cells)]
    table = Table(*(names[index] for index in told))
    for row in cells:
        table.add_row(*(row[index] for index in told))
    out.print(table)


@audit_app.command("export")
def export(
    target: Annotated[Path | None, typer.Argument(help="A .csv or .jsonl file; standard output if not given.")] = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Write the rows of a period, with their place in the chain and their hash."""
    from bridge.ledger import audit

    with opened() as bridge:
        with bridge.ledger.read() as connection, _file(target) as file:
            rows = audit.period(connection, _utc(since), _utc(until))
            lines = target is not None and target.suffix == ".jsonl"
            count = _write_lines(rows, file) if lines else _write_csv(rows, file)
        period = f"{since or 'the beginning'} to {until or 'now'}"
        with bridge.ledger.write() as writing:
            writing.say("exported", person(), detail=f"audit, {period}: {count} rows")
    if target is not None:
        out.print(f"{count} rows are in {target}.")


@audit_app.command("erase")
def erase(
    record_id: Annotated[str, typer.Argument(help="The Salesforce id, 18 characters.")],
    reason: Annotated[str, typer.Option(help="Why, for the audit; no personal data.")],
) -> None:
    """Forget what was stored of one record; what happened to it stays, and the chain still holds."""
    from bridge.ledger import privacy

    with opened() as bridge:
        with bridge.ledger.write() as writing:
            done = privacy.erase(writing, record_id, actor=person(), reason=reason)
        count = "1 message" if done.count == 1 else f"{done.count} messages"
        out.print(f"{count} of {record_id} {'was' if done.count == 1 else 'were'} emptied.")
        if done.still_open:
            fail(f"{done.still_open} are still on their way; erase again when they are done.")


def _utc(given: datetime | None) -> datetime | None:
    return given.replace(tzinfo=UTC) if given is not None and given.tzinfo is None else given


@contextmanager
def _file(target: Path | None) -> Iterator[TextIO]:
    if target is None:
        yield sys.stdout
        return
    with target.open("w", encoding="utf-8", newline="") as file:
        yield file


def _write_csv(rows: Iterable[Row[Any]], file: TextIO) -> int:
    from bridge.ledger.audit import EXPORTED

    writer, count = csv.writer(file), 0
    writer.writerow(EXPORTED)
    for row in rows:
        writer.writerow([cell(_text(getattr(row, name))) for name in EXPORTED])
        count += 1
    return count


def _write_lines(rows: Iterable[Row[Any]], file: TextIO) -> int:
    from bridge.ledger.audit import EXPORTED

    count = 0
    for row in rows:
        file.write(json.dumps({name: _text(getattr(row, name)) for name in EXPORTED}, ensure_ascii=False) + "\n")
        count += 1
    return count


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
