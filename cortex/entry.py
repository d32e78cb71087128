"""Where a request enters the routing graph, and the plan that it gets there."""

from __future__ import annotations

from random import Random

from cortex.operation import Operation
from cortex.refusal import unknown_name
from cortex.runtime import Runtime
from routing.plan import Plan, walk


def plan_for(runtime: Runtime, operation: Operation, now: float, rng: Random) -> Plan:
    """The candidates in the order of trial. Raises Fault(BAD_REQUEST, 404) for a name that is not configured.

    A pinned provider is asked for its own model of that name; of a node, only its candidates are left.
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
    plan = walk(graph, entry, runtime.state, operation.demand, now, rng)
    if pinned is None:
        return plan
    kept = tuple(planned for planned in plan.planned if planned.candidate.provider == pinned)
    if not kept:
        raise unknown_name(graph, asked or "")
    return Plan(entry, kept)
