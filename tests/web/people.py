"""People at the console, over a real socket: a browser without JavaScript, which keeps cookies and fills forms."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import requests

from bridge.ledger import Ledger, accounts

PASSWORD = "correct horse battery staple"


def make_account(ledger: Ledger, name: str, role: str) -> None:
    accounts.set_account(ledger, name, role, PASSWORD, actor="test")


class Browser:
    """One person's browser at one console."""

    def __init__(self, url: str) -> None:
        self.url, self.session = url, requests.Session()
        self.session.trust_env = False

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.session.get(f"{self.url}{path}", params=params, timeout=20, allow_redirects=False)

    def follow(self, path: str, **params: Any) -> requests.Response:
        return self.session.get(f"{self.url}{path}", params=params, timeout=20)

    def sign_in(self, name: str, password: str = PASSWORD, **form: Any) -> requests.Response:
        page = self.get("/sign-in", again="1" if "again" in form else None)
        data = {"form": hidden(page.text, "form"), "name": name, "password": password, **form}
        return self.session.post(f"{self.url}/sign-in/local", data=data, timeout=20, allow_redirects=False)

    @property
    def token(self) -> str:
        return hidden(self.follow("/").text, "token")

    def post(self, path: str, follow: bool = False, **form: Any) -> requests.Response:
        data = {"token": self.token, **form}
        return self.session.post(f"{self.url}{path}", data=data, timeout=20, allow_redirects=follow)


def hidden(text: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found is not None, f"the page has no field {name}"
    return unescape(found[1])
