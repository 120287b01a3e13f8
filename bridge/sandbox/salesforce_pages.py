"""Pages of the fake org for people: an overview, a list for each object, and each record with a form to save it.

Everything shown is escaped and nothing runs a script. There is no login: the sandbox listens on loopback only, and a
form posted from another site is refused.

Must not know: the data API.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from bridge.sandbox.answers import Answer, Environ
from bridge.sandbox.salesforce_schema import Field, SObjectType
from bridge.sandbox.salesforce_tables import Row
from bridge.sandbox.salesforce_values import NUMBER_TYPES, Refused

if TYPE_CHECKING:
    from bridge.sandbox.salesforce import FakeSalesforce

STYLE = """
:root{color-scheme:light dark;
--line:light-dark(#d5dbe3,#3a4452);--soft:light-dark(#f3f6fa,#1d242e);--link:light-dark(#0b5cad,#8cc2ff);
--bad:light-dark(#a4262c,#ff9a94)}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem}
header{border-bottom:2px solid var(--line);margin-bottom:1rem}header a{margin-right:1rem}
a{color:var(--link)}table{border-collapse:collapse;width:100%;margin-bottom:1rem}
caption{text-align:left;font-weight:600;padding:.5rem 0}
th,td{border-bottom:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top}
thead th{background:var(--soft)}td.n{text-align:right;font-variant-numeric:tabular-nums}
.netsuite{background:var(--soft);padding:.6rem 1rem;margin-bottom:1rem}.bad{color:var(--bad)}
form.fields{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:.6rem 1rem}
form.fields label{display:block}form.fields input:not([type=checkbox]),form.fields select,textarea{width:100%}
form.inline{display:inline-block;margin-right:.5rem}
"""
HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
)
SHOWN = 200  # rows of a list; the newest
LISTED = (
    *("Account", "Contact", "Opportunity", "NetSuite_Order__c", "NetSuite_Document__c"),
    *("Credit_Request__c", "Remittance__c"),
)
COLUMNS = {
    "Account": ("Phone", "NetSuite_Status__c", "NetSuite_Customer_Id__c", "NetSuite_Vendor_Id__c"),
    "Contact": ("AccountId", "Email", "NetSuite_Status__c", "NetSuite_Contact_Id__c"),
    "Opportunity": ("AccountId", "StageName", "Funding_Accepted__c", "Amount", "NetSuite_Status__c"),
    "OpportunityLineItem": ("Fee_Type__c", "Quantity", "UnitPrice", "TotalPrice", "Description"),
    "NetSuite_Order__c": ("Record_Type__c", "Status__c", "Total__c", "Currency__c", "Order_Date__c", "Application__c"),
    "NetSuite_Order_Line__c": ("Line__c", "Item__c", "Quantity__c", "Rate__c", "Amount__c"),
    "NetSuite_Document__c": (
        *("Record_Type__c", "Status__c", "Total__c", "Open_Amount__c", "Currency__c", "Due_Date__c", "Days_Overdue__c"),
        "Application__c",
    ),
    "NetSuite_Document_Line__c": ("Line_Type__c", "Item__c", "Applied_To__c", "Quantity__c", "Amount__c"),
    "Credit_Request__c": ("Kind__c", "Amount__c", "Currency__c", "Invoice__c", "Approved__c", "NetSuite_Status__c"),
    "Remittance__c": ("Application__c", "Amount__c", "Currency__c", "Payment_Date__c", "Running_Balance__c"),
}
EDITED = ("Account", "Contact", "Opportunity", "OpportunityLineItem", "Credit_Request__c")
HIDDEN = frozenset({"OwnerId", "Pricebook2Id", "PricebookEntryId", "TotalPrice", "SortOrder"})


class Pages:
    """The web pages of one org."""

    def __init__(self, fake: FakeSalesforce) -> None:
        self.fake = fake

    def answer(self, environ: Environ, path: str, raw: bytes) -> Answer:
        """Answer a request of a browser."""
        method = environ["REQUEST_METHOD"]
        origin = environ.get("HTTP_ORIGIN")
        if method == "POST" and origin and urlsplit(origin).netloc != environ.get("HTTP_HOST"):
            return _page("Refused", "<p>This form was sent from another site.</p>", status=403)
        if method not in ("GET", "HEAD", "POST"):
            return _page("Refused", "<p>Only reading and saving are possible here.</p>", status=405)
        form = {
            key: values[-1] for key, values in parse_qs(raw.decode("utf-8", "replace"), keep_blank_values=True).items()
        }
        steps = path.strip("/").split("/")
        try:
            found = self._route(method, steps, form)
        except Refused as error:
            body = f'<p class="bad">{escape(error.message)}</p><p>Go back to change it; nothing was saved.</p>'
            return _page("Not saved", body, status=error.status)
        return found or _page("Not found", "<p>There is no such page or record in this org.</p>", status=404)

    def _route(self, method: str, steps: list[str], form: Mapping[str, str]) -> Answer | None:
        if steps == [""]:
            return self._overview()
        if steps[0] == "objects" and len(steps) in (2, 3):
            kind = self.fake.schema.get(steps[1])
            if kind is None:
                return None
            if len(steps) == 2 and method != "POST":
                return self._list(kind)
            if len(steps) == 3 and steps[2] == "new" and kind.name in EDITED:
                return self._create(kind, form) if method == "POST" else self._blank(kind)
            return None
        row = self.fake.row(steps[0])
        kind = self.fake.schema.by_prefix(steps[0])
        if row is None or kind is None:
            return None
        if method != "POST":
            return self._record(kind, row) if len(steps) == 1 else None
        return self._act(kind, row, steps[1] if len(steps) == 2 else "", form)

    def _act(self, kind: SObjectType, row: Row, action: str, form: Mapping[str, str]) -> Answer | None:
        fake, record_id = self.fake, row["Id"]
        if action == "" and kind.name in EDITED:
            given = _given(kind, form)
            fake.update(record_id, **{name: value for name, value in given.items() if value != _plain(row.get(name))})
        elif action == "approve" and kind.name == "Opportunity":
            fake.approve(record_id)
        elif action == "credit" and kind.name == "Credit_Request__c":
            fake.approve_credit(record_id)
        elif action == "accept" and kind.name == "Opportunity":
            fake.accept(record_id)
        elif action == "fee" and kind.name == "Opportunity":
            fee = form.get("fee", "")
            if fee not in fake.people.entries:
                raise Refused("INVALID_FIELD", "Choose a fee.")
            fake.add_fee(record_id, fee, form.get("price") or None)
        elif action == "again" and kind.name in EDITED[:3]:
            fake.send_again(record_id)
        elif action == "delete" and kind.name in EDITED:
            fake.delete(record_id)
            return _see(f"/objects/{kind.name}")
        else:
            return None
        return _see(f"/{record_id}")

    # --- pages --------------------------------------------------------------------------------------------------

    def _overview(self) -> Answer:
        fake = self.fake
        rows = "".join(
            f'<tr><td><a href="/objects/{kind.name}">{escape(kind.plural)}</a></td>'
            f'<td class="n">{len(fake.org.tables[kind.name].rows)}</td></tr>'
            for name in LISTED
            if (kind := fake.schema.get(name))
        )
        callouts = fake.callouts
        about = (
            f"<p>Callouts sent to the bridge: {callouts.sent}, without an answer: {callouts.failed}. "
            f"API calls: {fake.api_usage} of {fake.api_limit}. Chosen failures waiting: {len(fake.faults.shown())}.</p>"
        )
        table = f"<table><caption>Records</caption><thead><tr><th>Object<th>How many</thead>{rows}</table>"
        return _page("Overview", table + about)

    def _list(self, kind: SObjectType) -> Answer:
        rows = self.fake.rows(kind.name)[-SHOWN:][::-1]
        new = f'<p><a href="/objects/{kind.name}/new">New {escape(kind.label)}</a></p>' if kind.name in EDITED else ""
        return _page(kind.plural, new + self._table(kind, rows, kind.plural))

    def _table(self, kind: SObjectType, rows: list[Row], caption: str) -> str:
        columns = [kind.fields[name.lower()] for name in COLUMNS.get(kind.name, ()) if name.lower() in kind.fields]
        head = "".join(f"<th>{escape(one.label)}" for one in columns)
        body = "".join(
            f'<tr><td><a href="/{row["Id"]}">{escape(str(row.get("Name") or row["Id"]))}</a></td>'
            + "".join(self._cell(one, row.get(one.name)) for one in columns)
            + "</tr>"
            for row in rows
        )
        shown = escape(caption) + (f" (the newest {SHOWN})" if len(rows) == SHOWN else "")
        return f"<table><caption>{shown}</caption><thead><tr><th>Name{head}</thead>{body}</table>"

    def _cell(self, one: Field, value: Any) -> str:
        if value is None:
            return "<td></td>"
        if one.reference_to:
            target = self.fake.row(value) or {}
            return f'<td><a href="/{escape(value)}">{escape(str(target.get("Name") or value))}</a></td>'
        if one.type == "url" and urlsplit(value).scheme in ("http", "https"):
            return f'<td><a href="{escape(value)}" rel="noreferrer">{escape(value)}</a></td>'
        kind = ' class="n"' if one.type in NUMBER_TYPES else ""
        return f"<td{kind}>{escape(_shown(value))}</td>"

    def _record(self, kind: SObjectType, row: Row) -> Answer:
        name = str(row.get("Name") or row["Id"])
        held = [one for one in kind.fields.values() if row.get(one.name) is not None]
        fields = "".join(f"<tr><th>{escape(one.label)}</th>{self._cell(one, row[one.name])}</tr>" for one in held)
        related = "".join(
            self._table(child, [self.fake.org.tables[child_name].rows[one] for one in ids], child.plural)
            for child_name, field_name in kind.children.values()
            if (ids := self.fake.org.tables[child_name].children(field_name, row["Id"]))
            and (child := self.fake.schema.type(child_name))
        )
        edit = ""
        if kind.name in EDITED:
            form = self._form(kind, row, f"/{row['Id']}")
            edit = f"<details><summary>Edit</summary>{form}</details>"
        body = _netsuite(row) + self._buttons(kind, row) + edit + related
        body += f"<table><caption>All fields with a value</caption>{fields}</table>"
        return _page(f"{kind.label}: {name}", body)

    def _buttons(self, kind: SObjectType, row: Row) -> str:
        made = _button(f"/{row['Id']}/again", "Send to NetSuite again") if kind.name in EDITED[:3] else ""
        if kind.name == "Credit_Request__c" and not row.get("Approved__c"):
            made += _button(f"/{row['Id']}/credit", "Approve, as somebody else")
        if kind.name != "Opportunity":
            return f"<p>{made}</p>"
        if row.get("StageName") not in ("Approved", "Funded"):
            made += _button(f"/{row['Id']}/approve", "Approve")
        if not row.get("Funding_Accepted__c"):
            made += _button(f"/{row['Id']}/accept", "Accept the funding")
        options = "".join(f"<option>{escape(fee)}</option>" for fee in self.fake.people.entries)
        made += (
            f'<form class="inline" method="post" action="/{row["Id"]}/fee"><label>Fee <select name="fee">{options}'
            '</select></label> <label>Price <input name="price" size="8" inputmode="decimal" required></label> '
            "<button>Add fee line</button></form>"
        )
        return f"<p>{made}</p>"

    def _blank(self, kind: SObjectType) -> Answer:
        return _page(f"New {kind.label}", self._form(kind, {}, f"/objects/{kind.name}/new"))

    def _create(self, kind: SObjectType, form: Mapping[str, str]) -> Answer:
        given = {name: value for name, value in _given(kind, form).items() if value is not None}
        return _see(f"/{self.fake.insert(kind.name, **given)}")

    def _form(self, kind: SObjectType, row: Row, action: str) -> str:
        inputs = "".join(_input(one, row.get(one.name)) for one in _editable(kind, creating=not row))
        return f'<form class="fields" method="post" action="{action}">{inputs}<p><button>Save</button></p></form>'


def _editable(kind: SObjectType, *, creating: bool) -> list[Field]:
    return [
        one
        for one in kind.fields.values()
        if (one.createable if creating else one.updateable)
        and one.name not in HIDDEN
        and not one.name.startswith(("NetSuite_", "Bridge_"))
        and one.type != "datetime"
    ]


def _given(kind: SObjectType, form: Mapping[str, str]) -> dict[str, Any]:
    """The values of a form. A checkbox that is off sends nothing, so each has a hidden companion."""
    made: dict[str, Any] = {}
    for name, text in form.items():
        one = kind.field(name)
        if one.type == "boolean":
            made[one.name] = text == "true"
        else:
            made[one.name] = text.strip() or None
    return made


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool) else _shown(value)


def _input(one: Field, value: Any) -> str:
    name, label = escape(one.name), escape(one.label)
    text = escape("" if value is None else _shown(value))
    if one.type == "boolean":
        checked = " checked" if value else ""
        off = f'<input type="hidden" name="{name}" value="false">'
        return f'<label>{off}<input type="checkbox" name="{name}" value="true"{checked}> {label}</label>'
    if one.type == "picklist":
        values = [*one.picklist] if value is None or value in one.picklist else [*one.picklist, value]
        options = "".join(
            f"<option{' selected' if each == value else ''}>{escape(each)}</option>" for each in ["", *values]
        )
        return f'<label>{label}<select name="{name}">{options}</select></label>'
    if one.type == "textarea":
        return f'<label>{label}<textarea name="{name}">{text}</textarea></label>'
    kind = {"date": "date", "email": "email"}.get(one.type, "text")
    needed = " required" if one.required else ""
    return f'<label>{label}<input type="{kind}" name="{name}" value="{text}"{needed}></label>'


def _netsuite(row: Row) -> str:
    """The box that tells how far the record has come in NetSuite."""
    status = row.get("NetSuite_Status__c")
    if status is None:
        return ""
    made = f"<p>NetSuite: <strong>{escape(status)}</strong>"
    synced = row.get("NetSuite_Synced_At__c")
    made += f", last synced {escape(_shown(synced))}</p>" if synced else "</p>"
    if error := row.get("NetSuite_Error__c"):
        owner = row.get("NetSuite_Error_Owner__c")
        who = f" Who can fix it: {escape(owner)}." if owner and owner != "nobody" else ""
        made += f'<p class="bad">{escape(error)}{who}</p>'
    url = row.get("NetSuite_Url__c") or ""
    if urlsplit(url).scheme in ("http", "https"):
        made += f'<p><a href="{escape(url)}" rel="noreferrer">Open in NetSuite</a></p>'
    return f'<div class="netsuite">{made}</div>'


def _button(action: str, label: str) -> str:
    return f'<form class="inline" method="post" action="{action}"><button>{escape(label)}</button></form>'


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, date):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _see(path: str) -> Answer:
    return Answer(303, b"", headers=(("Location", path), *HEADERS))


def _page(title: str, body: str, *, status: int = 200) -> Answer:
    links = '<a href="/">Sandbox Salesforce</a>' + "".join(
        f'<a href="/objects/{name}">{label}</a>'
        for name, label in (("Account", "Accounts"), ("Contact", "Contacts"), ("Opportunity", "Applications"))
    )
    text = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><header>{links}</header><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return Answer(status, text.encode(), headers=HEADERS)
