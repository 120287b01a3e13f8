"""An iterator that is read ahead in a thread of its own."""

from __future__ import annotations

import threading

import pytest

from bridge.ahead import ahead


def test_items_come_in_their_order_and_end():
    assert list(ahead(iter(range(50)))) == list(range(50))


def test_further_items_are_read_while_one_is_worked_on_but_not_all():
    """Memory stays flat: one item waits, and one is being read."""
    read, third = [], threading.Event()

    def source():
        for n in range(10):
            read.append(n)
            if n == 2:
                third.set()
            yield n

    items = ahead(source(), 1)
    next(items)

    assert third.wait(5)
    assert len(read) == 3
    items.close()


def test_what_the_source_raises_comes_after_what_it_yielded():
    def source():
        yield 1
        yield 2
        raise ValueError("broken")

    taken = []
    with pytest.raises(ValueError, match="broken"):
        taken.extend(iter_into(taken, ahead(source())))

    assert taken == [1, 2]


def iter_into(taken, items):
    for it in items:
        taken.append(it)
    return []


def test_whoever_stops_early_closes_the_source():
    closed = threading.Event()

    def source():
        try:
            yield from range(1000)
        finally:
            closed.set()

    items = ahead(source())
    next(items)
    items.close()

    assert closed.wait(5)
    assert not [it for it in threading.enumerate() if it.name == "reading-ahead"]
