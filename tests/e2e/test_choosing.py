"""Nodes that choose, through a real server: the right model answers, and the decision says why."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support import upstream_openai as openai
from tests.support.choosing import CODE, POEM, SUM, TASKS, UNCLEAR, Chosen, ask, by_task, choosing, chosen, conversation
from tests.support.gateway import Gateway, provider
from tests.support.served import an_upstream
from tests.support.upstream import Upstream
from tests.support.upstream_http import Request
from tests.support.upstream_replies import Reply

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


def speaking(request: Request) -> Reply:
    return openai.embeddings([[1.0]]) if request.path == "/v1/embeddings" else openai.speaking(["Hel", "lo"])(request)


upstream = an_upstream(speaking)

# rules


RULES = [
    {"when": {"header": {"X-Team": ["blue", "green"], "x-tier": True}}, "to": "up/m0"},
    {"when": {"client": "client#2"}, "to": "up/m1"},
    {"when": {"tools": True, "images": False}, "to": "up/m2"},
    {"when": {"images": True}, "to": "up/m3"},
    {"when": {"json_schema": True}, "to": "up/m4"},
    {"when": {"prompt_tokens": {"over": 1000}}, "to": "up/m5"},
    {"when": {"language": ["es", "pt"]}, "to": "up/m6"},
    {"when": {"prompt_tokens": {"under": 20}}, "to": "up/m7"},
    {"to": "up/rest"},
]
CLIENTS = {"client_keys": ["client-one-key", "client-two-key"]}


def key(client: str) -> dict[str, str]:
    return {"authorization": f"Bearer client-{client}-key"}


@pytest.fixture
async def ruled(upstream: Upstream) -> AsyncIterator[Gateway]:
    async with Gateway(choosing(upstream.url, {"auto": {"rules": RULES}}, server=CLIENTS)) as gateway:
        gateway.client.headers.update(key("one"))
        yield gateway


LONGER = "Please tell me more about the history of the old town. " * 3


@pytest.mark.parametrize(
    ("model", "when", "headers", "body"),
    [
        ("m0", "x-team: blue|green, x-tier", {"x-team": "blue", "x-tier": "any"}, {}),
        ("m0", "x-team: blue|green, x-tier", {"X-TEAM": "green", "X-Tier": "x"}, {"tools": TOOLS}),
        ("rest", "else", {"x-team": "blue"}, {}),  # all headers of a rule must be there
        ("rest", "else", {"x-team": "Blue", "x-tier": "x"}, {}),
        ("rest", "else", {}, {}),
        ("m1", "client#2", key("two"), {}),
        ("m2", "tools, no images", {}, {"tools": TOOLS}),
        ("rest", "else", {}, {"tools": []}),
        ("rest", "else", {}, {"response_format": {"type": "json_object"}}),
        ("m4", "JSON schema", {}, {"response_format": SCHEMA}),
        ("m2", "tools, no images", {}, {"response_format": SCHEMA, "tools": TOOLS}),  # the first that holds
    ],
)
async def test_rules_look_at_the_request(
    ruled: Gateway, model: str, when: str, headers: dict[str, str], body: dict[str, Any]
) -> None:
    found = await ask(ruled, LONGER, headers=headers, **body)
    assert (found.model, found.route) == (model, "auto")
    assert found.decision["rules"] == [{"node": "auto", "when": when, "to": f"up/{model}"}]
    assert found.decision["classify"] == []


@pytest.mark.parametrize(
    ("model", "content"),
    [
        ("m3", [{"type": "text", "text": LONGER}, IMAGE]),
        ("m5", "word " * 1000),
        ("m6", "Escribe, por favor, algo sobre la historia de la ciudad y de su puerto, y dime quién la fundó."),
        ("m6", "Você pode escrever alguma coisa sobre a história da cidade e do seu porto? Quem a fundou?"),
        ("rest", LONGER),
        ("m7", "Hello"),
        ("m6", "¿Cómo estás?"),  # the first that holds: it is short too
    ],
)
async def test_rules_look_at_the_prompt(ruled: Gateway, model: str, content: Any) -> None:
    found = await ask(ruled, messages=[{"role": "user", "content": content}])
    assert found.model == model


async def test_a_rule_reads_the_language_of_the_last_human_turn(ruled: Gateway) -> None:
    spanish = "Escribe, por favor, algo sobre la historia de la ciudad y de su puerto."
    assert (await ask(ruled, LONGER, spanish)).model == "m6"
    assert (await ask(ruled, spanish, LONGER)).model == "rest"


@pytest.mark.parametrize(
    ("model", "body", "headers"),
    [
        ("m7", {"input": "hi"}, {}),
        ("m5", {"input": "word " * 1000}, {}),
        ("m0", {"input": "hi"}, {"x-team": "blue", "x-tier": "1"}),
        ("rest", {"input": "¿Cómo estás? " * 20}, {}),  # embeddings have no human turn
    ],
)
async def test_rules_lead_embeddings_too(
    ruled: Gateway, model: str, body: dict[str, Any], headers: dict[str, str]
) -> None:
    asked = {"model": "auto", **body}
    async with ruled.client.post("/v1/embeddings", json=asked, headers=headers) as response:
        assert response.status == 200
        assert (await chosen(ruled, response.headers)).model == model


# classify


@pytest.fixture
async def gateway(upstream: Upstream) -> AsyncIterator[Gateway]:
    """Without vectors. `auto` classifies, `tiers` asks for a header first, `deep` is behind a cascade."""
    models = {
        "auto": by_task(),
        "tiers": {"rules": [{"when": {"header": {"x-tier": "free"}}, "to": "up/m0"}, {"to": "auto"}]},
        "deep": {"cascade": ["nested", "up/m1"]},
        "nested": {
            "classify": {"routes": {"code": {"task": "coding", "to": "coders"}}, "default": "up/rest", "threshold": 0.5}
        },
        "coders": {"cascade": ["up/coder", "up/m2"]},
        "plain": {"cascade": ["up/m3"]},
        "pick": by_task(threshold=0),
        "twin": by_task(),
    }
    async with Gateway(choosing(upstream.url, models, default_model="auto", server=CLIENTS)) as gateway:
        gateway.client.headers.update(key("one"))
        yield gateway


@pytest.mark.parametrize(("route", "prompt", "model"), [
    ("coding", CODE, "coder"), ("creative", POEM, "writer"), ("math", SUM, "tutor"),
])  # fmt: skip
async def test_a_prompt_takes_the_route_of_its_task(gateway: Gateway, route: str, prompt: str, model: str) -> None:
    found = await ask(gateway, prompt)
    assert (found.model, found.route) == (model, "auto")
    judged = found.judged
    assert (judged["node"], judged["route"], judged["stage"], judged["reason"]) == ("auto", route, "features", None)
    (first, second) = judged["best"]
    assert first["route"] == route
    assert 1 >= first["p"] >= judged["threshold"] > second["p"] >= 0
    assert second["route"] in TASKS
    assert judged["took_ms"] >= 0
    assert found.decision["rules"] == []


async def test_the_upstream_is_asked_for_the_chosen_model(gateway: Gateway, upstream: Upstream) -> None:
    await ask(gateway, CODE)
    await ask(gateway, POEM)
    assert [request.json["model"] for request in upstream.requests] == ["coder", "writer"]
    assert upstream.requests[1].json["messages"] == conversation(POEM)


async def test_what_belongs_to_no_route_takes_the_default(gateway: Gateway) -> None:
    found = await ask(gateway, "What is the capital of Australia?")
    assert (found.model, found.route, found.judged["route"]) == ("rest", "auto", None)
    assert found.judged["stage"] == "abstained"
    assert "not sure enough" in found.judged["reason"]


async def test_an_unknown_language_takes_the_default(gateway: Gateway) -> None:
    found = await ask(gateway, "Scrivi una poesia sul mare per la mia nonna")
    assert (found.model, found.judged["reason"], found.judged["best"]) == ("rest", "language: it", [])


async def test_a_request_that_names_no_model_is_classified_by_the_default_model(gateway: Gateway) -> None:
    found = await ask(gateway, CODE, model=None)
    assert (found.model, found.decision["model_asked"]) == ("coder", None)


@pytest.mark.parametrize(("asked", "model"), [("up/m4", "m4"), ("m4", "m4"), ("up", "coder"), ("plain", "m3")])
async def test_a_concrete_model_is_not_classified(gateway: Gateway, asked: str, model: str) -> None:
    found = await ask(gateway, POEM, model=asked)
    assert found.model == model
    assert (found.decision["classify"], found.decision["rules"]) == ([], [])


async def test_choices_lead_to_choices_and_each_is_told(gateway: Gateway) -> None:
    found = await ask(gateway, POEM, model="tiers")
    assert (found.model, found.route) == ("writer", "tiers>auto")
    assert found.decision["rules"] == [{"node": "tiers", "when": "else", "to": "auto"}]
    assert found.judged["node"] == "auto"
    free = await ask(gateway, POEM, model="tiers", headers={"x-tier": "free"})
    assert (free.model, free.route, free.decision["classify"]) == ("m0", "tiers", [])
    assert free.decision["rules"] == [{"node": "tiers", "when": "x-tier: free", "to": "up/m0"}]


async def test_a_choice_behind_a_cascade_is_followed_by_the_cascades_rest(gateway: Gateway) -> None:
    found = await ask(gateway, CODE, model="deep")
    assert (found.model, found.route) == ("coder", "deep>nested>coders")
    assert [each["target"] for each in found.decision["candidates"]] == ["up/coder", "up/m2", "up/m1"]
    other = await ask(gateway, POEM, model="deep")
    assert (other.model, other.route) == ("rest", "deep>nested")
    assert [each["target"] for each in other.decision["candidates"]] == ["up/rest", "up/m1"]


async def test_a_stream_is_classified_too(gateway: Gateway) -> None:
    _, headers, text = await gateway.stream({"model": "auto", "messages": conversation(POEM)})
    assert (headers["x-cortex-model"], headers["x-cortex-route"]) == ("up/writer", "auto")
    assert text.rstrip().endswith("[DONE]")


@pytest.mark.parametrize("stream", [False, True])
async def test_the_simple_dialect_is_classified_too(gateway: Gateway, stream: bool) -> None:
    body = {"messages": conversation(CODE), "stream": stream}
    async with gateway.client.post("/api/chat", json=body) as response:
        assert response.status == 200
        await response.read()
        found = await chosen(gateway, response.headers)
    assert (found.model, found.route, found.judged["route"]) == ("coder", "auto", "coding")
    assert found.decision["dialect"] == "api_chat"


async def test_embeddings_take_the_default(gateway: Gateway) -> None:
    async with gateway.client.post("/v1/embeddings", json={"model": "auto", "input": CODE}) as response:
        assert response.status == 200
        found = await chosen(gateway, response.headers)
    assert (found.model, found.judged["route"], found.judged["stage"]) == ("rest", None, "abstained")
    assert (found.judged["reason"], found.judged["best"]) == ("not a chat", [])


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": [IMAGE]}],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": [{"type": "text", "text": " \n"}]}],
        [{"role": "system", "content": CODE}],
        [{"role": "assistant", "content": CODE}],
        [{"role": "user", "content": f"<system-reminder>\n{CODE}\n</system-reminder>"}],
    ],
    ids=lambda messages: json.dumps(messages)[:60],
)
@pytest.mark.parametrize("node", ["auto", "pick"])  # also where a threshold of 0 says never to abstain
async def test_a_request_without_words_takes_the_default(
    gateway: Gateway, messages: list[dict[str, Any]], node: str
) -> None:
    found = await ask(gateway, messages=messages, model=node)
    assert (found.model, found.judged["stage"]) == ("rest", "abstained")
    assert found.judged["reason"] == "there is no text to read"


@pytest.mark.parametrize(
    "content",
    [
        f"<system-reminder>\n{CODE}, and fix the TypeError in main.py\n</system-reminder>\n{POEM}",
        [
            {"type": "text", "text": f"<system-reminder>\n{CODE}\n</system-reminder>"},
            {"type": "text", "text": POEM},
            {"type": "text", "text": "<environment_details>\n# Open files\nmain.py\nutils.py\n</environment_details>"},
        ],
    ],
)
async def test_what_an_agent_puts_around_a_prompt_is_set_aside(
    gateway: Gateway, upstream: Upstream, content: Any
) -> None:
    tool = [{"role": "assistant", "content": "Let me see."}, {"role": "tool", "content": CODE, "tool_call_id": "c"}]
    found = await ask(gateway, messages=[{"role": "user", "content": content}, *tool])
    assert (found.model, found.judged["route"]) == ("writer", "creative")
    assert upstream.requests[-1].json["messages"][0]["content"] == content, "it is told all the same"


async def test_a_prompt_is_in_no_decision_and_no_log(gateway: Gateway) -> None:
    found = await ask(gateway, f"{CODE} of canaries")
    assert "canar" not in json.dumps(found.decision)
    gateway.log.stop()
    assert "canar" not in gateway.logged.getvalue()


async def test_a_pinned_provider_is_asked_for_what_was_chosen(upstream: Upstream) -> None:
    models = {
        "auto": {"classify": {"routes": {"code": {"task": "coding", "to": "both"}}, "default": "up/rest"}},
        "both": {"cascade": ["up/coder", "other"]},
    }
    config = choosing(upstream.url, models)
    config["providers"]["other"] = provider(upstream.url, models=["o1"])
    async with Gateway(config) as gateway:
        body = {"model": "auto", "provider": "other", "messages": conversation(CODE), "stream": False}
        async with gateway.client.post("/api/chat", json=body) as response:
            assert response.status == 200
            assert response.headers["x-cortex-model"] == "other/o1"
        body["messages"] = conversation(POEM)  # the default, which has no model of the provider
        async with gateway.client.post("/api/chat", json=body) as response:
            assert response.status == 404
            error = (await response.json())["error"]
            assert "'auto' leads this request to no model of the provider 'other'" in error["message"]
            assert error["code"] == "model_not_found"


# Conversations


async def turns(gateway: Gateway, *said: str, **how: Any) -> Chosen:
    """A conversation, turn by turn, as a client sends it: all that was said, each time. The last turn's answer."""
    for place in range(1, len(said)):
        await ask(gateway, *said[:place], **how)
    return await ask(gateway, *said, **how)


