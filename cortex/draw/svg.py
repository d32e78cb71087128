"""The routing graph as one self-contained SVG, in light and dark.

Letters are of one width, so that a box is as wide as its text without asking a font. Each arrow leaves its node at a
place of its own: the order of a cascade reads from top to bottom.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence

from cortex.draw.labels import cut
from cortex.draw.layout import PORT, Place, Point, layout
from cortex.draw.picture import Arrow, Box, Picture

_LETTER = 7.8  # width of a letter at the font size below
_SMALL_LETTER = 6.6  # of a caption or an arrow's label
_PADDING = 14
_LINE = 17
_LONGEST = 48  # letters; a longer name is cut and told whole when pointed at
_LONGEST_LABEL = 32

_STYLE = """\
  text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #1c2330 }
  .note { font-size: 11px; fill: #566074 }
  .ground { fill: #ffffff }
  .node { fill: #eaf1fe; stroke: #2f6fde }
  .candidate { fill: #f4f5f7; stroke: #8a94a6 }
  .off { stroke-dasharray: 4 4 }
  .arrow { fill: none; stroke: #8a94a6; stroke-width: 1.4 }
  .head { fill: #8a94a6 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e8ecf3 }
    .note { fill: #a7b1c2 }
    .ground { fill: #11151c }
    .node { fill: #182742; stroke: #6ea1ff }
    .candidate { fill: #1c222c; stroke: #76829a }
    .arrow { stroke: #76829a }
    .head { fill: #76829a }
  }"""


def render(picture: Picture) -> str:
    sizes = {name: _size(box, len(picture.leaving[name])) for name, box in picture.boxes.items()}
    laid = layout(picture, sizes, list(map(_lead, picture.arrows)))
    size = f'width="{laid.width:.0f}" height="{laid.height:.0f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {laid.width:.0f} {laid.height:.0f}" {size}'
        ' role="img" aria-labelledby="cortex-title cortex-desc">',
        '<title id="cortex-title">Routing graph</title>',
        f'<desc id="cortex-desc">{escape(_description(picture))}</desc>',
        f"<style>\n{_STYLE}\n</style>",
        '<defs><marker id="cortex-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
        ' orient="auto"><path class="head" d="M0 0 8 4 0 8z"/></marker></defs>',
        f'<rect class="ground" {size}/>',
    ]
    for arrow, way in zip(picture.arrows, laid.ways, strict=True):
        lines.extend(_arrow(arrow, way))
    for name, box in picture.boxes.items():
        lines.extend(_box(box, laid.places[name]))
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _size(box: Box, ports: int) -> tuple[float, float]:
    letters = max(map(_letters, (cut(box.name, _LONGEST), *box.captions)))
    height = max(_LINE * (1 + len(box.captions)), PORT * ports) + _PADDING
    return letters * _LETTER + 2 * _PADDING, height


def _letters(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _box(box: Box, place: Place) -> Iterable[str]:
    kind = "node" if box.operator else "candidate"
    radius = 6 if box.operator else 16
    yield f"<g><title>{escape(', '.join([box.name, *box.captions]))}</title>"
    yield (
        f'<rect class="{kind}{" off" if box.off else ""}" x="{place.x:.1f}" y="{place.y:.1f}"'
        f' width="{place.width:.1f}" height="{place.height:.1f}" rx="{radius}"/>'
    )
    x = place.x + _PADDING
    y = place.y + place.height / 2 - len(box.captions) * _LINE / 2 + 4.5
    yield f'<text x="{x:.1f}" y="{y:.1f}">{escape(cut(box.name, _LONGEST))}</text>'
    for caption in box.captions:
        y += _LINE
        yield f'<text class="note" x="{x:.1f}" y="{y:.1f}">{escape(caption)}</text>'
    yield "</g>"


def _arrow(arrow: Arrow, way: Sequence[Point]) -> Iterable[str]:
    (x, y), *rest = way
    path = f"M{x:.1f} {y:.1f}"
    if lead := _lead(arrow):
        x += lead
        path += f"H{x:.1f}"
    for to_x, to_y in rest:
        bend = (to_x - x) / 2
        path += f"C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
    yield f'<path class="arrow" marker-end="url(#cortex-head)" d="{path}"/>'
    if arrow.label:
        label, whole = cut(arrow.label, _LONGEST_LABEL), escape(arrow.label)
        told = f"<title>{whole}</title>{escape(label)}" if label != arrow.label else whole
        yield f'<text class="note" x="{way[0][0] + 5:.1f}" y="{way[0][1] - 4:.1f}">{told}</text>'


def _lead(arrow: Arrow) -> float:
    """An arrow runs straight on beneath a label in words; beneath a number it need not."""
    return _letters(cut(arrow.when, _LONGEST_LABEL)) * _SMALL_LETTER + 8 if arrow.when else 0.0


def _description(picture: Picture) -> str:
    """The drawing in words, for those who cannot see it."""
    sentences = []
    for name, arrows in picture.leaving.items():
        if arrows:
            targets = ", ".join(f"{arrow.target} {arrow.label}".rstrip() for arrow in arrows)
            sentences.append(f"{', '.join([name, *picture.boxes[name].captions])}: {targets}.")
    sentences += [f"{box.name} is off: {box.off}." for box in picture.boxes.values() if box.off and not box.operator]
    return " ".join(sentences)


_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot hold


def escape(text: str) -> str:
    """As text or an attribute's value of XML, whatever it holds."""
    return html.escape(_FORBIDDEN.sub("\ufffd", text))
