"""A provider that lives in this process: a transport that answers on OpenAI's wire without a network.

For demonstrations and tests. It fails as real ones do, by a seeded draw for each call: the same calls in the same order
meet the same failures in every run. Listing models never fails, as it costs a real provider nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec

from cortex.chat import Json
from cortex.errors import Fault, FaultKind
from cortex.providers.faults import NOT_DECODABLE
from cortex.providers.simulated_answers import Chat, chat_answer, chat_frames, embeddings_answer, error_answer, models
from cortex.transport import UpstreamRequest

FAULTS = frozenset(
    {
        "status_429",
        "status_500",
        "status_503",
        "status_401",
        "status_400",
        "garbage",  # 200 with an HTML page
        "empty",  # 200 with nothing
        "error_body",  # 200 with an error
        "cut",  # the connection breaks in the middle of the answer
        "stall",  # silence in the middle of the answer
        "refused",  # no connection
    }
)
Piece: TypeAlias = tuple[float, bytes]  # seconds that pass before these bytes come

_MIN_PAUSE_S = 0.002  # shorter ones are not kept by an event loop: tokens then come several at a time


@dataclass(frozen=True, slots=True)
class SimulateSettings:
    """How the provider behaves. One call in 1 / `fail_rate` meets one of `faults`, drawn alike."""

    text: str | None = None  # the answer to every chat; None: a sentence that tells who answers what
    delay_s: float = 0.0  # before the first token
    tokens_per_second: float = 0.0  # 0: all at once
    fail_rate: float = 0.0
    faults: tuple[str, ...] = ("status_503",)
    seed: int = 0


class SimulatedTransport:
    """Implements cortex.transport.Transport. `provider` is the name that a generated answer tells."""

    def __init__(self, settings: SimulateSettings, provider: str = "simulated") -> None:
        self._settings = settings
        self._provider = provider
        self._random = Random(settings.seed)

    async def open(self, request: UpstreamRequest, *, connect_timeout_s: float) -> SimulatedResponse:
        if request.method == "GET":
            return _answer(200, models())
        settings = self._settings
        fault = ""
        if settings.faults and self._random.random() < settings.fail_rate:
            fault = self._random.choice(settings.faults)
        if fault == "refused":
            raise Fault(FaultKind.CONNECT, f"{urlsplit(request.url).hostname}: connection refused (simulated)")
        if fault.startswith("status_"):
            status = int(fault.removeprefix("status_"))
            return _answer(status, error_answer(status), {"retry-after": "2"} if status == 429 else {})
        if fault == "garbage":
            return SimulatedResponse(200, "text/html", [(0.0, b"<html><body>Service page</body></html>")])
        if fault == "error_body":
            return _answer(200, error_answer(500))
        return self._serve(request, fault)

    async def close(self) -> None:
        """There is nothing to close."""

    def _serve(self, request: UpstreamRequest, fault: str) -> SimulatedResponse:
        path = urlsplit(request.url).path
        try:
            body = msgspec.json.decode(request.body, type=dict[str, Json])
        except NOT_DECODABLE:
            return _answer(400, error_answer(400))
        kind = "application/json"
        if path.endswith("/embeddings"):
            pieces = [(self._settings.delay_s, msgspec.json.encode(embeddings_answer(body)))]
        elif path.endswith("/chat/completions"):
            chat = Chat(body, self._provider, self._settings.text)
            pieces = self._stream(chat) if chat.stream else self._whole(chat)
            kind = "text/event-stream" if chat.stream else kind
        else:
            return _answer(404, error_answer(404))
        if fault == "empty":
            pieces = []
        elif fault in ("cut", "stall"):
            pieces = _first_half(pieces)
        return SimulatedResponse(200, kind, pieces, end=fault)

    def _whole(self, chat: Chat) -> list[Piece]:
        per_second = self._settings.tokens_per_second
        busy_s = len(chat.tokens) / per_second if per_second else 0.0
        return [(self._settings.delay_s + busy_s, msgspec.json.encode(chat_answer(chat)))]

    def _stream(self, chat: Chat) -> list[Piece]:
        per_second = self._settings.tokens_per_second
        at_once = max(1, round(per_second * _MIN_PAUSE_S))
        pause_s = at_once / per_second if per_second else 0.0
        return [(pause_s if n else self._settings.delay_s, frame) for n, frame in enumerate(chat_frames(chat, at_once))]


class SimulatedResponse:
    """Implements cortex.transport.UpstreamResponse."""

    def __init__(
        self,
        status: int,
        content_type: str,
        pieces: Sequence[Piece],
        *,
        end: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": content_type, **(headers or {})}
        self.connect_s = 0.0
        self._pieces = deque(pieces)
        self._end = end
        self._closed = asyncio.Event()

    async def read(self) -> bytes:
        """All pieces that are due. A cancelled read loses none."""
        if self._pieces and (pause_s := self._pieces[0][0]):
            await asyncio.sleep(pause_s)
        due: list[bytes] = []
        while self._pieces and (not due or not self._pieces[0][0]):
            due.append(self._pieces.popleft()[1])
        if not due and self._end == "stall":
            await self._closed.wait()
        if not due and self._end == "cut":
            raise Fault(FaultKind.BROKEN, "the connection broke in the middle of the answer (simulated)")
        return b"".join(due)

    async def pump(self, consume: Callable[[bytes], bool]) -> bool:
        while data := await self.read():
            if not consume(data):
                return False
        return True

    @property
    def at_end(self) -> bool:
        return not self._pieces and not self._end

    def close(self) -> None:
        self._closed.set()


def _answer(status: int, answer: Json, headers: Mapping[str, str] | None = None) -> SimulatedResponse:
    return SimulatedResponse(status, "application/json", [(0.0, msgspec.json.encode(answer))], headers=headers)


def _first_half(pieces: list[Piece]) -> list[Piece]:
    """Of several pieces the first half, of one piece its first half."""
    if len(pieces) == 1:
        pause_s, whole = pieces[0]
        return [(pause_s, whole[: len(whole) // 2])]
    return pieces[: len(pieces) // 2]
