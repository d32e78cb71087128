"""What needs more than one member of the configuration to be judged: each rule is a function from it to findings.

What only follows from a part that is known to be wrong is not told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from cortex.config.diagnostics import Finding, Findings, Holes, Path, Severity, Tree, did_you_mean, value_at
from cortex.config.graph import routing_graph
from cortex.config.provider_types import PROVIDER_TYPES
from cortex.config.rules import WhenConfig
from cortex.config.schema import Config, is_loopback
from cortex.config.validate import Sound
from routing.semantic.lexicon import TASKS


def note_semantics(tree: Tree, sound: Sound, findings: Findings) -> None:
    """Tell what does not go together in the sound part of a tree."""
    for rule in (_exposure, _providers, _models, _nodes, _rules, _classify, _embedder, _cache):
        for finding in rule(sound.config, findings.holes):
            path = sound.origin(finding.path)
            if findings.holes.touch(path):
                continue
            warning = finding.severity is Severity.WARNING
            findings.add(replace(finding, path=path), hole=None if warning else path)
    for problem in routing_graph(sound.config).problems():
        path = sound.origin(problem.path)
        if not findings.holes.touch(path) and not _follows(tree, path, findings.holes):
            findings.add(Finding(path, problem.message, problem.hint))


def _exposure(config: Config, holes: Holes) -> Iterator[Finding]:
    server = config.server
    if not is_loopback(server.host) and not server.client_keys and not holes.touch(("server", "client_keys")):
        hint = "set server.client_keys, or listen on 127.0.0.1"
        yield Finding(("server", "host"), "other machines reach this address, and nothing asks who they are", hint)


def _providers(config: Config, _: Holes) -> Iterator[Finding]:
    for name, provider in config.providers.items():
        path = ("providers", name)
        row = PROVIDER_TYPES[provider.type]
        for member in ("base_url", "models"):
            if not getattr(provider, member):
                yield Finding((*path, member), "is missing", f"the type {provider.type} has none of its own")
        if provider.simulate is not None and "simulate" not in row.defaults:
            yield Finding((*path, "simulate"), "is for providers of the type simulated")
        if provider.api_version is not None and provider.api_version not in row.api_versions:
            types = (name for name, each in PROVIDER_TYPES.items() if provider.api_version in each.api_versions)
            yield Finding((*path, "api_version"), f"is for providers of the type {', '.join(types)}")
        below = urlsplit(provider.base_url).path
        if row.openai_shaped and provider.base_url and not below:
            yield Finding((*path, "base_url"), "ends without a path", "most servers want /v1 there", Severity.WARNING)
        if not row.openai_shaped and below.endswith(("/v1", "/api")):
            yield Finding((*path, "base_url"), "must end before /v1 or /api", "the path is added to it")


def _models(config: Config, _: Holes) -> Iterator[Finding]:
    for name, provider in config.providers.items():
        seen: set[str] = set()
        for index, model in enumerate(provider.models):
            if model.name in seen:
                path = ("providers", name, "models", index)
                yield Finding(path, "the same model again", "the first of them counts", Severity.WARNING)
            seen.add(model.name)


def _nodes(config: Config, holes: Holes) -> Iterator[Finding]:
    for name, node in config.models.items():
        sound = node.model_fields_set
        faulty = {path[2] for path in holes.paths if len(path) > 2 and path[:2] == ("models", name)}
        operators = sound | (faulty & type(node).model_fields.keys())
        if len(operators) != 1:
            message = "the node has more than one operator" if operators else "the node has no operator"
            place = sorted(sound)[:1] if faulty else []  # told beside a fault, not instead of it
            yield Finding(
                ("models", name, *place), message, f"a node has exactly one of: {', '.join(type(node).model_fields)}"
            )


def _rules(config: Config, holes: Holes) -> Iterator[Finding]:
    for name, node in config.models.items():
        path = ("models", name, "rules")
        if node.rules is None or holes.touch(path):
            continue
        if not node.rules:
            yield Finding(path, "no rules")
        for index, case in enumerate(node.rules):
            last = index == len(node.rules) - 1
            if case.when is not None and not case.when.model_fields_set:
                yield Finding((*path, index, "when"), "asks for nothing", "leave it out in the last rule")
            elif last and case.when is not None:
                hint = "end with a rule that has no `when`: it takes what is left"
                yield Finding((*path, index), "a request may match no rule", hint)
            elif not last and case.when is None:
                yield Finding((*path, index), "always matches, so the rules after it are never reached", "add a `when`")
            yield from _clients(config, (*path, index, "when", "client"), case.when)


def _clients(config: Config, path: Path, when: WhenConfig | None) -> Iterator[Finding]:
    known = [f"client#{position}" for position in range(1, len(config.server.client_keys) + 1)]
    for index, name in enumerate(when.client if when is not None else ()):
        if name not in known:
            hint = f"there are {', '.join(known[:5])}" if known else "server.client_keys names none"
            yield Finding((*path, index), "no client key has this name", hint, Severity.WARNING)


def _classify(config: Config, _: Holes) -> Iterator[Finding]:
    for name, node in config.models.items():
        path = ("models", name, "classify")
        if node.classify is None:
            continue
        if not node.classify.routes:
            yield Finding((*path, "routes"), "no routes")
        seen: dict[str, str] = {}
        for route, written in node.classify.routes.items():
            if written.task is None and not written.examples:
                hint = f"add examples, or a task: {', '.join(TASKS)}"
                yield Finding((*path, "routes", route), "nothing tells what belongs here", hint)
            if written.task is not None and seen.setdefault(written.task, route) != route:
                message = f"the task is that of another route: {seen[written.task]}"
                yield Finding((*path, "routes", route, "task"), message, "a task leads one way")


def _embedder(config: Config, _: Holes) -> Iterator[Finding]:
    embedder, path = config.embedder, ("embedder",)
    if embedder.type == "sentence_transformers":
        if embedder.model is None:
            yield Finding((*path, "model"), "is missing", "name a folder, or a model on the hub")
        return
    for member in ("model", "device"):
        if getattr(embedder, member) is not None:
            yield Finding((*path, member), "is for the type sentence_transformers")


def _cache(config: Config, holes: Holes) -> Iterator[Finding]:
    exact, semantic = config.cache.exact, config.cache.semantic
    path = ("cache", "semantic", "enabled")
    if semantic.enabled and not exact.enabled:
        yield Finding(path, "finds only what cache.exact remembers, which is switched off", "set cache.exact.enabled")
    if semantic.enabled and config.embedder.type == "none":
        yield Finding(path, "compares questions by their embedding, and `embedder` is none", "set embedder: builtin")
    if semantic.enabled and semantic.threshold == "auto" and config.embedder.type not in ("builtin", "none"):
        hint = "give a number; 0.9 is a careful beginning"
        yield Finding(("cache", "semantic", "threshold"), "auto is calibrated for the embedder builtin alone", hint)
    if holes.at_or_below(("providers",)) or holes.at_or_below(("models",)):
        return  # a name that seems unknown may be one of theirs
    names = routing_graph(config).names()
    for name in exact.ttl_by_model:
        if name not in names:
            hint = did_you_mean(name, names) or "a node, a provider, provider/model, or a model's name"
            yield Finding(("cache", "exact", "ttl_by_model", name), "nothing of this name is configured", hint)


def _follows(tree: Tree, path: Path, holes: Holes) -> bool:
    """Whether the target at a path may be one that the file declares, in a part that could not be used."""
    try:
        value = value_at(tree, path)
    except LookupError:
        return False
    target = value.get("to") if isinstance(value, dict) else value
    if not isinstance(target, str):
        return False
    target = target.strip()
    provider = target.partition("/")[0]
    return (
        holes.at_or_above(("models", target))
        or holes.at_or_below(("models", target))
        or holes.at_or_above(("providers", provider))
        or holes.at_or_below(("providers", provider, "models"))
        or (path == ("default_model",) and _may_be_listed(tree.get("providers"), target, holes))
    )


def _may_be_listed(providers: Tree, model: str, holes: Holes) -> bool:
    """Whether a bare model's name may be that of a model which could not be used."""
    for name, provider in providers.items() if isinstance(providers, dict) else ():
        if holes.at_or_below(("providers", name, "models")):
            return True
        if holes.at_or_above(("providers", name)) and isinstance(provider, dict):
            written = provider.get("models")
            if isinstance(written, list) and any(entry in (model, {"name": model}) for entry in written):
                return True
    return False
