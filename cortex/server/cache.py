"""The handlers of the response cache: what it holds, and taking it out. No prompt and no answer is ever shown."""

from __future__ import annotations

import re
import time

from cortex.server.errors import bad_value
from cortex.server.incoming import Incoming

_KEY = re.compile(r"[0-9a-f]{32}")


async def cache(incoming: Incoming) -> None:
    """Its size, and what it has been good for."""
    await incoming.send_json(incoming.runtime.caching.overview(time.monotonic()))


async def clear_cache(incoming: Incoming) -> None:
    """Forget all answers, those of one model, or one. Raises Refused (400)."""
    query = incoming.request.query
    for name in query:
        if name not in ("model", "key"):
            raise bad_value("an answer is named by `key` or `model`; without either, all are meant", name[:64])
    key, model = query.get("key"), query.get("model")
    if key is not None and not _KEY.fullmatch(key):
        raise bad_value("a key is what `x-cortex-cache-key` tells: 32 digits of base 16, lower case", "key")
    removed = incoming.runtime.caching.remove(None if key is None else bytes.fromhex(key), model)
    await incoming.send_json({"removed": removed})
