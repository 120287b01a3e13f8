"""The SuiteTalk bindings that are live: one folder with a WSDL and its XSDs, loaded once and shared by all threads.

``Bindings.load`` reads our own subset or a full set alike; nothing is ever fetched.

Must not know: values of a record, credentials, HTTP.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zeep
import zeep.exceptions
from lxml import etree

from bridge.errors import Misconfigured
from bridge.netsuite.kinds import Kind
from bridge.netsuite.shapes import Shape, Shapes

SETTINGS = {
    "strict": True,  # without it a truncated answer becomes a value
    "forbid_dtd": True,
    "forbid_entities": True,
    "forbid_external": True,
    "xml_huge_tree": False,
}


class _NoTransport(zeep.Transport):
    """zeep only builds messages here; it must never reach the network by itself."""

    def _load_remote_data(self, url: str) -> bytes:
        raise OSError(f"the bindings name a remote address: {url}")


def _client(path: str, settings: Any) -> Any:
    untyped: Any = zeep  # its annotations are partial and wrong in places
    transport: Any = _NoTransport
    document = untyped.wsdl.Document(path, transport(), settings=settings)
    return untyped.Client(document, transport=transport(), settings=settings)


@dataclass(frozen=True, slots=True)
class Bindings:
    """One loaded set. *version* is the endpoint version, ``"2025_2"``."""

    folder: Path
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
        path = Path(folder) / "netsuite.wsdl"
        settings = zeep.Settings(**SETTINGS)
        try:
            shapes = Shapes(Path(folder))
            client = _client(str(path.resolve(strict=True)), settings)
        except (OSError, etree.LxmlError, zeep.exceptions.Error, ValueError, LookupError) as error:
            raise Misconfigured(
                "The SuiteTalk bindings cannot be loaded.", code="BINDINGS_UNREADABLE", detail=f"{path.name}: {error}"
            ) from error
        found = (re.match(rf"urn:(.+)_{re.escape(version)}\.", namespace) for namespace in shapes.namespaces)
        known = {match[1]: match.string for match in found if match}
        if "core" not in known or "messages" not in known:
            raise Misconfigured(
                f"The SuiteTalk bindings are not of version {version}.", code="BINDINGS_VERSION", detail=str(folder)
            )
        return cls(Path(folder), version, client, shapes, _namespaces=known)

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
