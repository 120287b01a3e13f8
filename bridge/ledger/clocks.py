"""What is told of a machine whose clock is wrong: it leaves the work to others meanwhile.

Must not know: any system, HTTP.
"""

from __future__ import annotations

import platform

from bridge.errors import Deferred
from bridge.ledger import Ledger, Writing, incidents
from bridge.ledger.incidents import Incident

CODE = "CLOCK_SKEW"


def tell(writing: Writing) -> None:
    """Keep the incident of this machine's clock."""
    name = platform.node()
    words = f"The clock of {name} is more than a minute off the database's: it starts no jobs, and sends nothing, until"
    incidents.report(writing, [Incident(f"apart:{name}"[:120], CODE, f"{words} it is right.")])


def look(ledger: Ledger) -> bool:
    """Keep the incident where this machine's clock is wrong, and return whether it is."""
    if not ledger.is_apart(ledger.moment()):
        return False
    ledger.commit(tell)
    return True


def hold(ledger: Ledger) -> None:
    """Raise Deferred where this machine's clock is wrong: something long goes on elsewhere, or when it is right."""
    if ledger.is_apart(ledger.moment()):
        raise Deferred("The clock of this machine is wrong; others go on, or this one when it is right.", code=CODE)
