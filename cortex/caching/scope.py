"""What besides a request's own words decides its answer: where it enters the routing graph, and what that looks at.

Two requests may share an answer only where all of this is the same. A reload that changes what an entry leads to gives
it another digest: nothing that was remembered before is found any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from cortex.chat import Json
from cortex.config.schema import Config
from routing.graph import Candidate, Entry, Graph, Node, Rules

_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class EntryScope:
    digest: str  # of all that the entry leads to
    headers: tuple[str, ...]  # that rules on the way look at, in lower case
    clients: bool  # whether rules on the way look at whose key it is

    @property
    def looks(self) -> bool:
        """Whether rules on the way look at more than the body."""
        return self.clients or bool(self.headers)

    def of_request(self, headers: Mapping[str, str], client: str | None) -> tuple[str | None, ...]:
        """What the rules on the way see of one request besides its body."""
        return (*(headers.get(name) for name in self.headers), client if self.clients else None)


def entry_scope(config: Config, graph: Graph, entry: Entry) -> EntryScope:
    seen: dict[str, Node | Candidate | None] = {}
    pending = [target.name for target in entry.targets]
    while pending:
        if (name := pending.pop()) in seen:
            continue
        node = graph.nodes.get(name)
        seen[name] = node or graph.leaf(name)
        if node is not None:
            pending += [target.name for target in node.targets]
    nodes = {name: found for name, found in seen.items() if found is not None and not isinstance(found, Candidate)}
    leaves = {name: found for name, found in seen.items() if isinstance(found, Candidate)}
    rules = [case.when for node in nodes.values() if isinstance(node, Rules) for case in node.cases]
    told = {
        "entry": entry,
        "nodes": {name: (node.operator, node) for name, node in nodes.items()},
        "leaves": leaves,
        "providers": {leaf.provider: _provider(config, graph, leaf.provider) for leaf in leaves.values()},
        "embedder": config.embedder.model_dump(mode="json") if entry.chooses else None,
    }
    return EntryScope(
        digest=hashlib.sha256(_encode(told)).hexdigest(),
        headers=tuple(sorted({name for when in rules for name, _ in when.headers})),
        clients=any(when.clients for when in rules),
    )


def _provider(config: Config, graph: Graph, name: str) -> Json:
    """Whose models they are: what is called, not with which keys and within which time."""
    told = config.providers[name].model_dump(mode="json", include={"type", "base_url", "api_version", "simulate"})
    return {**told, "off": graph.providers[name].off}
