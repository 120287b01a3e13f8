"""A set is taken whole or not at all, from a folder, a zip or the account's own address."""

from __future__ import annotations

import io
import os
import zipfile
import zlib

import pytest
import requests

from bridge.errors import Deferred, Misconfigured
from bridge.netsuite import sets
from bridge.netsuite.wsdl import Bindings
from bridge.sandbox.netsuite import NO_LATENCY, FakeNetSuite
from bridge.sandbox.wsgi import WsgiAdapter
from tests import wsdl_mutants as mutants
from tests.netsuite.conftest import Replies
from tests.wsdl_mutants import SUBSET

HOST = "https://1234567.suitetalk.api.netsuite.com"
PUBLISHED = "https://webservices.netsuite.com"


def zipped(files: mutants.Files, path, *, under: str = "", **others: bytes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**{f"{under}{it}": files[it] for it in files}, **others}.items():
            archive.writestr(name, content)
    return path


def code(caught: pytest.ExceptionInfo[Misconfigured]) -> str:
    return caught.value.code


def test_a_folder_a_zip_and_an_address_give_the_same_set(tmp_path):
    session = requests.Session()
    session.mount("https://", WsgiAdapter(FakeNetSuite(schema_dir=SUBSET, latency=NO_LATENCY)))

    folder = sets.from_path(SUBSET, "2025_2")
    packed = sets.from_path(zipped(mutants.read(SUBSET), tmp_path / "set.zip", under="suitetalk/"), "2025_2")
    fetched = sets.from_account(HOST, "2025_2", session)

    assert folder.seal == packed.seal
    assert set(fetched.files) == set(folder.files)
    # The account writes its own address into its WSDL.
    assert {name for name in folder.files if folder.files[name] != fetched.files[name]} == {"netsuite.wsdl"}
    assert Bindings.of(fetched.files, "2025_2").version == "2025_2"


def test_a_set_as_it_is_published_is_read_with_its_addresses(tmp_path):
    """NetSuite's own files name each other by addresses of a generic host, in folders by area and version."""
    files = mutants.read(SUBSET)
    there = {}
    for name, content in files.items():
        for other in files:
            short = other.rpartition("/")[2]
            area, _, rest = short.partition(".")
            for written in (f'schemaLocation="{other}"', f'schemaLocation="{short}"'):
                address = f'schemaLocation="{PUBLISHED}/xsd/{area}/v2025_2_0/{rest}"'
                content = content.replace(written.encode(), address.encode())
        area, _, rest = name.rpartition("/")[2].partition(".")
        there[name if name == "netsuite.wsdl" else f"xsd/{area}/v2025_2_0/{rest}"] = content

    made = sets.from_path(mutants.write(there, tmp_path), "2025_2")

    assert set(made.files) == set(files)
    assert Bindings.of(made.files, "2025_2").shapes.namespaces


@pytest.mark.parametrize("what", ["missing", "cut off", "other version", "mixed", "two", "renamed type"])
def test_what_is_not_whole_is_refused(what, tmp_path):
    files = mutants.read(SUBSET)
    sales = "xsd/transactions.sales.xsd"
    match what:
        case "missing":
            del files[sales]
        case "cut off":
            files[sales] = files[sales][:2000]
        case "other version":
            files = mutants.as_version(files, "2024_1")
        case "mixed":
            files[sales] = files[sales].replace(b"sales_2025_2", b"sales_2024_1")
        case "two":
            files["other/netsuite.wsdl"] = files["netsuite.wsdl"]
        case "renamed type":
            files[sales] = files[sales].replace(b'complexType name="SalesOrderItemList"', b'complexType name="Other"')

    with pytest.raises(Misconfigured) as caught:
        sets.from_path(mutants.write(files, tmp_path), "2025_2")

    assert code(caught) == "BINDINGS_REFUSED"


