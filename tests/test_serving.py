"""A web app on a port of its own: stopped, it leaves nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
import requests

from bridge.serving import PortTaken, Served


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


def serve(app=hello, port: int = 0) -> Served:
    return Served(app, "127.0.0.1", port, threads=2)


def test_it_ends_although_a_browser_keeps_its_connection():
    before = set(threading.enumerate())
    served = serve()
    served.start()

    with requests.Session() as browser:
        assert browser.get(served.url, timeout=5).text == "hello"
        served.stop()
        for thread in set(threading.enumerate()) - before:
            thread.join(1)

        assert set(threading.enumerate()) <= before
        with pytest.raises(requests.ConnectionError):
            browser.get(served.url, timeout=5)


def test_a_request_in_progress_is_answered_before_it_ends():
    begun, go_on = threading.Event(), threading.Event()
    answers: list[str] = []

    def slow(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        begun.set()
        go_on.wait(5)
        return hello(environ, start_response)

    served = serve(slow)
    served.start()
    asking = threading.Thread(target=lambda: answers.append(requests.get(served.url, timeout=5).text))
    asking.start()
    assert begun.wait(5)
    stopping = threading.Thread(target=served.stop)
    stopping.start()

    go_on.set()
    for thread in (stopping, asking):
        thread.join(5)

    assert answers == ["hello"]


def test_one_that_never_began_is_stopped_as_well():
    served = serve()

    served.stop()

    serve(port=served.port).stop()  # the port is free again


def test_a_port_in_use_is_told():
    served = serve()

    with pytest.raises(PortTaken, match=f"Port {served.port} of 127.0.0.1 cannot be used"):
        serve(port=served.port)

    served.stop()
