"""SuiteTalk bindings, loaded: one set with a WSDL and its XSDs, shared by all threads.

``Bindings.load`` reads a folder and ``Bindings.of`` a set's files, our own subset or a full set alike; nothing is ever
fetched. ``Bindings.warm`` does ahead of time what zeep would do at the first use of a type.

Must not know: values of a record, credentials, HTTP.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zeep
import zeep.exceptions
from lxml import etree

from bridge.errors import Misconfigured
from bridge.netsuite.kinds import CUSTOM_RECORD, Kind
from bridge.netsuite.shapes import Shape, Shapes

SETTINGS = {
    "strict": True,  # without it a truncated answer becomes a value
    "forbid_dtd": True,
    "forbid_entities": True,
    "forbid_external": True,
    "xml_huge_tree": False,
}


WSDL = "netsuite.wsdl"
_ROOT = "file:///"  # only so that zeep joins names as it joins addresses; no file is ever opened by it


class _NoTransport(zeep.Transport):
    """zeep only builds messages here; it reads the set's own files and must never reach the network by itself."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # zeep's own has no types
        self._files = files

    def load(self, url: str) -> bytes:
        found = self._files.get(url.removeprefix(_ROOT))
        if found is None:
            raise OSError(f"the bindings name what is not among their files: {url}")
        return found


def _client(files: Mapping[str, bytes], settings: Any) -> Any:
    untyped: Any = zeep  # its annotations are partial and wrong in places
    transport: Any = _NoTransport(files)
    document = untyped.wsdl.Document(f"{_ROOT}{WSDL}", transport, settings=settings)
    transport._files = {}  # everything has been read: the files need not stay in memory
    return untyped.Client(document, transport=transport, settings=settings)


@dataclass(frozen=True, slots=True)
class Bindings:
    """One loaded set. *version* is the endpoint version, ``"2025_2"``."""

    version: str
    client: Any = field(repr=False)
    shapes: Shapes = field(repr=False)
    _types: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)
    _namespaces: dict[str, str] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def load(cls, folder: Path, version: str) -> Bindings:
        """Load *folder*, which holds ``netsuite.wsdl`` and its XSDs, from local files only.

        Raises Misconfigured when it is no complete set of *version*; an operator must deploy another.
        """
        root = Path(folder)
        found = [it for it in sorted(root.rglob("*")) if it.suffix in (".wsdl", ".xsd")]
        try:
            files = {it.relative_to(root).as_posix(): it.read_bytes() for it in found}
        except OSError as error:
            raise _unreadable(error) from error
        return cls._made(files, [it for it in found if it.suffix == ".xsd"], version)

    @classmethod
    def of(cls, files: Mapping[str, bytes], version: str) -> Bindings:
        """Load a set's files by name. Raises as ``load`` does."""
        return cls._made(files, [it for name, it in sorted(files.items()) if name.endswith(".xsd")], version)

    @classmethod
    def _made(cls, files: Mapping[str, bytes], schemas: Iterable[Path | bytes], version: str) -> Bindings:
        settings = zeep.Settings(**SETTINGS)
        try:
            shapes = Shapes(schemas)
            client = _client(files, settings)
        except (OSError, etree.LxmlError, zeep.exceptions.Error, ValueError, LookupError) as error:
            raise _unreadable(error) from error
        found = (re.match(rf"urn:(.+)_{re.escape(version)}\.", namespace) for namespace in shapes.namespaces)
        known = {match[1]: match.string for match in found if match}
        if "core" not in known or "messages" not in known:
            raise Misconfigured(f"The SuiteTalk bindings are not of version {version}.", code="BINDINGS_VERSION")
        return cls(version, client, shapes, _namespaces=known)

    def warm(self, kinds: Iterable[Kind]) -> None:
        """Build one request of every operation on *kinds*, so that no save is the first to need them.

        Raises Misconfigured when the set lacks one of them.
        """
        for kind in kinds:
            made = self.type(kind.namespace, kind.type)(externalId="warm")
            self.shape(kind)
            for operation, record in (("upsert", made), ("upsertList", [made])):
                self.message(operation, record=record)
            if kind.search is not None:
                of_type = {"recType": {"internalId": "1"}} if kind is CUSTOM_RECORD else {}
                self.message("search", searchRecord=self.type("common", kind.search)(**of_type))
        ref = self.type("core", "RecordRef")(type="customer", internalId="1")
        for operation, refs in (("get", ref), ("getList", [ref])):
            self.message(operation, baseRef=refs)
        self.message("getServerTime")

    def namespace(self, short: str) -> str:
        """Return the full namespace of ``"core"``, ``"messages"``, ``"sales"`` …"""
        try:
            return self._namespaces[short]
        except KeyError:
            raise Misconfigured(
                "The SuiteTalk bindings lack a part the bridge uses.", code="BINDINGS_INCOMPLETE", detail=short
            ) from None

    def type(self, short: str, name: str) -> Any:
        """Return zeep's type *name* of the namespace *short*, to be called with its values."""
        qualified = (self.namespace(short), name)
        found = self._types.get(qualified)
        if found is None:
            with self._lock:  # zeep resolves a type on its first use: one thread at a time
                try:
                    found = self.client.get_type(f"{{{qualified[0]}}}{name}")
                    found.signature(schema=self.client.wsdl.types)
                except (LookupError, zeep.exceptions.Error) as error:
                    raise Misconfigured(
                        f"The SuiteTalk bindings do not hold {name}.", code="BINDINGS_INCOMPLETE", detail=str(error)
                    ) from error
            self._types[qualified] = found
        return found

    def shape(self, kind: Kind) -> Shape:
        """Return the fields of *kind*. Raises Misconfigured when the set does not hold it."""
        found = self.shapes.shape((self.namespace(kind.namespace), kind.type))
        if found is None:
            raise Misconfigured(
                f"The SuiteTalk bindings do not hold {kind.type}.", code="BINDINGS_INCOMPLETE", detail=kind.name
            )
        return found

    def message(self, operation: str, **values: Any) -> etree._Element:
        """Build the envelope of *operation*, without headers."""
        try:
            built: etree._Element = self.client.create_message(self.client.service, operation, **values)
        except (TypeError, ValueError, LookupError, zeep.exceptions.Error) as error:
            raise Misconfigured(
                "A request does not fit the SuiteTalk bindings.", code="BINDINGS_MISMATCH", detail=str(error)
            ) from error
        return built


def _unreadable(error: Exception) -> Misconfigured:
    return Misconfigured(
        "The SuiteTalk bindings cannot be loaded.", code="BINDINGS_UNREADABLE", detail=f"{WSDL}: {error}"
    )
