"""Every request that any test causes at the fake NetSuite, judged once by the full schemas of two versions.

The fake validates each by our subset. `watch` keeps one of every shape that it let through, in a folder that all
workers of a run share; `invalid` judges them at the end of a whole run. Digits and words of values are no other shape.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

from lxml import etree

from bridge.sandbox.netsuite_schema import Schema, load_schema

ROOT = Path(__file__).parents[1]
SUBSET = ROOT / "suitetalk_wsdl" / "2025_2"
FULL = Path(os.environ.get("BRIDGE_SHARED") or ROOT.parent / "shared") / "suitetalk"
VERSIONS = ("2025_2", "2023_2")
VERSION = re.compile(rb"(urn:[a-z.]+_)\d{4}_\d(\.)")
DIGITS, WORDS = re.compile(r"\d+"), re.compile(r"[^\W\d_]{2,}")


def watch(folder: Path) -> None:
    """Keep what the fake lets through from now on in *folder*."""
    folder.mkdir(exist_ok=True)
    own, known = Schema.error, set[bytes]()

    def error(self: Schema, envelope: Any) -> str | None:
        reason = own(self, envelope)
        if reason is None and self.folder.resolve() == SUBSET:
            key = shape(envelope)
            if key not in known:
                known.add(key)
                path = folder / key.hex()
                if not path.exists():
                    path.with_suffix(f".{os.getpid()}").write_bytes(etree.tostring(envelope))
                    path.with_suffix(f".{os.getpid()}").replace(path)
        return reason

    Schema.error = error  # type: ignore[method-assign]


def shape(envelope: Any) -> bytes:
    """Return what two requests share that differ in their numbers and names only."""
    body, parts, last = envelope.find("{*}Body"), [], None
    for it in body.iter():
        part = (it.tag, *(it.attrib.items()), it.text or "")
        said = (
            WORDS.sub("a", DIGITS.sub("0", repr(part[1:]))) if not (it.text or "").startswith("_") else repr(part[1:])
        )
        part = f"{it.tag} {said}"
        if part != last:
            parts.append(part)
        last = part
    return hashlib.sha256("\n".join(parts).encode()).digest()[:16]


def invalid(folder: Path) -> tuple[int, list[str]]:
    """Return how many shapes there are, and what is wrong with any of them."""
    kept = [it.read_bytes() for it in folder.iterdir() if not it.suffix]
    found = []
    for version in VERSIONS:
        schema = load_schema(FULL / version)
        for raw in kept:
            named = VERSION.sub(rb"\g<1>" + version.encode() + rb"\g<2>", raw)
            reason = schema.error(etree.fromstring(named))
            if reason is not None:
                found.append(f"{version}: {reason}")
    return len(kept), found
