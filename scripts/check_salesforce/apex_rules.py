"""Check what no Apex tool asks for: ``python3 apex_rules.py PROJECT``.

Every class names its sharing, every query and every save its access mode, so that a newer API version cannot change
what they mean. A trigger holds one call of its handler and nothing else; no callout starts in it. Exit status 1 on any
problem.

Source: Apex Reference, "Versioned Behavior Changes": from API 67.0 on both default to the running user.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

COMMENT_OR_STRING = re.compile(r"//[^\n]*|/\*.*?\*/|'(?:[^'\\\n]|\\.)*'", re.S)
CLASS = re.compile(
    r"^[ \t]*(?:(?:public|private|global|virtual|abstract|with|without|inherited|sharing)\s+)*class\s", re.M
)
SHARING = re.compile(r"\b(with|without|inherited)\s+sharing\b")
QUERY = re.compile(r"\[\s*(?:SELECT|FIND)\b[^\]]*\]", re.I)
QUERY_MODE = re.compile(r"\bWITH\s+(USER|SYSTEM)_MODE\b", re.I)
STATEMENT = re.compile(r"^[ \t]*(insert|update|upsert|delete|undelete|merge)\s+(?P<rest>[^;]*;)", re.M | re.I)
STATEMENT_MODE = re.compile(r"as\s+(user|system)\b", re.I)
CALL = re.compile(
    r"\bDatabase\.(insert|update|upsert|delete|undelete|merge|query|queryWithBinds|countQuery|getQueryLocator)\s*\(",
    re.I,
)
TRIGGER = re.compile(
    r"\s*trigger\s+\w+\s+on\s+(?P<kind>\w+)\s*\([\w\s,]*\)\s*\{\s*"
    r"new\s+BridgeTriggerHandler\((?P=kind)\.SObjectType\)\s*"
    r"\.run\(Trigger\.operationType,\s*Trigger\.new,\s*Trigger\.old\);\s*\}\s*\Z"
)


def bare(source: str) -> str:
    """Return the source with comments and strings blanked out, in the same lines."""
    return COMMENT_OR_STRING.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), source)


def arguments(source: str, start: int) -> str:
    """Return the text from the bracket before *start* to the one that closes it."""
    depth = 1
    for end in range(start, len(source)):
        depth += {"(": 1, ")": -1}.get(source[end], 0)
        if depth == 0:
            return source[start:end]
    return source[start:]


def class_problems(source: str) -> Iterator[tuple[int, str]]:
    """Yield position and sentence for each problem of a class file."""
    is_test = re.search(r"@IsTest\b", source, re.I) is not None
    for match in CLASS.finditer(source):
        if not is_test and not SHARING.search(match[0]):
            yield match.start(), "this class does not say with, without or inherited sharing"
    for match in QUERY.finditer(source):
        if not QUERY_MODE.search(match[0]):
            yield match.start(), "this query does not say WITH USER_MODE or WITH SYSTEM_MODE"
    for match in STATEMENT.finditer(source):
        if not STATEMENT_MODE.match(match["rest"]):
            yield match.start(), "this save does not say as user or as system"
    for match in CALL.finditer(source):
        if "AccessLevel." not in arguments(source, match.end()):
            yield match.start(), f"Database.{match[1]} does not say AccessLevel"
    if re.search(r"SeeAllData\s*=\s*true", source, re.I):
        yield 0, "tests must not see the data of the org"


def check(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and sentence for each problem of one file."""
    source = bare(path.read_text(encoding="utf-8"))
    if path.suffix == ".trigger":
        if not TRIGGER.match(source):
            yield 1, "a trigger holds one call of BridgeTriggerHandler for its own object and nothing else"
        return
    for position, sentence in class_problems(source):
        yield source.count("\n", 0, position + 1) + 1, sentence


def main(project: Path) -> int:
    """Check all Apex of *project*; return the exit status."""
    paths = [path for kind in ("cls", "trigger") for path in sorted((project / "force-app").rglob(f"*.{kind}"))]
    found = [f"{path.relative_to(project)}:{line}: {says}" for path in paths for line, says in check(path)]
    print("\n".join([*found, f"{len(paths)} files, {len(found)} problems"]))
    return 1 if found or not paths else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
