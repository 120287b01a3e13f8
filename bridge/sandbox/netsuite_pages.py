"""Pages of the fake NetSuite for people: an overview, a table for each kind, and each record at NetSuite's own path.

Everything shown is escaped, nothing runs a script, nothing reloads by itself.

Must not know: SOAP.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from bridge.sandbox.answers import Answer, Environ
from bridge.sandbox.netsuite_kinds import KINDS, Kind
from bridge.sandbox.netsuite_store import Link, Stored, pacific

if TYPE_CHECKING:
    from bridge.sandbox.netsuite import FakeNetSuite

STYLE = """
:root{color-scheme:light dark;
--line:light-dark(#d5dbe3,#3a4452);--soft:light-dark(#f3f6fa,#1d242e);--link:light-dark(#0b5cad,#8cc2ff)}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem}
header{border-bottom:2px solid var(--line);margin-bottom:1rem}header a{margin-right:1rem}
a{color:var(--link)}table{border-collapse:collapse;width:100%}caption{text-align:left;font-weight:600;padding:.5rem 0}
th,td{border-bottom:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top}
thead th{background:var(--soft)}td.n{text-align:right;font-variant-numeric:tabular-nums}
"""
SHOWN = 200  # rows of a table; the newest
COLUMNS = ("status", "total", "payment", "amountRemaining", "stage", "email")


def record_path(record: Stored) -> str:
    """The path of a record's page, as in NetSuite's own UI."""
    extra = f"&rectype={record.fields['recType'].id}" if record.kind == "customRecord" else ""
    return f"{KINDS[record.kind].page}?id={record.id}{extra}"


class Pages:
    """The web pages of one account."""

    def __init__(self, fake: FakeNetSuite) -> None:
        self._fake = fake

    def answer(self, environ: Environ) -> Answer:
        path = environ["PATH_INFO"]
        query = parse_qs(environ.get("QUERY_STRING", ""))
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return Answer(405, b"read only", content_type="text/plain")
        with self._fake.lock:
            if path == "/":
                return self._overview()
            if path.startswith("/records/") and path[9:] in KINDS:
                return self._table(KINDS[path[9:]])
            for kind in KINDS.values():
                record = self._fake.store.get(kind.name, query.get("id", [""])[0]) if kind.page == path else None
                if record is not None:
                    return self._record(record)
        return self._page("Not found", "<p>There is no such page or record in this account.</p>", status=404)

    def _overview(self) -> Answer:
        fake = self._fake
        rows = "".join(
            f'<tr><td><a href="/records/{name}">{escape(kind.label)}</a></td><td class="n">{len(records)}</td></tr>'
            for name, kind in KINDS.items()
            if (records := fake.store.records[name])
        )
        calls = "".join(
            f"<tr><td>{escape(seen.at.strftime('%H:%M:%S'))}</td><td>{escape(seen.operation)}</td>"
            f"<td>{escape(', '.join(sorted(set(seen.kinds))))}</td><td>{escape(seen.status)}</td></tr>"
            for seen in reversed(fake.calls[-20:])
        )
        body = (
            f"<table><caption>Records</caption><thead><tr><th>Kind<th>How many</thead>{rows}</table>"
            f"<table><caption>Last calls (of {len(fake.calls)}; most at once: {fake.peak_in_flight})</caption>"
            f"<thead><tr><th>At (UTC)<th>Operation<th>Records<th>Outcome</thead>{calls}</table>"
        )
        return self._page("Overview", body)

    def _table(self, kind: Kind) -> Answer:
        records = list(self._fake.store.records[kind.name].values())
        shown = sorted(records, key=lambda record: record.modified, reverse=True)[:SHOWN]
        columns = [name for name in COLUMNS if any(name in record.fields for record in shown)]
        rows = "".join(
            f'<tr><td><a href="{escape(record_path(record))}">{escape(record.name)}</a></td><td>{record.id}</td>'
            f"<td>{escape(record.external_id or '')}</td>"
            + "".join(f"<td>{self._value(record.fields.get(name, ''))}</td>" for name in columns)
            + f"<td>{pacific(record.modified)[:19].replace('T', ' ')}</td></tr>"
            for record in shown
        )
        heads = "".join(f"<th>{escape(name)}" for name in ("name", "id", "external id", *columns, "modified (Pacific)"))
        more = f" (newest {SHOWN})" if len(records) > SHOWN else ""
        caption = f"<caption>{len(records)} {escape(kind.label.lower())}{more}</caption>"
        return self._page(kind.label, f"<table>{caption}<thead><tr>{heads}</thead>{rows}</table>")

    def _record(self, record: Stored) -> Answer:
        values = {"internal id": record.id, "external id": record.external_id or "", **record.fields}
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{self._value(value)}</td></tr>" for name, value in values.items()
        )
        for name, custom in record.custom.items():
            shown = ", ".join(self._value(value) for value in custom.values)
            rows += f"<tr><th>{escape(name)}</th><td>{shown}</td></tr>"
        body = f"<table>{rows}</table>"
        for name, lines in record.lists.items():
            columns = list(dict.fromkeys(key for line in lines for key in line if not key.startswith("_")))
            heads = "".join(f"<th>{escape(key)}" for key in columns)
            cells = "".join(
                "<tr>" + "".join(f"<td>{self._value(line.get(key, ''))}</td>" for key in columns) + "</tr>"
                for line in lines
            )
            body += f"<table><caption>{escape(name)}</caption><thead><tr>{heads}</thead>{cells}</table>"
        return self._page(f"{KINDS[record.kind].type} {record.name}", body)

    def _value(self, value: Any) -> str:
        if isinstance(value, Link):
            target = self._fake.store.get(value.kind, value.id)
            if target is None:
                return escape(f"{value.kind} {value.id} (deleted)")
            return f'<a href="{escape(record_path(target))}">{escape(target.name)}</a>'
        return escape(str(value))

    def _page(self, title: str, body: str, *, status: int = 200) -> Answer:
        text = (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f"<title>{escape(title)} - NetSuite (sandbox)</title>"
            f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><header>'
            f'<h1>{escape(title)}</h1><nav><a href="/">Overview</a><a href="/sandbox/calls">Calls</a>'
            f'<a href="/sandbox/faults">Faults</a> sandbox account {escape(self._fake.account)}</nav></header>'
            f"<main>{body}</main></body></html>"
        )
        return Answer(status, text.encode())
