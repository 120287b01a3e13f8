"""No call to the outside may wait for ever: every client made in the bridge has a time limit, found by reading it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridge

HOME = Path(bridge.__file__).parent

VERBS = {"get", "post", "put", "patch", "delete", "head", "options", "request", "send", "urlopen", "fetch_token"}
VERBS |= {"refresh_token"}
# What opens connections, by the name it is imported under; what lies below a name with a dot at its end counts too.
OPENERS = (
    *("aiohttp.", "apprise.Apprise", "authlib.integrations.", "ftplib.", "http.client.HTTPConnection"),
    *("http.client.HTTPSConnection", "httpx.", "imaplib.", "poplib.", "simple_salesforce.Salesforce", "smtplib."),
    *("socket.create_connection", "socket.socket", "suds.", "urllib.request.", "urllib3.PoolManager"),
    *("urllib3.ProxyManager", "websocket.", "zeep.AsyncClient", "zeep.Client", "zeep.Transport", "zeep.transports."),
    *("requests.Session", "requests.session"),
)
# Where one is made, and what its limit is. Whoever adds a line says so, and looks.
LIMITED = {
    ("alerts.py", "apprise.Apprise"): "its own defaults, see below",
    ("alerts.py", "requests.Session"): "each call says it",
    ("netsuite/transport.py", "requests.Session"): "each call says it, and the adapter has a deadline",
    ("rehearsal.py", "requests.Session"): "carried by a WSGI adapter without a socket",
    ("salesforce/connection.py", "simple_salesforce.Salesforce"): "given the limiting session",
    ("sandbox/salesforce_callouts.py", "requests.Session"): "each call says it",
    ("serving.py", "socket.socket"): "binds a port and closes it; it waits for nobody",
    ("web/oidc.py", "authlib.integrations.requests_client.OAuth2Session"): "each call says it",
    ("web/oidc.py", "requests.Session"): "each call says it",
}
# These are given a `salesforce.transport.Session`, which limits every call that does not say how long it may take.
BY_SESSION = "salesforce/"


def endless(where: str, code: str) -> Iterator[str]:
    """Yield every call in *code* that opens a connection, or speaks over one, without a limit that is known."""
    tree = ast.parse(code)
    names = dict(_imported(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(_is_limit(it) for it in node.keywords):
            continue
        called = _dotted(node.func)
        first, _, rest = called.partition(".")
        full = f"{names[first]}.{rest}".rstrip(".") if first in names else called
        if any(full == it or (it.endswith(".") and full.startswith(it)) for it in OPENERS):
            known = (where, full) in LIMITED
        elif full.startswith(("requests.", "urllib3.")) and full.rpartition(".")[2] in VERBS:
            known = False
        elif isinstance(node.func, ast.Attribute) and node.func.attr in VERBS and _is_client(node.func.value):
            known = where.startswith(BY_SESSION)
        else:
            continue
        if not known:
            yield f"{where}:{node.lineno}: {full}"


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for it in node.names:
                yield (it.asname, it.name) if it.asname else (it.name.partition(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((it.asname or it.name, f"{node.module}.{it.name}") for it in node.names)


def _is_limit(keyword: ast.keyword) -> bool:
    is_none = isinstance(keyword.value, ast.Constant) and keyword.value.value is None
    return keyword.arg in ("timeout", "timeout_s", "operation_timeout") and not is_none


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "()"


def _is_client(node: ast.expr) -> bool:
    """Say whether *node* looks like a session, a pool or an adapter, by its last name."""
    while isinstance(node, ast.Call):
        node = node.func
    last = _dotted(node).rpartition(".")[2].lower()
    return any(word in last for word in ("session", "http", "adapter", "pool"))


def test_no_client_of_the_bridge_can_wait_for_ever():
    found = [
        it
        for file in sorted(HOME.rglob("*.py"))
        for it in endless(file.relative_to(HOME).as_posix(), file.read_text(encoding="utf-8"))
    ]

    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "import requests; requests.get(url)",
        "import requests; requests.get(url, timeout=None)",
        "import requests as r; r.post(url)",
        "from requests import Session; Session()",
        "import urllib.request; urllib.request.urlopen(url)",
        "from urllib.request import urlopen; urlopen(url)",
        "import http.client; http.client.HTTPSConnection(host)",
        "import zeep; zeep.Client(wsdl)",
        "from zeep.transports import Transport; Transport()",
        "from simple_salesforce import Salesforce; Salesforce(session_id=token)",
        "import apprise; apprise.Apprise()",
        "import socket; socket.create_connection(address)",
        "import smtplib; smtplib.SMTP(host)",
        "session.post(url, body)",
        "self._session().get(url)",
        "self._session.get_adapter(url).send(request)",
        "self._http.request('GET', url)",
    ],
)
def test_a_client_without_a_limit_is_found(code):
    assert list(endless("new.py", code))


def test_every_place_that_is_excused_is_still_there():
    """An excuse for code that is gone would excuse the next one."""
    for where, opener in LIMITED:
        assert opener.rpartition(".")[2] in (HOME / where).read_text(encoding="utf-8")


def test_apprise_limits_its_calls_by_itself():
    """Source: Apprise wiki, "Apprise URL Timeouts": ``cto`` and ``rto``, 4 s each where a URL says nothing."""
    base = pytest.importorskip("apprise").URLBase

    assert 0 < base.socket_connect_timeout <= 10
    assert 0 < base.socket_read_timeout <= 10
