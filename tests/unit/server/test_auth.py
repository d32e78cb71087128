"""Who is let in: every scope against every kind of caller."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import pytest
from multidict import CIMultiDict

from cortex.server.auth import Scope, authorise
from cortex.server.errors import Refused

NOTHING: Mapping[bytes, str] = {}
HERE = "127.0.0.1"
ELSEWHERE = "192.0.2.7"


def keys(*values: str, scope: str) -> dict[bytes, str]:
    return {hashlib.sha256(value.encode()).digest(): f"{scope}#{n}" for n, value in enumerate(values, 1)}


CLIENTS = keys("client-key-a", "client-key-b", scope="client")
ADMINS = keys("admin-key", scope="admin")


@dataclass
class Came:
    headers: Mapping[str, str]
    remote: str | None


def judged(
    scope: Scope,
    headers: Mapping[str, str] | None = None,
    *,
    peer: str | None = HERE,
    clients: Mapping[bytes, str] = NOTHING,
    admins: Mapping[bytes, str] = NOTHING,
) -> str | int | None:
    """The caller's name, or the status of the refusal."""
    try:
        return authorise(scope, Came(CIMultiDict({"Host": "localhost:4000", **(headers or {})}), peer), clients, admins)
    except Refused as refused:
        return refused.error.status


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer client-key-b"},
        {"authorization": "bearer   client-key-b"},
        {"AUTHORIZATION": "BEARER client-key-b "},
        {"x-api-key": "client-key-b"},
        {"X-API-Key": "client-key-b"},
        {"api-key": "client-key-b"},
        {"Authorization": "Bearer stale", "x-api-key": "client-key-b"},
        {"Authorization": "Basic client-key-a", "api-key": "client-key-b"},
    ],
)
def test_a_key_is_taken_from_any_of_the_usual_headers(headers: Mapping[str, str]) -> None:
    assert judged(Scope.CLIENT, headers, clients=CLIENTS) == "client#2"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "client-key-a"},
        {"Authorization": "Basic client-key-a"},
        {"Authorization": "Bearer client-key"},
        {"Authorization": "Bearer client-key-a-and-more"},
        {"Authorization": "Bearer \udcff"},
        {"x-api-key": ""},
        {"x-api-key": "admin-key"},
        {"Cookie": "api-key=client-key-a"},
    ],
)
def test_nothing_else_is_a_client_key(headers: Mapping[str, str]) -> None:
    assert judged(Scope.CLIENT, headers, clients=CLIENTS, admins=ADMINS) == 401


@pytest.mark.parametrize("scope", Scope)
def test_the_refusal_names_no_key(scope: Scope) -> None:
    if scope is Scope.OPEN:
        return
    with pytest.raises(Refused) as refused:
        authorise(scope, Came({"x-api-key": "canary"}, HERE), CLIENTS, ADMINS)
    assert refused.value.headers == {"WWW-Authenticate": "Bearer"}
    assert "canary" not in refused.value.error.message


def test_without_client_keys_none_is_asked_for() -> None:
    assert judged(Scope.CLIENT, peer=ELSEWHERE) is None
    assert judged(Scope.STATUS, {"x-api-key": "whatever"}, admins=ADMINS) is None


def test_an_admin_key_opens_status_but_spends_nothing() -> None:
    admin = {"Authorization": "Bearer admin-key"}
    assert judged(Scope.STATUS, admin, clients=CLIENTS, admins=ADMINS) == "admin#1"
    assert judged(Scope.STATUS, {"x-api-key": "client-key-a"}, clients=CLIENTS, admins=ADMINS) == "client#1"
    assert judged(Scope.CLIENT, admin, clients=CLIENTS, admins=ADMINS) == 401
    assert judged(Scope.STATUS, admin, clients=CLIENTS) == 401


def test_admin_keys_are_a_scope_of_their_own() -> None:
    assert judged(Scope.ADMIN, {"x-api-key": "admin-key"}, peer=ELSEWHERE, clients=CLIENTS, admins=ADMINS) == "admin#1"
    assert judged(Scope.ADMIN, {"x-api-key": "client-key-a"}, clients=CLIENTS, admins=ADMINS) == 403
    assert judged(Scope.ADMIN, clients=CLIENTS, admins=ADMINS) == 401
    both = {"x-api-key": "client-key-a", "Authorization": "Bearer admin-key"}
    assert judged(Scope.ADMIN, both, clients=CLIENTS, admins=ADMINS) == "admin#1"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:4000", "127.0.0.1:4000", "127.9.9.9", "[::1]", "[::1]:4000"])
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1"])
def test_without_admin_keys_this_machine_is_trusted(peer: str, host: str) -> None:
    assert judged(Scope.ADMIN, {"Host": host}, peer=peer) is None


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ({}, ELSEWHERE),
        ({}, "2001:db8::1"),
        ({}, None),
        ({"X-Forwarded-For": ELSEWHERE}, HERE),
        ({"X-Forwarded-For": HERE}, HERE),
        ({"Forwarded": "for=127.0.0.1"}, HERE),
        ({"X-Real-IP": HERE}, HERE),
        ({"Host": "rebound.example:4000"}, HERE),
        ({"Host": "localhost.example"}, HERE),
        ({"Host": "127.0.0.1.example"}, HERE),
        ({"Host": "localhost@elsewhere.example"}, HERE),
        ({"Host": ""}, HERE),
        ({"Host": "[::1"}, HERE),
        ({"Origin": "https://elsewhere.example"}, HERE),
    ],
)
def test_without_admin_keys_nobody_else_is(headers: Mapping[str, str], peer: str | None) -> None:
    for client in ({}, {"x-api-key": "client-key-a"}):
        for clients in (NOTHING, CLIENTS):
            assert judged(Scope.ADMIN, {**headers, **client}, peer=peer, clients=clients) == 403


def test_without_admin_keys_a_client_key_is_still_needed_where_there_are_any() -> None:
    assert judged(Scope.ADMIN, clients=CLIENTS) == 401
    assert judged(Scope.ADMIN, {"api-key": "client-key-a"}, clients=CLIENTS) == "client#1"


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://localhost.example", "null", "http://[", ""])
def test_a_page_of_another_site_spends_nothing_where_no_key_protects(origin: str) -> None:
    for scope in (Scope.CLIENT, Scope.STATUS):
        assert judged(scope, {"Origin": origin}) == 403
        assert judged(scope, {"Origin": origin, "x-api-key": "client-key-a"}, clients=CLIENTS) == "client#1"


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:4000", "http://[::1]:8080"])
def test_a_page_of_this_machine_may(origin: str) -> None:
    assert judged(Scope.CLIENT, {"Origin": origin}) is None


def test_open_is_open_to_all() -> None:
    for peer, clients, admins in product((HERE, ELSEWHERE, None), (NOTHING, CLIENTS), (NOTHING, ADMINS)):
        headers = {"Origin": "https://elsewhere.example", "Host": "any.example"}
        assert judged(Scope.OPEN, headers, peer=peer, clients=clients, admins=admins) is None
