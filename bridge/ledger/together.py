"""Group commit: what arrives while a transaction is being written goes into the next one, all of it in one.

A commit that waits for the disk costs as much for one caller as for fifty. Each caller gets its own result; where a
group fails for something in it, each part is done again alone and fails alone.

Must not know: what is stored.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Waiting(Generic[Item, Result]):
    __slots__ = ("alone", "error", "item", "leads", "result", "turn", "weight")

    def __init__(self, item: Item, weight: int, alone: bool) -> None:
        self.item, self.weight, self.alone = item, weight, alone
        self.turn = threading.Event()  # its result is there, or it leads the next group
        self.leads = False
        self.result: list[Result] = []
        self.error: BaseException | None = None


class Together(Generic[Item, Result]):
    """Stores items in groups: *store* does so in one transaction, and returns a result for each, in order.

    *most* is the weight of a group. One group is written at a time: two would share the callers, and write twice.
    """

    def __init__(self, store: Callable[[Sequence[Item]], Sequence[Result]], *, most: int) -> None:
        self._store, self._most, self._is_free = store, most, True
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting[Item, Result]] = deque()

    def put(self, item: Item, *, weight: int = 1, alone: bool = False) -> Result:
        """Store *item* with what else waits, or *alone*, and return its result. Raises what storing it raised."""
        mine: _Waiting[Item, Result] = _Waiting(item, weight, alone)
        with self._lock:
            self._waiting.append(mine)
            if self._is_free:
                self._appoint()
        mine.turn.wait()
        if mine.leads:
            self._lead(mine)
        if mine.error is not None:
            raise mine.error
        return mine.result[0]

    def _appoint(self) -> None:
        """Let whoever waits longest lead the next group."""
        self._is_free = not self._waiting
        if self._waiting:
            self._waiting[0].leads = True
            self._waiting[0].turn.set()

    def _lead(self, mine: _Waiting[Item, Result]) -> None:
        with self._lock:
            group = self._take(mine)
        try:
            self._write(group)
        finally:
            with self._lock:
                self._appoint()
            for it in group:
                it.turn.set()

    def _take(self, mine: _Waiting[Item, Result]) -> list[_Waiting[Item, Result]]:
        """Take what goes with *mine* in one transaction: what waits longest, as much as fits."""
        self._waiting.remove(mine)  # who leads waited longest
        group, weight = [mine], mine.weight
        while self._waiting and not mine.alone:
            head = self._waiting[0]
            weight += head.weight
            if weight > self._most or head.alone:
                break
            group.append(self._waiting.popleft())
        return group

    def _write(self, group: list[_Waiting[Item, Result]]) -> None:
        try:
            for it, result in zip(group, self._store([it.item for it in group]), strict=True):
                it.result.append(result)
        except (OperationalError, InterfaceError) as error:
            # The database itself: asking it for each of them again would only make all of them wait longer.
            for it in group:
                it.error = error
        except Exception as error:  # noqa: BLE001 - told by whoever put it there
            if len(group) == 1:
                group[0].error = error
            else:
                for it in group:
                    self._write([it])
        except BaseException as error:
            for it in group:
                it.error = error
            raise
