"""Benchmarks as the command line runs them, and servers that answer one of their clients by a script."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT

_LIMIT_S = 120


def command(file: Path, module: str, *options: str) -> tuple[int, str, dict[str, Any]]:
    """Exit status, what was printed, and the document; `file` is where that goes."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *options, "--json", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
    )
    assert file.exists(), done.stderr
    return done.returncode, done.stdout, json.loads(file.read_text())


async def client(module: str, *options: str) -> tuple[int, dict[str, Any]]:
    """A load client's exit status, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"benchmarks.{module}", *options), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(output)


@asynccontextmanager
async def scripted(reply: Callable[[asyncio.StreamWriter], None], *, to_get: bytes | None = None) -> AsyncIterator[int]:
    """The port of a server that replies to whatever it reads with one script; to a GET with bytes, if there are any."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while read := await reader.read(65536):
            if to_get is not None and read.startswith(b"GET "):
                writer.write(to_get)
            else:
                reply(writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
