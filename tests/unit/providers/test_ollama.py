from __future__ import annotations

import msgspec
import pytest

from cortex.chat import Delta, End, Finish, Usage
from cortex.errors import Fault, FaultKind
from cortex.providers import codec_for
from cortex.providers.codec import Encoded, Model
from tests.unit.providers.build import chat_request, embeddings_request

CODEC = codec_for("ollama")
CALL = Encoded("/")
MODEL = Model("the-model")


def test_an_answer_whose_last_line_has_no_line_end_is_whole() -> None:
    decoder = CODEC.chat_decoder(CALL)
    assert decoder.feed(b'{"model":"m","created_at":"","message":{"content":""},"done":true}') == []
    assert decoder.end()[-2:] == [Finish("stop"), End()]


def test_logprobs_take_openais_form() -> None:
    logprob = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
    line = {"model": "m", "message": {"content": "a"}, "logprobs": [logprob]}
    events = CODEC.chat_decoder(CALL).feed(msgspec.json.encode(line) + b"\n")
    assert events[1] == Delta("a", logprobs={"content": [logprob]})


def test_a_whole_answer_may_be_an_error() -> None:
    with pytest.raises(Fault) as caught:
        CODEC.decode_chat(CALL, b'{"error":"server busy, please try again.  maximum pending requests exceeded"}')
    assert caught.value.kind is FaultKind.OVERLOADED


def test_a_prompt_is_never_cut_in_silence() -> None:
    chat = CODEC.encode_chat(chat_request(b'{"messages":[{"role":"user","content":"Hi"}]}'), MODEL)
    embeddings = CODEC.encode_embeddings(embeddings_request(b'{"input":"a"}'), MODEL)
    assert msgspec.json.decode(chat.body)["truncate"] is False
    assert msgspec.json.decode(embeddings.body)["truncate"] is False


def test_embeddings() -> None:
    call = CODEC.encode_embeddings(embeddings_request(b'{"input":["a","b"]}'), MODEL)
    answer = CODEC.decode_embeddings(call, b'{"model":"m","embeddings":[[1,0.5],[0,1]],"prompt_eval_count":2}')
    assert (answer.model, answer.vectors, answer.usage) == ("m", [[1.0, 0.5], [0.0, 1.0]], Usage(2, 0))


@pytest.mark.parametrize("body", [b'{"embeddings":[[1]]}', b"{}", b"[]", b"oops", b'{"error":"boom"}'])
def test_what_is_no_embeddings_answer(body: bytes) -> None:
    call = CODEC.encode_embeddings(embeddings_request(b'{"input":["a","b"]}'), MODEL)
    with pytest.raises(Fault):
        CODEC.decode_embeddings(call, body)
