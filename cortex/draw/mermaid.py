"""The routing graph as a Mermaid flowchart, for Markdown that renders it.

Names never become identifiers or markup: boxes are numbered, and every character that Mermaid reads is an entity.
"""

from __future__ import annotations

import re

from cortex.draw.picture import Box, Picture

_MARKUP = re.compile(r"""[^\w .,:;/()×@+=-]""")  # all that could be markup, quoting or a control character


def render(picture: Picture) -> str:
    ids = {name: f"n{position}" for position, name in enumerate(picture.boxes)}
    lines = ["flowchart LR", "  accTitle: Routing graph"]
    lines += [f"  {ids[name]}{_shape(box)}" for name, box in picture.boxes.items()]
    for arrow in picture.arrows:
        label = f'|"{_escape(arrow.label)}"|' if arrow.label else ""
        lines.append(f"  {ids[arrow.source]} -->{label} {ids[arrow.target]}")
    if off := [ids[name] for name, box in picture.boxes.items() if box.off]:
        lines += ["  classDef off stroke-dasharray:4 4,opacity:0.6", f"  class {','.join(off)} off"]
    return "\n".join(lines) + "\n"


def _shape(box: Box) -> str:
    label = "<br/>".join(map(_escape, (box.name, *box.captions)))
    return f'["{label}"]' if box.operator else f'(["{label}"])'


def _escape(text: str) -> str:
    return _MARKUP.sub(lambda found: f"#{ord(found[0])};", text)
