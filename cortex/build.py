"""Configuration → Runtime: the only wiring. A reload builds a whole new one; what was learnt survives by name."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping

from cortex.alarms import Alarms
from cortex.caching.cache import ResponseCache
from cortex.caching.caching import Caching
from cortex.caching.similar import Similar
from cortex.classification import Classification
from cortex.config.graph import routing_graph
from cortex.config.load import Loaded
from cortex.config.providers import ProviderConfig
from cortex.config.schema import Config
from cortex.providers import codec_for
from cortex.providers.codec import Model
from cortex.providers.simulated import SimulatedTransport, SimulateSettings
from cortex.redact import Redactor
from cortex.runtime import Provider, Runtime, Timeouts
from cortex.telemetry.log import Log
from cortex.transport import Transport
from routing.cascade import RetryPolicy
from routing.graph import Graph
from routing.health import Health
from routing.keys import KeyPool, KeySlot
from routing.state import RoutingState

_KEY_IDS = secrets.token_bytes(32)  # a key's identity over reloads; of no use outside this process


def build(loaded: Loaded, previous: Runtime | None, http: Transport, log: Log) -> Runtime:
    """`loaded` must hold a configuration. Opens nothing."""
    config = loaded.config
    assert config is not None, "a configuration with problems cannot be built"
    graph = routing_graph(config)
    state = _state(config, graph)
    if previous is not None:
        state.carry_over(previous.state)
    classification = Classification(
        graph,
        config.embedder,
        log,
        None if previous is None else previous.classification,
        shared=config.cache.semantic.enabled,
    )
    return Runtime(
        config=config,
        graph=graph,
        providers={name: _provider(name, config, graph, http) for name in config.providers},
        state=state,
        retries=RetryPolicy(
            attempts=config.retries.attempts, backoff_s=config.retries.backoff, budget_ratio=config.retries.budget
        ),
        redactor=Redactor(loaded.secrets),
        alarms=Alarms(),
        classification=classification,
        caching=_caching(config, graph, classification, previous),
        client_keys=_named("client", config.server.client_keys),
        admin_keys=_named("admin", config.server.admin_keys),
    )


def _caching(config: Config, graph: Graph, classification: Classification, previous: Runtime | None) -> Caching:
    """What is remembered stays, for the clients whose it is: by their keys, whatever these are called now."""
    cache = ResponseCache(config.cache) if previous is None else previous.caching.cache
    cache.configure(config.cache)
    clients = {name: digest.hex() for digest, name in _named("client", config.server.client_keys).items()}
    return Caching(config, graph, clients, cache, _similar(config, classification, cache))


def _similar(config: Config, classification: Classification, cache: ResponseCache) -> Similar | None:
    semantic = config.cache.semantic
    if not semantic.enabled:
        return None
    from cache.semantic import AUTO_THRESHOLD

    return Similar(
        cache.questions(classification.settings, semantic.max_entries),
        classification.service,
        threshold=AUTO_THRESHOLD if semantic.threshold == "auto" else semantic.threshold,
        max_age_s=semantic.ttl,
        within_s=classification.within_s,
    )


def _state(config: Config, graph: Graph) -> RoutingState:
    pools = {name: _pool(name, provider) for name, provider in config.providers.items()}
    health = Health(eject_after=config.health.eject_after, eject_for_s=config.health.eject_for)
    return RoutingState(graph, pools, health)


def _pool(name: str, provider: ProviderConfig) -> KeyPool:
    slots = [KeySlot(_key_id(key.value), key.account) for key in provider.keys] or [KeySlot("", None)]
    return KeyPool(name, slots, provider.key_rotation, provider.key_cooldown)


def _key_id(key: str) -> str:
    return hashlib.blake2b(key.encode(), key=_KEY_IDS, digest_size=16).hexdigest()


def _provider(name: str, config: Config, graph: Graph, http: Transport) -> Provider:
    provider = config.providers[name]
    entry = graph.providers[name]
    models = {
        candidate.model: Model(candidate.model, candidate.context_tokens, candidate.max_output_tokens, candidate.name)
        for candidate in entry.candidates
    }
    return Provider(
        name=name,
        type=provider.type,
        priority=provider.priority,
        base_url=provider.base_url.rstrip("/"),
        codec=codec_for(provider.type, provider.api_version),
        transport=http if provider.simulate is None else _simulated(name, provider),
        models=models,
        timeouts=_timeouts(config, provider),
        keys=tuple(key.value for key in provider.keys) or (None,),
        off=provider.off,
    )


def _simulated(name: str, provider: ProviderConfig) -> Transport:
    settings = provider.simulate
    assert settings is not None
    return SimulatedTransport(
        SimulateSettings(
            text=settings.text,
            delay_s=settings.delay,
            tokens_per_second=settings.tokens_per_second,
            fail_rate=settings.fail_rate,
            faults=settings.faults,
            seed=settings.seed,
        ),
        name,
    )


def _timeouts(config: Config, provider: ProviderConfig) -> Timeouts:
    """The provider's own limits before the general ones."""
    limits = config.timeouts_of(provider)
    return Timeouts(limits.connect, limits.first_token, limits.response, limits.idle, limits.total)


def _named(scope: str, keys: Iterable[str]) -> Mapping[bytes, str]:
    return {hashlib.sha256(key.encode()).digest(): f"{scope}#{n}" for n, key in enumerate(keys, 1)}
