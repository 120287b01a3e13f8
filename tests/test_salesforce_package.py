"""The package seen from the mapping: its field list and its zip."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from lxml import etree

from bridge import salesforce_package as package
from bridge.mapping import Syncs, text, with_fields
from bridge.overlay import site_syncs
from bridge.site import Site

REPOSITORY = Path(__file__).parents[1]
PROJECT = REPOSITORY / "salesforce_metadata"
CONVERT = """
const { createRequire } = require("node:module"); const { join } = require("node:path");
const project = process.argv[1];
const { ComponentSet, MetadataConverter } =
  createRequire(join(project, "package.json"))("@salesforce/source-deploy-retrieve");
const found = ComponentSet.fromSource(join(project, "force-app"));
new MetadataConverter().convert(found, "metadata",
  { type: "directory", outputDirectory: process.argv[2], genUniqueDir: false });
"""


@pytest.fixture
def syncs() -> Syncs:
    return site_syncs(Site())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    copy = tmp_path / "salesforce_metadata"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("node_modules"))
    return copy


def with_field(syncs: Syncs, source: str) -> Syncs:
    push = with_fields(syncs.pushes["customer"], {"comments": text(source)})
    return Syncs({**syncs.pushes, "customer": push}, syncs.pulls, syncs.context)


def test_salesforce_sends_every_field_that_the_mapping_reads(syncs: Syncs) -> None:
    found = package.compare(PROJECT, syncs)

    assert not found.missing
    assert not found.unknown


def test_a_field_that_a_site_adds_is_missing_until_its_record_is_written(syncs: Syncs, project: Path) -> None:
    more = with_field(syncs, "Description")

    before = package.compare(project, more).missing
    changed = package.write(project, more)

    assert before == (("Account", "Description"),)
    assert changed == ["Bridge_Field.Account_Description.md-meta.xml"]
    assert not package.compare(project, more).is_wrong


def test_a_custom_field_that_no_object_defines_is_named(syncs: Syncs) -> None:
    found = package.compare(PROJECT, with_field(syncs, "Nowhere__c"))

    assert found.unknown == (("Account", "Nowhere__c"),)
    assert found.is_wrong


def test_what_nothing_reads_is_deleted_only_when_asked(syncs: Syncs, project: Path) -> None:
    extra = package.compare(project, syncs).extra
    assert extra

    package.write(project, syncs)
    kept = package.compare(project, syncs).extra
    package.write(project, syncs, prune=True)

    assert kept == extra
    assert not package.compare(project, syncs).extra


def test_every_record_is_exactly_what_would_be_written() -> None:
    for field in package.listed(PROJECT):
        name, content = package.record_file(field)
        assert (PROJECT / package.SOURCE / "customMetadata" / name).read_text(encoding="utf-8") == content


def test_the_manifest_in_the_zip_names_a_new_record(syncs: Syncs, project: Path, tmp_path: Path) -> None:
    package.write(project, with_field(syncs, "Description"))

    package.pack(project, tmp_path / "new.zip")

    with zipfile.ZipFile(tmp_path / "new.zip") as archive:
        manifest = archive.read("package.xml").decode()
    assert manifest.count("<members>Bridge_Field.Account_Description</members>") == 1


def test_without_changes_the_manifest_is_the_committed_one() -> None:
    committed = (PROJECT / "manifest" / "package.xml").read_text(encoding="utf-8")

    assert package.package_xml(PROJECT, package.listed(PROJECT)) == committed


def test_the_zip_is_the_same_each_time(tmp_path: Path) -> None:
    package.pack(PROJECT, tmp_path / "one.zip")
    package.pack(PROJECT, tmp_path / "two.zip")

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


@pytest.mark.node
def test_the_zip_holds_what_salesforces_own_conversion_makes(tmp_path: Path) -> None:
    """The same files, and in each the same elements, whatever their order."""
    if (
        shutil.which("node") is None
        or not (PROJECT / "node_modules" / "@salesforce" / "source-deploy-retrieve").is_dir()
    ):
        pytest.skip("node or the package's npm tools are not installed (scripts/check-salesforce installs them)")
    subprocess.run(["node", "-e", CONVERT, str(PROJECT), str(tmp_path / "mdapi")], check=True, timeout=50)

    package.pack(PROJECT, tmp_path / "ours.zip")

    with zipfile.ZipFile(tmp_path / "ours.zip") as archive:
        ours = {name: archive.read(name) for name in archive.namelist() if name != "package.xml"}
    root = tmp_path / "mdapi"
    theirs = {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != "package.xml"
    }
    assert ours.keys() == theirs.keys()
    for name, content in ours.items():
        assert content == theirs[name] or elements(content) == elements(theirs[name]), name


def elements(content: bytes) -> object:
    def shape(element: etree._Element) -> tuple[object, ...]:
        children = [shape(one) for one in element if isinstance(one.tag, str)]
        return (element.tag, (element.text or "").strip(), sorted(element.attrib.items()), sorted(children, key=repr))

    return shape(etree.fromstring(content))
