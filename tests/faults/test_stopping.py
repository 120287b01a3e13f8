"""What people and load balancers see of a bridge that is asked to stop."""

from __future__ import annotations

import os
import signal
import socket
import threading

import requests

from tests.faults.world import Witness, environment, is_ready, process, until


def port() -> str:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return str(asked.getsockname()[1])


def test_a_server_that_is_told_to_stop_is_not_ready_first_and_finishes_what_is_in_flight(town, tmp_path):
    witness = Witness(town)
    account = town.account("Acme !SLOW 2")
    here = port()
    env = environment(town, f"sqlite:///{tmp_path / 'ledger'}", BRIDGE_PORT=here, BRIDGE_CONSOLE_PORT=port())
    url = f"http://127.0.0.1:{here}"
    with process("serve", env, tmp_path / "log") as server:
        until(lambda: is_ready(url), 40, "it is ready")
        answers = []

        def save():
            path, body, headers = town.callout(account)
            answers.append(requests.post(url + path, data=body, headers=headers, timeout=20))

        caller = threading.Thread(target=save)
        caller.start()
        until(lambda: witness.busy, 20, "NetSuite is at work")
        os.kill(server.pid, signal.SIGTERM)
        until(lambda: requests.get(f"{url}/readyz", timeout=2).status_code == 503, 5, "it is not ready")
        caller.join(20)
        server.wait(26)

    assert server.returncode == 0
    assert answers[0].status_code in (200, 202)
    assert len([it for it in town.made("customer") if it.external_id]) == 1
