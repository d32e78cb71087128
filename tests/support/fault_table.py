"""What can go wrong, and what must hold by default: two numbered lists, and the decorators by which tests answer them.

    @fault(5)
    async def test_a_connection_reset_before_the_answer_moves_on() -> None: …

A contract test shows that no row is without a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])

FAULTS: Mapping[int, str] = {
    # Transport
    1: "connection refused",
    2: "connect is never answered",
    3: "the host has no address",
    4: "bad certificate, or a TLS handshake that stalls",
    5: "reset before the answer",
    6: "stale keep-alive connection",
    7: "no headers",
    8: "200, then silence",
    9: "silence in mid-answer",
    10: "a drip that never ends",
    11: "chunked body cut",
    12: "Content-Length longer than the body",
    13: "body without framing cut",
    14: "bad chunk, bad status line, two framings",
    15: "bad gzip, or a bomb",
    16: "a line of three megabytes",
    17: "split at every byte, CR, CRLF, byte-order mark, comments, split UTF-8",
    18: "an event that is not JSON",
    19: "redirect",
    # Semantics
    20: "200 with an error as its body",
    21: "200 with HTML, null or nothing in it",
    22: "an error as the first event",
    23: "an error event in mid-stream",
    24: "an end without the terminal marker",
    25: "a finish that says the answer was aborted",
    26: "a tool call whose arguments are cut",
    27: "no usage",
    28: "bytes after the terminal marker",
    # Limits
    29: "429 with any Retry-After",
    30: "a bare 429",
    31: "no money left",
    32: "Gemini's daily quota with a short wait",
    33: "a limit of the whole account",
    34: "the key is refused",
    35: "the model is not there",
    36: "the request is refused: bad, too large, too long",
    37: "content filter, and answers without content",
    38: "overloaded",
    39: "every key is cooling",
    # The client
    40: "leaves before the first byte",
    41: "leaves in mid-stream",
    42: "closes its half",
    43: "stops reading",
    44: "slow headers, slow body",
    45: "too large, a bomb, too deep",
    46: "request smuggling",
    47: "a first token that takes two minutes",
    # State
    56: "a herd waits for a candidate's recovery",
    57: "retries multiplied by failovers",
    58: "a stampede of the same request",
    59: "two tenants with the same prompt",
    60: "a parameter that changes the answer",
    61: "an answer that is not whole",
}

DEFAULTS: Mapping[int, str] = {
    1: "upstream hosts come from the configuration only",
    2: "no redirects, no proxies from the environment, no link-local or metadata addresses",
    5: "the matched route is authorised, not a rebuilt URL",
    6: "loopback only, unless there are client keys",
    8: "client keys are kept as digests",
    9: "provider keys go in headers, never in URLs",
    10: "one redactor; an upstream's words are not passed on unredacted",
    11: "prompts and answers stay out of logs",
    12: "header allow-lists both ways",
    13: "CR, LF and NUL are refused",
    14: "a body's size is capped, decompressed size counted",
    15: "JSON is at most 64 levels deep",
    16: "YAML is data, has a size, and unknown keys are fatal",
    17: "10 s for headers, 30 s of silence in a body, 75 s of idle keep-alive",
    18: "aiohttp is at least 3.14.1",
    20: "CORS is off",
}


def fault(*numbers: int) -> Callable[[Test], Test]:
    """The decorated test answers these rows of FAULTS."""
    return _numbered("fault_rows", numbers, FAULTS)


def default(*numbers: int) -> Callable[[Test], Test]:
    """The decorated test answers these lines of DEFAULTS."""
    return _numbered("default_lines", numbers, DEFAULTS)


def _numbered(attribute: str, numbers: tuple[int, ...], table: Mapping[int, str]) -> Callable[[Test], Test]:
    unknown = [number for number in numbers if number not in table]
    assert numbers
    assert not unknown, f"no such row: {unknown}"

    def mark(test: Test) -> Test:
        setattr(test, attribute, numbers)
        return test

    return mark
