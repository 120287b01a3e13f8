"""`bridge serve` with a door for the measurement: it also takes commands on standard input, and answers each in a line.

``read URL`` begins to read the search page at URL over and over in a thread, ``rest`` ends that and says how many
records were read, ``alone`` lets every save go out in a call of its own.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from bridge import cli
from bridge.app import Bridge
from bridge.courtesy import breathe
from bridge.errors import BridgeError
from bridge.netsuite.passport import TokenCredentials
from bridge.netsuite.soap import SoapNetSuite


class Reading:
    """A pull that never ends."""

    def __init__(self, bridge: Bridge, url: str) -> None:
        words = ("sandbox-consumer-key", "sandbox-consumer-secret", "sandbox-token-id", "sandbox-token-secret")
        self._netsuite = SoapNetSuite(
            account="1234567", credentials=TokenCredentials("1234567", *words), bindings=bridge.netsuite._bindings,
            slots=bridge.slots, base_url=url, allow_loopback=True, breathe=breathe,
        )  # fmt: skip
        self._end = threading.Event()
        self.records = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        now = datetime.now(UTC)
        while not self._end.is_set():
            with closing(self._netsuite.search_page("salesOrder", now - timedelta(days=1), now)) as page:
                for _ in page:
                    self.records += 1
                    if self._end.is_set():
                        return

    def stop(self) -> int:
        self._end.set()
        self._thread.join(30)
        return self.records


def commands(bridge: Bridge) -> None:
    reading: Reading | None = None
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "read":
            reading = Reading(bridge, rest)
            print("reading", flush=True)
        elif word == "rest" and reading is not None:
            print(reading.stop(), flush=True)
        elif word == "alone":
            bridge.netsuite._lists.groups.send = lone(bridge)  # type: ignore[method-assign]
            print("alone", flush=True)


def lone(bridge: Bridge) -> Any:
    """Return what sends a ticket by itself, in a slot of its own: how it would be without grouping."""

    def send(ticket: Any) -> Any:
        try:
            with bridge.slots.lease(interactive=True):
                ticket.outcomes = bridge.netsuite._call(list(ticket.items))
        except BridgeError as error:
            ticket.fail(error)
        ticket.taken = True
        ticket.done.set()
        return ticket

    return send


def main() -> None:
    made = cli._open

    def opened(**given: Any) -> Any:
        context = made(**given)
        enter = context.__enter__

        class Told:
            def __enter__(self) -> Any:
                bridge = enter()
                threading.Thread(target=commands, args=(bridge,), daemon=True).start()
                return bridge

            def __exit__(self, *problem: Any) -> Any:
                return context.__exit__(*problem)

        return Told()

    cli._open = opened
    cli.out.quiet = True
    with suppress(SystemExit):
        sys.argv = ["bridge", "serve"]
        cli.app()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
