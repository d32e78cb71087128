"""The parts of a URL, and what is no URL to connect to."""

from __future__ import annotations

import pytest

from cortex.errors import Fault, FaultKind
from cortex.upstream.target import Origin, target_of


@pytest.mark.parametrize(
    ("url", "origin", "authority", "path"),
    [
        ("http://a.example/v1", Origin(False, "a.example", 80), "a.example", "/v1"),
        ("https://a.example:8443", Origin(True, "a.example", 8443), "a.example:8443", "/"),
        ("https://A_b-c.example./x?y=/%20&z", Origin(True, "A_b-c.example.", 443), "A_b-c.example.", "/x?y=/%20&z"),
        ("http://[::1]:8080/v1", Origin(False, "::1", 8080), "[::1]:8080", "/v1"),
    ],
)
def test_the_parts(url: str, origin: Origin, authority: str, path: str) -> None:
    target = target_of(url)
    assert (target.origin, target.authority, target.path) == (origin, authority, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example/v1",
        "ftp://a.example/",
        "http://",
        "http:///v1",
        "http://a.example:0/",
        "http://a.example:65536/",
        "http://a.example:/",
        "http://a b/",
        "http://[::1/",
        "http://a.example?x",
        "http://a.example/#x",
        "http://a.example/a b",
        "http://a.example/\r\nX-Evil: 1",
        "http://a.example/\N{SNOWMAN}",
        "http://a.example/\x7f",
        "http://a.example/x\n",
    ],
)
def test_no_url(url: str) -> None:
    with pytest.raises(Fault) as caught:
        target_of(url)
    assert caught.value.kind is FaultKind.CONNECT


def test_a_password_is_neither_sent_nor_told() -> None:
    with pytest.raises(Fault) as caught:
        target_of("http://user:hunter2@a.example/v1")
    assert caught.value.message == "cannot connect to a.example: its URL is invalid"
