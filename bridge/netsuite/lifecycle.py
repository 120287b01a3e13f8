"""Until when NetSuite supports which SuiteTalk endpoint, and what is left of it.

Sources: NetSuite Help article_2104046421 (support matrix, end of SOAP and of token authentication) and
section_N3418621 (only 2025_2 from release 2027.1). Where the two contradict each other, the earlier counts. Accounts
are upgraded over weeks: a release is taken to begin on the first day on which one may be (1 February, 1 August), which
Oracle does not promise.

Must not know: which endpoint is live.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

NEWEST = "2025_2"  # the last one that is planned
SOAP_ENDS = "2028.2"
TOKENS_END = "2028.1"  # tentatively
# version → (first release that does not support it, first release that does not answer it)
_SUPPORT = {
    "2025_2": (SOAP_ENDS, SOAP_ENDS),
    "2025_1": ("2027.1", SOAP_ENDS),
    "2024_2": ("2027.1", SOAP_ENDS),
    "2024_1": ("2027.1", SOAP_ENDS),
    "2023_2": ("2026.2", SOAP_ENDS),
    "2021_1": ("2026.1", "2028.1"),
    "2020_2": ("2026.1", "2027.2"),
    "2020_1": ("2026.1", "2027.1"),
    "2019_2": ("2026.1", "2026.2"),
}
_UNSUPPORTED = ("2026.1", SOAP_ENDS)  # 2021_2 to 2023_1


def begins(release: str) -> date:
    """Return the first day on which an account may be on *release*."""
    year, _, half = release.partition(".")
    return date(int(year), 2 if half == "1" else 8, 1)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """What is left of an endpoint. Dates are None where nothing is known; days are 0 once they have passed."""

    version: str
    supported_until: date | None
    answers_until: date | None
    days_left: int | None
    sentence: str


def lifetime(version: str, today: date) -> Lifetime:
    """Return how long *version* lives, seen from *today*."""
    if version > NEWEST:
        words = f"NetSuite has announced no endpoint after {NEWEST}; how long {version} lives is not known."
        return Lifetime(version, None, None, None, words)
    if version < "2019_2":
        return Lifetime(version, None, None, 0, f"NetSuite does not answer {version} any more.")
    until, gone = _SUPPORT.get(version, _UNSUPPORTED)
    supported, answers = begins(until), begins(gone)
    left = max((supported - today).days, 0)
    if today >= answers:
        words = f"NetSuite does not answer {version} since release {gone}."
    elif today >= supported:
        words = (
            f"NetSuite does not support {version} since release {until}, but answers it until {gone} "
            f"(from {answers} on, {(answers - today).days} days)."
        )
    else:
        words = f"Supported until release {until} (from {supported} on): {left} days left."
    if gone == SOAP_ENDS and today < begins(TOKENS_END):
        tokens = begins(TOKENS_END)
        left_of_tokens = f"from {tokens} on, {(tokens - today).days} days"
        words += f" The tokens that it needs may end with {TOKENS_END} already ({left_of_tokens})."
    return Lifetime(version, supported, answers, left, words)
