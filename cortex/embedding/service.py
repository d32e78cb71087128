"""Vectors for requests: one worker thread, a memo, and never a wait beyond what the asker grants.

Belongs to one event loop, that of the first call; all book-keeping happens there, and nothing is locked. The worker
loads the embedder and embeds, one job after the other, and hands each result back to the loop. A job that has not begun
when the last of its askers has given up is skipped; one that has begun still fills the memo.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from cortex.embedding.embedder import Embedder, EmbedderError
from cortex.embedding.factory import EmbedderSettings, make_embedder
from cortex.telemetry.log import Log

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cortex.embedding.embedder import Vectors

    Vector = NDArray[np.float32]  # (dimensions,), of length 1, read-only

MEMO_ENTRIES = 4096
MAX_WAITING = 64  # texts that wait for the worker
RETRY_S = 60.0  # how soon a failed load is tried again
_NICENESS = 10  # of the worker's thread
CHUNK = 4  # texts of a configuration that go to the worker at once: a request may have to wait for them

Result = TypeVar("Result")
State = Literal["off", "loading", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class EmbedderStatus:
    """`off`: none is configured, or none was asked for yet. The counts are since the start."""

    state: State
    reason: str | None  # of the last failed load
    embedder: str | None  # the model's name, once it is ready
    dimensions: int | None
    loaded_in_s: float | None
    waiting: int  # texts, now
    remembered: int  # texts, now
    computed: int
    memoised: int  # asks answered from the memo
    late: int  # asks that gave up
    refused: int  # asks that found too many waiting
    failed: int  # texts that the embedder could not embed


@dataclass(slots=True, eq=False)
class _Job:
    text: str
    digest: bytes
    deadline: float  # of the last asker
    askers: list[asyncio.Future[Vector | None]] = field(default_factory=list)


class EmbeddingService:
    """Loads at `start`, or at the first ask."""

    def __init__(
        self,
        settings: EmbedderSettings,
        log: Log,
        *,
        make: Callable[[EmbedderSettings], Embedder] = make_embedder,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._log = log
        self._make = make
        self._now = now
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cortex-embedding", initializer=_give_way)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._state: State = "off"
        self._closed = False
        self._reason: str | None = None
        self._complained: str | None = None  # of what, last
        self._retry_at = 0.0
        self._embedder: Embedder | None = None
        self._loaded_in_s: float | None = None
        self._memo: OrderedDict[bytes, Vector] = OrderedDict()
        self._jobs: dict[bytes, _Job] = {}
        self._one_bulk = asyncio.Lock()
        self._chunk: asyncio.Future[Vectors] | None = None
        self._load: asyncio.Future[None] | None = None  # waited for by `vectors` alone
        self._counts = dict.fromkeys(("computed", "memoised", "late", "refused", "failed"), 0)

    def start(self) -> None:
        """Begin to load, in the worker. Does nothing while it loads, once it is ready, and soon after it failed."""
        if self._closed or self._settings.type == "none" or self._state in ("loading", "ready"):
            return
        if self._state == "failed" and self._now() < self._retry_at:
            return
        self._loop = asyncio.get_running_loop()
        self._state = "loading"
        self._worker.submit(_run, self._loop, self._make_timed, self._made)

    def cached(self, text: str) -> Vector | None:
        """From the memo, or None."""
        return self._remembered(_digest(text))

    async def vector(self, text: str, *, within_s: float) -> Vector | None:
        """None when there is none in time: not loaded, failed, overloaded, or too slow. Raises nothing."""
        digest = _digest(text)
        if (vector := self._remembered(digest)) is not None:
            return vector
        self.start()
        if self._state != "ready" or within_s <= 0:
            return None
        assert self._loop is not None
        deadline = self._now() + within_s
        job = self._jobs.get(digest)
        if job is not None:
            job.deadline = max(job.deadline, deadline)
        elif len(self._jobs) < MAX_WAITING:
            job = self._jobs[digest] = _Job(text, digest, deadline)
            self._worker.submit(_run, self._loop, partial(self._embed, job), partial(self._done, job))
        else:
            self._counts["refused"] += 1
            return None
        asker: asyncio.Future[Vector | None] = self._loop.create_future()
        job.askers.append(asker)
        timer = self._loop.call_later(within_s, self._give_up, asker)
        try:
            return await asker
        finally:
            timer.cancel()

    async def vectors(self, texts: Sequence[str]) -> Vectors:
        """(n, dimensions), for the examples of a configuration: waits as long as it takes, and gives way to requests.

        Raises EmbedderError.
        """
        async with self._one_bulk:
            embedder = await self._loaded()
            import numpy as np

            loop = asyncio.get_running_loop()
            parts = [np.empty((0, embedder.dimensions), np.float32)]
            for at in range(0, len(texts), CHUNK):
                if self._closed:
                    raise EmbedderError("the embedder is closed")
                self._chunk = chunk = loop.create_future()
                embed = partial(embedder.embed, texts[at : at + CHUNK])
                self._worker.submit(_run, loop, embed, partial(_settle, chunk))
                parts.append(await chunk)
            return np.concatenate(parts)

    def status(self) -> EmbedderStatus:
        embedder = self._embedder
        return EmbedderStatus(
            state=self._state,
            reason=self._reason,
            embedder=embedder.name if embedder is not None else None,
            dimensions=embedder.dimensions if embedder is not None else None,
            loaded_in_s=self._loaded_in_s,
            waiting=len(self._jobs),
            remembered=len(self._memo),
            **self._counts,
        )

    def close(self) -> None:
        """Whoever waits gets None, or EmbedderError from `vectors`. What the worker is at, it ends unheard."""
        self._closed = True
        self._state = "off"
        self._worker.shutdown(wait=False, cancel_futures=True)
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            _answer(job, None)
        for owed in (self._load, self._chunk):
            if owed is not None and not owed.done():
                owed.set_exception(EmbedderError("the embedder is closed"))
        self._embedder = None

    # On the loop.

    def _remembered(self, digest: bytes) -> Vector | None:
        if (vector := self._memo.get(digest)) is not None:
            self._memo.move_to_end(digest)
            self._counts["memoised"] += 1
        return vector

    def _give_up(self, asker: asyncio.Future[Vector | None]) -> None:
        if not asker.done():
            self._counts["late"] += 1
            asker.set_result(None)

    async def _loaded(self) -> Embedder:
        self.start()
        if self._state == "loading":
            self._load = asyncio.get_running_loop().create_future()
            await self._load
        if self._embedder is None:
            raise EmbedderError(self._reason or "no embedder is configured, or it is closed")
        return self._embedder

    def _made(self, made: tuple[Embedder, float] | None, reason: str | None) -> None:
        if self._closed:
            return
        self._reason = reason
        if made is not None:
            self._embedder, self._loaded_in_s = made
            self._state, self._complained = "ready", None
            self._log.info("embedder ready", embedder=self._embedder.name, seconds=round(self._loaded_in_s, 3))
        else:
            self._state, self._retry_at = "failed", self._now() + RETRY_S
            self._complain("the embedder cannot be loaded", reason or "")
        if self._load is not None and not self._load.done():
            self._load.set_result(None)

    def _done(self, job: _Job, vector: Vector | None, reason: str | None) -> None:
        if self._closed:
            return
        if vector is not None:
            self._counts["computed"] += 1
            self._memo[job.digest] = vector
            if len(self._memo) > MEMO_ENTRIES:
                self._memo.popitem(last=False)
        elif reason is not None:
            self._counts["failed"] += 1
            self._complain("a text could not be embedded", reason)
        elif self._now() < job.deadline:  # skipped, and asked for again before that was known here
            assert self._loop is not None
            self._worker.submit(_run, self._loop, partial(self._embed, job), partial(self._done, job))
            return
        del self._jobs[job.digest]
        _answer(job, vector)

    def _complain(self, message: str, reason: str) -> None:
        """Once for as long as the reason is the same."""
        if reason != self._complained:
            self._complained = reason
            self._log.error(message, type=self._settings.type, reason=reason)

    # In the worker.

    def _make_timed(self) -> tuple[Embedder, float]:
        began = time.monotonic()
        return self._make(self._settings), time.monotonic() - began

    def _embed(self, job: _Job) -> Vector | None:
        embedder = self._embedder
        if embedder is None or self._now() >= job.deadline:
            return None
        vector: Vector = embedder.embed([job.text])[0]
        vector.setflags(write=False)
        return vector


def _run(
    loop: asyncio.AbstractEventLoop,
    work: Callable[[], Result | None],
    tell: Callable[[Result | None, str | None], None],
) -> None:
    """In the worker: do the work, and tell the loop what came of it, or why nothing did."""
    result, reason = None, None
    try:
        result = work()
    except Exception as error:  # noqa: BLE001 - the supervision point of all that an embedder does
        reason = str(error) if isinstance(error, EmbedderError) else f"{type(error).__name__}: {error}"
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
        loop.call_soon_threadsafe(tell, result, reason)


def _give_way() -> None:
    """Where the event loop and the worker share a core, the loop goes first."""
    with contextlib.suppress(AttributeError, OSError):  # another system than Linux, or one that does not allow it
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _answer(job: _Job, vector: Vector | None) -> None:
    for asker in job.askers:
        if not asker.done():
            asker.set_result(vector)


def _settle(chunk: asyncio.Future[Vectors], vectors: Vectors | None, reason: str | None) -> None:
    if chunk.done():
        return
    if vectors is not None:
        chunk.set_result(vectors)
    else:
        chunk.set_exception(EmbedderError(reason or ""))
