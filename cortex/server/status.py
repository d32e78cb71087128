"""How the providers are: what routing knows of each, in words for people and monitors. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cortex.runtime import Provider, Runtime
from routing.health import Standing
from routing.keys import KeyStatus
from routing.state import RoutingState

ProviderStatus: TypeAlias = Literal["available", "cooling", "ejected", "disabled", "off"]
Health: TypeAlias = Literal["healthy", "degraded", "unhealthy", "no_workers"]


@dataclass(frozen=True, slots=True)
class ProviderView:
    """One provider at one moment. `reason` says why it is off, or what its last failure was."""

    provider: Provider
    status: ProviderStatus
    keys: tuple[KeyStatus, ...]  # empty if it is called without one
    in_flight: int
    latency_s: float | None  # to the first token; of whole answers where nothing has been streamed
    reason: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Providers that are switched off do not count: nobody waits for them."""

    total: int
    available: int

    @property
    def unavailable(self) -> int:
        return self.total - self.available

    @property
    def health(self) -> Health:
        if not self.total:
            return "no_workers"
        if not self.available:
            return "unhealthy"
        return "degraded" if self.unavailable else "healthy"

    def as_json(self) -> dict[str, int]:
        return {"total": self.total, "available": self.available, "unavailable": self.unavailable}


def view(runtime: Runtime, now: float) -> list[ProviderView]:
    """Every configured provider, in order of priority."""
    causes = {health.name: health.cause for health in runtime.state.health.snapshot(now)}
    providers = sorted(runtime.providers.values(), key=lambda provider: provider.priority)
    return [_view(provider, runtime.state, causes, now) for provider in providers]


def summarise(views: Iterable[ProviderView]) -> Summary:
    on = [seen.status for seen in views if seen.status != "off"]
    return Summary(len(on), on.count("available"))


def _view(provider: Provider, state: RoutingState, causes: Mapping[str, str | None], now: float) -> ProviderView:
    candidates = {model: f"{provider.name}/{model}" for model in provider.models}
    keys = state.pools[provider.name].snapshot(now, tuple(candidates))
    return ProviderView(
        provider,
        _status(provider, candidates, keys, state, now),
        tuple(keys) if provider.keyed else (),
        sum(state.load.in_flight(name) for name in candidates.values()),
        _latency_s(candidates.values(), state),
        provider.off or _last_cause(candidates.values(), causes, keys),
    )


def _status(
    provider: Provider, candidates: Mapping[str, str], keys: Iterable[KeyStatus], state: RoutingState, now: float
) -> ProviderStatus:
    if provider.off is not None:
        return "off"
    if all(key.status == "disabled" for key in keys):
        return "disabled"
    pool = state.pools[provider.name]
    with_key = [name for model, name in candidates.items() if pool.free(model, now)]
    if not with_key:
        return "cooling"
    if all(state.health.standing(name, now) is Standing.EJECTED for name in with_key):
        return "ejected"
    return "available"


def _latency_s(names: Iterable[str], state: RoutingState) -> float | None:
    """The first model's that was measured."""
    names = tuple(names)
    for stream in (True, False):
        for name in names:
            if (latency_s := state.load.latency_s(name, stream=stream)) is not None:
                return latency_s
    return None


def _last_cause(names: Iterable[str], causes: Mapping[str, str | None], keys: Iterable[KeyStatus]) -> str | None:
    found = [cause for name in names if (cause := causes.get(name))]
    found += [key.cause for key in keys if key.cause]
    return found[0] if found else None
