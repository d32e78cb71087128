"""The routing graph as a tree for the terminal: from each node that no other leads to, down to the candidates.

A node that several lead to is drawn once, where it is met first, and referred to after.
"""

from __future__ import annotations

from collections.abc import Iterator

from cortex.draw.picture import Arrow, Picture

BY_NAME_ONLY = "(asked for by name only)"


def render(picture: Picture) -> str:
    drawn: set[str] = set()
    lines: list[str] = []
    alone: list[str] = []
    for root in picture.roots:
        if picture.boxes[root].operator is None:
            alone.append(root)
            continue
        if lines:
            lines.append("")
        lines.append(_line(picture, root))
        lines.extend(_below(picture, root, "", drawn))
    if alone:
        lines.extend(["", BY_NAME_ONLY] if lines else [BY_NAME_ONLY])
        lines.extend(f"{_elbow(name is alone[-1])} {_line(picture, name)}" for name in alone)
    return "\n".join(lines) + "\n"


def _below(picture: Picture, name: str, indent: str, drawn: set[str]) -> Iterator[str]:
    drawn.add(name)
    arrows = picture.leaving[name]
    for arrow in arrows:
        last = arrow is arrows[-1]
        again = bool(picture.leaving[arrow.target]) and arrow.target in drawn
        what = f"{arrow.target}  (see above)" if again else _line(picture, arrow.target)
        yield f"{indent}{_elbow(last)} {_label(arrow)}{what}"
        if not again:
            yield from _below(picture, arrow.target, indent + ("   " if last else "│  "), drawn)


def _line(picture: Picture, name: str) -> str:
    return "  ".join([name, *picture.boxes[name].captions])


def _label(arrow: Arrow) -> str:
    if arrow.order is not None:
        return f"{arrow.order}. "
    if arrow.when:
        return f"{arrow.when} → "
    return f"{arrow.label} " if arrow.label else ""


def _elbow(last: bool) -> str:
    return "└─" if last else "├─"