async def test_a_conversation_stays_with_its_route(gateway: Gateway) -> None:
    found = await turns(gateway, CODE, UNCLEAR, "thanks")
    assert (found.model, found.judged["route"], found.judged["stage"]) == ("coder", "coding", "affinity")
    assert found.judged["reason"]


async def test_a_turn_alone_is_judged_by_itself(gateway: Gateway) -> None:
    assert (await ask(gateway, UNCLEAR)).model == "rest"
    assert (await ask(gateway, "Tell me", UNCLEAR)).model == "rest"


async def test_a_conversation_that_is_not_known_here_takes_the_route_of_its_first_turn(gateway: Gateway) -> None:
    """It began on another worker, before a restart, or long ago."""
    found = await ask(gateway, CODE, "thanks", UNCLEAR)
    assert (found.model, found.judged["route"], found.judged["stage"]) == ("coder", "coding", "affinity")
    moved = await ask(gateway, CODE, "thanks", UNCLEAR, POEM)
    assert (moved.model, moved.judged["stage"]) == ("writer", "features")


async def test_a_conversation_is_a_clients_a_nodes_and_of_one_system_prompt(gateway: Gateway) -> None:
    said = (CODE, POEM, UNCLEAR)
    assert (await turns(gateway, *said, system="Be brief.")).model == "writer"
    # Elsewhere nobody has heard of it: it is as its first turn was.
    assert (await ask(gateway, *said, system="Be kind.")).model == "coder"
    assert (await ask(gateway, *said, system="Be brief.", headers=key("two"))).model == "coder"
    assert (await ask(gateway, *said, system="Be brief.", model="twin")).model == "coder"
    assert (await ask(gateway, *said, system="Be brief.")).model == "writer"