@pytest.mark.parametrize("name", ["../evil.xsd", "/etc/evil.xsd", "C:/evil.xsd", "..\\evil.xsd", "a/../../evil.xsd"])
def test_a_zip_whose_names_lead_out_of_it_is_refused(name, tmp_path):
    path = zipped(mutants.read(SUBSET), tmp_path / "set.zip", **{name: b"<x/>"})

    with pytest.raises(Misconfigured, match="leads out"):
        sets.from_path(path, "2025_2")

    assert [it.name for it in tmp_path.iterdir()] == ["set.zip"]


def test_a_file_that_grows_without_end_is_refused(tmp_path):
    bomb = {**mutants.read(SUBSET), "xsd/platform.core.xsd": b"<a>" + b" " * (sets.FILE_BYTES + 10)}

    with pytest.raises(Misconfigured, match="larger"):
        sets.from_path(zipped(bomb, tmp_path / "set.zip"), "2025_2")


def test_a_zip_that_is_too_large_is_refused_before_it_is_opened(tmp_path):
    path = tmp_path / "set.zip"
    with path.open("wb") as file:
        file.truncate(sets.SET_BYTES + 1)

    with pytest.raises(Misconfigured, match="larger"):
        sets.from_path(path, "2025_2")


def test_a_link_in_a_zip_is_no_way_out_of_it(tmp_path):
    """Its content is the path that it leads to, and nothing follows that."""
    files = {name: it for name, it in mutants.read(SUBSET).items() if name != "xsd/platform.core.xsd"}
    path = zipped(files, tmp_path / "set.zip")
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo("xsd/platform.core.xsd")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, str(SUBSET / "xsd" / "platform.core.xsd"))

    with pytest.raises(Misconfigured, match="no complete XML"):
        sets.from_path(path, "2025_2")


@pytest.mark.skipif(os.name == "nt", reason="pipes are for POSIX")
@pytest.mark.timeout(10)
def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path):
    folder = mutants.write(mutants.read(SUBSET), tmp_path / "set")
    (folder / "xsd" / "platform.core.xsd").unlink()
    os.mkfifo(folder / "xsd" / "platform.core.xsd")

    with pytest.raises(Misconfigured, match="plain file"):
        sets.from_path(folder, "2025_2")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("what", ["external entity", "remote include", "deep"])
def test_what_would_lead_a_reader_astray_is_refused(what, tmp_path):
    files = mutants.read(SUBSET)
    core = files["xsd/platform.core.xsd"]
    match what:
        case "external entity":
            core = core.replace(b"?>", b'?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>', 1)
        case "remote include":
            core = core.replace(b"</xs:schema>", b'<xs:include schemaLocation="http://127.0.0.1:9/x.xsd"/></xs:schema>')
        case "deep":
            core = core.replace(b"</xs:schema>", b"<a>" * 3000 + b"</a>" * 3000 + b"</xs:schema>")
    assert core != files["xsd/platform.core.xsd"]
    folder = mutants.write({**files, "xsd/platform.core.xsd": core}, tmp_path)

    with pytest.raises(Misconfigured):
        sets.from_path(folder, "2025_2")


def test_a_damaged_zip_is_refused(tmp_path):
    path = zipped(mutants.read(SUBSET), tmp_path / "set.zip")
    content = bytearray(path.read_bytes())
    content[3000] ^= 0xFF
    path.write_bytes(content)

    with pytest.raises(Misconfigured):
        sets.from_path(path, "2025_2")
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(Misconfigured):
        sets.from_path(path, "2025_2")


def test_entities_are_never_expanded(tmp_path):
    files = mutants.read(SUBSET)
    laughs = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    core = files["xsd/platform.core.xsd"]
    files["xsd/platform.core.xsd"] = core.replace(b"?>", b"?>" + laughs, 1)

    with pytest.raises(Misconfigured, match="document type"):
        sets.from_path(mutants.write(files, tmp_path), "2025_2")


