from __future__ import annotations

import msgspec
import pytest
from openai.types.chat import ChatCompletion, completion_create_params
from pydantic import TypeAdapter

from cortex.chat import Broken, Start, Usage
from cortex.errors import Fault, FaultKind
from cortex.providers import CODECS, codec_for
from cortex.providers.codec import Encoded, Model
from cortex.providers.openai_messages import short_ids
from cortex.providers.openai_wire import read_usage
from cortex.providers.vendors import VENDORS
from tests.unit.providers.build import GOLDEN, chat_request, embeddings_request, outcome

CALL = Encoded("/")
MODEL = Model("the-model")


@pytest.mark.parametrize("type_", ["openai", "openai_compatible", "simulated"])
def test_members_keep_their_bytes(type_: str) -> None:
    body = (
        b'{"messages": [ {"role":"user",\t"content":"\\u00e9"} ] , "temperature":1.50,"model":"a", '
        b'"big":123456789012345678901234567890, "x":{ }}'
    )
    assert codec_for(type_).encode_chat(chat_request(body), MODEL).body == (
        b'{"messages":[ {"role":"user",\t"content":"\\u00e9"} ],"temperature":1.50,"model":"the-model",'
        b'"big":123456789012345678901234567890,"x":{ }}'
    )


@pytest.mark.parametrize("type_", ["groq", "mistral"])
def test_messages_that_need_no_change_keep_their_bytes(type_: str) -> None:
    messages = b'[ {"role":"user",  "content":"\\u00e9"} ]'
    call = codec_for(type_).encode_chat(chat_request(b'{"messages":' + messages + b"}"), MODEL)
    assert b'"messages":' + messages in call.body


def test_a_request_without_stream_becomes_one_where_its_dialect_streams_by_default() -> None:
    request = chat_request(b'{"messages":[{"role":"user","content":"Hi"}]}')
    request.stream = True
    body = msgspec.json.decode(codec_for("openai").encode_chat(request, MODEL).body)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_requests_are_of_the_form_that_the_vendors_own_client_sends() -> None:
    form = TypeAdapter(completion_create_params.CompletionCreateParamsStreaming)
    request = chat_request((GOLDEN / "conversation.json").read_bytes())
    for type_ in ("openai", "groq"):
        form.validate_python(msgspec.json.decode(codec_for(type_).encode_chat(request, MODEL).body))


def test_golden_answers_are_of_the_form_that_the_vendors_own_client_reads() -> None:
    for name in ("text", "tools", "choices_and_logprobs"):
        body = (GOLDEN / "openai" / f"{name}.answer.json").read_bytes()
        answer = ChatCompletion.model_validate(msgspec.json.decode(body))
        start, *_ = codec_for("openai").decode_chat(CALL, body)
        assert isinstance(start, Start)
        assert (start.id, start.model, start.created) == (answer.id, answer.model, answer.created)


def test_auth_and_probe() -> None:
    for type_ in ("ollama", *VENDORS):
        codec = codec_for(type_)
        assert codec.auth("sk-1") == {"authorization": "Bearer sk-1"}
        assert codec.auth(None) == {}
        assert (codec.probe().method, codec.probe().body) == ("GET", b"")


def test_bytes_pass_on_only_where_they_are_openais() -> None:
    request = chat_request(b'{"messages":[{"role":"user","content":"Hi"}]}')
    passing = {type_ for type_ in CODECS if codec_for(type_).encode_chat(request, MODEL).forwards == "openai"}
    assert passing == set(VENDORS) - {"mistral"}


def test_an_unknown_type_has_no_codec() -> None:
    with pytest.raises(KeyError):
        codec_for("acme")


@pytest.mark.parametrize("messages", [b"5", b"[5]", b'[{"content":"x"}]', b'[{"role":"user","content":5}]'])
@pytest.mark.parametrize("type_", ["groq", "mistral", "ollama"])
def test_messages_of_another_form_are_the_requests_fault(type_: str, messages: bytes) -> None:
    with pytest.raises(Fault) as caught:
        codec_for(type_).encode_chat(chat_request(b'{"messages":' + messages + b"}"), MODEL)
    assert (caught.value.kind, caught.value.param) == (FaultKind.BAD_REQUEST, "messages")


def test_short_ids_are_nine_letters_and_never_alike() -> None:
    made = short_ids(["call_1"])["call_1"]
    ids = ["call_1", made, "call_2", "abcdefghi"]
    short = short_ids(ids)
    assert short[made] == made, "an id of the form is kept"
    assert short["abcdefghi"] == "abcdefghi"
    assert len(set(short.values())) == len(ids)
    assert all(len(each) == 9 and each.isalnum() and each.isascii() for each in short.values())
    assert short_ids(ids) == short


