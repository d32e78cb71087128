"""What a request says of the cache: in headers, and in the body member `cache` as LiteLLM's clients send it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from cortex.config.units import read_delay
from cortex.errors import bad_request

_HEADER = "x-cortex-cache"
_TTL_HEADER = "x-cortex-cache-ttl"
_CONTROL_HEADER = "cache-control"
_WORDS = ("no-cache", "no-store", "only-if-cached")
_MAX_NAMESPACE_CHARS = 256
_MAX_TTL_S = 366 * 24 * 3600.0

_Seconds = Annotated[float, msgspec.Meta(ge=0, le=_MAX_TTL_S)]
_Namespace = Annotated[str, msgspec.Meta(max_length=_MAX_NAMESPACE_CHARS)]


class Directives(msgspec.Struct, frozen=True, gc=False):
    look: bool = True  # an answer from the cache will do
    store: bool = True  # this one may be kept
    only: bool = False  # nothing but an answer from the cache will do
    ttl_s: float | None = None  # how long this one may be kept
    max_age_s: float | None = None  # how old an answer may be
    namespace: str | None = None  # answers are shared within it alone


DEFAULT = Directives()


class _InBody(msgspec.Struct, forbid_unknown_fields=True, rename=lambda name: name.replace("_", "-")):
    ttl: _Seconds | None = None
    s_maxage: _Seconds | None = None
    no_cache: bool | None = None
    no_store: bool | None = None
    namespace: _Namespace | None = None
    use_cache: bool | None = None  # for caches that must be asked: this one need not


_read_body = msgspec.json.Decoder(_InBody | None).decode


def read_directives(headers: Mapping[str, str], in_body: msgspec.Raw | None) -> Directives:
    """Raises Fault(BAD_REQUEST), with the header or member at fault as its `param`."""
    said, ttl, control = headers.get(_HEADER), headers.get(_TTL_HEADER), headers.get(_CONTROL_HEADER)
    if said is None and ttl is None and control is None and in_body is None:
        return DEFAULT
    words = set() if said is None else _known_words(_all_lines(headers, _HEADER))
    if control is not None:  # says more than this, to others
        words |= {"no-cache", "no-store"}.intersection(_words(_all_lines(headers, _CONTROL_HEADER)))
    body = _in_body(in_body)
    if body.no_cache:
        words.add("no-cache")
    if body.no_store:
        words.add("no-store")
    if {"no-cache", "only-if-cached"} <= words:
        raise bad_request("`no-cache` and `only-if-cached` exclude each other", param=_HEADER)
    return Directives(
        look="no-cache" not in words,
        store="no-store" not in words,
        only="only-if-cached" in words,
        ttl_s=body.ttl if ttl is None else _duration(ttl),
        max_age_s=body.s_maxage,
        namespace=body.namespace,
    )


def _words(said: str) -> set[str]:
    return {word.strip().lower() for word in said.split(",")} - {""}


def _all_lines(headers: Mapping[str, str], name: str) -> str:
    """A header's value; of one that stands in several lines, all of it."""
    return ",".join(value for each, value in headers.items() if each.lower() == name)


def _known_words(said: str) -> set[str]:
    words = _words(said)
    if not words.issubset(_WORDS):
        raise bad_request(f"`{_HEADER}` takes {', '.join(_WORDS)}, separated by commas", param=_HEADER)
    return words


def _duration(said: str) -> float:
    try:
        return read_delay(said)
    except ValueError:
        message = f"`{_TTL_HEADER}` is not a duration; write it as 250ms, 30s, 15m or 1h"
        raise bad_request(message, param=_TTL_HEADER) from None


def _in_body(raw: msgspec.Raw | None) -> _InBody:
    if raw is None:
        return _InBody()
    try:
        return _read_body(raw) or _InBody()
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        param = "cache" + path.rstrip("`")
        message = f"`{param}`: {problem[:1].lower()}{problem[1:]}; `cache` takes ttl, s-maxage (seconds), no-cache, "
        raise bad_request(message + "no-store and namespace", param=param) from None
