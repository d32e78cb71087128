"""A client that sends the workload to two servers in turn, one at a time. usage: prompt_load.py PORT --beside PORT

Prompt by prompt: the one server, then the other, and the next time the other way round. Prints one JSON object: a
`PromptResult`. Promises that every answer was checked, and that a request that classified tells how.
"""

from __future__ import annotations

import argparse
import gc
import json
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.exchange import CLIENT_KEY, SCENARIOS
from benchmarks.load import AnswerReader
from benchmarks.processes import HOST, fine_cpu_s, get
from benchmarks.prompts import request, varied, workload

_SCENARIO = SCENARIOS["json"]
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class PromptResult:
    """Times in ms, round by round and prompt by prompt; both servers' side by side."""

    classified_ms: list[list[float]]
    plain_ms: list[list[float]]
    decisions: list[list[dict[str, Any]]]  # what the classifying server says of each
    classified_cpu_s: float
    plain_cpu_s: float
    answered: int  # of both, the rounds before it counts included
    errors: dict[str, int]
    first_error: str


class _Line:
    """One connection."""

    def __init__(self, port: int, errors: Counter[str]) -> None:
        self.port = port
        self.answered = 0
        self.first_error = ""
        self._errors = errors
        self._reader = AnswerReader()
        self._socket = socket.create_connection((HOST, port), timeout=_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, sent: bytes) -> float:
        """How long it took, in ms."""
        began = time.perf_counter()
        self._socket.sendall(sent)
        answer = None
        while answer is None:
            if not (data := self._socket.recv(65536)):
                raise ConnectionError(f"port {self.port} closed the connection")
            answer = self._reader.feed(data)
        took_ms = (time.perf_counter() - began) * 1000
        if (fault := _SCENARIO.fault(*answer)) is not None:
            self._errors[fault] += 1
            self.first_error = self.first_error or f"{fault}: {answer[1][:300].decode(errors='replace')}"
        else:
            self.answered += 1
        return took_ms


def _load(options: argparse.Namespace) -> PromptResult:
    prompts = workload(options.prompts)
    errors: Counter[str] = Counter()
    lines = (_Line(options.port, errors), _Line(options.beside, errors))
    times: tuple[list[list[float]], list[list[float]]] = ([], [])
    clocks: list[list[float]] = []
    decisions: list[list[dict[str, Any]]] = []
    for number in range(options.rounds + 1):
        seed = time.time_ns() // 1000  # no round has another's, of this run or of one before
        sent = [request(varied(prompt.text, 0 if options.repeat else number), seed) for prompt in prompts]
        before = _clocks(options)
        took = _round(lines, sent, first=number % 2)
        after = _clocks(options)
        if number:  # the first is for warming up
            times[0].append(took[0])
            times[1].append(took[1])
            clocks.append([now - then for now, then in zip(after, before, strict=True)])
            decisions.append(_decisions(options.port, len(sent)))
    classified_cpu_s, plain_cpu_s = (sum(spent) for spent in zip(*clocks, strict=True))
    if any(len(each) != len(prompts) for each in decisions):
        errors["a decision of a classify node is missing"] += 1
    return PromptResult(
        classified_ms=times[0],
        plain_ms=times[1],
        decisions=decisions,
        classified_cpu_s=classified_cpu_s,
        plain_cpu_s=plain_cpu_s,
        answered=sum(line.answered for line in lines),
        errors=dict(errors),
        first_error=lines[0].first_error or lines[1].first_error,
    )


def _clocks(options: argparse.Namespace) -> tuple[float, float]:
    """Processor time of both servers."""
    return fine_cpu_s(options.watch), fine_cpu_s(options.beside_watch)


def _round(lines: Sequence[_Line], sent: Sequence[bytes], first: int) -> tuple[list[float], list[float]]:
    """Each request to both; which is first changes from one to the next."""
    times: tuple[list[float], list[float]] = ([], [])
    for place, each in enumerate(sent):
        for which in ((0, 1), (1, 0))[(place + first) % 2]:
            times[which].append(lines[which].ask(each))
    return times


def _decisions(port: int, count: int) -> list[dict[str, Any]]:
    """What the one classify node said of the last requests, oldest first."""
    _, told = get(port, f"/api/decisions?limit={count}", {"Authorization": f"Bearer {CLIENT_KEY}"})
    newest = json.loads(told)["decisions"]
    return [each for decision in reversed(newest) for each in decision["classify"]]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.prompt_load", description="Send prompts to two servers in turn.")
    parser.add_argument("port", type=int, help="of the server that classifies")
    parser.add_argument("--beside", type=int, metavar="PORT", required=True, help="of the one that does not")
    parser.add_argument("--rounds", type=int, default=5, help="of all prompts (5)")
    parser.add_argument("--prompts", type=int, help="so many instead of all")
    parser.add_argument("--repeat", action="store_true", help="the same texts in each round")
    parser.add_argument("--watch", type=int, metavar="PID", required=True, help="the process that classifies")
    parser.add_argument("--beside-watch", type=int, metavar="PID", required=True, help="the one that does not")
    return parser.parse_args()


def main() -> int:
    """0 if every answer was right, else 1."""
    options = _options()
    gc.disable()  # a pause would count as the server's
    try:
        result = _load(options)
    except (OSError, ValueError) as error:
        sys.exit(f"cannot load port {options.port}: {error}")
    print(json.dumps(asdict(result)))
    return 1 if result.errors else 0


if __name__ == "__main__":
    sys.exit(main())
