"""A set of bindings as files: gathered from an account, a folder or a zip, checked, and known by its hash.

``gather`` follows the imports from ``netsuite.wsdl`` on and keeps what they lead to, under names of our own: nothing is
ever unpacked to a disk, and nothing that is not asked for is read. ``WsdlSet.seal`` is the hash of all of it.

Must not know: the ledger, zeep, what the bridge uses.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from lxml import etree

from bridge.errors import Deferred, Misconfigured
from bridge.netsuite.inventory import Broken, Inventory
from bridge.netsuite.shapes import XSD, parser

WSDL = "netsuite.wsdl"
VERSION = re.compile(r"20\d\d_[12]")
FILES = 300  # the full sets have 47
FILE_BYTES = 16 << 20
SET_BYTES = 64 << 20
ENTRIES = 2000  # in a zip, whatever they are
LIMITS_S = (10.0, 60.0)  # to connect, and between two pieces
PLAINLY = {"Accept-Encoding": "identity"}  # so that a small answer cannot grow without end
_GENERIC = "webservices.netsuite.com"  # the host that published files name; it is asked for by the account's own name
_NETSUITE = re.compile(r"[a-z0-9-]+\.suitetalk\.api\.netsuite\.com")
_IMPORTS = (f"{{{XSD}}}import", f"{{{XSD}}}include")
_WSDL_IMPORT = "{http://schemas.xmlsoap.org/wsdl/}import"


def refused(sentence: str, detail: str = "") -> Misconfigured:
    """Return why a set is not taken; an administrator acts."""
    return Misconfigured(sentence, code="BINDINGS_REFUSED", detail=detail or None)


@dataclass(frozen=True, slots=True)
class WsdlSet:
    """A whole set: its endpoint version and its files by name, ``netsuite.wsdl`` and ``xsd/…``."""

    version: str
    files: Mapping[str, bytes]

    @property
    def manifest(self) -> dict[str, str]:
        """Return the hash of every file."""
        return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(self.files.items())}

    @property
    def seal(self) -> str:
        return seal(self.manifest)

    def inventory(self) -> Inventory:
        """Read what it holds. Raises Misconfigured when it is not whole."""
        try:
            return Inventory.read(self.files)
        except Broken as error:
            raise refused(str(error)) from error


def seal(manifest: Mapping[str, str]) -> str:
    """Return the hash of a whole set by those of its files."""
    return hashlib.sha256("".join(f"{name} {manifest[name]}\n" for name in sorted(manifest)).encode()).hexdigest()


def from_path(path: Path, version: str) -> WsdlSet:
    """Read a set from a folder or a zip. Raises Misconfigured for what is not a whole set of *version*."""
    if path.is_dir():
        return from_folder(path, version)
    if not path.is_file():
        raise refused(f"There is no folder and no zip called {path}.")
    return from_zip(path, version)


def from_folder(folder: Path, version: str) -> WsdlSet:
    """Read a set from a folder; links out of it are not followed."""
    root = folder.resolve()
    names = [one.relative_to(root).as_posix() for one in root.rglob("*") if one.suffix in (".wsdl", ".xsd")][:ENTRIES]

    def read(name: str) -> bytes:
        file = (root / name).resolve()
        if not file.is_relative_to(root):
            raise refused(f"{name} is a link out of the folder.")
        if not file.is_file():  # a pipe would be waited for without end
            raise refused(f"{name} is not a plain file.")
        if file.stat().st_size > FILE_BYTES:
            raise refused(f"{name} is larger than any file of a set.")
        return file.read_bytes()

    return gather(version, _start(names), read, _local(names))


def from_zip(path: Path, version: str) -> WsdlSet:
    """Read a set from a zip, in memory: nothing is unpacked, so no name in it can lead anywhere."""
    if path.stat().st_size > SET_BYTES:  # its list of contents would be read whole before anything can be checked
        raise refused("The zip is larger than any set should be.")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > ENTRIES:
                raise refused(f"The zip holds {len(entries)} entries; a set has about 50.")
            names = [one.filename for one in entries if one.filename.endswith((".wsdl", ".xsd"))]
            for name in names:
                if name.startswith("/") or "\\" in name or ".." in name.split("/") or ":" in name:
                    raise refused("The zip holds a name that leads out of it.", name)
            if len(set(names)) != len(names):
                raise refused("The zip holds two files of one name.")

            def read(name: str) -> bytes:
                with archive.open(name) as file:
                    content = file.read(FILE_BYTES + 1)
                if len(content) > FILE_BYTES:
                    raise refused(f"{name} is larger than any file of a set.")
                return content

            return gather(version, _start(names), read, _local(names))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError) as error:
        raise refused("The zip is damaged, encrypted or not a zip.", str(error)) from error


def from_account(base_url: str, version: str, session: requests.Session, *, allow_loopback: bool = False) -> WsdlSet:
    """Fetch the set of *version* from an account's own host. Raises Deferred when it does not answer.

    Source: https://<account>.suitetalk.api.netsuite.com/wsdl/v2025_2_0/netsuite.wsdl.
    """
    base = urlsplit(base_url)
    is_own = base.scheme == "https" and _NETSUITE.fullmatch(base.netloc)
    if not (is_own or (allow_loopback and base.scheme == "http" and base.hostname in ("127.0.0.1", "localhost"))):
        raise refused("Bindings are fetched from an account's own SuiteTalk domain only.", base_url)
    session.trust_env = False

    def resolve(at: str, location: str) -> str:
        target = urlsplit(urljoin(at, location))
        if target.netloc != base.netloc and target.netloc != _GENERIC and not _NETSUITE.fullmatch(target.netloc):
            raise refused("The bindings name a file on another host.", target.geturl())
        return target._replace(scheme=base.scheme, netloc=base.netloc, query="", fragment="").geturl()

    def read(url: str) -> bytes:
        return _fetched(session, url)

    return gather(version, f"{base_url}/wsdl/v{version}_0/{WSDL}", read, resolve)


def _fetched(session: requests.Session, url: str) -> bytes:
    try:
        with session.get(url, stream=True, allow_redirects=False, timeout=LIMITS_S, headers=PLAINLY) as answer:
            if answer.status_code in (404, 410):
                raise refused("NetSuite does not offer bindings of this version.", url)
            if answer.status_code != 200 or answer.headers.get("Content-Encoding", "identity") != "identity":
                reason = f"HTTP {answer.status_code}: {url}"
                raise Deferred("NetSuite did not hand out the bindings.", code="NOT_FETCHED", detail=reason)
            content = bytearray()
            for piece in answer.iter_content(1 << 16):
                content += piece
                if len(content) > FILE_BYTES:
                    raise refused("A file of the bindings is larger than any should be.", url)
            length = answer.headers.get("Content-Length", "")
            if length.isdigit() and int(length) != len(content):
                raise Deferred("A file of the bindings arrived in part only.", code="NOT_FETCHED", detail=url)
            return bytes(content)
    except (requests.RequestException, OSError) as error:
        raise Deferred("NetSuite cannot be reached.", code="NOT_CONNECTED", detail=type(error).__name__) from error


def _start(names: list[str]) -> str:
    found = [name for name in names if posixpath.basename(name) == WSDL]
    if len(found) != 1:
        raise refused(f"There must be one {WSDL}; here are {len(found)}.")
    return found[0]


def _local(names: list[str]) -> Callable[[str, str], str]:
    """Return how a location in one of the files *names* leads to another; never out of them."""
    there = set(names)

    def resolve(at: str, location: str) -> str:
        parts = urlsplit(location)
        if parts.scheme or parts.netloc:
            # As published: https://webservices.netsuite.com/xsd/platform/v2025_2_0/core.xsd
            wanted = parts.path.lstrip("/")
            found = [name for name in names if name == wanted or name.endswith(f"/{wanted}")]
            if parts.scheme not in ("http", "https") or len(found) != 1:
                raise refused("A file names an address, and no file of the set stands for it.", location)
            return found[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(at), location))
        if target not in there:
            raise refused(f"The set is not whole: {posixpath.basename(at)} names {location}, which is not there.")
        return target

    return resolve


def gather(version: str, start: str, read: Callable[[str], bytes], resolve: Callable[[str, str], str]) -> WsdlSet:
    """Follow the imports from *start* and return everything, with locations rewritten to the names it is kept by.

    Raises Misconfigured: a file is missing, cut off, too large or no schema, or the set is of another version.
    """
    names = {start: WSDL}
    waiting, files, total = [start], {}, 0
    while waiting:
        at = waiting.pop(0)
        content = read(at)
        total += len(content)
        if total > SET_BYTES or len(names) > FILES:
            raise refused("The set is larger than any should be.")
        root = _root(posixpath.basename(urlsplit(at).path), content)
        for node in root.iter(*_IMPORTS, _WSDL_IMPORT):
            if node.tag == _WSDL_IMPORT:
                raise refused("The WSDL is made of several, which the bridge does not read.")
            location = node.get("schemaLocation")
            if location is None:
                continue
            target = resolve(at, location)
            if target not in names:
                names[target] = _kept_as(target, set(names.values()))
                waiting.append(target)
            own = posixpath.dirname(names[at]) or "."
            node.set("schemaLocation", posixpath.relpath(names[target], own))
        files[names[at]] = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    made = WsdlSet(version, files)
    found = made.inventory().version
    if found != version:
        raise refused(f"These bindings are of version {found}, not of {version}.")
    return made


def _root(name: str, content: bytes) -> etree._Element:
    try:
        root = etree.fromstring(content, parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise refused(f"The set is not whole: {name} is no complete XML file.", str(error)) from error
    info: Any = root.getroottree().docinfo  # the stubs lack most of it
    if info.doctype:
        raise refused(f"{name} carries a document type, which bindings never have.")
    return root


def _kept_as(location: str, taken: set[str]) -> str:
    """Return our name for a schema: ``xsd/platform.core.xsd`` for …/xsd/platform/v2025_2_0/core.xsd."""
    path = urlsplit(location).path.split("/")
    start = max((n for n, part in enumerate(path[:-1]) if part == "xsd"), default=len(path) - 2)
    parts = [re.sub(r"[^\w.-]", "_", it) for it in path[start + 1 :] if it and not re.fullmatch(r"v\d{4}_\d_\d", it)]
    name = f"xsd/{'.'.join(parts) or 'schema.xsd'}"
    while name in taken:
        name = f"{name.removesuffix('.xsd')}_.xsd"
    return name


def whole(manifest: Mapping[str, str], files: Mapping[str, bytes], wanted: str, version: str) -> WsdlSet:
    """Return a kept set, once every file has the hash that was noted, and all of them that of the set.

    Raises Misconfigured: a file is missing or was changed since it was fetched.
    """
    made = WsdlSet(version, dict(files))
    if made.manifest != dict(manifest) or seal(manifest) != wanted:
        wrong = sorted(set(manifest.items()) ^ set(made.manifest.items()))
        raise refused(
            "The kept bindings are not as they were fetched; fetch them again.",
            ", ".join(dict.fromkeys(name for name, _ in wrong)),
        )
    return made
