"""Show that seeded mistakes are found: ``python3 prove.py PROJECT [CHECK …]``.

Each of ``tests/salesforce_metadata/seeded_apex.py`` is made in a copy of the package; then the check that it names must
fail, and say what it is about. Exit status 1 when one is not found.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
LIST = ROOT / "tests" / "salesforce_metadata" / "seeded_apex.py"


def load(path: Path) -> ModuleType:
    """Import the list by path: test folders are not packages."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(project: Path, check: str) -> subprocess.CompletedProcess[str]:
    """Run one check on *project*."""
    command = [str(ROOT / "scripts" / "check-salesforce"), "--project", str(project), check]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def main(project: Path, checks: set[str]) -> int:
    """Make every mistake, one at a time; return the exit status."""
    mistakes = [one for one in load(LIST).MISTAKES if not checks or one.check in checks]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / project.name
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns("node_modules"))
        (copy / "node_modules").symlink_to((project / "node_modules").resolve())
        skipped = set()
        for check in dict.fromkeys(one.check for one in mistakes):
            clean = run(copy, check)
            if clean.returncode:
                print(f"MISS  {check}: fails without a mistake\n{clean.stdout}")
                missed += 1
            if clean.stdout.startswith("skip"):
                print(clean.stdout.splitlines()[0])
                skipped.add(check)
        for one in mistakes:
            if one.check in skipped:
                continue
            path = copy / one.file
            before = path.read_text(encoding="utf-8") if path.exists() else None
            text = before or ""
            if one.old and one.old not in text:
                print(f"MISS  {one.check:<12} {one.what}: {one.file} has changed, correct the list")
                missed += 1
                continue
            path.write_text(text.replace(one.old, one.new, 1) if one.old else one.new + text, encoding="utf-8")
            started = time.monotonic()
            answer = run(copy, one.check)
            is_found = answer.returncode != 0 and one.says in answer.stdout
            missed += not is_found
            print(f"{'found' if is_found else 'MISS '} {one.check:<12} {time.monotonic() - started:5.1f} s  {one.what}")
            if not is_found:
                print(answer.stdout, answer.stderr, sep="\n")
            if before is None:
                path.unlink()
            else:
                path.write_text(before, encoding="utf-8")
    print(f"{len(mistakes)} mistakes, {missed} not found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), set(sys.argv[2:])))
