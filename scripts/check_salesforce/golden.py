"""Write the Apex class that holds the golden requests and answers: ``python3 scripts/check_salesforce/golden.py``.

Apex tests cannot read files of the repository, so ``tests/contract/apex/*.json`` is repeated as string constants.
Run it after a change of those files; ``tests/contract/test_apex_golden.py`` fails while they differ.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "contract" / "apex"
TARGET = ROOT / "salesforce_metadata/force-app/main/default/classes/tests/BridgeGolden.cls"
WIDTH = 80

HEAD = """/**
 * @description The golden requests and answers of tests/contract/apex, which the bridge's own tests accept.
 * Written by scripts/check_salesforce/golden.py.
 */
@IsTest
public with sharing class BridgeGolden {
"""


def literal(text: str) -> str:
    """Return *text* as an Apex expression of short literals, in the form that prettier keeps."""
    parts = [text[i : i + WIDTH] for i in range(0, len(text), WIDTH)]
    quoted = ["'" + part.replace("\\", "\\\\").replace("'", "\\'") + "'" for part in parts]
    return " +\n    ".join(quoted)


def constant(path: Path) -> str:
    """Return the constant that holds one file, without the line end of the file."""
    text = path.read_text(encoding="utf-8").removesuffix("\n")
    value = literal(text)
    assign = " =\n    " if len(path.stem) + len(value) > 70 else " = "
    comment = f"  /** @description File {path.name}. */\n"
    return f"{comment}  public static final String {path.stem.upper()}{assign}{value};\n"


def main() -> None:
    """Write the class."""
    constants = "".join(constant(path) for path in sorted(GOLDEN.glob("*.json")))
    TARGET.write_text(HEAD + constants + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
