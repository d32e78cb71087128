"""Where a request enters the routing graph, and the plan that it gets there."""

from __future__ import annotations

from random import Random

from cortex.errors import bad_request
from cortex.operation import Operation
from cortex.refusal import unknown_name
from cortex.runtime import Runtime
from routing.choices import Choices
from routing.graph import Entry
from routing.plan import Plan, walk


def entry_for(runtime: Runtime, operation: Operation) -> Entry:
    """Raises Fault(BAD_REQUEST, 404) for a name that is not configured.

    A pinned provider is asked for its own model of that name.
    """
    graph, asked, pinned = runtime.graph, operation.model, operation.provider
    if pinned is None:
        entry = graph.resolve(asked)
    elif pinned not in graph.providers:
        raise unknown_name(graph, pinned, "provider")
    else:
        entry = graph.resolve(pinned if asked is None else f"{pinned}/{asked}") or graph.resolve(asked)
    if entry is None:
        raise unknown_name(graph, asked or "")
    return entry


def plan_for(runtime: Runtime, operation: Operation, entry: Entry, choices: Choices, now: float, rng: Random) -> Plan:
    """The candidates in the order of trial; of a node, those of a pinned provider. Raises Fault(BAD_REQUEST, 404)."""
    plan = walk(runtime.graph, entry, runtime.state, operation.demand, now, rng, choices)
    pinned = operation.provider
    if pinned is None:
        return plan
    kept = tuple(planned for planned in plan.planned if planned.candidate.provider == pinned)
    if not kept and entry.chooses:
        raise bad_request(
            f"{entry.name!r} leads this request to no model of the provider {pinned!r}; leave `provider` out, or name "
            "one of its models",
            status=404,
            code="model_not_found",
            param="provider",
        )
    if not kept:
        raise unknown_name(runtime.graph, operation.model or "")
    return Plan(entry, kept)
