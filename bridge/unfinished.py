"""Bulk jobs that were left running when their process ended: wait for them, or stop them, before newer is sent.

What such a job wrote is written once more from the ledger; that changes nothing, as long as the job has ended.

Must not know: SQL, HTTP.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from bridge.errors import BridgeError
from bridge.ledger import Ledger, bulk_jobs
from bridge.ledger.bulk_jobs import Left
from bridge.ports import MirrorSystem

LOG = logging.getLogger("bridge.unfinished")

STOP_AFTER = timedelta(minutes=15)  # as long as whoever started it would have waited
LOOK_S = 2.0
LOOKS = 600  # then a pull goes on reading; what it reads waits in its queue


def end(ledger: Ledger, salesforce: MirrorSystem, jobs: Sequence[Left]) -> bool:
    """Ask about *jobs*; those that have ended are forgotten, and their lanes are due. True if there are such."""
    if not jobs:
        return False
    now = ledger.moment()
    ended = []
    for it in jobs:
        try:
            if salesforce.has_ended(it.id, stop=now - it.started_at > STOP_AFTER):
                ended.append(it)
        except BridgeError as error:
            LOG.warning("Salesforce does not say what became of a bulk job: %s", error.message)
    if ended:
        ledger.commit(partial(bulk_jobs.freed, ended))
    return bool(ended)


def wait(ledger: Ledger, salesforce: MirrorSystem, lane: str, stopping: threading.Event) -> None:
    """Wait until nothing that was left running in *lane* writes any more, or until *stopping* is set."""
    for _ in range(LOOKS):
        with ledger.read() as connection:
            jobs = bulk_jobs.left(connection, lane, ledger.now(connection))
        if not jobs or (not end(ledger, salesforce, jobs) and stopping.wait(LOOK_S)):
            return
