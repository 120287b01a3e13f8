"""Breaks the ledger and the engine in ways that lose, double or reorder, one at a time, and runs the state machine.

A mutant that lives means that the machine does not look where it should; so does one whose place in the code is gone.
Arguments name mutants; without any all of them run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIMES = "4"
TESTS = ("tests/ledger/test_machine.py", "tests/conftest.py", "tests/valid_requests.py")

# name: (file, what stands there, what stands there instead)
MUTANTS = {
    "no fence: whoever comes last records": (
        "bridge/recording.py",
        "    held = lanes.still_held(writing.connection, leases)\n",
        "    held = {it.key for it in leases}\n",
    ),
    "a lease shuts nobody out": (
        "bridge/ledger/lanes.py",
        '_FREE = or_(lane.c.lease_until.is_(None), lane.c.lease_until <= bindparam("now"))',
        '_FREE = or_(lane.c.key.is_not(None), lane.c.lease_until <= bindparam("now"))',
    ),
    "a new holder does not raise the epoch": (
        "bridge/ledger/lanes.py",
        '.values(owner=bindparam("o"), epoch=lane.c.epoch + 1, lease_until=bindparam("u"))',
        '.values(owner=bindparam("o"), lease_until=bindparam("u"))',
    ),
    "what arrived meanwhile is forgotten when a lane is given back": (
        "bridge/ledger/lanes.py",
        '.values(owner=None, lease_until=None, due_at=bindparam("d"), priority=bindparam("p"))',
        '.values(owner=None, lease_until=None, due_at=None, priority=bindparam("p"))',
    ),
    "an older save that comes late is sent": (
        "bridge/preparing.py",
        """        if lateness.is_late(row, known, self.ended):
            self.changes.set(row, SUPERSEDED)
            return None
        if source.get("@deleted"):
""",
        """        if source.get("@deleted"):
""",
    ),
    "of several saves the oldest is sent": (
        "bridge/preparing.py",
        "max(rows, key=lambda row: (row.version, row.modified_at, row.id))",
        "min(rows, key=lambda row: (row.version, row.modified_at, row.id))",
    ),
    "what a dead worker was sending counts as delivered": (
        "bridge/preparing.py",
        "row, UNCERTAIN, crashes=row.crashes + 1, due_at=due, code=",
        "row, UNCHANGED, crashes=row.crashes + 1, due_at=due, code=",
    ),
    "what a dead worker was sending is left alone": (
        "bridge/preparing.py",
        "        if any(row.state == SENDING for row in rows):\n",
        "        if any(row.state == SENDING for row in rows[:0]):\n",
    ),
    "an uncertain write counts as refused": (
        "bridge/recording.py",
        "changes.set(row, UNCERTAIN, attempts=attempts, due_at=due, **about)",
        "changes.set(row, REJECTED, attempts=attempts, **about)",
    ),
    "a change counts as unchanged": (
        "bridge/preparing.py",
        "if known is None or known.fingerprint != mark or row.forced or row.state == UNCERTAIN:",
        "if known is None or row.forced or row.state == UNCERTAIN:",
    ),
    "what was written is not remembered": (
        "bridge/recording.py",
        "    links.save(writing, new)\n    _arrived(writing, straight)\n",
        "    _arrived(writing, straight)\n",
    ),
    "an old request that lands late stays": (
        "bridge/recording.py",
        "            if may_land > writing.now:\n",
        "            if may_land is None:\n",
    ),
    "a pause stops nothing": (
        "bridge/preparing.py",
        "        self.paused = self.prepared.paused = {it.scope for it in marks.pauses(writing.connection)}\n",
        "        self.paused = self.prepared.paused = set()\n",
    ),
}


def machine(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the state machine on the code in *folder*."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "tests/ledger/test_machine.py", "-q", "-x", "-p", "no:cacheprovider"],
        cwd=folder,
        env={**os.environ, "BRIDGE_MACHINE_QUICK": "1", "BRIDGE_CHAOS": TIMES},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def lives(name: str, folder: Path) -> str | None:
    """Return why the mutant *name* was not killed, None if it was."""
    file, there, instead = MUTANTS[name]
    source = (folder / file).read_text()
    if source.count(there) != 1:
        return f"its place in {file} is gone"
    (folder / file).write_text(source.replace(there, instead))
    try:
        ran = machine(folder)
    finally:
        (folder / file).write_text(source)
    if ran.returncode == 0:
        return "the machine saw nothing"
    # A mutant that cannot even run proves nothing.
    is_killed = "AssertionError" in ran.stdout or "assert" in ran.stdout
    return None if is_killed else f"it cannot run: {(ran.stdout + ran.stderr)[-2000:]}"


def main() -> int:
    chosen = sys.argv[1:] or list(MUTANTS)
    survivors = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("bridge", "suitetalk_wsdl", *TESTS, "pyproject.toml"):
            there = folder / part
            there.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, there, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / part, there)
        if (ran := machine(folder)).returncode != 0:
            print(f"The code itself does not pass, so that nothing is proved.\n{(ran.stdout + ran.stderr)[-2000:]}")
            return 2
        for mutant in chosen:
            reason = lives(mutant, folder)
            survivors += reason is not None
            print(f"{'killed' if reason is None else 'LIVES '}  {mutant}{f': {reason}' if reason else ''}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
