"""One connection: a socket, the answer that is coming in on it, and the one task that waits for either.

Between answers it is silent. Whatever an upstream sends then, an end included, closes it at once: bytes that belong to
no request must never be taken for the answer to the next.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import cast

from cortex.errors import Fault, FaultKind
from cortex.upstream.answer import Answer
from cortex.upstream.target import Target

MAX_BUFFERED_BYTES = 64 * 1024  # of a body that nobody takes, before the upstream has to wait
_WRITE_AT_ONCE_BYTES = 64 * 1024  # a longer body is written piece by piece, as the upstream takes it


class Connection(asyncio.Protocol):
    """Serves one `exchange` at a time. `on_made` and `on_lost` tell when there is a socket, and when no longer."""

    def __init__(
        self, target: Target, on_made: Callable[[Connection], None], on_lost: Callable[[Connection], None]
    ) -> None:
        self.origin = target.origin
        self._where = target.authority
        self._on_made = on_made
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._open = False
        self._used = False
        self._answer: Answer | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._consume: Callable[[bytes], bool] | None = None  # who takes the body as it comes
        self._enough = False  # it wants no more
        self._reading_paused = False
        self._writing_paused = False
        self._sent = True  # the request, all of it

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._open = True
        self._readable = select.poll()
        self._readable.register(transport.get_extra_info("socket"), select.POLLIN)
        self._on_made(self)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None or answer.complete:
            self.abort()
            return
        answer.feed(data)
        if self._consume is not None and answer.buffered_bytes and self._pass_on(answer, self._consume):
            return
        if answer.error is not None:
            self.abort()
        elif answer.buffered_bytes > MAX_BUFFERED_BYTES and not answer.complete:
            self._reading_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._end()
        self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._end()
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._wake()

    # What the transport calls

    async def exchange(self, method: str, head: bytes, body: bytes) -> Answer:
        """Send a request and wait for the head of its answer. Raises Fault(STALE_CONNECTION or BROKEN).

        After anything but an answer the connection must be aborted.
        """
        reused, self._used = self._used, True
        answer = self._answer = Answer(method)
        if not self._open:
            answer.end()
        elif len(body) <= _WRITE_AT_ONCE_BYTES:
            self._transport.write(head + body)
        else:
            await self._upload(head, memoryview(body), answer)
        while not answer.status:
            if answer.error is not None:
                raise self._no_answer(answer, answer.error, reused)
            await self._wait()
        return answer

    async def read(self, answer: Answer) -> bytes:
        """The next bytes of the answer's body, b"" once at its end. Raises Fault(BROKEN) if it was cut.

        What came before a cut comes before the fault. The answer may outlast its time on this connection.
        """
        while not answer.buffered_bytes:
            if answer.complete:
                return b""
            if answer.error is not None:
                raise Fault(FaultKind.BROKEN, f"the upstream's answer was cut: {answer.error}")
            await self._wait()
        data = answer.take()
        if self._reading_paused:
            self._resume_reading()
        return data

    async def pump(self, answer: Answer, consume: Callable[[bytes], bool]) -> bool:
        """Give the body to `consume` as it comes: True at its end, False when `consume` returns that it wants no more.

        Raises Fault(BROKEN) if the body was cut, and what `consume` raises.
        """
        while True:
            if answer.buffered_bytes:
                data = answer.take()
                if self._reading_paused:
                    self._resume_reading()
                if not consume(data):
                    return False
            elif answer.complete:
                return True
            elif answer.error is not None:
                raise Fault(FaultKind.BROKEN, f"the upstream's answer was cut: {answer.error}")
            else:
                self._consume, self._enough = consume, False
                try:
                    await self._wait()
                finally:
                    self._consume = None
                if self._enough:
                    return False

    def _pass_on(self, answer: Answer, consume: Callable[[bytes], bool]) -> bool:
        """Hand over what has come. True: the task that pumps may sleep on."""
        try:
            self._enough = not consume(answer.take())
        except Exception as error:  # noqa: BLE001 - it is the pumping task's
            waiter, self._waiter = self._waiter, None
            if waiter is not None and not waiter.done():
                waiter.set_exception(error)
        else:
            if not self._enough and not answer.complete and answer.error is None:
                return True
        self._consume = None  # nothing more before the task has seen what has happened
        return False

    def rest(self) -> bool:
        """The exchange is over. False if the connection cannot serve another."""
        answer, self._answer = self._answer, None
        if not self._open or answer is None or not answer.reusable:
            if answer is not None:
                answer.end()  # it has a parser, which has it
            return False
        if self._reading_paused:
            self._resume_reading()
        return self._sent and not self._transport.get_write_buffer_size()

    def is_silent(self) -> bool:
        """Still open, and nothing has come since the last answer: not even what the event loop has not seen yet."""
        return self._open and not self._readable.poll(0)

    def abort(self) -> None:
        """Close at once, whatever has not been sent. A plain close would wait for the upstream to take it."""
        self._open = False
        self._transport.abort()

    # Waiting

    def _wait(self) -> asyncio.Future[None]:
        """Done when something has happened: bytes, an end, or room to write."""
        assert self._waiter is None or self._waiter.done(), "one task at a time"
        waiter = self._waiter = self._loop.create_future()
        return waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _upload(self, head: bytes, body: memoryview, answer: Answer) -> None:
        """An upstream may answer before it has everything; the rest is then not sent."""
        self._sent = False
        self._transport.write(head)
        for start in range(0, len(body), _WRITE_AT_ONCE_BYTES):
            while self._writing_paused and not answer.status and answer.error is None:
                await self._wait()
            if answer.status or answer.error is not None:
                return
            self._transport.write(body[start : start + _WRITE_AT_ONCE_BYTES])
        self._sent = True

    def _resume_reading(self) -> None:
        self._reading_paused = False
        if self._open:
            self._transport.resume_reading()

    def _end(self) -> None:
        self._open = False
        if self._answer is not None:
            self._answer.end()
        self._wake()

    def _no_answer(self, answer: Answer, why: str, reused: bool) -> Fault:
        if answer.begun:
            return Fault(FaultKind.BROKEN, f"{self._where} sent no valid head: {why}")
        if reused:
            return Fault(FaultKind.STALE_CONNECTION, f"{self._where} had closed the connection before the request came")
        return Fault(FaultKind.BROKEN, f"{self._where} closed the connection without an answer")
