"""One request at the nodes that choose: rules by its facts, classifiers by what its last human turn asks for."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping
from functools import cached_property

from cortex.human_turn import HumanTurn, last_human_turn
from cortex.operation import Operation
from cortex.runtime import Runtime
from cortex.telemetry.record import ClassifyRecord, RequestRecord, RuleRecord
from routing.choices import Choices, first_that_holds, next_choice
from routing.graph import Classify, Entry, Rules
from routing.rules import Facts
from routing.semantic.affinity import is_remark, stays
from routing.semantic.features import Reading
from routing.semantic.judgement import Judgement, abstained

_CONVERSATIONS = secrets.token_bytes(32)  # keys the digests: of no use outside this process
_SESSION_HEADER = "x-cortex-session"


async def choose(
    runtime: Runtime,
    operation: Operation,
    entry: Entry,
    record: RequestRecord,
    *,
    deadline: float,
    headers: Mapping[str, str],
) -> Choices:
    """A choice for every node on the way that makes one. Tells the record. Raises CancelledError only."""
    return await _Choosing(runtime, operation, record, deadline, headers).choices(entry)


class _Choosing:
    def __init__(
        self,
        runtime: Runtime,
        operation: Operation,
        record: RequestRecord,
        deadline: float,
        headers: Mapping[str, str],
    ) -> None:
        self._runtime = runtime
        self._operation = operation
        self._record = record
        self._deadline = deadline
        self._headers = headers

    async def choices(self, entry: Entry) -> Choices:
        made: dict[str, str] = {}
        graph = self._runtime.graph
        while (name := next_choice(graph, entry, made)) is not None:
            node = graph.nodes[name]
            if isinstance(node, Rules):
                made[name] = self._by_rules(name, node)
            elif isinstance(node, Classify):
                made[name] = await self._by_meaning(name, node)
        return made

    @cached_property
    def _turn(self) -> HumanTurn:
        messages = self._operation.messages
        return HumanTurn() if messages is None else last_human_turn(messages)

    @cached_property
    def _reading(self) -> Reading:
        return Reading(self._turn.text)

    def _language(self) -> str | None:
        return self._reading.features.language

    def _by_rules(self, name: str, node: Rules) -> str:
        demand = self._operation.demand
        facts = Facts(demand.prompt_tokens, demand.needs, self._headers, self._record.client, self._language)
        place = first_that_holds(node, facts)
        target = node.otherwise if place is None else node.cases[place].to
        when = "else" if place is None else str(node.cases[place].when)
        self._record.rules += (RuleRecord(name, when, target.name),)
        return target.name

    async def _by_meaning(self, name: str, node: Classify) -> str:
        began = time.monotonic()
        if self._operation.messages is None:
            judged = abstained("not a chat")
        else:
            judged = await self._judged(name, self._reading)
            judged = await self._in_conversation(name, node, judged, began)
        target = node.default if judged.route is None else node.route(judged.route).to
        self._record.classify += (ClassifyRecord(name, judged, (time.monotonic() - began) * 1000),)
        return target.name

    async def _judged(self, name: str, reading: Reading) -> Judgement:
        return await self._runtime.classification.judge(name, reading, self._deadline - time.monotonic())

    async def _in_conversation(self, name: str, node: Classify, judged: Judgement, now: float) -> Judgement:
        """A conversation stays with its route, unless the new turn is clearly another task.

        One that is not known here began elsewhere, or long ago: its first turn tells the route.
        """
        session = self._headers.get(_SESSION_HEADER) or None
        turn = self._turn
        if not turn.text:
            return judged
        affinity = self._runtime.state.affinity
        conversation = self._conversation(name, session)
        if (session or turn.number > 1) and affinity.known(conversation, now):
            route = affinity.route(conversation)
            if route is None or route in (each.name for each in node.routes):  # a reload may have taken it away
                judged = stays(judged, route, remark=self._is_remark(node, judged))
        elif turn.number > 1:
            route = (await self._judged(name, Reading(turn.first))).route
            judged = stays(judged, route, remark=self._is_remark(node, judged))
        affinity.keep(conversation, judged.route, now)
        return judged

    def _is_remark(self, node: Classify, judged: Judgement) -> bool:
        task = None if judged.route is None else node.route(judged.route).task
        return is_remark(task, len(self._turn.text.split()))

    def _conversation(self, name: str, session: str | None) -> bytes:
        parts = (self._turn.system, self._turn.first) if session is None else ("session", session)
        digest = hashlib.blake2b(key=_CONVERSATIONS, digest_size=16)
        for part in (self._record.client or "", name, *parts):
            digest.update(len(part).to_bytes(8, "big") + part.encode("utf-8", "surrogatepass"))
        return digest.digest()
