"""Configuration → routing graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from cortex.config.classify import ClassifyConfig
from cortex.config.known_models import UNKNOWN, KnownModel, known_model
from cortex.config.nodes import NodeConfig
from cortex.config.provider_types import PROVIDER_TYPES
from cortex.config.providers import ModelConfig, ProviderConfig
from cortex.config.rules import CaseConfig, TokensConfig, WhenConfig
from cortex.config.schema import Config
from routing.demand import CAPABILITIES
from routing.graph import (
    Balance,
    Candidate,
    Cascade,
    Case,
    Classify,
    Graph,
    Node,
    ProviderEntry,
    Route,
    Rules,
    Target,
)
from routing.rules import When


def routing_graph(config: Config) -> Graph:
    """The graph that a configuration describes. Of a `Config` with problems, `Graph.problems` tells those of the graph.

    What the file leaves out of a model's facts is filled in from the shipped table.
    """
    return Graph(
        nodes={name: node for name, written in config.models.items() if (node := _node(written)) is not None},
        providers={name: _provider(name, provider) for name, provider in config.providers.items()},
        default_model=config.default_model,
    )


def _node(node: NodeConfig) -> Node | None:
    """None: its operator is not sound."""
    if node.balance is not None:
        return Balance(
            node.balance.strategy, tuple(Target(target.to, target.weight) for target in node.balance.targets)
        )
    if node.rules:
        return _rules(node.rules)
    if node.classify is not None:
        return _classify(node.classify)
    return None if node.cascade is None else Cascade(tuple(Target(target) for target in node.cascade))


def _rules(cases: Sequence[CaseConfig]) -> Rules:
    *conditional, last = cases
    return Rules(
        tuple(Case(_when(case.when or WhenConfig()), Target(case.to)) for case in conditional), Target(last.to)
    )


def _when(when: WhenConfig) -> When:
    tokens = when.prompt_tokens or TokensConfig()
    needs = (("tools", when.tools), ("vision", when.images), ("json_schema", when.json_schema))
    return When(
        tokens_over=tokens.over,
        tokens_under=tokens.under,
        needs=tuple((need, wanted) for need, wanted in needs if wanted is not None),
        headers=tuple(
            (name, None if True in values else frozenset(map(str, values))) for name, values in when.header.items()
        ),
        clients=frozenset(when.client),
        languages=frozenset(when.language),
    )


def _classify(node: ClassifyConfig) -> Classify:
    routes = tuple(
        Route(name, Target(route.to), route.task, route.examples, route.threshold)
        for name, route in node.routes.items()
    )
    return Classify(routes, Target(node.default), node.threshold, node.none)


def _provider(name: str, provider: ProviderConfig) -> ProviderEntry:
    candidates: dict[str, Candidate] = {}
    for model in provider.models:
        candidates.setdefault(model.name, _candidate(name, provider.type, model))
    return ProviderEntry(name, provider.priority, tuple(candidates.values()), provider.off)


def _candidate(provider: str, provider_type: str, model: ModelConfig) -> Candidate:
    known = known_model(provider_type, model.name)
    usual_price = PROVIDER_TYPES[provider_type].usd_per_mtok
    of_cache = known if model.input_usd_per_mtok is None else UNKNOWN  # a discount on a price that holds
    return Candidate(
        provider,
        model.name,
        context_tokens=_first(model.context, known.context_tokens),
        max_output_tokens=_first(model.max_output, known.max_output_tokens),
        input_usd_per_mtok=_first(model.input_usd_per_mtok, known.input_usd_per_mtok, usual_price),
        output_usd_per_mtok=_first(model.output_usd_per_mtok, known.output_usd_per_mtok, usual_price),
        cached_input_usd_per_mtok=_first(model.cached_input_usd_per_mtok, of_cache.cached_input_usd_per_mtok),
        cache_write_usd_per_mtok=_first(model.cache_write_usd_per_mtok, of_cache.cache_write_usd_per_mtok),
        lacks=_lacks(model, known),
    )


def _lacks(model: ModelConfig, known: KnownModel) -> frozenset[str]:
    told = {name: has for name in CAPABILITIES if (has := getattr(model, name)) is not None}
    return frozenset(name for name in CAPABILITIES if not told.get(name, name not in known.lacks))


_T = TypeVar("_T", int, float)


def _first(*values: _T | None) -> _T | None:
    """The first that is known; 0 is."""
    return next((value for value in values if value is not None), None)
