"""The wheel holds everything that runs from it: the code, the bindings and the Salesforce package."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("bridge", "suitetalk_wsdl", "salesforce_metadata")
OFFLINE = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", "--no-build-isolation")
METADATA = re.compile(
    r"salesforce_metadata/(?:__init__\.py|sfdx-project\.json|(?:destructive|force-app|manifest|prerequisites|production)/)"
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, because a build leaves files beside what it builds."""
    copy = tmp_path_factory.mktemp("sources")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__", "node_modules", ".*")
        )
    for path in (ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE")):
        if path.exists():
            shutil.copy(path, copy)
    return copy


@pytest.fixture(scope="module")
def contents(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *OFFLINE, "--wheel-dir", str(folder), str(sources)], check=True
    )
    (wheel,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_every_file_of_its_packages(sources: Path, contents: set[str]) -> None:
    wanted = {
        name
        for package in PACKAGES
        for path in (sources / package).rglob("*")
        if path.is_file() and (METADATA.match(name := path.relative_to(sources).as_posix()) or package != PACKAGES[2])
    }

    assert wanted - contents == set()


def test_the_wheel_holds_nothing_else(contents: set[str]) -> None:
    assert {name.split("/")[0] for name in contents if ".dist-info/" not in name} == set(PACKAGES)
    assert [name for name in contents if "node_modules" in name or "__pycache__" in name] == []
