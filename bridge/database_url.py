"""A database's address as somebody typed it: can it be read, how is it shown to people, which passwords are in it.

Must not know: SQLAlchemy, which would quote a password in its complaint about an address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit


def is_readable(url: str) -> bool:
    """Say whether the parts of *url* can be told apart."""
    try:
        return urlsplit(url).netloc.count("@") < 2 and (urlsplit(url).port or 1) > 0
    except ValueError:
        return False


def shown(url: str) -> str:
    """Return *url* without its password, for people."""
    return re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url).split("?", 1)[0]


def passwords(url: str) -> Iterator[str]:
    """Yield the passwords in *url*, as they are written there and as they are."""
    for found in re.findall(r"://[^:/@]*:(.+)@|[?&]password=([^&]+)", url):
        written = "".join(found)
        yield from {written, unquote(written)}
