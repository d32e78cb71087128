"""An evaluation of a node's routes as one self-contained SVG, in light and dark: what was taken for what, and how right
the routed prompts are the more of them are routed. Pure; shows figures and routes' names, never a prompt.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from cortex.draw.labels import as_percent, cut
from cortex.draw.svg import escape
from routing.semantic.evaluation import COVERAGES, Coverage, Evaluation

_WIDTH = 760  # at least
_MARGIN = 20
_LETTER = 6.7  # width of a letter at the font size below
_LONGEST = 20  # letters of a name; a longer one is cut and told whole when pointed at
_CELLS = 400  # what the heat map's cells share, within the two limits
_SMALLEST, _LARGEST = 12.0, 46.0
_LEANING = 20.0  # the smallest cell whose name may lean over the next
_NUMBERED = 24.0  # the smallest cell with a number in it
_RATED = 36.0  # and with its precision beneath it
_FAINTEST, _STRONGEST = 0.06, 0.85  # a number can be read on both, in light and dark
_EDGE = 86.0  # right of the cells and beneath: recall and precision
_FIRST = 10  # percent: fewer routed prompts tell little
_PLOT_LEFT, _PLOT_RIGHT, _PLOT_HEIGHT = 62.0, 206.0, 250.0

_STYLE = """\
  text { font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #1c2330 }
  .title { font-size: 14px; font-weight: 600 }
  .heading { font-size: 12px; font-weight: 600 }
  .note { fill: #566074 }
  .ground { fill: #ffffff }
  .grid { fill: none; stroke: #dfe3ea }
  .right { fill: #2f6fde } .wrong { fill: #c23b4b }
  .line { fill: none; stroke: #2f6fde; stroke-width: 2 }
  .dot { fill: #2f6fde } .force { fill: #d9822b }
  @media (prefers-color-scheme: dark) {
    text { fill: #e8ecf3 }
    .note { fill: #a7b1c2 }
    .ground { fill: #11151c }
    .grid { stroke: #2a313d }
    .right { fill: #3f7cec } .wrong { fill: #d24a5b }
    .line { stroke: #6ea1ff }
    .dot { fill: #6ea1ff } .force { fill: #f0a04b }
  }"""


def draw_evaluation(node: str, evaluation: Evaluation) -> str:
    matrix = _Matrix(evaluation, 64.0)
    plot = _Plot(evaluation, matrix.bottom + 54)
    width, height = max(_WIDTH, matrix.right + _MARGIN), plot.bottom + 52
    size = f'width="{width:.0f}" height="{height:.0f}"'
    title = f"Routes of {node}"
    told = f"{evaluation.prompts:,} prompts, {as_percent(evaluation.accuracy)} right, the default counted as a class"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" {size}'
        ' role="img" aria-labelledby="cortex-routes-title cortex-routes-desc">',
        f'<title id="cortex-routes-title">{escape(title)}</title>',
        f'<desc id="cortex-routes-desc">{escape(_description(told, evaluation))}</desc>',
        f"<style>\n{_STYLE}\n</style>",
        f'<rect class="ground" {size}/>',
        _text(_MARGIN, 28, title, style="title"),
        _text(_MARGIN, 46, told, style="note"),
        *matrix.drawn(),
        *plot.drawn(),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


class _Matrix:
    """A row for what is wanted, a column for what was got; as strong a colour as its share of the row."""

    def __init__(self, evaluation: Evaluation, top: float) -> None:
        self._evaluation = evaluation
        self._names = evaluation.names
        longest = max(len(cut(name, _LONGEST)) for name in (*self._names, "precision %")) * _LETTER
        self._cell = max(_SMALLEST, min(_LARGEST, _CELLS / len(self._names)))
        self._left = _MARGIN + longest + 10
        self._lean = 45 if self._cell >= _LEANING else 90  # degrees, of the columns' names
        self._top = top + 46 + longest * math.sin(math.radians(self._lean))
        self._heading = top + 14
        self._edge = self._left + len(self._names) * self._cell
        self._foot = self._top + len(self._names) * self._cell
        self.right = self._edge + max(_EDGE, longest * math.cos(math.radians(self._lean)))
        self.bottom = self._foot + 24

    def drawn(self) -> Iterator[str]:
        yield _text(_MARGIN, self._heading, "Wanted (rows) and got (columns)", style="heading")
        yield _text(_MARGIN, self._heading + 16, "the stronger, the more of its row", style="note")
        cells = len(self._names) * self._cell
        grid = "".join(
            f"M{self._left:.1f} {self._top + place * self._cell:.1f}h{cells:.1f}"
            f"M{self._left + place * self._cell:.1f} {self._top:.1f}v{cells:.1f}"
            for place in range(len(self._names) + 1)
        )
        yield f'<path class="grid" d="{grid}"/>'
        for place, name in enumerate(self._names):
            middle = (place + 0.5) * self._cell
            yield _text(self._left - 8, self._top + middle + 4, cut(name, _LONGEST), anchor="end", whole=name)
            x, y = self._left + middle + 3, self._top - 7
            yield _text(x, y, cut(name, _LONGEST), whole=name, turn=f"rotate(-{self._lean} {x:.1f} {y:.1f})")
        yield from self._rates()
        for row, counts in enumerate(self._evaluation.confusion):
            for column, count in enumerate(counts):
                if count:
                    yield from self._filled(row, column, count, sum(counts))

    def _rates(self) -> Iterator[str]:
        yield _text(self._edge + 10, self._foot + 16, "recall %", style="note")
        if self._cell >= _RATED:
            yield _text(self._left - 8, self._foot + 16, "precision %", anchor="end", style="note")
        for place, score in enumerate(self._evaluation.routes):
            middle = (place + 0.5) * self._cell
            yield _text(self._edge + 10, self._top + middle + 4, _rate(score.recall), style="note")
            if self._cell >= _RATED:
                rate = _rate(score.precision)
                yield _text(self._left + middle, self._foot + 16, rate, anchor="middle", style="note")

    def _filled(self, row: int, column: int, count: int, of: int) -> Iterator[str]:
        x, y = self._left + column * self._cell, self._top + row * self._cell
        strength = _FAINTEST + (_STRONGEST - _FAINTEST) * count / of
        what = f"{count:,} of {of:,} that belong to {self._names[row]} got {self._names[column]}"
        yield f"<g><title>{escape(what)}</title>"
        yield (
            f'<rect class="{"right" if row == column else "wrong"}" x="{x + 0.5:.1f}" y="{y + 0.5:.1f}"'
            f' width="{self._cell - 1:.1f}" height="{self._cell - 1:.1f}" fill-opacity="{strength:.2f}"/>'
        )
        if self._cell >= _NUMBERED and len(str(count)) * _LETTER < self._cell:
            yield _text(x + self._cell / 2, y + self._cell / 2 + 4, str(count), anchor="middle")
        yield "</g>"


class _Plot:
    """Across: how many are routed, the surest first. Upwards: how many of these are where they belong."""

    def __init__(self, evaluation: Evaluation, top: float) -> None:
        self._evaluation = evaluation
        self._points = _apart(evaluation.at(percent) for percent in range(_FIRST, 101))
        rates = [each.accuracy for each in (*self._points, evaluation.in_force) if each.accuracy is not None]
        self._step = 5 if min(rates, default=0.0) >= 0.7 else 10  # percent, between marks
        self._low = min(90, math.floor(min(rates, default=0.0) * 100 / self._step) * self._step)
        self._heading = top
        self._top = top + 22
        self.bottom = self._top + _PLOT_HEIGHT

    def drawn(self) -> Iterator[str]:
        yield _text(_MARGIN, self._heading, "Precision: right of the routed, the surest routed first", style="heading")
        yield from self._grid()
        path = " ".join(
            f"{self._x(each.share):.1f},{self._y(each.accuracy):.1f}"
            for each in self._points
            if each.accuracy is not None
        )
        yield f'<polyline class="line" points="{path}"/>'
        for each in _apart(map(self._evaluation.at, COVERAGES)):
            yield from self._point(each, "dot", f"{each.threshold:.2f}")
        yield from self._point(self._evaluation.in_force, "force", "")
        yield from self._legend()

    def _point(self, each: Coverage, style: str, label: str) -> Iterator[str]:
        if each.accuracy is None:
            return
        x, y = self._x(each.share), self._y(each.accuracy)
        what = f"{as_percent(each.share)} routed, {as_percent(each.accuracy)} of these right"
        yield f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"><title>{escape(what)}</title></circle>'
        if label:
            yield _text(x + 4, y - 7, label)  # above the line on its way down

    def _legend(self) -> Iterator[str]:
        x, y = _WIDTH - _PLOT_RIGHT + 40, self._top + 8
        force = self._evaluation.in_force
        yield f'<circle class="dot" cx="{x + 6:.1f}" cy="{y:.1f}" r="4.5"/>'
        yield _text(x + 22, y + 4, "with this threshold")
        yield f'<circle class="force" cx="{x + 6:.1f}" cy="{y + 24:.1f}" r="4.5"/>'
        yield _text(x + 22, y + 28, "in force:")
        for row, told in enumerate(
            (f"{as_percent(force.share)} routed", f"{as_percent(force.accuracy)} right of these")
        ):
            yield _text(x + 22, y + 44 + row * 16, told, style="note")

    def _grid(self) -> Iterator[str]:
        left, right = self._x(_FIRST / 100), self._x(1.0)
        for percent in range(self._low, 101, self._step):
            y = self._y(percent / 100)
            yield f'<path class="grid" d="M{left:.1f} {y:.1f}H{right:.1f}"/>'
            yield _text(left - 8, y + 4, f"{percent} %", anchor="end", style="note")
        for percent in range(_FIRST, 101, 10):
            x = self._x(percent / 100)
            yield f'<path class="grid" d="M{x:.1f} {self._top:.1f}V{self.bottom:.1f}"/>'
            yield _text(x, self.bottom + 17, f"{percent}", anchor="middle", style="note")
        yield _text((left + right) / 2, self.bottom + 36, "% of the prompts routed", anchor="middle", style="note")

    def _x(self, share: float) -> float:
        across = max(0.0, (share - _FIRST / 100) / (1 - _FIRST / 100))
        return _PLOT_LEFT + (_WIDTH - _PLOT_RIGHT - _PLOT_LEFT) * across

    def _y(self, rate: float) -> float:
        return self.bottom - _PLOT_HEIGHT * (rate * 100 - self._low) / (100 - self._low)


def _apart(points: Iterable[Coverage]) -> list[Coverage]:
    """Each number of routed prompts once."""
    return list({each.routed: each for each in points}.values())


def _description(told: str, evaluation: Evaluation) -> str:
    """The drawing in words, for those who cannot see it."""
    sentences = [told]
    for name, score in zip(evaluation.names, evaluation.routes, strict=True):
        rates = f"precision {as_percent(score.precision)}, recall {as_percent(score.recall)}"
        sentences.append(f"{name}: {score.prompts:,} prompts, {rates}")
    points = _apart(map(evaluation.at, COVERAGES))
    sentences += [_covered(each, f"threshold {each.threshold:.4f}") for each in points]
    return ". ".join([*sentences, _covered(evaluation.in_force, "in force")]) + "."


def _covered(each: Coverage, what: str) -> str:
    return f"{what}: {as_percent(each.share)} routed, {as_percent(each.accuracy)} of these right"


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", style: str = "", whole: str | None = None, turn: str = ""
) -> str:
    """`whole`: told when pointed at, if it is more."""
    shown = f' class="{style}"' if style else ""
    turned = f' transform="{turn}"' if turn else ""
    title = f"<title>{escape(whole)}</title>" if whole is not None and whole != text else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{shown}{turned}>{title}{escape(text)}</text>'


def _rate(share: float | None) -> str:
    """A percentage without its sign."""
    return as_percent(share).removesuffix(" %")
