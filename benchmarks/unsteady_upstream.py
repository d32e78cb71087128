"""A model provider on a bad day: errors, and connections that break. usage: unsteady_upstream.py PORT SHARE

SHARE of the requests fail, each in a way drawn with a fixed seed: a status, an answer that is none, a connection closed
without an answer, a stream cut in the middle. The rest are answered: at once, or as a paced stream. A share of 0 is a
provider on a good day.
"""

from __future__ import annotations

import random
import sys

import uvloop

from benchmarks.exchange import completion
from benchmarks.paced_upstream import Pace, Paced
from benchmarks.upstream import serve, whole

_INTERVAL_S = 0.005
_CUT_AFTER_S = 5 * _INTERVAL_S
_ERRORS = (
    whole(b'{"error": {"message": "internal", "type": "server_error"}}', "500 Internal Server Error"),
    whole(b'{"error": {"message": "overloaded"}}', "503 Service Unavailable"),
    whole(b"<html>bad gateway</html>", "502 Bad Gateway"),
    whole(b"{"),
)
_COMPLETION = whole(completion())


class _Unsteady(Paced):
    def __init__(self, pace: Pace, share: float, rng: random.Random) -> None:
        super().__init__(pace)
        self._share = share
        self._rng = rng

    def answer(self, head: bytes, body: bytes) -> bytes:
        if not head.startswith(b"post "):
            return super().answer(head, body)
        stream = b'"stream": true' in body or b'"stream":true' in body
        if self._rng.random() >= self._share:
            return super().answer(head, body) if stream else _COMPLETION
        way = self._rng.randrange(len(_ERRORS) + 2)
        if way < len(_ERRORS):
            return _ERRORS[way]
        if not stream or way == len(_ERRORS):
            self.transport.abort()
            return b""
        self.loop.call_later(_CUT_AFTER_S, self.transport.abort)
        return super().answer(head, body)


if __name__ == "__main__":
    pace, rng = Pace(_INTERVAL_S), random.Random(0)
    uvloop.run(serve(int(sys.argv[1]), lambda: _Unsteady(pace, float(sys.argv[2]), rng)))
