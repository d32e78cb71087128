"""Ports for tests: a free one, one that refuses, one that never answers a connect."""

from __future__ import annotations

import atexit
import contextlib
import socket
from collections.abc import Iterator

HOST = "127.0.0.1"

# Bound but not listening: the kernel refuses connections, and nobody else can be given the port. Opened at import, not
# at first use, so that no test seems to leak it.
_dead = socket.socket()
_dead.bind((HOST, 0))
atexit.register(_dead.close)


def free_port() -> int:
    """A port that was free a moment ago. Prefer port 0 where the code under test can report what it got."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def dead_url() -> str:
    """Where every connect is refused, for as long as the tests run."""
    return f"http://{HOST}:{_dead.getsockname()[1]}"


@contextlib.contextmanager
def silent_url() -> Iterator[str]:
    """Where a connect is never answered: a listener whose queue of waiting connections is full (Linux)."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://{HOST}:{listener.getsockname()[1]}"
