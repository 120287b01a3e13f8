"""What runs in processes that a test kills, freezes or lets fail; forked from a server that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
from datetime import timedelta
from multiprocessing.process import BaseProcess
from typing import Any

from bridge import failpoints
from bridge.carriers.embedded import Embedded
from bridge.ports import Ref
from bridge.pulling import pull
from bridge.receiving import as_received
from tests.faults import world

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.faults.children", "bridge.carriers.procrastinate"])
world.bindings()  # loaded once, by the server


def fork(target: Any, *args: Any) -> BaseProcess:
    """Start *target* in a process of its own; it ends with the test run at the latest."""
    child = _FORKS.Process(target=target, args=args, daemon=True)
    child.start()
    return child


def carry(options: dict[str, Any]) -> None:
    """Deliver in the background until the end."""
    house = world.compose(options)
    house.engine.owner = str(os.getpid())  # so that a test knows whose call is in flight
    if options.get("carrier") == "procrastinate":
        from bridge.carriers.procrastinate import Procrastinate

        carrier: Any = Procrastinate(house.engine, threads=options.get("threads", 1))
    else:
        carrier = Embedded(house.engine, threads=options.get("threads", 1))
    carrier.prepare()
    carrier.start()
    multiprocessing.parent_process().join()  # type: ignore[union-attr]


def act(options: dict[str, Any], callouts: list[Any], others: list[str]) -> None:
    """Do what a bridge does in a while, with a failpoint set: answer callouts, deliver what nobody waits for, pull."""
    if options.get("failpoint"):
        os.environ[failpoints.VARIABLE] = options["failpoint"]
    steps: list[Any] = []

    def answer(callout: Any) -> None:
        house.post(*callout)

    def background() -> None:
        kinds = house.engine.syncs.reads("Account")
        found = house.salesforce.get([Ref("Account", id=it) for it in others], kinds)
        received = [as_received(it) for it in found if it is not None]
        house.engine.receive(received, origin="sweep", correlation="test")
        while house.engine.deliver(most=50):
            pass

    def mirror() -> None:
        pull(house.engine, "sales_order_mirror", settle=timedelta(seconds=-2))
        while house.engine.deliver(most=50):
            pass

    steps += [lambda it=it: answer(it) for it in callouts] + [background, mirror]
    try:
        house = world.compose(options)
    except failpoints.Failpoint:
        return
    for step in steps:
        try:
            step()
        except failpoints.Failpoint:
            continue
