"""A request's head: the bytes themselves, and what is refused."""

from __future__ import annotations

import pytest

from cortex import __version__
from cortex.errors import Fault, FaultKind
from cortex.upstream.head import request_head
from cortex.upstream.target import target_of

TARGET = target_of("https://a.example:8443/v1/x?y=1")
ALWAYS = f"Host: a.example:8443\r\nUser-Agent: cortex/{__version__}\r\nAccept-Encoding: identity\r\n"


@pytest.mark.parametrize(
    ("method", "size", "length"),
    [("POST", 7, "Content-Length: 7\r\n"), ("POST", 0, "Content-Length: 0\r\n"), ("GET", 0, "")],
)
def test_the_head(method: str, size: int, length: str) -> None:
    head = request_head(method, TARGET, {"x-a": "1", "X-B": "caf\N{LATIN SMALL LETTER E WITH ACUTE}"}, size)
    fields = f"{ALWAYS}x-a: 1\r\nX-B: caf\N{LATIN SMALL LETTER E WITH ACUTE}\r\n{length}"
    assert head.decode() == f"{method} /v1/x?y=1 HTTP/1.1\r\n{fields}\r\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", "secret\r\nx-b: 1"),
        ("x-a", "secret\n"),
        ("x-a", "\rsecret"),
        ("x-a", "secret\0"),
        ("x-a", "secret\udc80"),
        ("x-a\r\nx-b", "secret"),
        ("x-a:", "secret"),
        ("x a", "secret"),
        ("", "secret"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "secret"),
        ("Content-Length", "9"),
        ("transfer-encoding", "chunked"),
        ("HOST", "b.example"),
        ("connection", "close"),
    ],
)
def test_what_would_change_the_framing_is_refused(name: str, value: str) -> None:
    with pytest.raises(Fault) as caught:
        request_head("POST", TARGET, {"x-good": "1", name: value}, 0)
    assert caught.value.kind is FaultKind.BAD_REQUEST
    assert "secret" not in caught.value.message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("method", ["", "GET /", "GET\r\n"])
def test_an_odd_method_is_refused(method: str) -> None:
    with pytest.raises(Fault) as caught:
        request_head(method, TARGET, {}, 0)
    assert caught.value.kind is FaultKind.BAD_REQUEST
