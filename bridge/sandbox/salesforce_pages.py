"""Pages of the fake org for people.

Must not know: the data API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.answers import Answer
from bridge.sandbox.salesforce_values import NotImitated

if TYPE_CHECKING:
    from bridge.sandbox.salesforce import FakeSalesforce


class Pages:
    """Overview, lists, records."""

    def __init__(self, fake: FakeSalesforce) -> None:
        self.fake = fake

    def answer(self, method: str, path: str, raw: bytes) -> Answer:
        """Answer a request of a browser."""
        raise NotImitated(path)