def test_an_endless_tool_call_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex.providers.openai_stream.MAX_ARGUMENT_CHARS", 64)
    decoder = codec_for("openai").chat_decoder(CALL)
    frame = b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"0123456789"}}]}}]}\n\n'
    events = decoder.feed(frame * 100)
    assert isinstance(events[-1], Broken)
    assert events[-1].fault.kind is FaultKind.INVALID_RESPONSE
    assert len(events) == 1 + 6 + 1


def test_a_fault_in_a_stream_says_when_to_come_back() -> None:
    decoder = codec_for("openai").chat_decoder(CALL)
    (broken,) = decoder.feed((GOLDEN / "openai" / "error_first.stream").read_bytes())
    assert isinstance(broken, Broken)
    assert (broken.fault.retry_after_s, broken.fault.model_scoped) == (1.5, True)


def test_usage_in_every_chunk_counts_once() -> None:
    decoder = codec_for("openai").chat_decoder(CALL)
    chunk = b'data: {"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":%d}}\n\n'
    events = decoder.feed(chunk % 1 + chunk % 2 + b"data: [DONE]\n\n")
    assert [event for event in events if isinstance(event, Usage)] == [Usage(1, 2)]


@pytest.mark.parametrize("usage", [None, {}, "many", {"prompt_tokens": "x"}, {"prompt_tokens": None}, [1]])
def test_usage_of_another_form_does_not_break_the_answer(usage: object) -> None:
    assert read_usage(usage) is None


def test_usage_in_full() -> None:
    told = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": None},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert read_usage(told) == Usage(9, 5, cached_tokens=4, reasoning_tokens=3)


def test_embeddings_come_in_the_order_of_the_inputs() -> None:
    codec = codec_for("openai")
    call = codec.encode_embeddings(embeddings_request(b'{"input":["a","b"]}'), MODEL)
    body = (
        b'{"object":"list","data":[{"object":"embedding","index":1,"embedding":"AAAA"},'
        b'{"object":"embedding","index":0,"embedding":[0.5,1]}],"model":"m","usage":{"prompt_tokens":2,"total_tokens":2}}'
    )
    answer = codec.decode_embeddings(call, body)
    assert answer.vectors == [[0.5, 1.0], "AAAA"]
    assert (answer.model, answer.usage) == ("m", Usage(2, 0))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"data":[{"embedding":[1]}]}', FaultKind.INVALID_RESPONSE),  # one vector for two inputs
        (b'{"data":[]}', FaultKind.INVALID_RESPONSE),
        (b"null", FaultKind.INVALID_RESPONSE),
        (b"<html>", FaultKind.INVALID_RESPONSE),
        (b'{"error":{"message":"slow down","type":"rate_limit_error"}}', FaultKind.RATE_LIMITED),
    ],
)
def test_what_is_no_embeddings_answer(body: bytes, kind: FaultKind) -> None:
    codec = codec_for("openai")
    call = codec.encode_embeddings(embeddings_request(b'{"input":["a","b"]}'), MODEL)
    with pytest.raises(Fault) as caught:
        codec.decode_embeddings(call, body)
    assert caught.value.kind is kind


def test_a_faults_message_is_the_providers_own_and_short() -> None:
    body = msgspec.json.encode({"error": {"message": "x" * 10_000}})
    assert codec_for("openai").classify(500, {}, body).message == "x" * 500
    assert (
        codec_for("openai").classify(500, {"authorization": "Bearer sk-1"}, b"").message == "HTTP 500 without a message"
    )


@pytest.mark.parametrize("type_", sorted(CODECS))
def test_json_that_is_too_deep_is_a_fault(type_: str) -> None:
    codec = codec_for(type_)
    deep = b"[" * 100_000 + b"]" * 100_000
    for member in (b"error", b"unknown", b"message", b"choices"):
        body = b'{"' + member + b'":' + deep + b"}"
        assert codec.classify(500, {}, body).kind is FaultKind.SERVER_ERROR
        (broken,) = codec.chat_decoder(CALL).feed(b"data: " * (type_ != "ollama") + body + b"\n\n")
        assert isinstance(broken, Broken)
        assert isinstance(outcome(lambda body=body: codec.decode_chat(CALL, body)), Fault)
        assert isinstance(outcome(lambda body=body: codec.decode_embeddings(CALL, body)), Fault)
