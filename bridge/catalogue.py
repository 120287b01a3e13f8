"""Every error code that people may see, with its sentence and who can fix it: read from the code, so none is forgotten.

`entries` looks at what NetSuite's and Salesforce's faults mean, and at every error that the bridge itself names.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import bridge
from bridge.netsuite import faults as netsuite
from bridge.salesforce import faults as salesforce

HEAD = """\
# Error codes

Written by `bridge console error-codes` from the code; a test keeps it current. *Who* is whose desk it belongs on; where
it is nobody's, the bridge tries again by itself or nothing needs to be done. `…` stands for a name or a value.

| what happens next | means |
|---|---|
| a person | the record is wrong: correct it and save, or correct it on the console; it is not tried again by itself |
| tried again | nothing was written; the bridge tries again |
| looked up | nobody knows whether it was written; the bridge looks before it sends again |
| paused | everything of this kind would fail: the sync pauses, accepting goes on, a probe resumes it |
| told | it is shown and needs no repair |
"""
NEXT = {"Rejected": "a person", "Deferred": "tried again", "Uncertain": "looked up", "Misconfigured": "paused"}
MEANS = {
    "REFUSE": "a person",
    "THROTTLE": "tried again",
    "LATER": "tried again",
    "DOUBT": "looked up",
    "PAUSE": "paused",
}
WHO = {"Rejected": "administrator", "Misconfigured": "administrator"}
SKIPPED = ("sandbox", "web/callouts.py", "web/wire.py")  # not of messages: fakes, and refusals that Apex reads
# Codes whose sentence is not beside them.
TOLD: dict[str, tuple[str, str]] = {
    "HELD_BY_PERSON": ("A person holds it; the reason is theirs.", "nobody"),
    "DISMISSED_BY_PERSON": ("A person dismissed it; the reason is theirs.", "nobody"),
    "NEWER_SAVE_CAME_THROUGH": ("A newer save of the record came through, so this error is over.", "nobody"),
    "CRASHED_WHILE_SENDING": ("The bridge stopped while sending it; it looks the record up.", "nobody"),
    "SENT_ELSEWHERE": ("An earlier change of the record is being sent; this one follows.", "nobody"),
    "EARLIER_CHANGE_UNSURE": ("An earlier change of the record is being looked up; this one follows.", "nobody"),
    "REDATED": (
        "Its accounting period is closed; NetSuite has it on the first day of the next open one.",
        "accounting",
    ),
    "RECREATED": ("Its NetSuite record was gone and was made anew.", "accounting"),
    "WRONG_PASSWORD": ("Somebody gave a wrong password for a local account.", "administrator"),
    "WRONG_CODE": ("Somebody typed a code for a local account that was not of its second factor.", "administrator"),
    "PROVIDER": ("The sign-in provider did not vouch for somebody.", "administrator"),
    "ANSWER_COUNT": ("NetSuite answered about more or fewer records than it was asked; each is looked up.", "nobody"),
    "ANSWER_MISMATCH": ("NetSuite answered about another record; all of the call are looked up.", "nobody"),
    "BINDINGS_REFUSED": ("The SuiteTalk bindings do not pass their checks; those in use stay.", "administrator"),
    "CONFIGURATION_REFUSED": ("An applied configuration does not work on an instance.", "administrator"),
    "CONFIGURATION_UNKNOWN": ("There is no configuration of that number.", "administrator"),
    "DEPLOYED_MEANWHILE": ("Somebody else deployed other bindings meanwhile; start again.", "administrator"),
    "DOCUMENT_GONE": ("The document that a payment is applied to cannot be found.", "accounting"),
    "ENDPOINT_GONE": ("NetSuite no longer serves this SuiteTalk version.", "administrator"),
    "MAINTENANCE_PAGE": ("NetSuite is down for maintenance.", "nobody"),
    "MAPPING_FAULT": ("The mapping failed on this record; the log of the bridge says where.", "administrator"),
    "MORE_THAN_OPEN": ("More is applied than is open.", "sales"),
    "NOT_SENT": ("It was not sent; the bridge tries again.", "nobody"),
    "PARENT_MISSING": ("The record it refers to does not exist in Salesforce.", "sales"),
    "SITE_CHOICE_MISSING": ("A choice that the mapping needs is missing in bridge.toml.", "administrator"),
    "TOO_MANY_REQUESTS": ("NetSuite asks for fewer calls; the bridge slows down.", "nobody"),
    "UNREADABLE_ANSWER": ("NetSuite's answer cannot be read; the bridge looks the record up.", "nobody"),
    "DELETED_IN_NETSUITE": ("Its NetSuite record was deleted; a person sends it again to make it anew.", "accounting"),
    "EXTERNAL_ID_LOST": ("Its NetSuite record has lost its external id; accounting gives it back.", "accounting"),
    "CURRENCY_NOT_OF_CUSTOMER": ("The customer does not have the currency of the record in NetSuite.", "accounting"),
    "SUBSIDIARY_NOT_OF_CUSTOMER": ("The customer does not belong to the subsidiary of the record.", "accounting"),
    "OUT_OF_SCOPE": ("The record is none of this sync's business, by the site's scope.", "sales"),
    "OUT_OF_SCOPE_AFTER": ("It left the sync's scope; its NetSuite record is no longer kept up to date.", "sales"),
    "GATE_CLOSED_AFTER": ("A gate closed after it was sent; its record stays in NetSuite.", "accounting"),
    "APPROVED_ELSEWHERE": ("What was approved in Salesforce is corrected and approved there.", "sales"),
    "LOOP_BROKEN": ("It is changed back whenever it is sent; the bridge stopped the circle.", "administrator"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One code as a person finds it."""

    code: str
    sentence: str
    who: str
    next: str
    source: str


