"""Is this the answer to that question? Everything an answer must be before anything in it is believed.

``result`` checks a whole answer, ``Page`` reads the records of a search while its bytes arrive, ``settled`` judges one
member of a write.

Must not know: how bytes travel, credentials.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Any

from lxml import etree

from bridge.errors import BridgeError
from bridge.netsuite.faults import in_doubt, of_fault, of_http, of_status
from bridge.netsuite.reading import (
    SOAP,
    Met,
    Reader,
    Unreadable,
    child,
    children,
    doctype,
    flag,
    local,
    parse,
    text,
)
from bridge.netsuite.transport import Answer
from bridge.ports import Record, Ref, Written

log = logging.getLogger(__name__)
UNREADABLE = "UNREADABLE_ANSWER"
# An XML declaration that is whole, or the name of the root element.
_BEGIN = re.compile(rb"(?:\xef\xbb\xbf)?(?:<\?xml\s[^>]{0,200}\?>|(?=<[A-Za-z_]))")
_MOST_BEFORE = 512  # bytes in which one of these comes


def result(answer: Answer, body: bytes, operation: str, *, write: bool) -> etree._Element:
    """Return the response element of *operation*. Raises what a fault, a page of HTML or rubbish means.

    The body decides before the status does: NetSuite does not document with which status it sends a Fault.
    """
    if not answer.is_xml:
        raise of_http(answer.status, answer.content_type, answer.retry_after, _start(body), write=write)
    try:
        root = parse(body)
    except Unreadable as error:
        if answer.status != 200 or b"<html" in body[:1000].lower():
            kind = "text/html" if b"<html" in body[:1000].lower() else answer.content_type
            raise of_http(answer.status, kind, answer.retry_after, _start(body), write=write) from error
        raise in_doubt(str(error), write=write, code=UNREADABLE) from error
    log.info("%s: HTTP %d, NetSuite's own id %s", operation, answer.status, _support_id(root))
    inside = child(root, "Body")
    first = next((one for one in inside if local(one)), None) if inside is not None else None
    if first is not None and first.tag == f"{{{SOAP}}}Fault":
        raise of_fault(first, write=write)
    if answer.status != 200 or first is None or local(first) != f"{operation}Response":
        found = local(first) if first is not None else "nothing"
        raise in_doubt(f"HTTP {answer.status} with {found} to {operation}", write=write, code=UNREADABLE)
    return first


def _support_id(root: etree._Element) -> str:
    """Return the id under which NetSuite's support finds the call (documentInfo/nsId)."""
    return text(child(root, "Header", "documentInfo", "nsId")) or "unknown"


def _start(body: bytes) -> str:
    return " ".join(body[:200].decode("utf-8", "replace").split())


def status_error(element: etree._Element | None, *, write: bool) -> BridgeError | None:
    """Return what the ``status`` in *element* says went wrong; None when it says success."""
    status = child(element, "status")
    success = flag(status.get("isSuccess")) if status is not None else None
    if success is None:
        return in_doubt("an answer without a status", write=write, code=UNREADABLE)
    if success:
        return None
    details = children(status, "statusDetail") if status is not None else []
    errors = [one for one in details if one.get("type", "ERROR").upper() == "ERROR"] or details
    first = errors[0] if errors else None
    return of_status(text(child(first, "code")), text(child(first, "message")), write=write)


def warnings_of(response: etree._Element) -> tuple[str, ...]:
    """Return the words of every warning of one written record."""
    status = child(response, "status")
    return tuple(
        f"{text(child(one, 'code')) or 'WARNING'}: {text(child(one, 'message')) or ''}"
        for one in (children(status, "statusDetail") if status is not None else ())
        if one.get("type", "ERROR").upper() in ("WARN", "INFO")
    )


def _saved_all_the_same(response: etree._Element) -> bool:
    """Say whether a script failed after the record was saved; Oracle's own sample spells the flag another way."""
    status = child(response, "status")
    return status is not None and any(
        local(one).lower() == "aftersubmitfailed" and flag(one.text) for one in status.iter()
    )


def settled(response: etree._Element, record: Record) -> Written | BridgeError:
    """Judge one ``writeResponse``: Written only with an internal id and an external id that is ours."""
    base = child(response, "baseRef")
    theirs = base.get("externalId") if base is not None else None
    # External ids are compared without case, as NetSuite does (NetSuite Help section_N3433806).
    if theirs is not None and theirs.lower() != (record.ref.external_id or "").lower():
        return in_doubt(f"the answer is about {theirs}", write=True, code="ANSWER_MISMATCH")
    error = status_error(response, write=True)
    found = base.get("internalId") if base is not None else None
    warnings = warnings_of(response)
    if error is not None:
        if not (_saved_all_the_same(response) and found):
            return error
        warnings = (*warnings, f"Saved, but a script failed afterwards. {error.detail or error.code}")
    if not found:
        return in_doubt("a success without an id", write=True, code=UNREADABLE)
    return Written(Ref(record.ref.kind, id=found, external_id=record.ref.external_id), warnings)


