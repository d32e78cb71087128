"""Plots as self-contained SVG, in light and dark: bars, and lines over a common axis. Pure.

A plot shows what a table beside it tells exactly; it has no figure of its own.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

_WIDTH = 720
_LEFT = 150  # room for names, or for the scale
_RIGHT = 130  # room for values, or for the legend
_TOP = 44
_BAR = 26
_GAP = 12
_HEIGHT = 320  # of a plot with lines
_BOTTOM = 48
_STEPS = 5  # about how many marks a scale has
_COLOURS = 6

_STYLE = """\
  text { font: 12px system-ui, sans-serif; fill: #1c2330 }
  .title { font-size: 14px; font-weight: 600 }
  .note { fill: #566074 }
  .ground { fill: #ffffff }
  .grid { stroke: #dfe3ea; stroke-width: 1 }
  .limit { stroke: #8a94a6; stroke-width: 1; stroke-dasharray: 5 4 }
  .line { fill: none; stroke-width: 2 }
  .s0 { fill: #2f6fde; stroke: #2f6fde } .s1 { fill: #8a94a6; stroke: #8a94a6 }
  .s2 { fill: #d9822b; stroke: #d9822b } .s3 { fill: #2e9e6b; stroke: #2e9e6b }
  .s4 { fill: #a451c9; stroke: #a451c9 } .s5 { fill: #c23b4b; stroke: #c23b4b }
  @media (prefers-color-scheme: dark) {
    text { fill: #e8ecf3 }
    .note { fill: #a7b1c2 }
    .ground { fill: #11151c }
    .grid { stroke: #2a313d }
  }"""

Point = tuple[float, float]


def bars(title: str, unit: str, values: Mapping[str, float], *, digits: int = 0) -> str:
    """One bar a name, as long as its value."""
    longest = max([*values.values(), 0.0]) or 1.0
    room = _WIDTH - _LEFT - _RIGHT
    parts: list[str] = []
    for index, (name, value) in enumerate(values.items()):
        y = _TOP + index * (_BAR + _GAP)
        width = max(1.0, room * max(0.0, value) / longest)
        middle = y + _BAR / 2 + 4
        parts += [
            _text(_LEFT - 10, middle, name, anchor="end"),
            f'<rect class="s{index % _COLOURS}" x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}"/>',
            _text(_LEFT + width + 8, middle, f"{value:,.{digits}f} {unit}"),
        ]
    return _page(title, _TOP + len(values) * (_BAR + _GAP) + _GAP, parts)


def lines(
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Sequence[Point]],
    *,
    limits: Sequence[float] = (),
) -> str:
    """One line a name over common axes; the vertical one is logarithmic. `limits` are marked across.

    Points at or below zero have no place on such an axis and are left out.
    """
    drawn = {name: [point for point in points if point[1] > 0] for name, points in series.items()}
    plane = _Plane([point for points in drawn.values() for point in points], limits)
    parts = plane.grid()
    for limit in limits:
        y = plane.y(limit)
        parts.append(f'<path class="limit" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
    for index, (name, points) in enumerate(drawn.items()):
        style = f"s{index % _COLOURS}"
        path = " ".join(f"{plane.x(x):.1f},{plane.y(y):.1f}" for x, y in points)
        parts.append(f'<polyline class="line {style}" style="fill:none" points="{path}"/>')
        parts += [f'<circle class="{style}" cx="{plane.x(x):.1f}" cy="{plane.y(y):.1f}" r="3"/>' for x, y in points]
        beside = _TOP + 8 + index * 20
        parts.append(f'<rect class="{style}" x="{_WIDTH - _RIGHT + 16}" y="{beside - 9}" width="10" height="10"/>')
        parts.append(_text(_WIDTH - _RIGHT + 32, beside, name))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 10, x_label, anchor="middle", style="note"))
    parts.append(_text(12, _TOP + 8, y_label, style="note"))
    return _page(title, _HEIGHT, parts)


class _Plane:
    """Where a point lies: across in proportion, upwards by its logarithm."""

    def __init__(self, points: Sequence[Point], limits: Sequence[float]) -> None:
        heights = [y for _, y in points] + [limit for limit in limits if limit > 0] or [1.0]
        self._right = max((x for x, _ in points), default=1.0) or 1.0
        self._low = math.floor(math.log10(min(heights)))
        self._high = max(self._low + 1, math.ceil(math.log10(max(heights))))

    def x(self, value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * value / self._right

    def y(self, value: float) -> float:
        up = (math.log10(value) - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * up

    def grid(self) -> list[str]:
        parts: list[str] = []
        for power in range(self._low, self._high + 1):
            y = self.y(10.0**power)
            parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
            parts.append(_text(_LEFT - 8, y + 4, f"{10.0**power:,g}", anchor="end", style="note"))
        step = _round_step(self._right / _STEPS)
        for index in range(int(self._right / step) + 1):
            x = self.x(index * step)
            parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>')
            parts.append(_text(x, _HEIGHT - _BOTTOM + 16, f"{index * step:,g}", anchor="middle", style="note"))
        return parts


def _round_step(least: float) -> float:
    """The next of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _text(x: float, y: float, text: str, *, anchor: str = "start", style: str = "") -> str:
    shown = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{shown}>{html.escape(text)}</text>'


def _page(title: str, height: float, parts: Sequence[str]) -> str:
    size = f'width="{_WIDTH}" height="{height:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" {size} role="img">',
            f"<title>{html.escape(title)}</title>",
            f"<style>\n{_STYLE}\n</style>",
            f'<rect class="ground" {size}/>',
            _text(12, 24, title, style="title"),
            *parts,
            "</svg>\n",
        ]
    )
