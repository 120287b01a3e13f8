"""A thousand writes that NetSuite commits and whose answers never come: no duplicate, no orphan, all adopted."""

from __future__ import annotations

from datetime import timedelta

import pytest
import requests
from sqlalchemy import event, select

from bridge.ledger import messages, plain
from bridge.ledger.models import attempt, link, message
from bridge.ports import Ref
from bridge.receiving import as_received
from bridge.sandbox.wsgi import WsgiAdapter

MANY = 1000


@pytest.mark.timeout(240)
def test_a_thousand_commits_whose_answers_were_dropped_are_adopted_once(town, house, tmp_path):
    one = house({"urls": town.urls, "database": f"sqlite:///{tmp_path / 'ledger'}"})
    event.listen(one.ledger.engine, "connect", lambda raw, record: raw.execute("PRAGMA synchronous=OFF"))
    one.ledger.engine.dispose()  # nothing here survives a power cut, and is much quicker
    session = requests.Session()
    session.mount("http://", WsgiAdapter(town.netsuite))  # real bytes, no socket: a thousand times is quick
    one.engine.netsuite._wire.transport._session = session
    accounts = [town.account(f"Acme {n}") for n in range(MANY)]
    kinds = one.engine.syncs.reads("Account")
    found = one.salesforce.get([Ref("Account", id=it) for it in accounts], kinds)
    town.netsuite.faults.add("drop", operation="upsert*", count=10 * MANY)
    with one.ledger.write() as writing:
        for it in map(as_received, found):
            mapped = {**it.fields, "Id": it.id}
            row = messages.New(
                "customer", "Account", it.id, it.version, it.modified_at, it.id, plain.dumps(mapped), "callout",
                write_back=False,
            )  # fmt: skip
            messages.accept(writing, [row], "test")

    for it in accounts:  # one call for each record: every one of them is lost
        one.engine.deliver([it])
    lost = [it for it in town.netsuite.calls if it.operation.startswith("upsert")]
    uncertain = one.states()["customer", "uncertain"]
    town.netsuite.faults.clear()
    one.clock.ahead += timedelta(seconds=61)
    one.recover()

    assert len(lost) == uncertain == MANY
    written = [it for it in town.made("customer") if it.external_id]
    assert len(written) == MANY
    assert not town.doubled()
    assert one.audited("adopted") == MANY
    assert len([it for it in town.netsuite.calls if it.operation.startswith("upsert")]) == MANY, "nothing is sent again"
    with one.ledger.read() as connection:
        linked = set(connection.execute(select(link.c.target_id).where(link.c.sync == "customer")).scalars())
        states = set(connection.execute(select(message.c.state).where(message.c.sync == "customer")).scalars())
        tries = connection.execute(select(attempt)).all()
    assert linked == {it.id for it in written}, "no orphan in NetSuite"
    assert states == {"delivered"}
    assert len(tries) == 2 * MANY
    one.check()