async def test_a_clearly_other_task_moves_the_conversation(gateway: Gateway) -> None:
    found = await turns(gateway, CODE, POEM)
    assert (found.model, found.judged["stage"]) == ("writer", "features")
    found = await ask(gateway, CODE, POEM, UNCLEAR)
    assert (found.model, found.judged["route"], found.judged["stage"]) == ("writer", "creative", "affinity")


async def test_a_first_turn_is_judged_anew(gateway: Gateway) -> None:
    """Many conversations begin with the same words."""
    await turns(gateway, UNCLEAR, CODE)
    found = await ask(gateway, UNCLEAR)
    assert (found.model, found.judged["stage"]) == ("rest", "abstained")


async def test_a_session_is_a_conversation_whatever_its_messages(gateway: Gateway) -> None:
    one = {"x-cortex-session": "one"}
    assert (await ask(gateway, CODE, headers=one)).model == "coder"
    found = await ask(gateway, UNCLEAR, headers=one)
    assert (found.model, found.judged["stage"]) == ("coder", "affinity")
    assert (await ask(gateway, UNCLEAR, headers={"x-cortex-session": "two"})).model == "rest"
    assert (await ask(gateway, UNCLEAR, headers={**one, **key("two")})).model == "rest"  # another client's "one"
    assert (await ask(gateway, UNCLEAR)).model == "rest"
    moved = await ask(gateway, POEM, headers=one)
    assert (moved.model, (await ask(gateway, UNCLEAR, headers=one)).model) == ("writer", "writer")


