"""Serve a web app with waitress, on a thread of its own, so that one process can serve several ports."""

from __future__ import annotations

import threading
from typing import Any
from wsgiref.types import WSGIApplication

from waitress.server import create_server

THREADS = 32  # callers wait on NetSuite; eight threads would serve ten saves a second


class Served:
    """A web app behind waitress, on a thread of its own."""

    def __init__(self, app: WSGIApplication, host: str, port: int, *, threads: int = THREADS) -> None:
        self._server: Any = create_server(app, map={}, host=host, port=port, threads=threads, ident=None)
        self.port: int = self._server.effective_port
        self.url = f"http://{host}:{self.port}"
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"web-{self.port}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            self._server.run()
        except OSError:  # its loop waits on the very sockets that stopping closes
            if not self._stopping:
                raise

    def stop(self) -> None:
        self._stopping = True
        self._server.close()
        self._thread.join(5)
