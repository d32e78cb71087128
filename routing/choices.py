"""Which way the nodes that choose would take, one after another, before the walk. Pure.

The caller asks for the next node that has no choice yet, decides it (which may take a vector), and asks again.
"""

from __future__ import annotations

from collections.abc import Mapping

from routing.graph import CHOOSING, Entry, Graph, Rules
from routing.rules import Facts

Choices = Mapping[str, str]  # node → the target that is the way
NO_CHOICES: Choices = {}


def next_choice(graph: Graph, entry: Entry, choices: Choices) -> str | None:
    """The first node on the ways that are still open which has no choice yet; None: all are made."""
    seen: set[str] = set()
    pending = [target.name for target in reversed(entry.targets)]
    while pending:
        name = pending.pop()
        node = graph.nodes.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if not isinstance(node, CHOOSING):
            pending += [target.name for target in reversed(node.targets)]
        elif name in choices:
            pending.append(choices[name])
        else:
            return name
    return None


def first_that_holds(rules: Rules, facts: Facts) -> int | None:
    """The place of the case that is the way; None: no case holds."""
    return next((place for place, case in enumerate(rules.cases) if case.when.holds(facts)), None)
