"""What ``bridge adopt`` and ``bridge choose`` do and show: decisions of the error desk."""

from __future__ import annotations

from bridge import adopting, handling
from bridge.app import Bridge
from bridge.errors import BridgeError
from bridge.ledger import messages
from bridge.terminal import Table, fail, out, person


def adopt(bridge: Bridge, message: int, netsuite_id: str | None, reason: str) -> None:
    """List the candidates, or adopt the one of *netsuite_id* and deliver."""
    with bridge.ledger.read() as connection:
        rows = messages.by_ids(connection, [message])
    if not rows:
        fail(f"There is no message {message}.")
    try:
        if netsuite_id is None:
            _show(adopting.candidates(bridge.engine, rows[0]))
            return
    except BridgeError as error:
        fail(error.message)
    _do(bridge, "adopt", [message], netsuite_id, reason)


def choose(bridge: Bridge, side: str, numbers: list[int], reason: str) -> None:
    """Choose one side's values for messages, and deliver."""
    _do(bridge, "choose", numbers, side, reason)


def _do(bridge: Bridge, action: str, numbers: list[int], value: str, reason: str) -> None:
    try:
        said = handling.at_once(bridge.engine, action, numbers, value=value, reason=reason, actor=person())
    except BridgeError as error:
        fail(error.message)
    out.print(said)
    while bridge.engine.deliver(most=50):
        pass


def _show(found: list[adopting.Candidate]) -> None:
    if not found:
        out.print("No record of this kind has the name; an entity of another kind may have it.")
        return
    table = Table("Record", "Id", "Name", "Number", "External id", "Why not")
    for it in found:
        table.add_row(it.kind, it.id, it.name, it.number, it.external_id or "none", it.wrong or "")
    out.print(table)
    out.print("Look at it in NetSuite; if it is the same one: bridge adopt <message> --id <id>")
