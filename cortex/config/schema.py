"""The configuration as it is after reading: frozen, complete, every value converted.

Members are called as in the file. Durations are seconds, sizes bytes, shares parts of one. What needs more than one
member to be judged is not checked here but in `cortex.config.semantics`: only a `Config` that `cortex.config.load` gave
is sure to be one that can be served.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, TypeAlias

from pydantic import Field

from cortex.config.cache import CacheConfig
from cortex.config.classify import EmbedderConfig
from cortex.config.keys import Secrets
from cortex.config.nodes import NodeConfig
from cortex.config.provider_types import PROVIDER_TYPES
from cortex.config.providers import ProviderConfig
from cortex.config.scalars import TEXT, Scalar, read_text, refuse, whole
from cortex.config.section import Section
from cortex.config.telemetry import TelemetryConfig
from cortex.config.timeouts import Timeouts
from cortex.config.units import Duration, Share, Size, as_written

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def _read_name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        refuse("a name has up to 64 letters, digits and the signs `_`, `.` and `-`")
    return value


Name: TypeAlias = Annotated[str, Scalar(_read_name, {"type": "string", "pattern": f"^{_NAME.pattern}$"})]


_HOST = re.compile(r"[A-Za-z0-9._:%-]+")


def _read_host(value: object) -> str:
    host = read_text(value)
    if not _HOST.fullmatch(host):
        refuse("not an address to listen on", "write an IP address or a name, without a port")
    return host


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there. Nothing is looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ServerConfig(Section):
    """Where Cortex listens, and to whom."""

    host: Annotated[str, Scalar(_read_host, {"type": "string", "minLength": 1})] = Field(
        default="127.0.0.1", description="Any but this machine's own needs client_keys."
    )
    port: Annotated[int, whole(0, 65535)] = Field(default=4000, description="0: any free port.")
    workers: Annotated[int, whole(1)] = Field(default=1, description="Processes that share the port.")
    client_keys: Secrets = Field(
        default=(), repr=False, description="What clients must show. None: nothing is asked for."
    )
    admin_keys: Secrets = Field(
        default=(), repr=False, description="For decisions and statistics. None: this machine only."
    )
    max_body: Size = as_written("32MiB", 32 * 2**20, "The largest request body.")
    drain: Duration = as_written("600s", 600.0, "For requests in flight when Cortex is stopped.")


class RetriesConfig(Section):
    """How often an upstream is called for one request."""

    attempts: Annotated[int, whole(1, 100)] = Field(default=10, description="All upstream calls of one request.")
    backoff: Duration = as_written("25ms", 0.025, "Before the same model is called again; grows, with jitter.")
    budget: Share = as_written("20%", 0.2, "Such repeated calls, of all requests in flight.")


class HealthConfig(Section):
    """When a model is left alone, and for how long."""

    interval: Duration = as_written("60s", 60.0, "Between two probes of a provider.")
    eject_after: Annotated[int, whole(1, 1000)] = Field(default=5, description="Failures in a row.")
    eject_for: Duration = as_written("30s", 30.0, "Times how often it was ejected.")


class Config(Section):
    """The whole file."""

    server: ServerConfig = Field(default=ServerConfig(), description="Where Cortex listens, and to whom.")
    providers: Mapping[Name, ProviderConfig] = Field(default={}, description="The upstreams, by a name of your own.")
    models: Mapping[Name, NodeConfig] = Field(
        default={}, description="The routing graph: names that a client may ask for."
    )
    default_model: Annotated[str, TEXT] | None = Field(
        default=None, description="For requests that name none. Left out: every provider, in order of priority."
    )
    embedder: EmbedderConfig = Field(
        default=EmbedderConfig(),
        description="What turns a text into a vector, for `classify` nodes and the semantic cache.",
    )
    timeouts: Timeouts = Field(default=Timeouts(), description="How long to wait for what.")
    retries: RetriesConfig = Field(
        default=RetriesConfig(), description="How often an upstream is called for one request."
    )
    health: HealthConfig = Field(default=HealthConfig(), description="When a model is left alone, and for how long.")
    cache: CacheConfig = Field(default=CacheConfig(), description="What is remembered of answers, and for whom.")
    telemetry: TelemetryConfig = Field(default=TelemetryConfig(), description="What is told about requests.")

    def timeouts_of(self, provider: ProviderConfig) -> Timeouts:
        """A provider's limits: its own, else its type's, else the general ones."""
        of_type = self.timeouts.model_copy(update=dict(PROVIDER_TYPES[provider.type].timeouts))
        return provider.timeouts.over(of_type)
