"""Anchors: what the audit chains ended with at a moment, kept outside the database.

Whoever owns the database and the key could write the trail anew, and restoring an older copy of it breaks no chain. A
line per hour in a file elsewhere (another machine, storage that only appends) tells of both. Each line holds the end of
every chain, the hash of the line before it, and a code by the audit key over all of it.

Must not know: HTTP.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from bridge.ledger.models import audit, audit_head

FIRST = "0" * 64
Heads = dict[int, tuple[int, str]]  # chain → its last row's number and hash


def heads(connection: Connection) -> Heads:
    """Return where every chain that has begun ends now."""
    found = connection.execute(select(audit_head.c.chain, audit_head.c.seq, audit_head.c.hash))
    return {chain: (seq, head) for chain, seq, head in found if seq}


def heads_of(said: dict[str, Any]) -> Heads:
    """Return the ends that a line tells. Raises KeyError, TypeError or ValueError for what is no line."""
    return {int(chain): (int(seq), str(head)) for chain, (seq, head) in said["heads"].items()}


def missing(connection: Connection, seen: Heads) -> list[int]:
    """Return the chains in which a row that was *seen* is no longer there, or is another one."""
    return [
        chain
        for chain, (seq, head) in seen.items()
        if connection.execute(select(audit.c.hash).where(audit.c.chain == chain, audit.c.seq == seq)).scalar() != head
    ]


def last_line(file: Path) -> str | None:
    """Return the newest line of a file of anchors."""
    with file.open("rb") as kept:
        size = kept.seek(0, 2)
        kept.seek(max(0, size - 16_384))  # an anchor of 16 chains takes less than 2 kB
        lines = kept.read().decode("utf-8", "replace").splitlines()
    return next((it for it in reversed(lines) if it.strip()), None)


def line(connection: Connection, key: bytes, at: datetime, previous: str | None) -> str:
    """Return the next line. *previous* is the last line of the file, None at its beginning."""
    ends = heads(connection)
    said: dict[str, object] = {
        "at": at.astimezone(UTC).isoformat(),
        "heads": {str(chain): list(ends[chain]) for chain in sorted(ends)},
        "previous": _hash(previous) if previous else FIRST,
    }
    return json.dumps({**said, "mac": _mac(key, said)}, separators=(",", ":"))


def check(connection: Connection, key: bytes, lines: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for whatever is wrong with the lines, or with the trail as they saw it."""
    previous: str | None = None
    worst: dict[int, tuple[int, str]] = {}  # of each chain the first row that is not as it was
    for number, text in enumerate((it for it in lines if it.strip()), start=1):
        text = text.strip()
        try:
            said = json.loads(text)
            mac = said.pop("mac")
            ends = heads_of(said)
        except (ValueError, KeyError, TypeError, AttributeError):
            yield f"Line {number} of the anchors cannot be read."
            return
        if not hmac.compare_digest(mac, _mac(key, said)):
            yield f"Line {number} of the anchors was changed, or made with another key."
            return
        if said["previous"] != (_hash(previous) if previous else FIRST):
            yield f"Before line {number} of the anchors a line is missing or changed."
            return
        previous = text
        for chain, (seq, head) in ends.items():
            if chain in worst:
                continue
            found = connection.execute(
                select(audit.c.hash).where(audit.c.chain == chain, audit.c.seq == seq)
            ).scalar_one_or_none()
            if found != head:
                worst[chain] = (seq, said["at"])
    for chain, (seq, at) in sorted(worst.items()):
        last = connection.execute(
            select(audit.c.seq).where(audit.c.chain == chain).order_by(audit.c.seq.desc()).limit(1)
        ).scalar_one_or_none()
        if (last or 0) < seq:
            words = f"ends at row {last or 0}: rows were deleted, or an older copy of the database was put back."
        else:
            words = "has another row in that place: the trail was written anew."
        yield f"Chain {chain} had row {seq} at {at} and {words}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _mac(key: bytes, said: dict[str, object]) -> str:
    body = json.dumps(said, separators=(",", ":"), sort_keys=True).encode()
    return hmac.new(key, body, hashlib.sha256).hexdigest()