@pytest.mark.skipif(os.name == "nt", reason="links are for POSIX")
def test_a_link_out_of_the_folder_is_refused(tmp_path):
    secret = tmp_path / "secret.xsd"
    secret.write_bytes((SUBSET / "xsd" / "platform.core.xsd").read_bytes())
    folder = mutants.write(mutants.read(SUBSET), tmp_path / "set")
    (folder / "xsd" / "platform.core.xsd").unlink()
    (folder / "xsd" / "platform.core.xsd").symlink_to(secret)

    with pytest.raises(Misconfigured, match="link out"):
        sets.from_path(folder, "2025_2")


@pytest.mark.parametrize("base", ["https://evil.example", "http://1234567.suitetalk.api.netsuite.com", "http://127.0.0.1:9",
                                  "https://a.suitetalk.api.netsuite.com.evil.example"])  # fmt: skip
def test_bindings_come_from_an_accounts_own_host_only(base):
    with pytest.raises(Misconfigured, match="own SuiteTalk domain"):
        sets.from_account(base, "2025_2", requests.Session())


def fetched(*bodies: bytes, **given: object) -> sets.WsdlSet:
    session = requests.Session()
    session.mount("https://", Replies(*bodies, **given))
    return sets.from_account(HOST, "2025_2", session)


def test_a_file_on_another_host_is_not_asked_for():
    wsdl = (SUBSET / "netsuite.wsdl").read_bytes()

    with pytest.raises(Misconfigured, match="another host"):
        fetched(wsdl.replace(b'"xsd/platform.core.xsd"', b'"https://evil.example/platform.core.xsd"'))


def test_a_redirect_is_not_followed():
    with pytest.raises(Deferred):
        fetched(b"", status=302, Location="https://evil.example/")


def test_half_a_file_is_no_file():
    wsdl = (SUBSET / "netsuite.wsdl").read_bytes()

    with pytest.raises((Misconfigured, Deferred)):
        fetched(wsdl[:5000])


def test_a_compressed_answer_is_not_unpacked():
    with pytest.raises(Deferred):
        fetched(zlib.compress(b"x" * 1000), Content_Encoding="deflate")


def test_an_endpoint_that_is_not_there_is_said_so():
    with pytest.raises(Misconfigured, match="does not offer"):
        fetched(b"no", status=404)


def test_a_kept_set_that_was_changed_is_refused():
    made = sets.from_path(SUBSET, "2025_2")
    spoilt = {**made.files, "xsd/platform.core.xsd": made.files["xsd/platform.core.xsd"] + b" "}
    forged = {
        **made.manifest,
        "xsd/platform.core.xsd": sets.WsdlSet("2025_2", spoilt).manifest["xsd/platform.core.xsd"],
    }

    assert sets.whole(made.manifest, made.files, made.seal, "2025_2").seal == made.seal
    with pytest.raises(Misconfigured, match="not as they were fetched"):
        sets.whole(made.manifest, spoilt, made.seal, "2025_2")
    with pytest.raises(Misconfigured):
        sets.whole(forged, spoilt, made.seal, "2025_2")
    del spoilt["xsd/platform.core.xsd"]
    with pytest.raises(Misconfigured):
        sets.whole(made.manifest, spoilt, made.seal, "2025_2")


@pytest.mark.full_schemas
@pytest.mark.parametrize("version", ["2023_2", "2025_2"])
def test_full_sets_are_read(version, tmp_path):
    files = mutants.full(version)

    folder = sets.from_path(mutants.FULL / version, version)
    packed = sets.from_path(zipped(files, tmp_path / "set.zip"), version)

    assert folder.seal == packed.seal
    assert len(folder.files) == len(files)


def test_nothing_of_a_zip_is_written_to_the_disk(tmp_path, monkeypatch):
    path = zipped(mutants.read(SUBSET), tmp_path / "set.zip")
    monkeypatch.chdir(tmp_path)

    sets.from_path(path, "2025_2")

    assert [it.name for it in tmp_path.iterdir()] == ["set.zip"]
    assert zipfile.is_zipfile(io.BytesIO(path.read_bytes()))
