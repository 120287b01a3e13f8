"""SuiteTalk operations over one account: what each request element asks, and the bytes of its answer.

Every operation returns the inside of its response element. Limits per call: section_N3418637.

Must not know: HTTP, authentication.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.sandbox.netsuite_auth import SoapFault
from bridge.sandbox.netsuite_kinds import BY_TYPE, KINDS, Kind
from bridge.sandbox.netsuite_lookups import Lookups
from bridge.sandbox.netsuite_render import Detail, Writer
from bridge.sandbox.netsuite_rules import Draft, Incoming, NotSimulated, Refusal, Rules
from bridge.sandbox.netsuite_schema import RefValue, Schema
from bridge.sandbox.netsuite_search import status_kind
from bridge.sandbox.netsuite_transactions import Accounting, check_transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lxml import etree

    from bridge.sandbox.faults import Fault
    from bridge.sandbox.netsuite_store import Store, Stored

LIST_LIMITS = {"addList": 200, "deleteList": 200, "updateList": 100, "upsertList": 100, "getList": 1000}
WRITES = frozenset(("add", "addList", "update", "updateList", "upsert", "upsertList", "delete", "deleteList"))
NAMES = ("companyName", "entityId", "lastName", "memo", "name")  # fields that may carry a fault marker


@dataclass
class Call:
    """One request on its way through: what it holds, and the preferences sent with it."""

    operation: str
    element: etree._Element
    header: dict[str, etree._Element] = field(default_factory=dict)
    records: list[Incoming] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def preference(self, header: str, name: str) -> str | None:
        for child in self.header.get(header, ()):
            if isinstance(child.tag, str) and local(child) == name:
                return child.text
        return None

    def kinds(self) -> list[str]:
        """The kinds of record the call is about, custom records by their script id too."""
        if self.records:
            return [record.subtype or record.kind.name for record in self.records]
        return [str(ref.get("type") or ref.get("typeId") or "") for ref in children(self.element) if ref.attrib]

    def external_ids(self) -> list[str]:
        if self.records:
            return [record.external_id or "" for record in self.records]
        return [str(ref.get("externalId")) for ref in children(self.element) if ref.get("externalId")]


def local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]


def children(element: etree._Element) -> list[etree._Element]:
    return [child for child in element if isinstance(child.tag, str)]


class Operations(Lookups):
    """The operations of one endpoint version. Callers hold the account's lock while one runs."""

    def __init__(
        self, schema: Schema, store: Store, accounting: Accounting, *, default_page_size: int, concurrency: int
    ) -> None:
        self.rules = Rules(schema, store)
        self.accounting = accounting
        writer = Writer(schema, store)
        super().__init__(schema, store, writer, default_page_size=default_page_size, concurrency=concurrency)

    def read(self, call: Call) -> None:
        """Take the records out of a write call and check its limits. Needs no lock."""
        limit = LIST_LIMITS.get(call.operation)
        parts = children(call.element)
        if limit and len(parts) > limit:
            raise SoapFault(
                "exceededRecordCountFault",
                "MAX_RCRDS_EXCEEDED",
                "The maximum number of records allowed has been exceeded.",
            )
        if call.operation in WRITES and not call.operation.startswith("delete"):
            call.records = [self._incoming(part) for part in parts]

    def run(self, call: Call) -> bytes:
        """Do it. Raises NotSimulated for what the fake does not know."""
        handler = getattr(self, f"do_{call.operation}", None)
        if handler is None:
            raise NotSimulated(f"the operation {call.operation}")
        answer: bytes = handler(call)
        return answer

    def do_upsert(self, call: Call) -> bytes:
        return self._write(call, call.records[0], 0)

    do_add = do_update = do_upsert

    def do_upsertList(self, call: Call) -> bytes:  # noqa: N802 - named by the protocol
        parts = []
        out_of_time = next((fault for fault in call.faults if fault.action == "status_unknown"), None)
        done = int(out_of_time.options.get("done", 1)) if out_of_time else len(call.records)
        for index, record in enumerate(call.records):
            if index > done:
                # What follows the one in flight was not processed (section_4078474279; the code is assumed).
                parts.append(self._failed(record, "EXCEEDED_MAX_TIME", "The record was not processed."))
                continue
            answer = self._write(call, record, index)
            if index == done:
                answer = self._failed(record, "EXCEEDED_MAX_TIME", "The status of the record is unknown.")
            parts.append(answer)
        wrong = next((fault for fault in call.faults if fault.action == "wrong_count"), None)
        if wrong:
            parts = [*parts, parts[-1]] if wrong.options.get("extra") else parts[:-1]
        # The list's own status says success even when members failed (section_N3536574).
        return b"<writeResponseList>" + self.writer.status() + b"".join(parts) + b"</writeResponseList>"

    do_addList = do_updateList = do_upsertList  # noqa: N815 - named by the protocol

    def do_get(self, call: Call) -> bytes:
        return self._read_one(children(call.element)[0])

    def do_getList(self, call: Call) -> bytes:  # noqa: N802 - named by the protocol
        parts = b"".join(self._read_one(ref) for ref in children(call.element))
        return b"<readResponseList>" + self.writer.status() + parts + b"</readResponseList>"

    def do_delete(self, call: Call) -> bytes:
        return self._delete(children(call.element)[0])

    def do_deleteList(self, call: Call) -> bytes:  # noqa: N802 - named by the protocol
        parts = b"".join(self._delete(ref) for ref in children(call.element) if local(ref) == "baseRef")
        return b"<writeResponseList>" + self.writer.status() + parts + b"</writeResponseList>"

    def _incoming(self, element: etree._Element) -> Incoming:
        type_ = self.schema.resolve(element)
        kind = BY_TYPE.get(type_.name)
        if kind is None:
            raise NotSimulated(f"the record {type_.name}")
        fields = self.schema.values(element, type_)
        subtype = ""
        if kind.name == "customRecord":
            ref = fields.get("recType")
            rec_type = self.store.get("customRecordType", ref.internal_id or "") if isinstance(ref, RefValue) else None
            subtype = str(rec_type.fields["scriptId"]) if rec_type else ""
        return Incoming(kind, subtype, element.get("internalId"), element.get("externalId"), fields)

    def _write(self, call: Call, incoming: Incoming, index: int) -> bytes:
        """One record of a write call: refused with its status, or saved."""
        warnings = []
        for fault in self._record_faults(call, incoming, index):
            code, message = fault.options.get("code", "USER_ERROR"), fault.options.get("message", "Refused on purpose.")
            if fault.action == "reject":
                return self._failed(incoming, code, message)
            if fault.action == "warn":
                warnings.append(Detail(code, message, type="WARN"))
            elif fault.action == "after_submit_failed":
                warnings.append(Detail("USER_ERROR", "A user event script failed after the record was saved.",
                                       after_submit=True))  # fmt: skip
        try:
            record = self._save(call, incoming)
        except Refusal as refusal:
            return self._failed(incoming, refusal.code, refusal.message)
        ref = self.writer.base_ref("baseRef", record.kind, record.id, record.external_id, record.subtype)
        return self.writer.write_response(warnings, ref)

    def _record_faults(self, call: Call, incoming: Incoming, index: int) -> list[Fault]:
        name = incoming.subtype or incoming.kind.name
        return [
            fault
            for fault in call.faults
            if fault.record in (None, name, incoming.kind.name)
            and fault.options.get("nth", index + 1) == index + 1
            and fault.options.get("external_id", incoming.external_id) == incoming.external_id
        ]

    def _failed(self, incoming: Incoming, code: str, message: str) -> bytes:
        ref = b""
        if incoming.external_id:
            # A failed record's baseRef has the external id alone (recorded samples).
            ref = self.writer.base_ref("baseRef", incoming.kind.name, None, incoming.external_id, incoming.subtype)
        return self.writer.write_response([Detail(code, message)], ref)

    def _save(self, call: Call, incoming: Incoming) -> Stored:
        kind = incoming.kind
        if not kind.writable:
            raise Refusal("INSUFFICIENT_PERMISSION", f"Permission Violation: you may not write {kind.label.lower()}.")
        if kind.name == "customRecord" and not incoming.subtype:
            raise Refusal("INVALID_KEY_OR_REF", "Invalid recType reference key.")
        existing = self._existing(call.operation.removesuffix("List"), incoming)
        if existing is not None and existing.fields.get("_locked"):
            raise Refusal("RCRD_LOCKED_BY_WF", "This record has been locked by a user defined workflow.")
        ignore = call.preference("preferences", "ignoreReadOnlyFields") in ("true", "1")
        draft = self.rules.draft(incoming, existing, ignore_read_only=ignore)
        self._check(kind, draft)
        return self.rules.save(draft, incoming.external_id)

    def _existing(self, mode: str, incoming: Incoming) -> Stored | None:
        """The record to change, or None to make one (section_N3532463 for upsert)."""
        kind, external_id = incoming.kind, incoming.external_id
        group = self.store.group(kind.name, incoming.subtype)
        found = self.store.find(group, external_id) if external_id else None
        if mode == "update":
            if incoming.internal_id:
                found = self.store.get(kind.name, incoming.internal_id)
            if found is None or found.kind != kind.name:
                raise Refusal("RCRD_DSNT_EXIST", "That record does not exist.")
            return found
        if incoming.internal_id:
            raise Refusal("CANT_SET_INTERNALID", f"You cannot set internalId with {mode}.")
        if mode == "upsert" and not external_id:
            raise Refusal("EXTERNALID_REQD", "An external ID is required for this operation.")
        if found is not None and (mode == "add" or found.kind != kind.name):
            # Ids are shared by a group of types (section_N3436356); which code says so is not documented.
            raise Refusal("DUP_RCRD", "This record already exists.")
        return found

    def _check(self, kind: Kind, draft: Draft) -> None:
        if kind.name in ("customer", "vendor"):
            self.rules.check_entity(draft)
        elif kind.name == "contact":
            self.rules.check_contact(draft)
        elif kind.name == "customerRefund":
            self.accounting.receivables.check(self.rules, draft)
        elif kind.group == "Transaction":
            check_transaction(self.rules, draft)
            if kind.name == "creditMemo":
                self.accounting.receivables.check(self.rules, draft)
        else:
            self.rules.check_required(draft)

    def _find(self, ref: etree._Element) -> tuple[str, str, Stored | None]:
        """Kind, custom record type and record of a baseRef."""
        type_ = self.schema.resolve(ref)
        if type_.name == "CustomRecordRef":
            kind = "customRecord"
            rec_type = self.store.get("customRecordType", ref.get("typeId") or "")
            subtype = str(rec_type.fields["scriptId"]) if rec_type else ref.get("scriptId") or ""
        else:
            kind, subtype = status_kind(ref.get("type") or ""), ""
        record = None
        if ref.get("internalId"):
            record = self.store.get(kind, ref.get("internalId") or "")
        elif ref.get("externalId"):
            record = self.store.find(self.store.group(kind, subtype), ref.get("externalId") or "")
        if record is not None and (record.kind != kind or record.subtype != subtype):
            record = None
        return kind, subtype, record

    def _read_one(self, ref: etree._Element) -> bytes:
        _, _, record = self._find(ref)
        if record is None:
            return self.writer.read_response(None, [Detail("RCRD_DSNT_EXIST", "That record does not exist.")])
        code = self.store.hidden.get((record.kind, record.id))
        if code is not None:
            return self.writer.read_response(None, [Detail(code, "You may not see this record.")])
        if record.kind in ("customer", "vendor"):
            record.fields |= self.accounting.receivables.balances(record)
            record.cache.clear()  # the list of currencies tells them too
        return self.writer.read_response(record)

    def _delete(self, ref: etree._Element) -> bytes:
        kind, subtype, record = self._find(ref)
        details: Sequence[Detail] = ()
        if record is None:
            details = [Detail("RCRD_DSNT_EXIST", "That record does not exist.")]
        elif not KINDS[kind].writable:
            details = [Detail("INSUFFICIENT_PERMISSION", "You may not delete this record.")]
        else:
            try:
                self.accounting.delete(record)
            except Refusal as refusal:
                details = [Detail(refusal.code, refusal.message)]
        base = self.writer.base_ref("baseRef", kind, ref.get("internalId"), ref.get("externalId"), subtype)
        return self.writer.write_response(details, base)