def settled_all(responses: list[etree._Element], records: list[Record]) -> list[Written | BridgeError]:
    """Judge the members of one call, which come in the order they were sent.

    A wrong count, or one member about another record, puts all of them in doubt: nothing says which is whose.
    """
    if len(responses) != len(records):
        reason = f"{len(responses)} answers to {len(records)} records"
        return [in_doubt(reason, write=True, code="ANSWER_COUNT") for _ in records]
    outcomes = [settled(response, record) for response, record in zip(responses, records, strict=True)]
    stray = next((one for one in outcomes if isinstance(one, BridgeError) and one.code == "ANSWER_MISMATCH"), None)
    if stray is None:
        return outcomes
    return [in_doubt(stray.detail or "", write=True, code="ANSWER_MISMATCH") for _ in records]


class Page:
    """One page of a search, read while it arrives: iterate it once; the counts are there from the first record on.

    ``total_records`` is of the whole search, ``search_id`` asks for further pages.
    """

    def __init__(self, pieces: Iterable[bytes], reader: Reader, kind: str) -> None:
        self._pieces = pieces
        self._reader = reader
        self._kind = kind
        self._met: Met = {}
        self._list: etree._Element | None = None
        self.total_records = self.total_pages = self.page_index = self.page_size = 0
        self.search_id: str | None = None
        self.read = 0

    def __iter__(self) -> Iterator[Record]:
        """Yield every record. Raises what a fault means, or Unreadable for an answer that is not whole."""
        # Not the events of elements: for each start and end lxml would leave the parser and take the interpreter's
        # lock, 148,000 times a page of 1,000 orders, which doubles the time of parsing. Our own instruction before
        # the root element is the only event, and the way to a tree that grows while it is read.
        feed = etree.XMLPullParser(
            events=("pi",), resolve_entities=False, no_network=True, huge_tree=False, collect_ids=False
        )
        mark: etree._Element | None = None
        try:
            for piece in _marked(self._pieces):
                feed.feed(piece)
                events: Any = feed.read_events()  # the stubs know other events than those asked for
                for _, instruction in events:
                    if mark is None and instruction.getparent() is None:
                        mark = instruction
                root = next((one for one in mark.itersiblings() if local(one)), None) if mark is not None else None
                if root is not None:
                    yield from self._records(root, whole=False)
            root = feed.close()
        except (etree.XMLSyntaxError, ValueError) as error:
            raise Unreadable(f"no well-formed XML: {error}") from error
        yield from self._records(root, whole=True)

    def _records(self, root: etree._Element, *, whole: bool) -> Iterator[Record]:
        """Yield what is complete: of an answer that is not *whole* all records but the last, which may still grow."""
        if self._list is None:
            self._list = self._begun(root, whole=whole)
            if self._list is None:
                return
        come: Any = self._list[:] if whole else self._list[:-1]  # type: ignore[index]  # slices, unknown to the stubs
        for element in come:
            if local(element) == "record":
                self.read += 1
                yield self._reader.record(element, self._kind, self._met)
            element.clear()
        del self._list[: len(come)]

    def _begun(self, root: etree._Element, *, whole: bool) -> etree._Element | None:
        """Judge what stands before the first record; None while it has not come, or in an answer without records."""
        if root.tag != f"{{{SOAP}}}Envelope" or doctype(root):
            raise Unreadable(f"the root element is {local(root)}, not a plain Envelope")
        body = child(root, "Body")
        response = next((one for one in body if local(one)), None) if body is not None else None
        result = child(response, "searchResult")
        found = child(result, "recordList")
        if found is None and not whole:
            return None
        if response is not None and response.tag == f"{{{SOAP}}}Fault":
            raise of_fault(response, write=False)
        if result is None:
            raise Unreadable("an answer without a search result")
        if child(result, "status") is None:
            raise Unreadable("a search result without a status before its records")
        error = status_error(result, write=False)
        if error is not None:
            raise error
        self.search_id = text(child(result, "searchId"))
        self.total_records, self.total_pages, self.page_index, self.page_size = (
            int(text(child(result, name)) or 0) for name in ("totalRecords", "totalPages", "pageIndex", "pageSize")
        )
        return found


def _marked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Put a processing instruction before the root element, after the XML declaration.

    An answer that begins otherwise, in UTF-16 or with blanks, goes on as it is and is read when all of it has come.
    """
    start, rest = b"", iter(pieces)
    for piece in rest:
        start += piece
        if _BEGIN.match(start) or len(start) >= _MOST_BEFORE:
            break
    found = _BEGIN.match(start)
    yield start if found is None else start[: found.end()] + b"<?begin?>" + start[found.end() :]
    yield from rest


def missing(error: BridgeError) -> bool:
    """Say whether *error* means that the record that was asked for does not exist."""
    return error.code == "RCRD_DSNT_EXIST"
