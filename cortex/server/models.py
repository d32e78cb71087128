"""What a client may ask for, in the shape of whichever vendor's SDK is asking."""

from __future__ import annotations

from datetime import UTC, datetime

from cortex.chat import Json
from cortex.refusal import request_error, unknown_name
from cortex.server.errors import Refused
from cortex.server.incoming import Incoming
from routing.graph import Graph


async def models(incoming: Incoming) -> None:
    """All on one page: Anthropic's paging has nothing to add."""
    graph, created = incoming.runtime.graph, int(incoming.app.started)
    names = graph.names()
    if _asks_as_anthropic(incoming):
        data = [_anthropic_model(name, created) for name in names]
        first, last = (names[0], names[-1]) if names else (None, None)
        await incoming.send_json({"data": data, "has_more": False, "first_id": first, "last_id": last})
    else:
        data = [_openai_model(name, graph, created) for name in names]
        await incoming.send_json({"object": "list", "data": data})


async def model(incoming: Incoming) -> None:
    graph, created, name = incoming.runtime.graph, int(incoming.app.started), incoming.tail
    if graph.resolve(name) is None:
        raise Refused(request_error(unknown_name(graph, name)))
    asks_as_anthropic = _asks_as_anthropic(incoming)
    await incoming.send_json(
        _anthropic_model(name, created) if asks_as_anthropic else _openai_model(name, graph, created)
    )


def _asks_as_anthropic(incoming: Incoming) -> bool:
    return "anthropic-version" in incoming.request.headers


def _openai_model(name: str, graph: Graph, created: int) -> dict[str, Json]:
    return {"id": name, "object": "model", "created": created, "owned_by": _owner(name, graph)}


def _anthropic_model(name: str, created: int) -> dict[str, Json]:
    created_at = datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z")
    return {"type": "model", "id": name, "display_name": name, "created_at": created_at}


def _owner(name: str, graph: Graph) -> str:
    """The provider; of a model that several list, the one that is tried first."""
    entry = graph.resolve(name)
    if entry is None or entry.kind == "node":
        return "cortex"
    leaf = graph.leaf(entry.targets[0].name)
    return "cortex" if leaf is None else leaf.provider
