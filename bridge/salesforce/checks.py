"""What ``bridge doctor`` says about Salesforce: login, organisation, objects, fields, calls left today.

Must not know: how to repair anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bridge.errors import BridgeError, Misconfigured
from bridge.ports import Check
from bridge.salesforce.connection import SLOW_AT, Connection
from bridge.salesforce.faults import label
from bridge.salesforce.shapes import LISTS, Shapes
from bridge.salesforce.soql import OPTIONAL, Selection


def checks(
    connection: Connection,
    shapes: Shapes,
    needed: Mapping[str, Sequence[str]],
    written: Mapping[str, Sequence[str]],
) -> Iterator[Check]:
    """Yield one finding after another; what depends on a failed login is not tried."""
    try:
        connection.call("GET", "limits")
    except BridgeError as error:
        yield Check("Salesforce login", False, error.message)
        for name in ("Salesforce organisation", *dict.fromkeys((*needed, *written))):
            yield Check(label(name), None, "Not tried, because the login failed.")
        return
    token = connection.tokens.current()
    yield Check("Salesforce login", True, f"Logged in at {token.instance_url}.")
    yield Check("Salesforce organisation", True, f"It is {token.org_id}, as pinned.")
    for kind in dict.fromkeys((*needed, *written)):
        yield _object(shapes, kind, needed.get(kind, ()), written.get(kind, ()))
    quota = connection.quota
    if quota.used is not None:
        words = f"{quota.used} of {quota.allowed} calls of the last 24 hours are used."
        yield Check("Salesforce daily calls", quota.share < SLOW_AT, words)


def _object(shapes: Shapes, kind: str, needed: Sequence[str], written: Sequence[str]) -> Check:
    try:
        shape = shapes.of(kind, fresh=True)
    except Misconfigured as error:
        return Check(label(kind), False, error.message)
    except BridgeError as error:
        return Check(label(kind), None, error.message)
    unseen = [name for name in needed if name not in OPTIONAL and not _is_seen(shapes, kind, name)]
    absent = [name for name in written if name not in shape.fields]
    fixed = [n for n in written if n in shape.fields and not (shape.fields[n].updateable or shape.fields[n].createable)]
    problems = []
    if unseen or absent:
        names = ", ".join(dict.fromkeys((*unseen, *absent)))
        problems.append(f"missing or hidden from the bridge's user: {names}")
    if written and not shape.updateable:
        problems.append("the bridge's user may not change it")
    if fixed:
        problems.append(f"not writable: {', '.join(fixed)}")
    if problems:
        words = "; ".join(problems)
        return Check(label(kind), False, f"{words[0].upper()}{words[1:]}.")
    return Check(label(kind), True, f"{label(kind)} can be read" + (" and written." if written else "."))


def _is_seen(shapes: Shapes, kind: str, name: str) -> bool:
    head, _, _ = name.partition(".")
    if (kind, head) in LISTS and head == name:
        name = f"{name}.Id"
    try:
        Selection(shapes, kind, (name,), ())
    except Misconfigured:
        return False
    return True
