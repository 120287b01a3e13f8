"""``bridge shadow on | off | show``: everything but writing, and what would have been written."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from bridge.opening import opened
from bridge.terminal import Table, fail, out, person

shadow_app = typer.Typer(no_args_is_help=True, help="Everything but writing: for trying out on real systems.")
SHOWN = 40


@shadow_app.command("on")
def on(reason: Annotated[str, typer.Option(help="Why, for the audit and the console.")]) -> None:
    """Write nothing to either system, on all instances; go on accepting, reading and storing."""
    from bridge import shadow

    with opened() as bridge:
        done = shadow.start(bridge.engine, actor=person(), reason=reason)
        out.print("Nothing is written from now on." if done else "Nothing was written already.")


@shadow_app.command("off")
def off() -> None:
    """Write again. All that waited goes out, each record as it was saved last."""
    from bridge import shadow

    with opened(writes=True) as bridge:
        done = shadow.end(bridge.engine, actor=person())
        out.print("Both systems are written to again; what waited goes out." if done else "It was not on.")


@shadow_app.command("show")
def show(
    last: Annotated[int, typer.Option(help="How many records of each sync, the newest.", min=1, max=10_000)] = 200,
    every: Annotated[bool, typer.Option("--all", help="Show every record.")] = False,
) -> None:
    """Say what would have been created and updated in either system, field by field."""
    from bridge import shadow

    with opened() as bridge:
        if not shadow.is_on(bridge.engine):
            fail('It is not on: bridge shadow on --reason "…" turns it on.')
        seen = shadow.foresee(bridge.engine, last=last)
    table = Table("Sync", "Record", "Would have", "What")
    for it in seen.records if every else seen.records[:SHOWN]:
        fields = ", ".join(f"{one.field}: {_short(one.now)} → {_short(one.then)}" for one in it.changes)
        table.add_row(it.sync, it.salesforce_id, _word(it.what), escape("; ".join(filter(None, (it.reason, fields)))))
    out.print(table)
    out.print(", ".join(f"{count} {_word(what)}" for what, count in seen.counts.items()) + f"; {seen.wrote} written.")


def _word(what: str) -> str:
    return {"create": "created", "update": "updated", "reject": "rejected", "wait": "waited"}.get(what, what)


def _short(value: Any) -> str:
    words = "–" if value is None else str(getattr(value, "name", None) or getattr(value, "external_id", None) or value)
    return words if len(words) <= SHOWN else f"{words[: SHOWN - 1]}…"
