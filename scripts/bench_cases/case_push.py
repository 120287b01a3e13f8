"""What the bridge adds to a synchronous push, beside a bare POST of the same envelope to the same fake."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from callers import Line, Times, account, callout, drive, send
from figures import Figure, ms
from peers import SOAP, Mapped, adapter, envelope
from stage import Stage

ROUNDS = 5
EACH = {1: 60, 8: 160}  # saves in a round, by callers
P50_MS, P95_MS = 12, {1: 30, 8: 60}


def measure(full: bool) -> Iterator[Figure]:
    """Rounds of pushes and of bare POSTs take turns, so that a noisy machine disturbs both."""
    with Stage(fast=True, concurrency=15) as stage:
        bridge = stage.serve()
        netsuite, mapped = adapter(stage.netsuite.url), Mapped()
        port = int(stage.netsuite.url.rpartition(":")[2])
        send(bridge.port, [callout("Account", [account(n)]) for n in range(50)])
        number = 1000

        def bare(line: Line, body: bytes) -> None:
            status, answer = line.post("/services/NetSuitePort_2025_2", body, SOAP)
            if status != 200 or b'isSuccess="true"' not in answer:
                raise RuntimeError(f"the fake answered {status}: {answer[:300]!r}")

        for callers, count in EACH.items():
            pushed: list[Times] = []
            posted: list[Times] = []
            cpu_s = 0.0
            for _ in range(ROUNDS):
                own = range(number, number + count)
                other = range(number + count, number + 2 * count)
                number += 2 * count
                saves = [callout("Account", [account(n)]) for n in own]
                bodies = [envelope(netsuite, mapped.customer(n)) for n in other]
                used = bridge.cpu_s
                pushed.append(send(bridge.port, saves, callers=callers))
                cpu_s += bridge.cpu_s - used
                posted.append(drive(callers, bodies, bare, port))
            who = "one caller" if callers == 1 else f"{callers} callers"
            for name, most in (("p50", P50_MS if callers == 1 else None), ("p95", P95_MS[callers])):
                ours = median(getattr(it, name) for it in pushed)
                theirs = median(getattr(it, name) for it in posted)
                added = median(getattr(a, name) - getattr(b, name) for a, b in zip(pushed, posted, strict=True))
                yield Figure(
                    f"Added to a push, {name}, {who}", ms(ours), f"{ms(theirs)} bare POST", f"+ {ms(added)}",
                    f"≤ {most} ms" if most else "", added * 1000 <= most if most else None,
                )  # fmt: skip
            yield Figure(f"CPU of the bridge for a push, {who}", ms(cpu_s / (ROUNDS * count)))
