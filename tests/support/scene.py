"""The stage of a fault test: one gateway, and for every case a candidate that misbehaves, with a sound one behind it.

    async with Scene(lambda case: faults.RESET) as scene:
        for told in await scene.ask():
            told.moved_on("broken")

A case is a provider's wire, a client's dialect, and stream or JSON. All cases are asked at the same time. What must
hold after every request is checked where the scene closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from routing.keys import KeyStatus
from tests.support import upstream_openai as openai
from tests.support.clients import CLIENTS, Client, View
from tests.support.gateway import Gateway, provider
from tests.support.invariants import assert_settled, hung_up
from tests.support.upstream import Script, Upstream
from tests.support.wires import WIRES, Wire

PATIENCE_S = 30.0
SOUND = "sound"  # the candidate behind the one that misbehaves, and what it says
KEYS = ("sk-canary-one", "plain.canary.two", "sk-canary-three")


@dataclass(frozen=True)
class Case:
    """`variant` is the test's own; None where it has none."""

    wire: Wire
    client: Client
    stream: bool
    variant: Any = None

    def __str__(self) -> str:
        how = "stream" if self.stream else "json"
        variant = "" if self.variant is None else f" {self.variant!r:.60}"
        return f"{self.wire.type} to {self.client.name}, {how}{variant}"


def cases(
    *,
    stream: bool | None = None,
    wires: Iterable[Wire] = WIRES,
    clients: Iterable[Client] = CLIENTS,
    variants: Sequence[Any] = (None,),
) -> list[Case]:
    """Every combination. `stream` None: streams and JSON."""
    return [
        Case(wire, client, streamed, variant)
        for wire in wires
        for client in clients
        for streamed in ((True, False) if stream is None else (stream,))
        for variant in variants
    ]


def alike(told: Iterable[Told]) -> None:
    """What is rendered anew and what is forwarded must mean the same to a client."""
    seen = {(each.case.client.name, each.view.text, each.view.whole, each.view.finish_reason) for each in told}
    assert len(seen) <= len(CLIENTS), seen


class Told:
    """One request, as its client, the decision record, the routing state and the upstream tell it."""

    def __init__(self, scene: Scene, case: Case, view: View) -> None:
        self.scene = scene
        self.case = case
        self.view = view
        record = scene.gateway.app.telemetry.decisions.get(view.headers["x-cortex-request-id"])
        assert record is not None, f"{case}: not settled"
        self.decision = record.decision()

    @property
    def attempts(self) -> list[tuple[str, str]]:
        """Provider and kind of each."""
        return [(each["target"].partition("/")[0], each["kind"]) for each in self.decision["attempts"]]

    def moved_on(self, *kinds: str) -> None:
        """The first candidate failed in one of these ways, unseen; the sound one's answer came whole."""
        (bad, kind), (good, ok) = self.attempts
        assert (bad, good, ok) == (self.scene.name(self.case), SOUND, "ok"), self
        assert kind in kinds, self
        self._is_whole(SOUND, SOUND)

    def was_whole(self, text: str, *, finish_reason: str = "stop") -> None:
        """The first candidate's answer came whole, at the first call that counts."""
        assert self.attempts[-1] == (self.scene.name(self.case), "ok"), self
        self._is_whole(text, self.scene.name(self.case), finish_reason)

    def _is_whole(self, text: str, provider: str, finish_reason: str = "stop") -> None:
        view, decision = self.view, self.decision
        assert (view.status, view.whole, view.text or "") == (200, True, text), self
        assert view.finish_reason == finish_reason, self
        assert view.headers["x-cortex-model"].partition("/")[0] == provider, self
        assert (decision["outcome"], decision["status"], decision["error"]) == ("completed", 200, None), self
        assert decision["usage"] is not None, self

    def was_cut(self, text: str, *kinds: str, code: str = "upstream_stream_broken") -> None:
        """This much came, then one error in the client's protocol, and nothing that looks like an end."""
        view, decision = self.view, self.decision
        assert (view.status, view.text, view.whole, view.finish_reason) == (200, text, False, None), self
        assert view.error["code"] == code, self
        assert view.error["request_id"] == decision["request_id"], self
        ((target, kind),) = self.attempts
        assert target == self.scene.name(self.case), self
        assert kind in kinds, self
        assert [each["kind"] for each in view.error["attempts"]] == [kind], self
        assert (decision["outcome"], decision["status"]) == ("cut", 200), self
        assert decision["usage"]["estimated"], f"{self}: what came is charged"

    def was_refused(self, status: int, code: str | None, *kinds: str) -> None:
        """One JSON error in the client's dialect, with the causes attempt by attempt."""
        view, decision = self.view, self.decision
        assert (view.status, view.whole) == (status, False), self
        assert view.headers["Content-Type"] == "application/json", self
        assert code is None or view.error["code"] == code, self
        told = [(each["target"], each["key"], each["kind"]) for each in view.error.get("attempts", [])]
        assert told == [(each["target"], each["key"], each["kind"]) for each in decision["attempts"]], self
        assert {kind for _, kind in self.attempts} <= set(kinds), self
        assert bool(self.attempts) is bool(kinds), self
        assert (decision["outcome"], decision["status"], decision["error"]) == ("failed", status, view.error["code"])
        assert decision["usage"] is None, f"{self}: nobody is charged for nothing"

    def blames(self, whom: str | None) -> None:
        """Whether the first "candidate", its "key" or nobody (None) is held to account."""
        name = self.scene.name(self.case)
        failing = {record.name.partition("/")[0] for record in self.scene.gateway.app.runtime.state.health.snapshot(0)}
        errors = sum(key.errors for key in self.scene.keys(self.case))
        assert (name in failing, errors > 0) == (whom == "candidate", whom == "key"), self
        assert SOUND not in failing, self

    def __repr__(self) -> str:
        view = self.view
        return f"{self.case}: {view.status} {view.body[-600:]!r}\n{self.decision}"


