"""Drawings of the routing graph: a tree for the terminal, Mermaid for documentation, SVG for everybody else.

Pure: a validated graph in, text out. Knows neither files nor terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cortex.draw import mermaid, svg, text
from cortex.draw.picture import Picture, picture
from routing.graph import Graph

FORMATS: Mapping[str, Callable[[Picture], str]] = {"text": text.render, "mermaid": mermaid.render, "svg": svg.render}


def draw(graph: Graph, form: str) -> str:
    """The graph in one of `FORMATS`, ending with a newline."""
    return FORMATS[form](picture(graph))
