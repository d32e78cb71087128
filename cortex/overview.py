"""A configuration at a glance, in words for the terminal: what `cortex check` and a starting server say of it.

Pure. Shows names, addresses and reasons; never a key.
"""

from __future__ import annotations

from collections.abc import Mapping

from cortex import __version__
from cortex.draw.columns import columns
from cortex.draw.picture import UNNAMED, picture
from routing.graph import Graph, ProviderEntry

_QUESTION = '{"messages": [{"role": "user", "content": "Hello"}]}'


def summary(graph: Graph, base_urls: Mapping[str, str]) -> str:
    """Providers and nodes, which are on and why the others are not; ends with a newline. `base_urls` by provider."""
    providers = [
        (provider.name, _state(provider), ", ".join(candidate.model for candidate in provider.candidates), url)
        for provider in _by_priority(graph)
        for url in [base_urls.get(provider.name, "")]
    ]
    nodes = [
        ("" if name == UNNAMED else name, box.operator, ", ".join(box.captions[1:]))
        for name, box in picture(graph).boxes.items()
        if box.operator
    ]
    if not graph.nodes and graph.default_model is None:
        nodes = [("none", "a request tries every provider in order of priority", "")]
    return "\n".join(["providers", *columns(providers), "models", *columns(nodes)]) + "\n"


def banner(graph: Graph, address: str, source: str, *, asks_for_key: bool, demo: bool) -> str:
    """What a server says when it accepts connections. `address`: its URL, without a path; `source`: its file."""
    lines = [f"Cortex {__version__} listens on {address} ({'demo' if demo else source})"]
    lines += columns([(provider.name, _state(provider)) for provider in _by_priority(graph)])
    if demo:
        lines.append("Every provider is simulated: no key, no network; some fail now and then, on purpose.")
    key = ' -H "Authorization: Bearer $CORTEX_CLIENT_KEY"' if asks_for_key else ""
    lines += [
        "Try it:",
        f"  curl -N {_reachable(address)}/api/chat{key} -H 'Content-Type: application/json' -d '{_QUESTION}'",
        f"OpenAI's clients: base_url={_reachable(address)}/v1",
    ]
    return "\n".join(lines) + "\n"


def _reachable(address: str) -> str:
    """An address that this machine can call, for one that means all of its addresses."""
    return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _by_priority(graph: Graph) -> list[ProviderEntry]:
    return sorted(graph.providers.values(), key=lambda provider: provider.priority)


def _state(provider: ProviderEntry) -> str:
    return f"off: {provider.off}" if provider.off else "on"
