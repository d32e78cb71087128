"""The embedding service when its event loop ends before its worker does."""

from __future__ import annotations

import asyncio

from cortex.embedding.factory import EmbedderSettings
from cortex.embedding.service import EmbeddingService
from cortex.telemetry.log import Log
from tests.support.embedder import GIVE_UP_S, ScriptedEmbedder, workers


def test_a_worker_that_outlives_the_loop_ends_in_silence() -> None:
    embedder = ScriptedEmbedder()
    service = EmbeddingService(EmbedderSettings("builtin"), Log(), make=lambda _: embedder)

    async def leave_amid_a_text() -> None:
        await service.vectors([])
        embedder.hold()
        task = asyncio.create_task(service.vector("a", within_s=GIVE_UP_S))
        while not embedder.entered.acquire(blocking=False):
            await asyncio.sleep(0.001)
        service.close()
        assert await task is None

    asyncio.run(leave_amid_a_text())
    embedder.let_go()
    for worker in workers():
        worker.join(GIVE_UP_S)
    assert embedder.asked == ["a"]
