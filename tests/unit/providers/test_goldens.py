"""Replays the golden folder of each type of provider: requests out, answers in, errors to faults."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cortex.chat import Broken
from cortex.errors import Fault
from cortex.providers.codec import Encoded, Model
from tests.unit.providers.build import (
    GOLDEN,
    as_json,
    chat_request,
    comparable,
    embeddings_request,
    golden_call,
    golden_codec,
    golden_model,
    outcome,
)


def cases(name: str) -> list[Any]:
    return [
        pytest.param(path.parent.name, case, id=f"{path.parent.name}: {case['case']}")
        for path in sorted(GOLDEN.glob(f"*/{name}"))
        for case in msgspec.json.decode(path.read_bytes())
    ]


def answers(name: str) -> list[Any]:
    return [
        pytest.param(path.parent.name, (path.parent / file).read_bytes(), events, id=f"{path.parent.name}: {file}")
        for path in sorted(GOLDEN.glob("*/events.json"))
        for file, events in msgspec.json.decode(path.read_bytes()).items()
        if file.endswith(name)
    ]


def check(case: dict[str, Any], call: Encoded | Fault) -> None:
    if isinstance(call, Fault):
        assert (call.kind, call.param) == (case.get("fault"), case.get("param")), call.message
    else:
        assert call.path == case.get("path"), f"encoded as {call.body!r}"
        assert call.body == msgspec.json.encode(case["body"])
        assert list(call.dropped) == case["dropped"]


@pytest.mark.parametrize(("type_", "case"), cases("requests.json"))
def test_request(type_: str, case: dict[str, Any]) -> None:
    client = case["client"]
    body = (GOLDEN / client).read_bytes() if isinstance(client, str) else msgspec.json.encode(client)
    model = Model(case.get("model", golden_model(type_)), case.get("context_tokens"), case.get("max_output_tokens"))
    check(case, outcome(lambda: golden_codec(type_).encode_chat(chat_request(body), model)))


@pytest.mark.parametrize(("type_", "case"), cases("embeddings.json"))
def test_embeddings_request(type_: str, case: dict[str, Any]) -> None:
    request = embeddings_request(msgspec.json.encode(case["client"]))
    check(case, outcome(lambda: golden_codec(type_).encode_embeddings(request, Model("the-model"))))


@pytest.mark.parametrize(("type_", "body", "events"), answers(".stream"))
def test_stream_cut_anywhere(type_: str, body: bytes, events: list[Any]) -> None:
    codec = golden_codec(type_)
    decoder = codec.chat_decoder(golden_call(type_))
    whole = decoder.feed(body) + decoder.end()
    assert [as_json(event) for event in whole] == events
    for cut in range(len(body)):
        decoder = codec.chat_decoder(golden_call(type_))
        got = decoder.feed(body[:cut]) + decoder.feed(body[cut:]) + decoder.end()
        assert comparable(got) == comparable(whole), f"cut at byte {cut}"
    decoder = codec.chat_decoder(golden_call(type_))
    got = [event for n in range(len(body)) for event in decoder.feed(body[n : n + 1])] + decoder.end()
    assert comparable(got) == comparable(whole)


@pytest.mark.parametrize(("type_", "body", "events"), answers(".stream"))
def test_stream_with_other_line_ends(type_: str, body: bytes, events: list[Any]) -> None:
    for line_end in (b"\r\n",) if type_ == "ollama" else (b"\r\n", b"\r"):
        decoder = golden_codec(type_).chat_decoder(golden_call(type_))
        got = decoder.feed(body.replace(b"\n", line_end)) + decoder.end()
        assert [as_json(event) for event in got] == events, line_end


@pytest.mark.parametrize(("type_", "body", "events"), answers(".stream"))
def test_stream_that_ends_early_is_never_whole(type_: str, body: bytes, events: list[Any]) -> None:
    codec = golden_codec(type_)
    marker = b"[DONE]" if b"[DONE]" in body else body.rstrip(b"\n")[-1:]
    for size in range(body.rindex(marker) + len(marker)):
        decoder = codec.chat_decoder(golden_call(type_))
        got = decoder.feed(body[:size]) + decoder.end()
        assert isinstance(got[-1], Broken), f"cut at byte {size}"
        assert decoder.feed(b"data: {}\n\n") == decoder.end() == []


@pytest.mark.parametrize(("type_", "body", "events"), answers(".answer.json"))
def test_whole_answer(type_: str, body: bytes, events: Any) -> None:
    got = outcome(lambda: golden_codec(type_).decode_chat(golden_call(type_), body))
    assert events == ({"fault": got.kind.value} if isinstance(got, Fault) else [as_json(event) for event in got])


@pytest.mark.parametrize(("type_", "case"), cases("errors.json"))
def test_error(type_: str, case: dict[str, Any]) -> None:
    body = case["body"].encode() if isinstance(case["body"], str) else msgspec.json.encode(case["body"])
    fault = golden_codec(type_).classify(case["status"], case.get("headers", {}), body)
    expected = (case["kind"], case.get("code"), case.get("param"), case.get("model_scoped", False))
    assert (fault.kind.value, fault.code, fault.param, fault.model_scoped) == expected, fault.message
    assert fault.status == case["status"]
    assert fault.message
    assert fault.retry_after_s == pytest.approx(case.get("retry_after_s"))
