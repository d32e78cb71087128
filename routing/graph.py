"""The routing graph: named nodes over providers and their models, as configured. Immutable.

A target is a node, a provider (its default model, the first listed) or `provider/model` (the provider ends at the first
slash). What a client's `model` may be is wider: see `Graph.resolve`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from routing.rules import When

_LONGEST_GUESS = 200  # characters; comparing names takes time with the square of their length


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model at one provider: what an attempt is made on. None: unknown."""

    provider: str
    model: str
    context_tokens: int | None = None
    input_usd_per_mtok: float | None = None
    output_usd_per_mtok: float | None = None
    max_output_tokens: int | None = None
    cached_input_usd_per_mtok: float | None = None
    cache_write_usd_per_mtok: float | None = None
    lacks: frozenset[str] = frozenset()  # capabilities that are known to be missing; see routing.demand.CAPABILITIES
    name: str = field(init=False, repr=False, compare=False)  # "provider/model"; read several times a request

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.provider}/{self.model}")


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A provider's place in the graph. `candidates[0]` is its default model; switched off, it is never called."""

    name: str
    priority: int
    candidates: tuple[Candidate, ...]
    off: str | None = None  # why it is switched off ("no key"), or None


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Cascade:
    """Targets in the order in which they are tried."""

    operator: ClassVar = "cascade"
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Balance:
    """Targets ordered anew for each request by a strategy: the first is the choice, the rest are failover."""

    operator: ClassVar = "balance"
    strategy: str  # a name in `routing.strategies.STRATEGIES`
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One rule. `to` is where it leads."""

    when: When
    to: Target


@dataclass(frozen=True, slots=True)
class Rules:
    """The first case that holds is the way; `otherwise` if none does."""

    operator: ClassVar = "rules"
    cases: tuple[Case, ...]
    otherwise: Target

    @property
    def targets(self) -> tuple[Target, ...]:
        return (*(case.to for case in self.cases), self.otherwise)


Threshold: TypeAlias = float | Literal["auto"]  # the least calibrated probability; auto: calibrated, too


@dataclass(frozen=True, slots=True)
class Route:
    """One way of a classified node: prompts of a task known out of the box, prompts like the examples, or both."""

    name: str
    to: Target
    task: str | None = None  # of routing.semantic.lexicon.TASKS
    examples: tuple[str, ...] = ()
    threshold: Threshold | None = None  # None: the node's


@dataclass(frozen=True, slots=True)
class Classify:
    """The route that the prompt most probably belongs to is the way; `default` where none is sure enough."""

    operator: ClassVar = "classify"
    routes: tuple[Route, ...]
    default: Target
    threshold: Threshold = "auto"
    none: tuple[str, ...] = ()  # examples of what belongs to no route

    @property
    def targets(self) -> tuple[Target, ...]:
        return (*(route.to for route in self.routes), self.default)

    def route(self, name: str) -> Route:
        return next(route for route in self.routes if route.name == name)


Choosing: TypeAlias = Rules | Classify  # one of the targets is the way: the others are no failover
Node: TypeAlias = Cascade | Balance | Choosing
CHOOSING = (Rules, Classify)


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a request enters the graph: what its model's name stands for, as targets in the order of trial."""

    kind: Literal["node", "provider", "target", "model", "default"]
    name: str
    targets: tuple[Target, ...]
    chooses: bool = False  # whether a node that chooses may be on the way


@dataclass(frozen=True, slots=True)
class GraphProblem:
    """One thing to mend. `path` leads to it from the configuration's root, as ("models", "chat", "cascade", 1)."""

    path: tuple[str | int, ...]
    message: str
    hint: str | None = None  # a phrase, as 'did you mean "groq"?'


