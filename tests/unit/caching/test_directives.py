"""What a request says of the cache, in any way that it may be said, and what is refused with which name."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict

from cortex.caching.directives import DEFAULT, Directives, read_directives
from cortex.errors import Fault


def read(body: Any = None, *headers: tuple[str, str]) -> Directives:
    raw = None if body is None else msgspec.Raw(json.dumps(body).encode())
    return read_directives(CIMultiDict(headers), raw)


def test_nothing_said_is_the_default() -> None:
    assert read() is DEFAULT
    assert read(None, ("X-Other", "no-store")) is DEFAULT
    assert read_directives({}, msgspec.Raw(b"null")) == read({}) == DEFAULT


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("no-cache", Directives(look=False)),
        ("no-store", Directives(store=False)),
        ("only-if-cached", Directives(only=True)),
        ("no-cache, no-store", Directives(look=False, store=False)),
        ("no-store,only-if-cached", Directives(store=False, only=True)),
        (" NO-Cache ,, ", Directives(look=False)),
        ("", Directives()),
    ],
)
def test_words(said: str, found: Directives) -> None:
    assert read(None, ("X-Cortex-Cache", said)) == found


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("no-cache", Directives(look=False)),
        ("No-Store, max-age=0", Directives(store=False)),
        ("max-age=0, must-revalidate", Directives()),
        ("only-if-cached", Directives()),  # of a browser: it means its own cache's
        ('private="x", no-transform', Directives()),
    ],
)
def test_cache_control_is_heard_as_far_as_it_concerns_answers(said: str, found: Directives) -> None:
    assert read(None, ("cache-control", said)) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"ttl": 60}, Directives(ttl_s=60.0)),
        ({"ttl": 0.5}, Directives(ttl_s=0.5)),
        ({"s-maxage": 5}, Directives(max_age_s=5.0)),
        ({"no-cache": True}, Directives(look=False)),
        ({"no-cache": False, "no-store": True}, Directives(store=False)),
        ({"namespace": "é"}, Directives(namespace="é")),
        ({"use-cache": True}, DEFAULT),
        ({"ttl": None, "s-maxage": None, "no-cache": None, "no-store": None, "namespace": None}, DEFAULT),
    ],
)
def test_the_body(body: dict[str, Any], found: Directives) -> None:
    assert read(body) == found


def test_all_at_once() -> None:
    headers = (("x-cortex-cache", "no-store"), ("X-Cortex-Cache-TTL", "1m30s"), ("Cache-Control", "no-cache"))
    found = read({"ttl": 5, "s-maxage": 1, "namespace": "n"}, *headers)
    assert found == Directives(look=False, store=False, ttl_s=90.0, max_age_s=1.0, namespace="n")


@pytest.mark.parametrize("name", ["x-cortex-cache", "Cache-Control"])
def test_a_header_in_two_lines_says_both(name: str) -> None:
    """HTTP has it so: a proxy may have added the second."""
    found = read(None, (name, "no-cache"), (name.upper(), "no-store"))
    assert (found.look, found.store) == (False, False)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (True, "cache"),
        ("no-cache", "cache"),
        ([], "cache"),
        ({"ttl": "60"}, "cache.ttl"),
        ({"ttl": -1}, "cache.ttl"),
        ({"ttl": True}, "cache.ttl"),
        ({"ttl": 1e12}, "cache.ttl"),
        ({"s-maxage": -0.1}, "cache.s-maxage"),
        ({"no-cache": 1}, "cache.no-cache"),
        ({"no-store": "yes"}, "cache.no-store"),
        ({"namespace": 5}, "cache.namespace"),
        ({"namespace": "x" * 257}, "cache.namespace"),
    ],
)
def test_a_wrong_value_is_named(body: Any, param: str) -> None:
    with pytest.raises(Fault) as caught:
        read(body)
    assert (caught.value.param, caught.value.status) == (param, 400)


@pytest.mark.parametrize("name", ["no_cache", "maxage", "TTL"])
def test_an_unknown_member_is_named(name: str) -> None:
    with pytest.raises(Fault) as caught:
        read({name: 1})
    assert caught.value.param is not None
    assert caught.value.param.startswith("cache")
    assert name in caught.value.message


@pytest.mark.parametrize(
    ("headers", "param"),
    [
        ([("x-cortex-cache", "nocache")], "x-cortex-cache"),
        ([("x-cortex-cache", "no-store; max-age=5")], "x-cortex-cache"),
        ([("x-cortex-cache", "no-cache, only-if-cached")], "x-cortex-cache"),
        ([("x-cortex-cache", "only-if-cached"), ("Cache-Control", "no-cache")], "x-cortex-cache"),
        ([("x-cortex-cache-ttl", "60")], "x-cortex-cache-ttl"),
        ([("x-cortex-cache-ttl", "-1s")], "x-cortex-cache-ttl"),
        ([("x-cortex-cache-ttl", "")], "x-cortex-cache-ttl"),
        ([("x-cortex-cache-ttl", "9000000h")], "x-cortex-cache-ttl"),
    ],
)
def test_a_wrong_header_is_named(headers: list[tuple[str, str]], param: str) -> None:
    with pytest.raises(Fault) as caught:
        read(None, *headers)
    assert (caught.value.param, caught.value.status) == (param, 400)
