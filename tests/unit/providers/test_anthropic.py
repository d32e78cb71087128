from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

import cortex
from cortex.chat import Broken, Usage
from cortex.errors import Fault, FaultKind
from cortex.providers import codec_for
from cortex.providers.anthropic import AnthropicCodec
from cortex.providers.anthropic_models import _CAREFUL, family_of
from cortex.providers.anthropic_stream import read_usage
from cortex.providers.citations import MAX_CITATIONS
from cortex.providers.codec import Encoded, Model
from tests.support.told import told
from tests.unit.providers.build import chat_request

CODEC = codec_for("anthropic")
CALL = Encoded("/")
HI = b'{"messages":[{"role":"user","content":"Hi"}],"temperature":0.5}'


def test_auth_version_and_probe() -> None:
    assert CODEC.auth("sk-ant-1") == {"x-api-key": "sk-ant-1"}
    assert CODEC.auth(None) == {}
    probe = CODEC.probe()
    assert (probe.method, probe.path, probe.body) == ("GET", "/v1/models?limit=1", b"")
    assert probe.headers == {"anthropic-version": "2023-06-01"}
    assert CODEC.encode_chat(chat_request(HI), Model("claude-haiku-4-5")).headers == probe.headers


@pytest.mark.parametrize(("version", "dropped"), [("2023-06-01", ()), ("2026-10-21", ("temperature",))])
def test_the_newer_version_takes_no_sampling_from_any_model(version: str, dropped: tuple[str, ...]) -> None:
    call = AnthropicCodec(version).encode_chat(chat_request(HI), Model("claude-sonnet-4-5"))
    assert call.headers == {"anthropic-version": version}
    assert call.dropped == dropped
    assert ("temperature" in msgspec.json.decode(call.body)) is not bool(dropped)


def test_numbers_and_schemas_keep_their_bytes() -> None:
    body = (
        b'{"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\\"x\\":1.50}"}}]},'
        b'{"role":"tool","tool_call_id":"a","content":"1"}],"tools":[{"type":"function","function":{"name":"f",'
        b'"parameters":{"type":"object","maximum":1e3}}}]}'
    )
    sent = CODEC.encode_chat(chat_request(body), Model("m")).body
    assert b'"input":{"x":1.50}' in sent
    assert b'{"type":"object","maximum":1e3}' in sent


def test_every_model_in_the_table_has_a_family() -> None:
    table = json.loads(Path(cortex.__file__).with_name("data").joinpath("models.json").read_text())
    careful = {name for name in table["providers"]["anthropic"] if family_of(name) is _CAREFUL}
    assert careful == {"claude-mythos-preview"}
    assert family_of("claude-opus-4-20250514") is family_of("claude-opus-4")
    assert family_of("claude-3-7-sonnet-latest") is family_of("claude-3-7-sonnet")
    assert family_of("claude-haiku-6") is _CAREFUL


def test_an_endless_tool_call_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex.providers.anthropic_stream.MAX_ARGUMENT_CHARS", 64)
    decoder = CODEC.chat_decoder(CALL)
    decoder.feed(
        b'data: {"type":"message_start","message":{}}\n\n'
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f"}}\n\n'
    )
    delta = b'{"type":"input_json_delta","partial_json":"0123456789"}'
    events = decoder.feed((b'data: {"type":"content_block_delta","index":0,"delta":' + delta + b"}\n\n") * 100)
    assert isinstance(events[-1], Broken)
    assert events[-1].fault.kind is FaultKind.INVALID_RESPONSE
    assert len(events) == 6 + 1


def test_calls_without_end_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex.providers.anthropic_stream._MAX_CALLS", 3)
    block = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    with pytest.raises(Fault) as caught:
        CODEC.decode_chat(CALL, msgspec.json.encode({"content": [block] * 4}))
    assert caught.value.kind is FaultKind.INVALID_RESPONSE


def test_citations_without_end_are_cut_off() -> None:
    block = {"type": "text", "text": "a", "citations": [{"url": "https://a.example"}] * (MAX_CITATIONS + 1)}
    with pytest.raises(Fault) as caught:
        CODEC.decode_chat(CALL, msgspec.json.encode({"content": [block]}))
    assert caught.value.kind is FaultKind.INVALID_RESPONSE


def test_a_block_that_does_not_stop_cites_all_the_same() -> None:
    cited = b'{"type":"citations_delta","citation":{"url":"https://a.example"}}'
    events = CODEC.chat_decoder(CALL).feed(
        b'data: {"type":"message_start","message":{}}\n\n'
        b'data: {"type":"content_block_start","content_block":{"type":"text","text":"Oslo"}}\n\n'
        b'data: {"type":"content_block_delta","delta":' + cited + b"}\n\n"
        b'data: {"type":"message_stop"}\n\n'
    )
    assert told(events).cited == [("Oslo", "https://a.example", "")]


@pytest.mark.parametrize("citation", [5, {}, {"url": 5}, {"source": "notes"}, {"url": "file:///etc/passwd"}])
def test_what_leads_nowhere_is_no_citation(citation: object) -> None:
    block = {"type": "text", "text": "a", "citations": [citation]}
    assert told(CODEC.decode_chat(CALL, msgspec.json.encode({"content": [block]}))).cited == []


def test_a_fault_in_a_stream_names_its_kind() -> None:
    frame = b'event: error\ndata: {"type":"error","error":{"type":"%s","message":"no"}}\n\n'
    kinds = {
        b"overloaded_error": FaultKind.OVERLOADED,
        b"api_error": FaultKind.SERVER_ERROR,
        b"timeout_error": FaultKind.OVERLOADED,
        b"rate_limit_error": FaultKind.RATE_LIMITED,
        b"authentication_error": FaultKind.INVALID_KEY,
        b"billing_error": FaultKind.QUOTA_EXHAUSTED,
        b"request_too_large": FaultKind.TOO_LARGE_FOR_TIER,
        b"invalid_request_error": FaultKind.BAD_REQUEST,
    }
    for word, kind in kinds.items():
        (broken,) = CODEC.chat_decoder(CALL).feed(frame % word)
        assert isinstance(broken, Broken)
        assert broken.fault.kind is kind, word


@pytest.mark.parametrize("usage", [{}, {"input_tokens": "many"}, {"output_tokens_details": 5}])
def test_usage_of_another_form_does_not_break_the_answer(usage: dict[str, object]) -> None:
    assert read_usage(usage) is None


def test_usage_counts_the_cache_as_prompt() -> None:
    told = {"input_tokens": 1, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 300, "output_tokens": 4}
    assert read_usage(told) == Usage(321, 4, cached_tokens=20, cache_write_tokens=300)


def test_there_are_no_embeddings() -> None:
    with pytest.raises(Fault):
        CODEC.decode_embeddings(CALL, b'{"embeddings":[[1]]}')