def entries() -> list[Entry]:
    """Return all codes, each once, in their order."""
    found: dict[str, Entry] = {}
    for entry in (*_tables(), *_named(), *_told()):
        known = found.get(entry.code)
        if known is None:
            found[entry.code] = entry
        elif not known.sentence:
            found[entry.code] = replace(known, sentence=entry.sentence)
    return [found[code] for code in sorted(found)]


def _told() -> Iterator[Entry]:
    for code, (sentence, who) in TOLD.items():
        yield Entry(code, sentence, who, "told", "the bridge")


def _tables() -> Iterator[Entry]:
    for code, it in netsuite.CODES.items():
        yield Entry(code, it.sentence, it.who, MEANS[it.means.name], "NetSuite")
    for code, row in salesforce.CODES.items():
        yield Entry(row.code or code, _blank(row.sentence), row.who, MEANS[row.means.name], "Salesforce")
    for code, row in salesforce.LOGIN_CODES.items():
        yield Entry(code.upper(), _blank(row.sentence), row.who, MEANS[row.means.name], "Salesforce's login")


def _blank(sentence: str) -> str:
    return sentence.replace("{field}", "…").replace("{words}", "…")


def _named() -> Iterator[Entry]:
    """Yield the errors that the bridge names itself, from its own source."""
    root = Path(bridge.__file__).parent
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not name.startswith(SKIPPED):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    yield from _of_call(node)


def _of_call(call: ast.Call) -> Iterator[Entry]:
    given = {it.arg: it.value for it in call.keywords if it.arg}
    code = _text(given.get("code"))
    if not code or not code.isupper() or len(code) < 4:
        return
    kind = call.func.id if isinstance(call.func, ast.Name) else ""
    sentence = _text(given.get("reason")) or (_text(call.args[0]) if call.args and kind in NEXT else "") or ""
    who = _text(given.get("who")) or WHO.get(kind, "nobody")
    yield Entry(code, sentence, who, NEXT.get(kind, "told"), "the bridge")


def _text(node: ast.expr | None) -> str:
    """Return a text as it stands in the source, with … for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(it) if isinstance(it, ast.Constant) else "…" for it in node.values)
    return ""


def markdown() -> str:
    """Return the catalogue as a page of the documentation."""
    rows = [(f"`{it.code}`", it.sentence.replace("|", "/"), it.who, it.next, it.source) for it in entries()]
    lines = ["| code | sentence | who | next | from |", "|---|---|---|---|---|"]
    return "\n".join([HEAD, *lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"
