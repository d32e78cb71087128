"""What every drawing of the routing graph shows, before it has a shape: boxes, and arrows between them.

Expects a graph without problems: every target exists and no node leads back to itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from routing.graph import Balance, Cascade, Classify, Graph, Node, Rules, Target

UNNAMED = "(no model named)"  # the way of a request that names no model, where `default_model` is not a node


@dataclass(frozen=True, slots=True)
class Box:
    """A node (`operator` says what it does) or a candidate (`operator` is None)."""

    name: str  # unique: a node's has no slash, a candidate's has one
    operator: str | None = None
    default: bool = False  # requests that name no model enter here
    off: str | None = None  # why nothing can be called here, or None

    @property
    def captions(self) -> list[str]:
        """What there is to say about it, in the order of importance."""
        marks = [self.operator, "default model" if self.default else None, f"off: {self.off}" if self.off else None]
        return [mark for mark in marks if mark]


@dataclass(frozen=True, slots=True)
class Arrow:
    source: str
    target: str
    order: int | None = None  # a cascade's: 1 is tried first
    weight: float | None = None  # a weighted balance's
    when: str = ""  # of a node that chooses: what leads there

    @property
    def label(self) -> str:
        if self.when:
            return self.when
        if self.weight is not None:
            return f"×{self.weight:g}"
        return "" if self.order is None else str(self.order)


@dataclass(frozen=True)
class Picture:
    """`boxes` begins with the nodes, in the order of the file; `arrows` are in the order of their source's targets."""

    boxes: dict[str, Box]
    arrows: tuple[Arrow, ...]

    @cached_property
    def leaving(self) -> dict[str, list[Arrow]]:
        """Arrows by source; every box has an entry."""
        found: dict[str, list[Arrow]] = {name: [] for name in self.boxes}
        for arrow in self.arrows:
            found[arrow.source].append(arrow)
        return found

    @cached_property
    def roots(self) -> list[str]:
        """Boxes that no arrow leads to, nodes first."""
        reached = {arrow.target for arrow in self.arrows}
        return [name for name in self.boxes if name not in reached]


def picture(graph: Graph) -> Picture:
    """Every node, every candidate that one leads to, and the default model of each provider that none leads to."""
    arrows = [arrow for name, node in graph.nodes.items() for arrow in _arrows(graph, name, node)]
    operators = {name: _operator(node) for name, node in graph.nodes.items()}
    if graph.default_model not in graph.nodes and (entry := graph.resolve(None)) is not None:
        operators[UNNAMED] = "cascade"
        arrows += _arrows(graph, UNNAMED, Cascade(entry.targets))
    leaves = {arrow.target for arrow in arrows} - operators.keys()
    boxes = {name: Box(name, operator, default=name == graph.default_model) for name, operator in operators.items()}
    for provider in sorted(graph.providers.values(), key=lambda provider: provider.priority):
        reached = [candidate for candidate in provider.candidates if candidate.name in leaves]
        for candidate in reached or provider.candidates[:1]:
            boxes[candidate.name] = Box(candidate.name, off=provider.off)
    return Picture(_off_marked(boxes, arrows), tuple(arrows))


def _operator(node: Node) -> str:
    return f"{node.operator}: {node.strategy}" if isinstance(node, Balance) else node.operator


def _arrows(graph: Graph, source: str, node: Node) -> Iterable[Arrow]:
    if isinstance(node, Rules | Classify):
        ways: dict[str, list[str]] = {}
        for when, target in _ways(node):
            ways.setdefault(_destination(graph, target.name), []).append(when)
        for name, whens in ways.items():
            yield Arrow(source, name, when=" or ".join(whens))
        return
    # Two targets of a node may be one candidate (a provider and its default model by name): the first stands.
    targets: dict[str, Target] = {}
    for target in node.targets:
        targets.setdefault(_destination(graph, target.name), target)
    for order, (name, target) in enumerate(targets.items(), start=1):
        if isinstance(node, Cascade):
            yield Arrow(source, name, order=order)
        else:
            yield Arrow(source, name, weight=target.weight if node.strategy == "weighted" else None)


def _ways(node: Rules | Classify) -> Iterable[tuple[str, Target]]:
    if isinstance(node, Rules):
        yield from ((str(case.when), case.to) for case in node.cases)
        yield "else", node.otherwise
    else:
        yield from ((route.name, route.to) for route in node.routes)
        yield "unsure", node.default


def _destination(graph: Graph, target: str) -> str:
    """The box that a target means: a node, or the candidate behind a provider's name or a full one."""
    leaf = graph.leaf(target)
    return target if leaf is None else leaf.name


def _off_marked(boxes: dict[str, Box], arrows: Sequence[Arrow]) -> dict[str, Box]:
    """The boxes, with each node off whose every target is."""
    targets: dict[str, list[str]] = {}
    for arrow in arrows:
        targets.setdefault(arrow.source, []).append(arrow.target)
    alive: dict[str, bool] = {}

    def is_alive(name: str) -> bool:
        if name not in alive:
            below = targets.get(name)
            alive[name] = any(map(is_alive, below)) if below else boxes[name].off is None
        return alive[name]

    return {
        name: box if box.off or is_alive(name) else Box(name, box.operator, box.default, "every candidate is off")
        for name, box in boxes.items()
    }