@dataclass(frozen=True, slots=True)
class Graph:
    """May be built with any content; all methods but `problems` and `resolve` are of use only if it has no problems."""

    nodes: Mapping[str, Node]
    providers: Mapping[str, ProviderEntry]
    default_model: str | None = None  # for requests that name none; None: every provider in order of priority
    _candidates: Mapping[str, Candidate] = field(init=False, repr=False, compare=False)
    _entries: Mapping[str, Entry] = field(init=False, repr=False, compare=False)
    _default: Entry | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        candidates = {candidate.name: candidate for candidate in self._listed()}
        entries: dict[str, Entry] = {}
        for entry in self._all_entries():
            entries.setdefault(entry.name, entry)  # they come in the order of precedence
        object.__setattr__(self, "_candidates", candidates)
        object.__setattr__(self, "_entries", entries)
        targets = tuple(Target(provider.name) for provider in self._by_priority() if provider.candidates)
        object.__setattr__(self, "_default", Entry("default", "default", targets) if targets else None)

    def resolve(self, asked: str | None) -> Entry | None:
        """Where a request for `asked` enters; None if it is not configured.

        A node; else a provider, for its default model; else `provider/model`; else a bare model's name, at every
        provider that lists it. A request that names no model asks for `default_model`, without one for every
        provider's default model by priority.
        """
        if asked is not None:
            return self._entries.get(asked)
        if self.default_model is not None:
            return self._entries.get(self.default_model)
        return self._default

    def leaf(self, target: str) -> Candidate | None:
        """The candidate that a target names, unless it is a node: a provider's default model, or `provider/model`."""
        if (provider := self.providers.get(target)) is not None:
            return provider.candidates[0] if provider.candidates else None
        return self._candidates.get(target)

    def candidate(self, provider: str, model: str) -> Candidate | None:
        return self._candidates.get(f"{provider}/{model}")

    def names(self) -> list[str]:
        """All that a client may ask for: nodes, providers, `provider/model`, bare models; each once."""
        return list(self._entries)

    def nearest(self, asked: str, limit: int = 3) -> tuple[str, ...]:
        """Names that a client may have meant, the likeliest first."""
        return nearest(asked, self._entries, limit)

    def problems(self) -> list[GraphProblem]:
        """All that keeps the graph from being walked, node by node in the order of the file."""
        from routing.validation import problems  # it knows the strategies, which know what a candidate is

        return problems(self)

    def _leading_to_choices(self) -> set[str]:
        """The nodes that choose, and those from which one is reached. Rings end it too."""
        above: dict[str, list[str]] = {}
        for name, node in self.nodes.items():
            for target in node.targets:
                above.setdefault(target.name, []).append(name)
        pending = [name for name, node in self.nodes.items() if isinstance(node, CHOOSING)]
        found: set[str] = set()
        while pending:
            if (name := pending.pop()) not in found:
                found.add(name)
                pending += above.get(name, ())
        return found

    def _by_priority(self) -> list[ProviderEntry]:
        return sorted(self.providers.values(), key=lambda provider: provider.priority)

    def _listed(self) -> Iterator[Candidate]:
        for provider in self.providers.values():
            yield from provider.candidates

    def _all_entries(self) -> Iterator[Entry]:
        choosing = self._leading_to_choices()
        for name in self.nodes:
            yield Entry("node", name, (Target(name),), chooses=name in choosing)
        for provider in self.providers.values():
            if provider.candidates:
                yield Entry("provider", provider.name, (Target(provider.name),))
        for candidate in self._listed():
            yield Entry("target", candidate.name, (Target(candidate.name),))
        offered: dict[str, dict[str, Target]] = {}
        for provider in self._by_priority():
            for candidate in provider.candidates:
                offered.setdefault(candidate.model, {})[candidate.name] = Target(candidate.name)
        for model, targets in offered.items():
            yield Entry("model", model, tuple(targets.values()))


def nearest(asked: str, names: Iterable[str], limit: int = 1) -> tuple[str, ...]:
    """The names most like `asked`, whatever its case; none for one too long to be a misspelling."""
    if len(asked) > _LONGEST_GUESS:
        return ()
    by_lower: dict[str, str] = {}
    for name in names:
        by_lower.setdefault(name.lower(), name)
    return tuple(by_lower[found] for found in difflib.get_close_matches(asked.lower(), by_lower, n=limit))