async def test_a_session_without_a_name_is_none(gateway: Gateway) -> None:
    nameless = {"x-cortex-session": ""}
    await turns(gateway, CODE, UNCLEAR, headers=nameless)
    found = await turns(gateway, "Tell me", UNCLEAR, headers=nameless)
    assert (found.model, found.judged["stage"]) == ("rest", "abstained")
    assert (await ask(gateway, CODE, UNCLEAR, headers=nameless)).model == "coder"


async def test_a_conversation_is_forgotten_after_its_time(gateway: Gateway) -> None:
    assert (await turns(gateway, CODE, POEM, UNCLEAR)).model == "writer"
    affinity = gateway.app.runtime.state.affinity
    ((conversation_id, (route, until)),) = affinity._routes.items()
    assert route == "creative"
    affinity.keep(conversation_id, route, until - 1200)  # as if it were ten minutes ago
    assert (await ask(gateway, CODE, POEM, UNCLEAR)).model == "coder"


async def test_requests_without_words_leave_a_conversation_where_it_is(gateway: Gateway) -> None:
    one = {"x-cortex-session": "one"}
    await ask(gateway, CODE, headers=one)
    found = await ask(gateway, messages=[{"role": "user", "content": [IMAGE]}], headers=one)
    assert found.model == "rest"
    assert (await ask(gateway, UNCLEAR, headers=one)).model == "coder"
