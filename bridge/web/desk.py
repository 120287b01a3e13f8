"""What every page of the console works on, and what is the same on all of them.

Must not know: Flask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bridge.delivery import Delivery
from bridge.ledger.models import OPEN
from bridge.mapping.catalogue import Gap
from bridge.ports import Ref

if TYPE_CHECKING:
    from bridge.web.oidc import Oidc

GROUPS: dict[str, tuple[str, ...]] = {
    "on the way": OPEN,
    "needs a person": ("rejected", "dead"),
    "held": ("held",),
    "done": ("delivered", "unchanged", "superseded", "dismissed"),
}


@dataclass(frozen=True, slots=True)
class JobRow:
    """One scheduled job as the page shows it."""

    name: str
    cadence: str
    next_run: datetime | None
    is_running: bool = False
    is_chosen: bool = False  # at the console, not by the site's file


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of what another system allows is used: ``used`` of ``allowed`` *what*."""

    system: str
    what: str
    used: int
    allowed: int

    @property
    def share(self) -> float:
        return self.used / self.allowed if self.allowed else 0.0


@dataclass(frozen=True, slots=True)
class SecondPerson:
    """From which size on another person must agree."""

    above_count: int | None = None
    above_sum: Decimal | None = None

    def is_needed(self, count: int, sums: dict[str, Decimal]) -> bool:
        largest = max((abs(it) for it in sums.values()), default=Decimal(0))
        too_many = self.above_count is not None and count > self.above_count
        return too_many or (self.above_sum is not None and largest > self.above_sum)


@dataclass(frozen=True, slots=True)
class Door:
    """How people come in: the address they type, the provider, and whether this machine's own people just enter.

    *asks_code*: a local account needs a second factor.
    """

    origin: str = "http://127.0.0.1"
    oidc: Oidc | None = None
    may_be_open: bool = True
    asks_code: bool = False


@dataclass(frozen=True, slots=True)
class Desk:
    """The engine, and what the composition root lends to the console."""

    engine: Delivery
    environment: str
    jobs: Callable[[], Sequence[JobRow]] = lambda: ()
    run_now: Callable[[str], object] | None = None
    choose_cadence: Callable[..., str] | None = None  # job, wish, actor → what is wrong with it
    limits: Callable[[], Sequence[Limit]] = lambda: ()
    second_person: Callable[[], SecondPerson] = SecondPerson  # as the configuration has it now
    door: Door = field(default_factory=Door)
    bindings: Callable[[], Any] | None = None  # which bindings are live, and all that is known of them
    catalogue: Callable[[], Sequence[Gap]] | None = None  # what only one of the two catalogues has, asked anew

    def salesforce_page(self, kind: str, record_id: str) -> str | None:
        return self.engine.salesforce.url(Ref(kind, id=record_id))

    def netsuite_page(self, kind: str, record_id: str) -> str | None:
        return self.engine.netsuite.url(Ref(kind, id=record_id))
