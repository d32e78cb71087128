"""Google's official SDK as the judge of what we take Gemini's wire to be.

It reads the transcripts that our decoder is tested with and must find the same in them; it takes our requests for its
own types; and where both are asked for the same, both send the same.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from cortex.chat import Broken, Delta, Event, Finish, Usage
from cortex.errors import Fault
from cortex.providers import codec_for
from cortex.providers.codec import Encoded, Model
from cortex.providers.gemini_tokens import decode_count, encode_count
from tests.support import upstream_replies as replies
from tests.support.told import told
from tests.support.upstream import Upstream
from tests.unit.providers.build import GOLDEN, chat_request, embeddings_request, outcome

CODEC = codec_for("gemini")
CALL = Encoded("/")
FOLDER = GOLDEN / "gemini"
KEY = "AIza-test"
# What is no answer at all the SDK refuses in ways of its own; a finish reason that it does not know it warns of.
OURS_ALONE = {
    "html.answer.json",
    "null.answer.json",
    "not_json.stream",
    "args_no_object.stream",
    "unknown_reason.stream",
}
REASONS = {"STOP": {"stop", "tool_calls"}, "MAX_TOKENS": {"length"}, "SAFETY": {"content_filter"}}


def files(ending: str) -> list[str]:
    return sorted(path.name for path in FOLDER.glob(f"*{ending}") if path.name not in OURS_ALONE)


async def with_sdk(upstream: Upstream, work: Callable[[genai.Client], Any]) -> Any:
    """What the synchronous client makes of the upstream, in a thread of its own."""

    def run() -> Any:
        options = types.HttpOptions(base_url=upstream.url, api_version="v1beta")
        client = genai.Client(api_key=KEY, http_options=options)
        try:
            return work(client)
        finally:
            client.close()

    return await asyncio.to_thread(run)


def as_told(responses: list[types.GenerateContentResponse]) -> dict[str, Any]:
    """What the SDK finds in an answer, in the terms of ours."""
    candidates = [response.candidates[0] for response in responses if response.candidates]
    parts = [part for each in candidates if each.content for part in each.content.parts or ()]
    calls = [part.function_call for part in parts if part.function_call]
    usage = next((each.usage_metadata for each in reversed(responses) if each.usage_metadata), None)
    return {
        "content": "".join(part.text or "" for part in parts if not part.thought),
        "reasoning": "".join(part.text or "" for part in parts if part.thought),
        "calls": [(call.name, call.args or {}, call.id) for call in calls],
        "signatures": [part.thought_signature for part in parts if part.function_call],
        "finish": [each.finish_reason.value for each in candidates if each.finish_reason],
        "blocked": any(each.prompt_feedback and each.prompt_feedback.block_reason for each in responses),
        "total": usage and usage.total_token_count,
        "cited": _cited(candidates),
    }


def _cited(candidates: list[types.Candidate]) -> set[str]:
    """The URLs, as far as they are any."""
    sources = [
        source for each in candidates if each.citation_metadata for source in each.citation_metadata.citations or ()
    ]
    grounded = [each.grounding_metadata for each in candidates if each.grounding_metadata]
    pages = [page.web for each in grounded for page in each.grounding_chunks or ()]
    urls = [source.uri for source in sources] + [page.uri for page in pages if page]
    return {url for url in urls if url and url.startswith("https://")}


@pytest.mark.parametrize("name", ["grounded.stream", "grounded.answer.json"])
def test_what_is_cited_stands_where_the_segment_says(name: str) -> None:
    body = (FOLDER / name).read_bytes()
    last = types.GenerateContentResponse.model_validate_json(body.strip().splitlines()[-1].removeprefix(b"data: "))
    metadata = last.candidates[0].grounding_metadata if last.candidates else None
    assert metadata is not None
    pages = dict(enumerate(metadata.grounding_chunks or ()))
    theirs = {
        (support.segment.text, page.web.uri)
        for support in metadata.grounding_supports or ()
        for index in support.grounding_chunk_indices or ()
        if support.segment and support.segment.text and (page := pages.get(index)) and page.web
    }
    decoder = CODEC.chat_decoder(CALL)
    events = decoder.feed(body) + decoder.end() if name.endswith(".stream") else CODEC.decode_chat(CALL, body)
    assert len(theirs) == 3
    assert theirs < {(text, url) for text, url, _ in told(events).cited}


def check(events: list[Event], told: dict[str, Any]) -> None:
    deltas = [event for event in events if isinstance(event, Delta)]
    assert "".join(delta.content for delta in deltas) == told["content"]
    assert "".join(delta.reasoning for delta in deltas) == told["reasoning"]
    calls = [call for delta in deltas for call in delta.tool_calls]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        (name, args) for name, args, _ in told["calls"]
    ]
    assert all(ours.id == theirs for ours, (_, _, theirs) in zip(calls, told["calls"], strict=True) if theirs)
    signed = [bool(call.extra_content) for call in calls]
    assert signed == [signature is not None for signature in told["signatures"]]
    finish = [event.reason for event in events if isinstance(event, Finish)]
    if told["blocked"]:
        assert finish == ["content_filter"]
    else:
        assert len(finish) == 1
        assert finish[0] in REASONS[told["finish"][-1]]
    assert {each["url_citation"]["url"] for delta in deltas for each in delta.annotations} == told["cited"]
    totals = [event.total_tokens for event in events if isinstance(event, Usage)]
    assert totals == ([] if told["total"] is None else [told["total"]])


@pytest.mark.parametrize("name", files(".stream"))
async def test_streams(name: str) -> None:
    body = (FOLDER / name).read_bytes()
    decoder = CODEC.chat_decoder(CALL)
    events = decoder.feed(body) + decoder.end()
    reply = replies.stream(body, content_type="text/event-stream").in_pieces(7)
    async with Upstream(reply) as upstream:

        def read(client: genai.Client) -> dict[str, Any] | errors.APIError:
            try:
                return as_told(list(client.models.generate_content_stream(model="m", contents="hi")))
            except errors.APIError as error:
                return error

        told = await with_sdk(upstream, read)
    if b'"error"' in body:
        assert isinstance(told, errors.APIError)
        assert isinstance(events[-1], Broken)
        assert events[-1].fault.status == told.code
    elif isinstance(events[-1], Broken):
        assert isinstance(told, dict)
        assert not REASONS.keys() & set(told["finish"]), "the SDK takes this for an answer"
    else:
        check(events, told)


@pytest.mark.parametrize("name", files(".answer.json"))
async def test_whole_answers(name: str) -> None:
    body = (FOLDER / name).read_bytes()
    events = outcome(lambda: CODEC.decode_chat(CALL, body))
    async with Upstream(replies.body(body, content_type="application/json")) as upstream:
        told = await with_sdk(
            upstream, lambda client: as_told([client.models.generate_content(model="m", contents="hi")])
        )
    if isinstance(events, Fault):
        assert not REASONS.keys() & set(told["finish"]), "the SDK takes this for an answer"
    else:
        check(events, told)


def golden(name: str) -> list[Any]:
    return [pytest.param(case, id=case["case"]) for case in json.loads((FOLDER / name).read_bytes())]


@pytest.mark.parametrize("case", golden("errors.json"))
async def test_errors(case: dict[str, Any]) -> None:
    if isinstance(case["body"], str):
        reply = replies.html(case["body"], case["status"])
    else:
        reply = replies.json(case["body"], case["status"])
    async with Upstream(reply) as upstream:

        def ask(client: genai.Client) -> errors.APIError:
            with pytest.raises(errors.APIError) as caught:
                client.models.generate_content(model="m", contents="hi")
            return caught.value

        error = await with_sdk(upstream, ask)
    assert error.code == case["status"]
    assert case.get("code") in (error.status, None)


@pytest.mark.parametrize("case", [each for each in golden("requests.json") if "body" in each.values[0]])
def test_requests_are_of_its_types(case: dict[str, Any]) -> None:
    body = dict(case["body"])
    for content in body.pop("contents"):
        types.Content.model_validate(content)
    types.Content.model_validate(body.pop("systemInstruction", {}))
    for tool in body.pop("tools", []):
        types.Tool.model_validate(tool)
    types.ToolConfig.model_validate(body.pop("toolConfig", {}))
    types.GenerationConfig.model_validate(body.pop("generationConfig", {}))
    assert not body


IMAGE = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


async def test_both_send_the_same() -> None:
    def ask(client: genai.Client) -> None:
        contents: Any = [
            {"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": IMAGE}}]},
            {
                "role": "model",
                "parts": [
                    {"functionCall": {"id": "a", "name": "f", "args": {"city": "Oslo"}}, "thoughtSignature": "RXFRQg=="}
                ],
            },
            {"role": "user", "parts": [{"functionResponse": {"id": "a", "name": "f", "response": {"output": "4 C"}}}]},
        ]
        declared = types.FunctionDeclaration(name="f", description="d", parameters_json_schema=SCHEMA)
        calling = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["f"])
        config = types.GenerateContentConfig(
            system_instruction="Be brief.",
            temperature=0.25,
            top_p=0.5,
            top_k=40,
            presence_penalty=0.5,
            frequency_penalty=-0.5,
            max_output_tokens=50,
            stop_sequences=["END"],
            seed=7,
            response_logprobs=True,
            logprobs=2,
            response_mime_type="application/json",
            response_json_schema=SCHEMA,
            thinking_config=types.ThinkingConfig(thinking_budget=1024, include_thoughts=True),
            tools=[types.Tool(function_declarations=[declared])],
            tool_config=types.ToolConfig(function_calling_config=calling),
        )
        list(client.models.generate_content_stream(model="gemini-2.5-flash", contents=contents, config=config))

    async with Upstream(replies.sse((FOLDER / "text.stream").read_bytes())) as upstream:
        await with_sdk(upstream, ask)
    (theirs,) = upstream.requests
    request = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Hi"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}},
                ],
            },
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "a",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"city":"Oslo"}'},
                        "extra_content": {"google": {"thought_signature": "RXFRQg=="}},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "4 C"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "temperature": 0.25,
        "top_p": 0.5,
        "top_k": 40,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "max_tokens": 50,
        "stop": "END",
        "seed": 7,
        "logprobs": True,
        "top_logprobs": 2,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
        "reasoning_effort": "low",
        "stream": True,
    }
    ours = CODEC.encode_chat(chat_request(json.dumps(request).encode()), Model("gemini-2.5-flash"))
    assert (theirs.method, theirs.path) == (ours.method, ours.path)
    assert theirs.headers["x-goog-api-key"] == CODEC.auth(KEY)["x-goog-api-key"]
    assert _levelled(theirs.json) == _levelled(json.loads(ours.body))
    assert ours.dropped == ()


def _levelled(value: Any, under: str = "") -> Any:
    """One spelling (the SDK mixes snake_case in, which the server takes too) and no role where none is needed."""
    if isinstance(value, list):
        return [_levelled(each, under) for each in value]
    if not isinstance(value, dict):
        return value
    needless = {"role"} if under in ("systemInstruction", "content") else set()
    camel = {re.sub("_([a-z])", lambda match: match[1].upper(), name): each for name, each in value.items()}
    return {name: _levelled(each, name) for name, each in camel.items() if name not in needless}


async def test_embeddings() -> None:
    def embed(client: genai.Client) -> list[Any]:
        config = types.EmbedContentConfig(output_dimensionality=2, task_type="RETRIEVAL_QUERY")
        answer = client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"], config=config)
        return [each.values for each in answer.embeddings or ()]

    body = b'{"embeddings":[{"values":[0.6,0.8]},{"values":[1,0]}],"usageMetadata":{"promptTokenCount":6}}'
    async with Upstream(replies.body(body, content_type="application/json")) as upstream:
        theirs = await with_sdk(upstream, embed)
    request = b'{"input":["a","b"],"dimensions":2,"task_type":"RETRIEVAL_QUERY"}'
    call = CODEC.encode_embeddings(embeddings_request(request), Model("gemini-embedding-001"))
    assert CODEC.decode_embeddings(call, body).vectors == theirs
    (sent,) = upstream.requests
    assert (sent.path, _levelled(sent.json)) == (call.path, json.loads(call.body))


async def test_the_count_of_tokens() -> None:
    case = next(each.values[0] for each in golden("count_tokens.json"))
    answer = json.dumps(case["answer"]).encode()
    ask: Any = case["body"]["generateContentRequest"]
    async with Upstream(replies.body(answer, content_type="application/json")) as upstream:

        def count(client: genai.Client) -> int | None:
            return client.models.count_tokens(model=case["model"], contents=ask["contents"]).total_tokens

        theirs = await with_sdk(upstream, count)
    assert decode_count(answer) == theirs == case["tokens"]
    (sent,) = upstream.requests
    ours = encode_count(chat_request(json.dumps(case["client"]).encode()), Model(case["model"]))
    assert (sent.method, sent.path) == (ours.method, ours.path)
    assert sent.json["contents"] == json.loads(ours.body)["generateContentRequest"]["contents"]


async def test_the_probe_is_its_list_of_models() -> None:
    models = {"models": [{"name": "models/gemini-3.5-flash", "inputTokenLimit": 1048576}]}
    async with Upstream(replies.json(models)) as upstream:
        names = await with_sdk(upstream, lambda client: [m.name for m in client.models.list(config={"page_size": 1})])
    assert names == ["models/gemini-3.5-flash"]
    assert (upstream.requests[0].method, upstream.requests[0].path.replace("&queryBase=true", "")) == (
        CODEC.probe().method,
        CODEC.probe().path,
    )
