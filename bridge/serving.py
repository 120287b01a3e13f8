"""Serve a web app with waitress, on a thread of its own, so that one process can serve several ports."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from waitress import wasyncore
from waitress.server import create_server

from bridge.courtesy import waited_for

FINISH_S = 5.0  # how long requests in progress may take when it is stopped
THREADS = 32  # callers wait on NetSuite; eight threads would serve ten saves a second


class PortTaken(Exception):
    """Another program listens there, or this one may not. An operator chooses another port."""


def look_free(host: str, port: int) -> None:
    """Raise PortTaken where nothing could listen on *port*; 0 is always free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(f"Port {port} of {host} cannot be used: {error.strerror}.") from error


def _behind(proxy: str | None) -> dict[str, Any]:
    """Return what has waitress believe the address that *proxy* forwards; anybody else's word for it is dropped."""
    if proxy is None:
        return {"clear_untrusted_proxy_headers": True}
    return {
        "trusted_proxy": proxy,
        "trusted_proxy_count": 1,
        "trusted_proxy_headers": {"x-forwarded-for"},
        "clear_untrusted_proxy_headers": True,
    }


class Served:
    """A web app behind waitress, on a thread of its own. *proxy*: the one address whose X-Forwarded-For is believed."""

    def __init__(
        self, app: WSGIApplication, host: str, port: int, *, threads: int = THREADS, proxy: str | None = None
    ) -> None:
        self._app, self._active, self._idle = app, 0, threading.Condition()
        self._sockets: dict[int, Any] = {}
        try:
            self._server: Any = create_server(
                self._counted, map=self._sockets, host=host, port=port, threads=threads, ident=None, **_behind(proxy)
            )
        except OSError as error:
            raise PortTaken(f"Port {port} of {host} cannot be used: {error.strerror}.") from error
        self.port: int = self._server.effective_port
        self.url = f"http://{host}:{self.port}"
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"web-{self.port}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping:
            wasyncore.loop(timeout=1.0, map=self._sockets, count=1)

    def _counted(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._idle:
            self._active += 1
        try:
            with waited_for():
                return self._app(environ, start_response)
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    def stop(self, finish_s: float = FINISH_S) -> None:
        """Let requests in progress be answered for up to *finish_s* seconds, then close."""
        with self._idle:
            busy = self._active > 0
            self._idle.wait_for(lambda: self._active == 0, finish_s)
        if busy:
            threading.Event().wait(0.2)  # the last answer is still being written
        self._server.task_dispatcher.set_thread_count(0)
        self._stopping = True
        if self._thread.is_alive():
            self._server.pull_trigger()
            self._thread.join(5)
        # Only now: the loop must not wait on what is closed under it, nor for browsers that keep their connections.
        wasyncore.close_all(self._sockets, ignore_all=True)
