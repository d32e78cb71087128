"""What a server says at its start: an address that can be called, and a line that works when it is pasted."""

from __future__ import annotations

import shlex

import pytest

from cortex.overview import banner, summary
from routing.graph import Candidate, Graph, ProviderEntry

GRAPH = Graph(
    {},
    {
        "b": ProviderEntry("b", 20, (Candidate("b", "two"),), off="no key"),
        "a": ProviderEntry("a", 10, (Candidate("a", "one"), Candidate("a", "more"))),
    },
)


def pasted(address: str = "http://127.0.0.1:4000", *, asks_for_key: bool = False) -> list[str]:
    said = banner(GRAPH, address, "cortex.yaml", asks_for_key=asks_for_key, demo=False)
    return shlex.split(next(line for line in said.splitlines() if "curl" in line))


def test_providers_come_by_priority_each_on_or_off_with_the_reason() -> None:
    lines = banner(GRAPH, "http://127.0.0.1:4000", "cortex.yaml", asks_for_key=False, demo=False).splitlines()
    assert lines[1:3] == ["  a  on", "  b  off: no key"]


def test_the_curl_line_is_one_that_a_shell_takes() -> None:
    assert pasted() == [
        "curl",
        "-N",
        "http://127.0.0.1:4000/api/chat",
        "-H",
        "Content-Type: application/json",
        "-d",
        '{"messages": [{"role": "user", "content": "Hello"}]}',
    ]


def test_where_a_client_key_is_asked_for_the_line_shows_one_by_its_variable() -> None:
    assert "Authorization: Bearer $CORTEX_CLIENT_KEY" in pasted(asks_for_key=True)


@pytest.mark.parametrize(
    ("address", "called"),
    [
        ("http://0.0.0.0:4000", "http://127.0.0.1:4000/api/chat"),
        ("http://[::]:80", "http://[::1]:80/api/chat"),
        ("http://[::1]:80", "http://[::1]:80/api/chat"),
    ],
)
def test_an_address_for_all_interfaces_is_called_on_this_machine(address: str, called: str) -> None:
    assert pasted(address)[2] == called


def test_without_nodes_the_summary_says_what_a_request_tries() -> None:
    lines = summary(GRAPH, {"a": "http://a.test/v1"}).splitlines()
    assert lines[1] == "  a  on           one, more  http://a.test/v1"
    assert lines[-1] == "  none  a request tries every provider in order of priority"