class Scene:
    """`script` says what a case's first candidate does; `url`, if given, is where all of them are instead.

    `settings` adds to these candidates' configuration (a function of the case, or one for all), `sections` to the file.
    """

    def __init__(
        self,
        script: Callable[[Case], Script] | None = None,
        played: Sequence[Case] | None = None,
        *,
        url: str | None = None,
        settings: dict[str, Any] | Callable[[Case], dict[str, Any]] | None = None,
        keys: int = 1,
        attempts: int = 2,
        sections: dict[str, Any] | None = None,
    ) -> None:
        self.cases = cases() if played is None else list(played)
        self._bad: dict[int, Upstream] = {}
        self._names = {id(case): f"p{number}" for number, case in enumerate(self.cases)}
        self._script = script
        self._url = url
        self._settings = settings if callable(settings) else lambda case: settings or {}
        self._keys = list(KEYS[:keys])
        self._attempts = attempts
        self._sections = sections or {}
        self._views: list[View] = []
        self._asked = 0
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            self.sound = await stack.enter_async_context(Upstream(openai.speaking([SOUND])))
            self._bad = {
                id(case): await stack.enter_async_context(Upstream(self._script(case)))
                for case in self.cases
                if self._script is not None
            }
            self.gateway = await stack.enter_async_context(Gateway(self._config()))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._stack:
            if error is None:
                outputs = [part for view in self._views for part in (view.body, str(dict(view.headers)))]
                await assert_settled(self.gateway, self._asked, outputs)

    def name(self, case: Case) -> str:
        """The provider that misbehaves."""
        return self._names[id(case)]

    def upstream(self, case: Case) -> Upstream:
        return self._bad[id(case)]

    def keys(self, case: Case) -> list[KeyStatus]:
        pool = self.gateway.app.runtime.state.pools[self.name(case)]
        return pool.snapshot(asyncio.get_running_loop().time(), [case.wire.model])

    def target(self, case: Case, *, alone: bool = False) -> str:
        """What to ask for: the cascade, or the first candidate alone."""
        return f"{self.name(case)}/{case.wire.model}" if alone else f"ask-{self.name(case)}"

    async def ask(
        self, *, alone: bool = False, headers: dict[str, str] | None = None, only: Collection[Case] | None = None
    ) -> list[Told]:
        """Every case at once. Returns when all are settled."""
        chosen = self.cases if only is None else only
        views = await asyncio.gather(*(self.view(case, alone=alone, headers=headers) for case in chosen))
        await self.gateway.settled()
        return [Told(self, case, view) for case, view in zip(chosen, views, strict=True)]

    async def view(self, case: Case, *, alone: bool = False, headers: dict[str, str] | None = None) -> View:
        """One request, with what its client makes of the answer."""
        body = case.client.body(self.target(case, alone=alone), stream=case.stream)
        self._asked += 1
        async with (
            asyncio.timeout(PATIENCE_S),
            self.gateway.client.post(case.client.path, json=body, headers=headers) as response,
        ):
            data = await response.read()
            try:
                view = case.client.read(response.status, response.headers, data)
            except (AssertionError, KeyError, ValueError) as error:
                raise AssertionError(f"{case}: {error!r} in {response.status} {data[-600:]!r}") from error
        self._views.append(view)
        return view

    def asked_outside(self, count: int = 1) -> None:
        """A test has sent requests by itself."""
        self._asked += count

    async def hung_up(self) -> None:
        """Until every connection to the candidates that misbehave is closed, which must be within a second."""
        await hung_up(self._bad.values())

    def _config(self) -> dict[str, Any]:
        bad = {
            self.name(case): {
                "type": case.wire.type,
                "base_url": (self._url or self.upstream(case).url) + case.wire.base_path,
                "keys": list(self._keys),
                "models": [case.wire.model],
                **copy.deepcopy(self._settings(case)),  # shared objects would become YAML anchors
            }
            for case in self.cases
        }
        return {
            "providers": {**bad, SOUND: provider(self.sound.url, keys=[f"{KEYS[0]}-sound"])},
            "models": {f"ask-{name}": {"cascade": [name, SOUND]} for name in bad},
            "retries": {"attempts": self._attempts, "backoff": "1ms", "budget": "100%"},
            **self._sections,
        }


async def moves_on(scene: Scene, *kinds: str, blames: str | None = "candidate") -> None:
    """Before the commit a fault moves on unseen; with nobody behind it, the client is told what came of each call."""
    for told in await scene.ask():
        told.moved_on(*kinds)
        told.blames(blames)
    for told in await scene.ask(alone=True):
        told.was_refused(502, None, *kinds)
        assert len(told.attempts) == 2, told


async def cuts(scene: Scene, text: str, *kinds: str, blames: str | None = "candidate") -> None:
    """After the commit a fault ends the answer, and every upstream connection with it."""
    for told in await scene.ask():
        told.was_cut(text, *kinds)
        told.blames(blames)
    await scene.hung_up()
    assert not scene.sound.requests, "nobody else is asked after the commit"
