"""What is wrong with a graph: everything at once, each problem where it can be mended.

Reads a graph of any content without recursion, so that no file, however deep or circular, breaks the check.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator

from routing.graph import CHOOSING, Balance, Classify, Graph, GraphProblem, Node, Rules, Target, nearest
from routing.strategies import STRATEGIES

MAX_DEPTH = 32  # nodes on one way: far beyond sense, and what the walk's recursion has room for

_Path = tuple[str | int, ...]


def problems(graph: Graph) -> list[GraphProblem]:
    return [*_names(graph), *_nodes(graph), *_ways(graph), *_default(graph)]


def _names(graph: Graph) -> Iterator[GraphProblem]:
    for section, what, names in (("providers", "provider", graph.providers), ("models", "node", graph.nodes)):
        for name in names:
            if not name:
                yield GraphProblem((section, name), f"the name of a {what} is empty")
            elif "/" in name:
                yield GraphProblem((section, name), f'the name of a {what} has no slash: "{name}"')
    for name in graph.nodes:
        if name in graph.providers:
            yield GraphProblem(("models", name), f'"{name}" is the name of a provider too', "give the node another one")


def _nodes(graph: Graph) -> Iterator[GraphProblem]:
    for name, node in graph.nodes.items():
        if isinstance(node, Balance) and node.strategy not in STRATEGIES:
            hint = _meant(node.strategy, STRATEGIES) or f"there are {', '.join(STRATEGIES)}"
            yield GraphProblem(("models", name, "balance", "strategy"), f'unknown strategy "{node.strategy}"', hint)
        if not node.targets:
            yield GraphProblem(_targets_path(name, node), "no targets")
        named = Counter[str]()
        for target, path in zip(node.targets, _paths(name, node), strict=True):
            if named[target.name] and not isinstance(node, CHOOSING):
                yield GraphProblem(path, f'"{target.name}" is listed twice')
            else:
                yield from _target(graph, target.name, path)
            named[target.name] += 1
            yield from _weight(node, target, (*path, "weight"))


def _target(graph: Graph, name: str, path: _Path) -> Iterator[GraphProblem]:
    if name in graph.nodes or graph.leaf(name) is not None:
        return
    provider, slash, model = name.partition("/")
    if provider not in graph.providers:
        yield GraphProblem(path, f'unknown target "{name}"', _meant_target(graph, name))
        return
    listed = [candidate.model for candidate in graph.providers[provider].candidates]
    if slash and listed:
        hint = _meant(model, listed, f"{provider}/") or f"it lists {', '.join(listed[:5])}"
        yield GraphProblem(path, f'the provider "{provider}" lists no model "{model}"', hint)
    else:
        yield GraphProblem(path, f'the provider "{provider}" lists no model')


def _meant_target(graph: Graph, name: str) -> str | None:
    entry = graph.resolve(name)
    if entry is not None and entry.kind == "model":
        return f'did you mean "{entry.targets[0].name}"?'
    return _meant(name, [known for known in graph.names() if known in graph.nodes or graph.leaf(known) is not None])


def _weight(node: Node, target: Target, path: _Path) -> Iterator[GraphProblem]:
    if not (math.isfinite(target.weight) and target.weight > 0):
        yield GraphProblem(path, "a weight is a finite number above 0")
    elif target.weight != 1 and not (isinstance(node, Balance) and node.strategy == "weighted"):
        yield GraphProblem(path, "a weight means nothing here", "only the strategy weighted looks at it")


def _default(graph: Graph) -> Iterator[GraphProblem]:
    name = graph.default_model
    if name is not None and graph.resolve(name) is None:
        yield GraphProblem(
            ("default_model",), f'"{name}" is not a model that can be asked for', _meant(name, graph.names())
        )


def _ways(graph: Graph) -> Iterator[GraphProblem]:
    """Rings, each told once at the target that closes it, and ways that are too long, at the node where they get so.

    A depth-first search: `way` are the nodes from a root to here, each with the targets it has yet to follow.
    """
    depth: dict[str, int] = {}  # of the nodes that are done with: the longest way down, the node included
    for root in graph.nodes:
        if root in depth:
            continue
        way = {root: _below(graph, root)}
        while way:
            name = next(reversed(way))
            step = next(way[name], None)
            if step is None:
                del way[name]
                depth[name] = 1 + max((depth.get(target, 0) for _, target in _below(graph, name)), default=0)
                if depth[name] == MAX_DEPTH + 1:
                    yield GraphProblem(("models", name), f"more than {MAX_DEPTH} nodes follow one another from here")
                continue
            place, target = step
            if target in way:
                ring = [*way][[*way].index(target) :]
                told = " → ".join([*ring, target])
                yield GraphProblem(_paths(name, graph.nodes[name])[place], f"the nodes go in a ring: {told}")
            elif target not in depth:
                way[target] = _below(graph, target)


def _below(graph: Graph, name: str) -> Iterator[tuple[int, str]]:
    """The targets of a node that are nodes, each at its first place."""
    places: dict[str, int] = {}
    for place, target in enumerate(graph.nodes[name].targets):
        if target.name in graph.nodes:
            places.setdefault(target.name, place)
    return ((place, target) for target, place in places.items())


def _targets_path(name: str, node: Node) -> _Path:
    path = "models", name, node.operator
    return (*path, "targets") if isinstance(node, Balance) else path


def _paths(name: str, node: Node) -> list[_Path]:
    """Where each of the node's targets stands, in their order."""
    path = _targets_path(name, node)
    if isinstance(node, Rules):
        return [(*path, place, "to") for place in range(len(node.cases) + 1)]
    if isinstance(node, Classify):
        return [*((*path, "routes", route.name, "to") for route in node.routes), (*path, "default")]
    return [(*path, place) for place in range(len(node.targets))]


def _meant(name: str, names: Iterable[str], prefix: str = "") -> str | None:
    found = nearest(name, names, 1)
    return f'did you mean "{prefix}{found[0]}"?' if found else None
