"""Scoring a `classify` node on a file of prompts whose routes are known. Calls no provider, shows no prompt.

A line is `{"text": "…", "route": "coding"}`. `messages` may stand for `text`, and `task` for `route`: it means the
node's route of that task. null and "default" stand for no route.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from cortex.build import build
from cortex.chat import Json
from cortex.classification import Classification
from cortex.config.load import Loaded
from cortex.dialects.members import read_chat
from cortex.errors import Fault
from cortex.human_turn import last_human_turn
from cortex.telemetry.log import Log
from cortex.upstream.transport import HttpTransport
from routing.graph import Classify, Graph, nearest
from routing.semantic.evaluation import COVERAGES, Class, Coverage, Evaluation, Judged, Times, evaluate
from routing.semantic.features import Reading
from routing.semantic.lexicon import TASKS

MAX_LINES = 100_000
MAX_BYTES = 64 * 1024 * 1024
MAX_FAULTS_SHOWN = 20
_PATIENCE_S = 60.0  # for a vector: an evaluation does not depend on how busy the machine is
_LONGEST_SHOWN = 64  # letters of what stands where a route's name should: it might be a prompt
_DEFAULT = "default"

_LINE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_LABEL = msgspec.json.Decoder(str | None)


class Refused(Exception):
    """The prompts cannot be used, for these reasons, each a line."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons = reasons


class Unable(Exception):
    """The classifiers could not be made."""


@dataclass(frozen=True, slots=True)
class Prompt:
    line: int
    messages: bytes
    wanted: Class


@dataclass(frozen=True, slots=True)
class Report:
    node: str
    evaluation: Evaluation
    notes: tuple[str, ...] = ()

    def as_json(self) -> Json:
        found, names = self.evaluation, self.evaluation.names
        return {
            "node": self.node,
            "prompts": found.prompts,
            "right": found.right,
            "accuracy": _share(found.accuracy),
            "routes": [
                {
                    "route": name,
                    "prompts": score.prompts,
                    "taken": score.taken,
                    "right": score.right,
                    "share": _share(score.share),
                    "precision": _share(score.precision),
                    "recall": _share(score.recall),
                    "thresholds": [_share(threshold) for threshold in score.thresholds],
                }
                for name, score in zip(names, found.routes, strict=True)
            ],
            "confusion": {"classes": list(names), "wanted_by_got": [list(row) for row in found.confusion]},
            "coverage": [{"at_least": percent / 100, **_coverage(found.at(percent))} for percent in COVERAGES],
            "in_force": _coverage(found.in_force),
            "decided_by": [
                {"stage": each.stage, "prompts": each.prompts, "right": each.right, "took_ms": _times(each.took_ms)}
                for each in found.stages
            ],
            "took_ms": _times(found.took_ms),
            "abstained": dict(found.abstained),
            "mistakes": [
                {
                    "line": each.line,
                    "wanted": found.name(each.wanted),
                    "got": found.name(each.judgement.route),
                    "best": [{"route": route, "p": _share(p)} for route, p in each.judgement.best],
                    "threshold": _share(each.judgement.threshold),
                    "stage": each.judgement.stage,
                    "reason": each.judgement.reason,
                }
                for each in found.mistakes
            ],
            "notes": list(self.notes),
        }


# Which node


def classify_node(graph: Graph, asked: str | None) -> tuple[str, Classify]:
    """The node that is asked for, or the only one that classifies. Raises LookupError."""
    nodes = {name: node for name, node in graph.nodes.items() if isinstance(node, Classify)}
    if not nodes:
        raise LookupError("no node of the configuration classifies: it has nothing to evaluate")
    if asked is None:
        if len(nodes) > 1:
            raise LookupError(f"several nodes classify; choose one with --node: {', '.join(nodes)}")
        return next(iter(nodes.items()))
    if asked not in nodes:
        what = "does not classify" if asked in graph.nodes else "is not in the configuration"
        raise LookupError(f"the node {_shown(asked)} {what}; these do: {', '.join(nodes)}")
    return asked, nodes[asked]


# Reading


