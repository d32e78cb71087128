"""What one configuration makes: everything that a request needs, in one object. A reload builds a new one.

A request takes the runtime once, at its start, and finishes on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cortex.alarms import Alarms
from cortex.caching.caching import Caching
from cortex.classification import Classification
from cortex.config.schema import Config
from cortex.providers.codec import Codec, Model
from cortex.redact import Redactor
from cortex.transport import Transport
from routing.cascade import RetryPolicy
from routing.graph import Graph
from routing.state import RoutingState


@dataclass(frozen=True, slots=True)
class Timeouts:
    connect_s: float
    first_token_s: float  # an attempt's time to the first content of a stream
    response_s: float  # an attempt's time to a whole JSON answer
    idle_s: float  # silence between two pieces of a stream, on either side
    total_s: float  # the request's deadline


@dataclass(frozen=True, slots=True)
class Provider:
    """One configured upstream. `keys` holds the secrets in the order of the key pool's slots; None: called without."""

    name: str
    type: str
    priority: int
    base_url: str
    codec: Codec
    transport: Transport
    models: Mapping[str, Model]
    timeouts: Timeouts
    keys: tuple[str | None, ...] = field(repr=False, default=(None,))
    off: str | None = None  # why it is switched off, or None
    # Of every call with a key, by its slot: those of one that answers whole, and those of one that streams.
    headers: tuple[tuple[Mapping[str, str], Mapping[str, str]], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", tuple(self._headers(key) for key in self.keys))

    def _headers(self, key: str | None) -> tuple[Mapping[str, str], Mapping[str, str]]:
        carried = {"content-type": "application/json", **self.codec.auth(key)}
        return {**carried, "accept": "application/json"}, {**carried, "accept": "text/event-stream"}

    @property
    def keyed(self) -> int:
        """How many keys it has."""
        return sum(key is not None for key in self.keys)


@dataclass(frozen=True, slots=True)
class Runtime:
    config: Config
    graph: Graph
    providers: Mapping[str, Provider]
    state: RoutingState
    retries: RetryPolicy
    redactor: Redactor
    alarms: Alarms
    classification: Classification
    caching: Caching
    client_keys: Mapping[bytes, str] = field(repr=False)  # SHA-256 of the key → its name; empty: no key is asked for
    admin_keys: Mapping[bytes, str] = field(repr=False)
