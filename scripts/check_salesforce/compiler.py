"""Run Salesforce's own compiler front end with the SOQL check: ``python3 compiler.py PROJECT SHARED_TOOLS``.

Its library of system classes has gaps. ``known_gaps.txt`` lists each finding that is one of them, with its reason; a
line there that is no longer found is a problem too. Exit status 1 on any problem.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

GAPS = Path(__file__).with_name("known_gaps.txt")
FINDING = re.compile(r"(?P<file>\S+?):\d+: (?P<says>.*)")
SUMMARY = re.compile(r"(?P<files>\d+) files, \d+ errors")


def known_gaps() -> dict[tuple[str, str], str]:
    """Return file name and message of each gap with its reason."""
    found = {}
    reason = ""
    for line in GAPS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            reason = line.removeprefix("#").strip()
        elif line:
            name, _, says = line.partition(": ")
            found[name, says] = reason
    return found


def main(project: Path, tools: Path) -> int:
    """Compile all Apex of *project*; return the exit status."""
    run = subprocess.run(
        ["sh", str(tools / "jorje.sh"), str(project / "node_modules"), str(project)],
        capture_output=True,
        text=True,
        check=False,
    )
    unused = known_gaps()
    gaps, found, files = len(unused), [], 0
    for line in run.stdout.splitlines():
        if summary := SUMMARY.fullmatch(line):
            files = int(summary["files"])
        elif match := FINDING.fullmatch(line):
            key = (Path(match["file"]).name, match["says"])
            if unused.pop(key, None) is None:
                found.append(line)
        else:
            found.append(line)
    if not files:
        found.append(f"The compiler did not run: {run.stderr[-2000:]}")
    found += [f"known_gaps.txt: no longer found: {name}: {says}" for name, says in unused]
    print("\n".join([*found, f"{files} files, {len(found)} problems, {gaps} known gaps of the tool's library"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