def read_prompts(path: Path, node: Classify) -> list[Prompt]:
    """At least one. Raises Refused with what is wrong, up to `MAX_FAULTS_SHOWN` faults."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror or type(error).__name__}") from None
    if len(content) > MAX_BYTES:
        raise Refused(f"{path}: is larger than {MAX_BYTES // (1024 * 1024)} MiB")
    if content.count(b"\n") + (not content.endswith(b"\n")) > MAX_LINES:
        raise Refused(f"{path}: has more than {MAX_LINES:,} lines")
    prompts: list[Prompt] = []
    faults: list[str] = []
    count = 0
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        read = _prompt(number, line, node)
        if isinstance(read, Prompt):
            prompts.append(read)
            continue
        count += len(read)
        faults += [f"{path}:{number}: {fault}" for fault in read[: MAX_FAULTS_SHOWN - len(faults)]]
    if count:
        more = f", of which {len(faults)} are shown" if count > len(faults) else ""
        raise Refused(*faults, f"1 problem{more}" if count == 1 else f"{count} problems{more}")
    if not prompts:
        raise Refused(f"{path}: holds no prompts")
    return prompts


def _prompt(number: int, line: bytes, node: Classify) -> Prompt | list[str]:
    """One prompt, or all that is wrong with the line."""
    try:
        line.decode()
        members = _LINE.decode(line)
    except UnicodeDecodeError as error:
        return [f"is not UTF-8: {error.reason} at byte {error.start}"]
    except msgspec.ValidationError:
        return ["must be a JSON object"]
    except (msgspec.DecodeError, RecursionError) as error:
        return [f"is not JSON: {error}"]
    faults: list[str] = []
    messages, wanted = b"", None
    try:
        messages = _messages(members)
    except ValueError as error:
        faults.append(str(error))
    try:
        wanted = _wanted(members, node)
    except ValueError as error:
        faults.append(str(error))
    return faults or Prompt(number, messages, wanted)


def _messages(members: Mapping[str, msgspec.Raw]) -> bytes:
    """Raises ValueError."""
    if _one_of(members, "text", "messages") == "messages":
        messages = bytes(members["messages"])
        try:
            read_chat(b'{"messages":%b}' % messages)
        except Fault as fault:
            raise ValueError(fault.message.replace("the body", "`messages`")) from None
        return messages
    try:
        text = _TEXT.decode(members["text"])
    except msgspec.DecodeError:
        raise ValueError("`text` must be a string") from None
    if not text.strip():
        raise ValueError("`text` is empty")
    return msgspec.json.encode([{"role": "user", "content": text}])


def _wanted(members: Mapping[str, msgspec.Raw], node: Classify) -> Class:
    """Raises ValueError."""
    member = _one_of(members, "route", "task")
    try:
        label: str | None = _LABEL.decode(members[member])
    except msgspec.DecodeError:
        raise ValueError(f"`{member}` must be a string, or null for no route") from None
    if member == "route":
        names = [route.name for route in node.routes]
        if label is None or label in names:
            return label
        if label == _DEFAULT:
            return None
        raise ValueError(f"no route is called {_shown(label)}{_meant(label, names)}")
    by_task = {route.task: route.name for route in node.routes if route.task is not None}
    if label in by_task:
        return by_task[label]
    if label is None or label == _DEFAULT:
        return None
    if label in TASKS:
        raise ValueError(f'no route has the task {_shown(label)}; "route": null says that it belongs to none')
    raise ValueError(f"{_shown(label)} is no task{_meant(label, TASKS)}")


def _one_of(
    members: Mapping[str, msgspec.Raw], one: Literal["text", "route"], other: Literal["messages", "task"]
) -> str:
    """Raises ValueError unless exactly one is there."""
    if one in members and other in members:
        raise ValueError(f"`{one}` and `{other}` exclude each other")
    if one not in members and other not in members:
        raise ValueError(f"neither `{one}` nor `{other}` is there")
    return one if one in members else other


def _meant(label: str, names: Sequence[str]) -> str:
    found = nearest(label, names)
    return f"; did you mean {_shown(found[0])}?" if found else ""


def _shown(name: str) -> str:
    return repr(name) if len(name) <= _LONGEST_SHOWN else f"something of {len(name):,} letters"


# Judging


async def report(loaded: Loaded, name: str, prompts: Sequence[Prompt], tell: Callable[[int], None]) -> Report:
    """`tell` hears, now and then, how many more are judged. Raises Unable."""
    classification = build(loaded, None, HttpTransport(), Log(level="error")).classification
    try:
        await classification.prepare()
        classifier = classification.classifiers.get(name)
        health = classification.health()
        assert isinstance(health, dict)
        if classifier is None:
            raise Unable(f"the classifier of {name} could not be made: {health.get('reason', '')}")
        notes = [] if health["status"] in ("ready", "off") else [_without_embedder(health)]
        judging = _Judging(classification, name)
        judged = []
        for prompt in prompts:
            judged.append(await judging.judged(prompt))
            tell(1)
        routes = [route.name for route in classifier.node.routes]
        return Report(name, evaluate(routes, judged), (*notes, *judging.notes()))
    finally:
        classification.close()


class _Judging:
    """As a request is judged, but that it waits for its vector, and belongs to no conversation."""

    def __init__(self, classification: Classification, node: str) -> None:
        self._classification = classification
        self._node = node
        self._granted_s = classification.within_s
        self._late = 0
        self._without: dict[str, int] = {}  # why → how many
        classification.within_s = _PATIENCE_S

    async def judged(self, prompt: Prompt) -> Judged:
        await asyncio.sleep(0)  # so that an interrupt is heard
        began = time.perf_counter()
        reading = Reading(last_human_turn(prompt.messages).text)
        judgement = await self._classification.judge(self._node, reading, 2 * _PATIENCE_S)
        took_s = time.perf_counter() - began
        if (why_not := judgement.no_vector) is not None:
            self._without[why_not] = self._without.get(why_not, 0) + 1
        elif judgement.stage != "features":
            self._late += took_s > self._granted_s > 0
        return Judged(prompt.line, prompt.wanted, judgement, took_s * 1000)

    def notes(self) -> Iterator[str]:
        if self._late:
            granted = f"{self._granted_s * 1000:g} ms"
            yield (
                f"{self._late:,} waited longer for a vector than the {granted} that a request is granted: in service, "
                "at this speed, such prompts are judged by words and shapes alone"
            )
        for why, count in self._without.items():
            yield f"{count:,} were judged by words and shapes alone: {why}"


def _without_embedder(health: Mapping[str, Json]) -> str:
    return f"embedder: {health['status']}, {health.get('reason', '')}; {health.get('meanwhile', '')}"


# Figures for JSON


def _coverage(coverage: Coverage) -> dict[str, Json]:
    return {
        "threshold": coverage.threshold,
        "routed": _share(coverage.share),
        "accuracy_of_routed": _share(coverage.accuracy),
        "accuracy_of_all": _share(coverage.accuracy_of_all),
    }


def _times(times: Times) -> Json:
    return {"p50": _ms(times.p50), "p99": _ms(times.p99)}


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
