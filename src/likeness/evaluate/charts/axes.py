"""Small diagrams in rows and columns on one page: bars, steps, lines with bands, and marks. Drawn with Pillow alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

FINE = 2  # drawn so many times as large and made smaller: smooth lines
WIDTH, HEIGHT, LEFT, RIGHT, ABOVE, BELOW, TOP = 330, 170, 58, 14, 34, 34, 30
INK, FAINT, LINES = "#222222", "#777777", "#e8e8e8"
Point = tuple[float, float]


class Page:
    """A page of `columns` x `rows` diagrams under one line of words."""

    def __init__(self, columns: int, rows: int, words: str = "") -> None:
        from PIL import Image, ImageDraw, ImageFont

        self.wide, self.high = LEFT + WIDTH + RIGHT, ABOVE + HEIGHT + BELOW
        self.sheet = Image.new("RGB", (columns * self.wide * FINE, (TOP + rows * self.high) * FINE), "white")
        self.pen = ImageDraw.Draw(self.sheet)
        self.plain, self.bold = (ImageFont.load_default(size * FINE) for size in (12, 14))
        self.pen.text((12 * FINE, 8 * FINE), words, FAINT, self.plain)

    @property
    def picture(self) -> Any:
        return self.sheet.reduce(FINE)

    def axes(self, column: int, row: int, x: Point, y: Point, title: str, below: str = "") -> Axes:
        """A diagram with its frame, its scales from x[0] to x[1] and y[0] to y[1], a title, and words below."""
        return Axes(self, (column * self.wide + LEFT, TOP + row * self.high + ABOVE), x, y, title, below)


class Axes:
    """One diagram; values outside its scales are drawn at its edge."""

    def __init__(self, page: Page, corner: tuple[int, int], x: Point, y: Point, title: str, below: str) -> None:
        self.page, self.pen, (self.left, self.top), self.x, self.y = page, page.pen, corner, x, y
        write = self.pen.text
        write(self._page(0, -20), title, INK, page.bold)
        write(self._page(WIDTH, HEIGHT + 18), below, FAINT, page.plain, anchor="ra")
        for value in ticks(*x):
            across, _ = self._place((value, y[0]))
            self.pen.line([(across, self._page(0, 0)[1]), self._page(0, HEIGHT, across)], LINES, FINE)
            write((across, self._page(0, HEIGHT + 4)[1]), f"{value:g}", FAINT, page.plain, anchor="ma")
        for value in ticks(*y, most=4):
            _, down = self._place((x[0], value))
            self.pen.line([(self._page(0, 0)[0], down), (self._page(WIDTH, 0)[0], down)], LINES, FINE)
            write((self._page(-6, 0)[0], down), f"{value:g}", FAINT, page.plain, anchor="rm")
        self.pen.rectangle([self._page(0, 0), self._page(WIDTH, HEIGHT)], outline=FAINT, width=FINE)

    def bars(self, edges: Sequence[float], heights: Sequence[float], colour: str) -> None:
        """Filled bars between neighbouring edges, one more than heights."""
        for low, high, height in zip(edges, edges[1:], heights, strict=False):
            if height > 0:
                (x0, y0), (x1, y1) = self._place((low, height)), self._place((high, self.y[0]))
                self.pen.rectangle((x0 + FINE, y0, max(x0 + FINE, x1 - FINE), y1), colour)

    def steps(self, edges: Sequence[float], heights: Sequence[float], colour: str) -> None:
        """The outline of such bars."""
        corners = [(edges[0], 0.0)]
        for low, high, height in zip(edges, edges[1:], heights, strict=False):
            corners += [(low, height), (high, height)]
        self.pen.line([self._place(point) for point in [*corners, (edges[-1], 0.0)]], colour, 2 * FINE)

    def line(self, points: Sequence[Point], colour: str) -> None:
        """A line with a dot at each point."""
        places = [self._place(point) for point in points]
        self.pen.line(places, colour, 2 * FINE, joint="curve")
        for x, y in places:
            self.pen.ellipse((x - 4 * FINE, y - 4 * FINE, x + 4 * FINE, y + 4 * FINE), colour)

    def band(self, xs: Sequence[float], between: Sequence[Point], colour: str) -> None:
        """What lies between two curves, given as (low, high) at each of two or more x."""
        lows, highs = ([(x, pair[side]) for x, pair in zip(xs, between, strict=True)] for side in (0, 1))
        if len(xs) > 1:
            self.pen.polygon([self._place(point) for point in [*lows, *reversed(highs)]], colour)

    def upright(self, value: float, colour: str, words: str = "") -> None:
        """A dashed line at a value of x, if it lies on the scale."""
        if self.x[0] <= value <= self.x[1]:
            across, _ = self._place((value, self.y[0]))
            for down in range(0, HEIGHT, 8):
                self.pen.line([self._page(0, down, across), self._page(0, down + 4, across)], colour, 2 * FINE)
            left = across < self._page(WIDTH * 0.8, 0)[0]
            beside = self._page(0, 4, across + (4 if left else -4) * FINE)
            self.pen.text(beside, words, colour, self.page.plain, anchor="la" if left else "ra")

    def level(self, value: float, colour: str, words: str = "") -> None:
        """A dashed line at a value of y, if it lies on the scale."""
        if self.y[0] <= value <= self.y[1]:
            _, down = self._place((self.x[0], value))
            for across in range(0, WIDTH, 8):
                ends = [(self._page(side, 0)[0], down) for side in (across, across + 4)]
                self.pen.line(ends, colour, 2 * FINE)
            self.pen.text((self._page(4, 0)[0], down + 2 * FINE), words, colour, self.page.plain)

    def _page(self, x: float, y: float, across: float | None = None) -> Point:
        """A place of the diagram in pixels of the sheet; `across` is one already."""
        return ((self.left + x) * FINE if across is None else across, (self.top + y) * FINE)

    def _place(self, point: Point) -> Point:
        shares = [
            min(1.0, max(0.0, (value - low) / (high - low)))
            for value, (low, high) in zip(point, (self.x, self.y), strict=True)
        ]
        return self._page(WIDTH * shares[0], HEIGHT * (1 - shares[1]))


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`: 1, 2 or 5 times a power of ten apart, `most` or one more of them."""
    size = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(size * d for d in (1, 2, 5, 10) if size * d * most >= (high - low) * (1 - 1e-9))
    return [round(i * step, 12) for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def ends(values: Sequence[float], room: float = 0.06) -> Point:
    """The least and the greatest value with a little room; a width of 1 around values that are all equal."""
    low, high = min(values), max(values)
    if high - low < 1e-9:
        return low - 0.5, high + 0.5
    return low - room * (high - low), high + room * (high - low)
