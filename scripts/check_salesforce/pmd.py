"""Run PMD with our rules over all Apex: ``python3 pmd.py PROJECT``. Exit status 1 on any finding.

PMD comes without its own command inside ``@salesforce/code-analyzer-pmd-engine``, so its wrapper is called, which
reads and writes JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

LIBRARY = Path("node_modules/@salesforce/code-analyzer-pmd-engine/dist/java-lib")
WRAPPER = "com.salesforce.sfca.pmdwrapper.PmdWrapper"


def main(project: Path) -> int:
    """Check all Apex of *project*; return the exit status."""
    project = project.resolve()
    files = [str(path) for kind in ("cls", "trigger") for path in sorted((project / "force-app").rglob(f"*.{kind}"))]
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "in.json", Path(folder) / "out.json"
        rules = str(project / "pmd-ruleset.xml")
        asked.write_text(
            json.dumps({"ruleSetInputFile": rules, "runDataPerLanguage": {"apex": {"filesToScan": files}}}),
            encoding="utf-8",
        )
        run = subprocess.run(
            ["java", "-cp", f"{project / LIBRARY}/*", WRAPPER, "run", str(asked), str(answered)],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode or not answered.exists():
            print(run.stdout, run.stderr, sep="\n")
            return 1
        report = json.loads(answered.read_text(encoding="utf-8"))
    found = []
    for one in report["violations"]:
        place = one["codeLocation"]
        path = Path(place["file"]).relative_to(project)
        found.append(f"{path}:{place['startLine']}: {one['rule']}: {one['message']}")
    found += [f"{one.get('file')}: {one.get('message')}" for one in report["processingErrors"]]
    print("\n".join([*found, f"{len(files)} files, {len(found)} problems"]))
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
