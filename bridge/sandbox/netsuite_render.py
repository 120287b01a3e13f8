"""How the fake NetSuite writes XML: records, references, statuses, answers, faults. Bytes, made once per revision.

A record's XML is kept with the record until it changes, so a page of 1,000 orders is a join of ready pieces.

Must not know: what is allowed, HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from bridge.sandbox.netsuite_kinds import KINDS
from bridge.sandbox.netsuite_rules import NotSimulated
from bridge.sandbox.netsuite_schema import SOAP, ComplexType, Schema
from bridge.sandbox.netsuite_store import Custom, Link, Store, Stored, pacific

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Prefixes as in recorded answers; they mean nothing, a reader must go by namespace.
PREFIXES = {
    "core": "platformCore",
    "messages": "platformMsgs",
    "common": "platformCommon",
    "relationships": "listRel",
    "accounting": "listAcct",
    "sales": "tranSales",
    "purchases": "tranPurch",
    "customers": "tranCust",
    "customization": "setupCustom",
}


@dataclass(frozen=True, slots=True)
class Detail:
    """One ``statusDetail``: an error, a warning, or an error after the record was saved (section_N3536574)."""

    code: str
    message: str
    type: str = "ERROR"
    after_submit: bool = False


@lru_cache(maxsize=256)
def prefix(namespace: str) -> str:
    """The prefix for ``urn:sales_2025_2.transactions…``."""
    return PREFIXES.get(namespace.removeprefix("urn:").partition("_")[0], "ns1")


class Writer:
    """Writes the answers of one endpoint version."""

    def __init__(self, schema: Schema, store: Store) -> None:
        self.schema, self.store = schema, store
        self.core = schema.ns("core")
        self.messages = schema.ns("messages")
        self._head = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<soapenv:Envelope xmlns:soapenv="{SOAP}" '
            'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        )

    def envelope(self, operation: str, inner: bytes, ns_id: str) -> bytes:
        """A whole answer to *operation* (recorded shape: documentInfo, messages as default namespace)."""
        return b"".join(
            (
                self._head.encode(),
                f'<soapenv:Header><platformMsgs:documentInfo xmlns:platformMsgs="{self.messages}"><platformMsgs:nsId>'
                f"{ns_id}</platformMsgs:nsId></platformMsgs:documentInfo></soapenv:Header><soapenv:Body>"
                f'<{operation}Response xmlns="{self.messages}" xmlns:platformCore="{self.core}">'.encode(),
                inner,
                f"</{operation}Response></soapenv:Body></soapenv:Envelope>".encode(),
            )
        )

    def fault(self, element: str | None, code: str | None, message: str) -> bytes:
        """A SOAP fault; *element* None gives one without a NetSuite detail, as some are recorded."""
        text = escape(message)
        detail = ""
        if element:
            detail = (
                f'<platformFaults:{element} xmlns:platformFaults="{self.schema.ns("faults")}"><platformFaults:code>'
                f"{code}</platformFaults:code><platformFaults:message>{text}</platformFaults:message>"
                f"</platformFaults:{element}>"
            )
        return (
            f"{self._head}<soapenv:Body><soapenv:Fault><faultcode>soapenv:Server.userException</faultcode>"
            f"<faultstring>{text}</faultstring><detail>{detail}"
            '<ns1:hostname xmlns:ns1="http://xml.apache.org/axis/">sandbox</ns1:hostname></detail>'
            "</soapenv:Fault></soapenv:Body></soapenv:Envelope>"
        ).encode()

    def status(self, details: Iterable[Detail] = ()) -> bytes:
        """``status``: success unless a detail is an error."""
        details = tuple(details)
        if not details:
            return b'<platformCore:status isSuccess="true"/>'
        success = "false" if any(detail.type == "ERROR" for detail in details) else "true"
        inner = "".join(
            f'<platformCore:statusDetail type="{detail.type}"><platformCore:code>{escape(detail.code)}'
            f"</platformCore:code><platformCore:message>{escape(detail.message)}</platformCore:message>"
            + ("<platformCore:afterSubmitFailed>true</platformCore:afterSubmitFailed>" if detail.after_submit else "")
            + "</platformCore:statusDetail>"
            for detail in details
        )
        return f'<platformCore:status isSuccess="{success}">{inner}</platformCore:status>'.encode()

    def base_ref(self, tag: str, kind: str, internal_id: str | None, external_id: str | None, subtype: str) -> bytes:
        """A RecordRef, or for a custom record a CustomRecordRef with its typeId (section_N3768988)."""
        attributes = ""
        if internal_id:
            attributes += f" internalId={quoteattr(internal_id)}"
        if external_id:
            attributes += f" externalId={quoteattr(external_id)}"
        if kind == "customRecord":
            type_, attributes = "CustomRecordRef", attributes + f' typeId="{self.type_id(subtype)}"'
        else:
            type_, attributes = "RecordRef", attributes + f' type="{kind}"'
        return f'<{tag} xsi:type="platformCore:{type_}"{attributes}/>'.encode()

    def write_response(self, details: Iterable[Detail], ref: bytes) -> bytes:
        return b"<writeResponse>" + self.status(details) + ref + b"</writeResponse>"

    def read_response(self, record: Stored | None, details: Iterable[Detail] = ()) -> bytes:
        inner = b"" if record is None else self.record(record, tag="record", body_only=False)
        return b"<readResponse>" + self.status(details) + inner + b"</readResponse>"

    def record(self, record: Stored, *, tag: str, body_only: bool) -> bytes:
        """*record* as an element; sublists are left out when only body fields are wanted (section_4170181850)."""
        key = (self.schema.version + tag, body_only)
        cached = record.cache.get(key)
        if cached and cached[0] == self.store.renames:
            return cached[1]
        data = self._record(record, tag, body_only=body_only)
        record.cache[key] = (self.store.renames, data)
        return data

    def type_id(self, subtype: str) -> str:
        for item in self.store.records["customRecordType"].values():
            if item.fields.get("scriptId") == subtype:
                return item.id
        return ""

    def ref(self, tag: str, link: Link, *, typed: bool = False) -> str:
        """A reference with the name of what it points at."""
        target = self.store.get(link.kind, link.id)
        name = escape(target.name) if target else ""
        extra = ' xsi:type="platformCore:RecordRef"' if typed else ""
        return f'<{tag}{extra} internalId="{link.id}"><platformCore:name>{name}</platformCore:name></{tag}>'

    def _record(self, record: Stored, tag: str, *, body_only: bool) -> bytes:
        kind = KINDS[record.kind]
        type_ = self.schema.type_named(kind.type)
        if type_ is None:
            raise NotSimulated(f"{kind.type}, which is not in this {self.schema.version} schema")
        name = prefix(type_.namespace)
        external = f" externalId={quoteattr(record.external_id)}" if record.external_id else ""
        stamps = {kind.created: pacific(record.created), kind.modified: pacific(record.modified)}
        parts = [
            f'<{tag} xmlns:{name}="{type_.namespace}" internalId="{record.id}"{external} xsi:type="{name}:{kind.type}">'
        ]
        self._fields(parts, type_, record.fields | stamps, {} if body_only else record.lists, record.custom)
        parts.append(f"</{tag}>")
        return "".join(parts).encode()

    def _fields(
        self,
        parts: list[str],
        type_: ComplexType,
        fields: Mapping[str, Any],
        lists: Mapping[str, list[dict[str, Any]]],
        custom: Mapping[str, Custom],
    ) -> None:
        for known in type_.fields:
            name = known.name
            tag = f"{prefix(known.namespace)}:{name}"
            if name in fields:
                value = fields[name]
                if isinstance(value, str):
                    parts.append(f"<{tag}>{escape(value)}</{tag}>")
                elif isinstance(value, Link):
                    parts.append(self.ref(tag, value))
                else:
                    inner = self.schema.types[known.type]
                    parts.append(f'<{tag} xmlns:{prefix(inner.namespace)}="{inner.namespace}">')
                    self._fields(parts, inner, value, {}, {})
                    parts.append(f"</{tag}>")
            elif lists.get(name):
                self._lines(parts, tag, self.schema.types[known.type], lists[name])
            elif name == "customFieldList" and custom:
                parts.append(f"<{tag}>{''.join(self._custom(key, value) for key, value in custom.items())}</{tag}>")

    def _lines(self, parts: list[str], tag: str, type_: ComplexType, lines: list[dict[str, Any]]) -> None:
        known = type_.fields[0]
        line_type = self.schema.types[known.type]
        element = f"{prefix(known.namespace)}:{known.name}"
        parts.append(f"<{tag}>")
        for line in lines:
            parts.append(f"<{element}>")
            self._fields(parts, line_type, line, {}, line.get("_custom", {}))
            parts.append(f"</{element}>")
        parts.append(f"</{tag}>")

    def _custom(self, script_id: str, custom: Custom) -> str:
        values = []
        for value in custom.values:
            if isinstance(value, Link):
                target = self.store.get(value.kind, value.id)
                name = escape(target.name) if target else ""
                values.append(
                    f'<platformCore:value internalId="{value.id}"><platformCore:name>{name}</platformCore:name>'
                    "</platformCore:value>"
                )
            else:
                values.append(f"<platformCore:value>{escape(value)}</platformCore:value>")
        return (
            f'<platformCore:customField scriptId="{script_id}" xsi:type="platformCore:{custom.type}">'
            f"{''.join(values)}</platformCore:customField>"
        )
