"""Plots as inline SVG, drawn on the server: bars and lines that need no script, with a table for who cannot see them.

Must not know: where the figures come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 10.0, 12.0, 24.0
NICE = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Series:
    """One line or row of bars: its name, and a value (or None) for each label of the plot."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Plot:
    """*say* writes a value as people read it; *kind* is ``bars`` or ``lines``."""

    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    say: Callable[[float], str]
    kind: str = "lines"

    @property
    def is_empty(self) -> bool:
        return not any(value for one in self.series for value in one.values)

    @property
    def top(self) -> float:
        """Return the upper end of the scale: a round number above every value."""
        largest = max((value for one in self.series for value in one.values if value is not None), default=0.0) or 1.0
        size = 10.0 ** len(str(int(largest))) / 10 if largest >= 1 else 0.1
        while size > largest:
            size /= 10
        return next(size * it for it in NICE if size * it >= largest * 0.999)

    @property
    def grid(self) -> list[tuple[float, str]]:
        """Return the lines across: their place and what they stand for."""
        return [(self._y(self.top * part / 4), self.say(self.top * part / 4)) for part in range(5)]

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Return a few labels under the plot."""
        every = max(1, -(-len(self.labels) // 8))
        return [(self._x(place), label) for place, label in enumerate(self.labels) if place % every == 0]

    @property
    def bars(self) -> list[tuple[float, float, float, float, str]]:
        """Return x, y, width, height and words of every bar of the first series."""
        step = (WIDTH - LEFT - RIGHT) / max(1, len(self.labels))
        base = self._y(0)
        return [
            (self._x(place) - step * 0.38, self._y(value), step * 0.76, base - self._y(value),
             f"{self.labels[place]}: {self.say(value)}")
            for place, value in enumerate(self.series[0].values)
            if value
        ]  # fmt: skip

    def paths(self) -> list[tuple[str, str]]:
        """Return name and path of each line; it is broken where there is no value."""
        found = []
        for one in self.series:
            parts, pen = [], "M"
            for place, value in enumerate(one.values):
                if value is None:
                    pen = "M"
                    continue
                parts.append(f"{pen}{self._x(place):.1f} {self._y(value):.1f}")
                # A point between two gaps would not be seen.
                lonely = pen == "M" and (place + 1 == len(one.values) or one.values[place + 1] is None)
                if lonely:
                    parts.append("h3")
                pen = "L"
            found.append((one.name, "".join(parts)))
        return found

    def _x(self, place: int) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (place + 0.5) / max(1, len(self.labels)), 1)

    def _y(self, value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - max(0.0, min(1.0, value / self.top))), 1)
