"""What people and load balancers see of a bridge that is asked to stop."""

from __future__ import annotations

import os
import signal
import socket
import threading
from itertools import groupby

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

        seen = []

        def watch():
            while server.poll() is None:
                try:
                    seen.append(requests.get(f"{url}/readyz", timeout=2).status_code)
                except requests.RequestException:
                    seen.append(None)
                threading.Event().wait(0.02)

        threads = [threading.Thread(target=it) for it in (save, watch)]
        for thread in threads:
            thread.start()
        until(lambda: witness.busy and 200 in seen, 20, "NetSuite is at work")
        os.kill(server.pid, signal.SIGTERM)
        server.wait(40)
        for thread in threads:
            thread.join(20)

    assert server.returncode == 0
    assert [it for it, _ in groupby(seen)][:2] == [200, 503], "first it is not ready, then it is gone"
    assert answers[0].status_code in (200, 202)
    assert len([it for it in town.made("customer") if it.external_id]) == 1


def test_a_server_that_is_told_to_stop_as_soon_as_it_is_ready_ends_in_good_order(town, tmp_path):
    """What it makes ready after that took long enough to be killed by the signal, with callouts in flight."""
    here = port()
    slow = tmp_path / "sitecustomize.py"
    slow.write_text("import gc, time\ncollect = gc.collect\ngc.collect = lambda *of: time.sleep(3) or collect(*of)\n")
    ports = {"BRIDGE_PORT": here, "BRIDGE_CONSOLE_PORT": port()}
    env = environment(town, f"sqlite:///{tmp_path / 'ledger'}", **ports) | {"PYTHONPATH": str(tmp_path)}
    with process("serve", env, tmp_path / "log") as server:
        until(lambda: is_ready(f"http://127.0.0.1:{here}"), 40, "it is ready")
        os.kill(server.pid, signal.SIGTERM)
        server.wait(40)

    assert server.returncode == 0
