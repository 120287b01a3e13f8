"""The same customer and sales order as netsuitesdk writes them when it connects for each; and what the limit allows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from callers import account, application, callout, drive, send
from figures import Figure, ms
from peers import Mapped, adapter, sdk, sdk_save
from stage import Stage, full_schemas

ROUNDS = 5
TIMES = 20
LIMIT, CALLERS = 15, 20  # a few more callers than calls, so that no slot waits for one of them
FASTER = 20
# The same two records on both sides.
TWO_RECORDS = """
[sync.purchase_order]
enabled = false
[sync.broker_commission]
enabled = false
"""


def measure(full: bool) -> Iterator[Figure]:
    yield from _beside_the_sdk()
    # Long enough that the last callers' last saves, when slots must be idle, are a small part of it.
    yield from _under_the_limit(30 if full else 20)


def _beside_the_sdk() -> Iterator[Figure]:
    folder = full_schemas()
    if folder is None:
        yield Figure("Customer and sales order beside netsuitesdk", "not measured", "the full schemas are not here")
        return
    with Stage(fast=True, schema=folder) as stage:
        connect = sdk(stage.netsuite.url)
        assert connect is not None
        bridge = stage.serve(site=TWO_RECORDS)
        netsuite, mapped = adapter(stage.netsuite.url), Mapped()
        send(bridge.port, [callout("Account", [account(n)]) for n in range(20)])
        adapter_s, bridge_s, sdk_s = [], [], []
        number = 1000
        for _ in range(ROUNDS):
            for _ in range(TIMES):
                number += 1
                customer, order = mapped.customer(number), mapped.sales_order(number, number)
                started = time.perf_counter()
                (netsuite.upsert([customer], interactive=True), netsuite.upsert([order], interactive=True))
                adapter_s.append(time.perf_counter() - started)
            own = range(number + 1000, number + 1000 + TIMES)
            saved = send(bridge.port, [callout("Account", [account(n)]) for n in own])
            send(bridge.port, [callout("Application", [application(n, n, approved=False)]) for n in own], state="held")
            approved = send(bridge.port, [callout("Application", [application(n, n)], 2) for n in own])
            bridge_s += [a + b for a, b in zip(saved.taken, approved.taken, strict=True)]
            sdk_s.append(sdk_save(connect, number + 5000))
        beside = f"{ms(median(sdk_s))} netsuitesdk"
        for name, own_s in (
            ("Customer and sales order, the adapter", adapter_s),
            ("Account saved, Application approved (its number read back too), the whole bridge", bridge_s),
        ):
            ratio = median(sdk_s) / median(own_s)
            yield Figure(name, ms(median(own_s)), beside, f"{ratio:.1f} ×", f"≥ {FASTER} ×", ratio >= FASTER)


def _under_the_limit(each: int) -> Iterator[Figure]:
    """Callers who save one after the other, as many as the limit has calls: what counts is how full the limit was."""
    with Stage(fast=False, concurrency=LIMIT) as stage:
        bridge = stage.serve(site=TWO_RECORDS)
        warm = range(CALLERS)
        send(bridge.port, [callout("Account", [account(n)]) for n in warm], callers=CALLERS)
        send(bridge.port, [callout("Application", [application(n, n)]) for n in warm], callers=CALLERS)
        stage.netsuite.calls()
        numbers = range(1000, 1000 + CALLERS * each)

        def both(line: object, n: int) -> None:
            for it in (callout("Account", [account(n)]), callout("Application", [application(n, n)])):
                status, body = line.post(it.path, it.body, it.headers)  # type: ignore[attr-defined]
                if status != 200 or b'"delivered"' not in body:
                    raise RuntimeError(f"the bridge answered {status}: {body[:300]!r}")

        done = drive(CALLERS, numbers, both, bridge.port)
        calls = {name: it for name, it in stage.netsuite.calls().items() if name not in ("first", "last")}
        allowed_s = sum(seconds for _, seconds in calls.values()) / LIMIT
        share = allowed_s / done.wall_s
        what = ", ".join(f"{count} {name}" for name, (count, _) in sorted(calls.items()))
        yield Figure(
            f"Accounts and Applications from {CALLERS} callers at 0.8 s, limit {LIMIT}: share of the limit used",
            f"{done.wall_s:.1f} s for {what}", f"{allowed_s:.1f} s with every slot always busy", f"{share:.1%}",
            "≥ 95 %", share >= 0.95,
        )  # fmt: skip
