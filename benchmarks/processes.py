"""Server processes: started, awaited, measured, stopped; what they say goes to a file.

Promises that no process outlives its context, and that one that does not come up, dies or will not stop is an error
with the end of its log. Knows nothing of what the servers do.
"""

from __future__ import annotations

import http.client
import os
import resource
import socket
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

HOST = "127.0.0.1"
ROOT = Path(__file__).parent.parent  # of the repository: what `python -m` runs from
READY_WITHIN_S = 30.0
_STOP_WITHIN_S = 15.0
_POLL_S = 0.005
_LOG_TAIL_BYTES = 2000
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class ServerFailed(Exception):
    """A server did not start, died or had to be killed. The message ends with what it said last."""


class Server:
    """One server process on one port, as a context: ready when entered, gone when left."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        *,
        log: Path,
        ready_path: str,
        core: int | None = None,
        ready_within_s: float = READY_WITHIN_S,
        exit_codes: Collection[int] = (0,),  # of one that was told to stop
    ) -> None:
        self.name = name
        self.port = port
        self.ready_s = 0.0  # from the start of the process to its first 200
        self._command = list(command)
        self._log = log
        self._ready_path = ready_path
        self._core = core
        self._ready_within_s = ready_within_s
        self._exit_codes = exit_codes

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        with self._log.open("ab") as output:
            began = time.perf_counter()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                preexec_fn=lambda: settle(self._core),  # before it runs, so that its threads inherit the core
            )
        try:
            self._await_ready(began)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        died = self._process.poll()
        self._process.terminate()
        try:
            self._process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            if error is None:
                raise self._failure(f"did not stop within {_STOP_WITHIN_S:.0f} s") from None
        if error is not None:
            return
        if died is not None:
            raise self._failure(f"exited with {died} while it was measured")
        if self._process.returncode not in self._exit_codes:
            raise self._failure(f"exited with {self._process.returncode} when told to stop")

    def _await_ready(self, began: float) -> None:
        while time.perf_counter() - began < self._ready_within_s:
            if (code := self._process.poll()) is not None:
                raise self._failure(f"exited with {code} before it was ready")
            try:
                status, _ = get(self.port, self._ready_path)
            except (OSError, http.client.HTTPException):
                status = 0
            if status == 200:
                self.ready_s = time.perf_counter() - began
                return
            time.sleep(_POLL_S)
        raise self._failure(f"was not ready within {self._ready_within_s:.0f} s")

    def _failure(self, what: str) -> ServerFailed:
        tail = self._log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        return ServerFailed(f"{self.name} {what}; its log {self._log} ends with:\n{tail}")


def get(port: int, path: str, headers: Mapping[str, str] = MappingProxyType({})) -> tuple[int, bytes]:
    """One GET on a connection of its own → status, body. Raises OSError or HTTPException."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def settle(core: int | None) -> None:
    """Keep this process on one core, if one is named, and let it open as many sockets as it may."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def cpu_s(pid: int) -> float:
    """Processor time of a process and its threads so far, user and system, in steps of a clock tick (10 ms)."""
    # The second field is the program's name in parentheses and may hold blanks: count from behind it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def fine_cpu_s(pid: int) -> float:
    """As cpu_s, to the nanosecond, but without the threads that have ended; cpu_s where the kernel does not tell."""
    spent_ns = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            spent_ns += int((task / "schedstat").read_text().split()[0])
    except FileNotFoundError:
        return cpu_s(pid)
    return spent_ns / 1e9


def waited_s(pid: int) -> float:
    """Time that the main thread of a process was ready to run so far, while its core ran something else.

    0 where the kernel does not tell.
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except FileNotFoundError:
        return 0.0


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def open_files(pid: int) -> int:
    """File descriptors that a process holds: files, sockets, pipes."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
