"""Who may do what. Decides from the matched route, the headers and the peer's address; knows no path.

A key is looked up by its SHA-256 digest. How long a dictionary takes to compare digests tells a caller nothing: without
the key itself nobody can choose a digest that shares a beginning with a stored one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from hashlib import sha256
from typing import Protocol
from urllib.parse import urlsplit

from cortex.config.schema import is_loopback
from cortex.server.errors import forbidden, key_required

_OTHER_HEADERS = ("x-api-key", "api-key")
_PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")


class Scope(Enum):
    """What a route asks of its caller."""

    OPEN = "open"  # nothing
    CLIENT = "client"  # a client key, if any are configured
    STATUS = "status"  # as client, or an admin key
    ADMIN = "admin"  # an admin key; none configured: a caller on this machine


class Caller(Protocol):
    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def remote(self) -> str | None:
        """The address of the peer."""


def authorise(
    scope: Scope, caller: Caller, client_keys: Mapping[bytes, str], admin_keys: Mapping[bytes, str]
) -> str | None:
    """The name of the caller's key, None where none is asked for. Raises Refused (401, 403).

    The key maps go from SHA-256 digest to name.
    """
    if scope is Scope.OPEN:
        return None
    headers = caller.headers
    if scope is Scope.ADMIN:
        return _admin(headers, caller.remote, client_keys, admin_keys)
    if not client_keys:
        _refuse_foreign_page(headers)
        return None
    accepted = client_keys if scope is Scope.CLIENT else {**admin_keys, **client_keys}
    return _key_among(accepted, headers, "client")


def _admin(
    headers: Mapping[str, str], peer: str | None, client_keys: Mapping[bytes, str], admin_keys: Mapping[bytes, str]
) -> str | None:
    if admin_keys:
        if _match(client_keys, headers) is not None and _match(admin_keys, headers) is None:
            raise forbidden("a client key does not open this; an admin key does", "admin_key_required")
        return _key_among(admin_keys, headers, "admin")
    if not _is_loopback(peer) or any(name in headers for name in _PROXY_HEADERS):
        raise forbidden("without admin keys this answers callers on its own machine only", "loopback_only")
    if not _is_loopback(_host_name(f"//{headers.get('Host', '')}")):
        # A page of another site whose name was made to point here: the browser tells the name.
        raise forbidden("without admin keys this answers to a loopback name only", "loopback_only")
    _refuse_foreign_page(headers)
    return _key_among(client_keys, headers, "client") if client_keys else None


def _key_among(keys: Mapping[bytes, str], headers: Mapping[str, str], kind: str) -> str:
    name = _match(keys, headers)
    if name is not None:
        return name
    if _offers_key(headers):
        raise key_required(f"the API key is not one of this gateway's {kind} keys")
    raise key_required(f"a {kind} key is needed: send `Authorization: Bearer …`, `x-api-key` or `api-key`")


def _match(keys: Mapping[bytes, str], headers: Mapping[str, str]) -> str | None:
    """Clients send the same key under several names; one that is known is enough."""
    bearer = _bearer(headers)
    if bearer and (name := keys.get(_digest(bearer))) is not None:
        return name
    for other in _OTHER_HEADERS:
        if (key := headers.get(other)) and (name := keys.get(_digest(key))) is not None:
            return name
    return None


def _offers_key(headers: Mapping[str, str]) -> bool:
    return bool(_bearer(headers)) or any(headers.get(other) for other in _OTHER_HEADERS)


def _bearer(headers: Mapping[str, str]) -> str:
    authorization = headers.get("Authorization", "")
    return authorization[7:].strip() if authorization[:7].lower() == "bearer " else ""


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


def _refuse_foreign_page(headers: Mapping[str, str]) -> None:
    """Where no key is asked for, a web page in a browser on this machine must not be able to spend the providers'."""
    origin = headers.get("Origin")
    if origin is not None and not _is_loopback(_host_name(origin)):
        raise forbidden("without client keys this does not answer to pages of other sites", "cross_site_request")


def _host_name(url: str) -> str | None:
    """The host of an origin, or of `//` and a Host header."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_loopback(host: str | None) -> bool:
    return host is not None and is_loopback(host)
