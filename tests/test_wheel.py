"""The wheel holds everything that runs from it: the code, the bindings and the Salesforce package."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
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
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *OFFLINE, "--wheel-dir", str(folder), str(sources)], check=True
    )
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
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


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_with_us() -> set[str]:
    """The distributions that a stranger has who installs the wheel without any extra: ours, and what those need."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    found: set[str] = set()
    while needed:
        it = canonical(re.split(r"[\[<>=!~ ;(]", needed.pop())[0])
        if it in found:
            continue
        try:
            more = metadata.requires(it) or []
        except metadata.PackageNotFoundError:  # for another version of Python, or another system
            continue
        found.add(it)
        needed += [one for one in more if "extra ==" not in one]
    return found


GUARD = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


@pytest.mark.slow
def test_the_demo_plays_to_its_end_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    """In a process and a folder of its own, without what only our tests have: a stranger runs it first."""
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *OFFLINE, "--target", str(installed), str(wheel)], check=True
    )
    ours = installed_with_us()
    known = metadata.packages_distributions()
    absent = {name for name, makers in known.items() if not {canonical(it) for it in makers} & ours} - set(PACKAGES)
    (installed / "sitecustomize.py").write_text(GUARD.format(absent=absent))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    run = {"cwd": elsewhere, "env": environment | {"PYTHONPATH": str(installed)}, "text": True, "capture_output": True}

    where = subprocess.run([sys.executable, "-c", "import bridge; print(bridge.__file__)"], check=True, **run)
    played = subprocess.run([sys.executable, "-m", "bridge", "demo", "--fast"], check=False, timeout=55, **run)

    assert {"psycopg", "procrastinate", "hypothesis"} <= absent
    assert Path(where.stdout.strip()).is_relative_to(installed)
    assert played.returncode == 0, played.stdout + played.stderr
    assert "What exists on both sides" in played.stdout
    assert "Opportunity" not in played.stdout
    assert list(elsewhere.iterdir()) == []
