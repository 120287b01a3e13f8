"""NetSuite cannot be reached for an hour in which people save on: all of it lands afterwards, in order, once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge.ledger.models import message
from bridge.sandbox.wsgi import SandboxServer
from tests.faults.world import Witness

ACCOUNTS, SAVES = 40, 500


@pytest.mark.timeout(120)
def test_five_hundred_saves_of_an_hour_without_netsuite_all_land_in_order_once(town, house, tmp_path):
    """F-98, and F-106: what has waited goes out in lists."""
    database = f"sqlite:///{tmp_path / 'ledger'}"
    one = house({"urls": town.urls, "database": database, "secret": town.secret, "budget_s": 0.2})
    accounts = [town.account(f"Acme {n}", Phone="0") for n in range(ACCOUNTS)]
    contacts = [town.salesforce.insert("Contact", LastName=f"Lee {n}", AccountId=it) for n, it in enumerate(accounts)]
    witness = Witness(town)
    town.servers[1].stop()  # nobody listens there any more: every connection is refused
    saves, phone = 0, 0
    while saves < SAVES:
        phone += 1
        of = contacts if phone % 3 == 2 else accounts
        for it in of[: SAVES - saves]:
            town.salesforce.update(it, Phone=str(phone))
        answer = one.post(*town.callout(*of[: SAVES - saves]))
        assert answer.status_code == 202
        saves += len(of[: SAVES - saves])
        one.clock.ahead += timedelta(minutes=5)
        one.engine.deliver(most=50)
    waited, tried = one.states(), len(town.netsuite.calls)

    back = SandboxServer(town.netsuite, port=town.servers[1].port).start()
    town.servers = (town.servers[0], back)
    one.recover()

    assert (saves, tried) == (SAVES, 0)
    assert {state for sync, state in waited if sync != "status"} <= {"pending", "deferred", "superseded"}
    assert not witness.overlaps
    assert {len(it) for it in witness.versions.values()} == {1}, "each record once, with its newest save"
    for kind, of in (("customer", accounts), ("contact", contacts)):
        there = {it.external_id[7:]: it.fields["phone"] for it in town.made(kind) if it.external_id}
        assert there == {it: town.salesforce.row(it)["Phone"] for it in of}
    assert len(town.made("contact")) == ACCOUNTS
    assert not town.doubled()
    rows = one.rows(message.c.sync.in_(("customer", "contact")))
    assert len(rows) == SAVES
    assert {row.state for row in rows} == {"delivered", "superseded"}
    written = [it for it in town.netsuite.calls if it.operation.startswith("upsert")]
    assert len(written) <= 8, "80 records fit two lists, contacts after their customers"
    one.check()
