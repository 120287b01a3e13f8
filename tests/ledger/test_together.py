"""Group commit: who waits is stored together, answered alone, and fails alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from sqlalchemy.exc import OperationalError

from bridge.ledger.together import Together


class Shelf:
    """Stores words; the first group waits until it is let go, so that the others gather behind it."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.open = threading.Event()
        self.error: Exception | None = None

    def store(self, words: Sequence[str]) -> Sequence[str]:
        first = not self.groups
        self.groups.append(list(words))
        if first:
            self.open.wait(10)
        if self.error is not None and len(words) > 1:
            raise self.error
        if "bad" in words:
            raise ValueError("bad")
        return [it.upper() for it in words]


def gather(together: Together[str, str], shelf: Shelf, *words: str, alone: str = "") -> dict[str, str]:
    """Put *words* from a thread each, the first long enough for all others to wait; return results and errors."""
    got: dict[str, str] = {}

    def put(word: str) -> None:
        try:
            got[word] = together.put(word, alone=word == alone)
        except (ValueError, OperationalError) as error:
            got[word] = type(error).__name__

    threads = [threading.Thread(target=put, args=(word,)) for word in words]
    for number, it in enumerate(threads):
        it.start()
        while len(shelf.groups) + len(together._waiting) < number + 1:
            threading.Event().wait(0.001)
    shelf.open.set()
    for it in threads:
        it.join()
    return got


def test_what_arrives_meanwhile_is_stored_together():
    shelf = Shelf()

    got = gather(Together(shelf.store, most=10), shelf, "a", "b", "c", "d")

    assert shelf.groups == [["a"], ["b", "c", "d"]]
    assert got == {"a": "A", "b": "B", "c": "C", "d": "D"}


def test_a_group_has_a_limit_and_nobody_joins_who_must_be_alone():
    shelf = Shelf()

    gather(Together(shelf.store, most=2), shelf, "a", "b", "c", "d", "e", "f", alone="e")

    assert shelf.groups == [["a"], ["b", "c"], ["d"], ["e"], ["f"]]


def test_what_fails_in_a_group_fails_alone():
    shelf = Shelf()

    got = gather(Together(shelf.store, most=10), shelf, "a", "b", "bad", "d")

    assert got == {"a": "A", "b": "B", "bad": "ValueError", "d": "D"}


def test_a_database_that_is_gone_is_asked_once():
    shelf = Shelf()
    shelf.error = OperationalError("INSERT", {}, Exception("gone"))

    got = gather(Together(shelf.store, most=10), shelf, "a", "b", "c", "d")

    assert got == {"a": "A", **dict.fromkeys("bcd", "OperationalError")}
    assert len(shelf.groups) == 2


def test_everybody_gets_an_own_answer():
    together: Together[str, str] = Together(lambda words: [it.upper() for it in words], most=3)
    got: list[tuple[str, str]] = []

    def put(caller: int) -> None:
        for number in range(200):
            word = f"w{caller}-{number}"
            got.append((word, together.put(word)))

    threads = [threading.Thread(target=put, args=(caller,)) for caller in range(8)]
    for it in threads:
        it.start()
    for it in threads:
        it.join(30)

    assert len(got) == 1600
    assert all(result == word.upper() for word, result in got)
    assert together._is_free
