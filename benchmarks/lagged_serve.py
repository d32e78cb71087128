"""`cortex serve` that notes how late its event loop is. usage: lagged_serve.py CONFIG FILE

Each 2 ms something is due on the loop; FILE gets, when the server ends, one line for each: when it was due, on the
clock that all processes share, and how late it was, in seconds. What was due while the loop did something else is
noted, too, so that a stall counts as long as it lasted. The loop's timers know whole milliseconds only: up to one of
lateness is their own.
"""

from __future__ import annotations

import asyncio
import sys
import time
from array import array
from pathlib import Path

from cortex.app import App
from cortex.config.load import load
from cortex.serve import run

EACH_S = 0.002
_ROUND_UP_S = 0.0005  # the loop rounds to the nearest millisecond: it would wake too soon and spin


class _Lag:
    def __init__(self) -> None:
        self.due_s = array("d")
        self.late_s = array("d")

    async def watch(self) -> None:
        due = time.monotonic() + EACH_S
        while True:
            await asyncio.sleep(due - time.monotonic() + _ROUND_UP_S)
            now = time.monotonic()
            while due <= now:
                self.due_s.append(due)
                self.late_s.append(now - due)
                due += EACH_S


def main() -> int:
    config, file = Path(sys.argv[1]), Path(sys.argv[2])
    lag = _Lag()
    watching: list[asyncio.Task[None]] = []

    def ready(app: App, address: str) -> None:
        watching.append(asyncio.get_running_loop().create_task(lag.watch()))

    code = run(load(config), host=None, port=None, ready=ready)
    file.write_text("".join(f"{due:.6f} {late:.6f}\n" for due, late in zip(lag.due_s, lag.late_s, strict=True)))
    return code


if __name__ == "__main__":
    sys.exit(main())
