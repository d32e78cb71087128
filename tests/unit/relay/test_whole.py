"""JSON answers, and streams made of them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from cortex.chat import Usage
from cortex.dialects.api_chat import ApiChatDialect
from cortex.dialects.openai import OpenAIDialect
from cortex.errors import Fault, FaultKind
from cortex.providers import codec_for
from cortex.relay import whole_answer, whole_as_stream
from tests.support.chunks import CALL, DONE, RENDERED, chat_request, decode, provenance

GOLDEN = Path(__file__).parents[2] / "golden" / "dialects" / "upstream"
ANSWERS = [GOLDEN / "oai_chat.json", GOLDEN / "oai_chat_tools.json"]


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_the_same_dialect_gets_the_upstreams_bytes(path: Path) -> None:
    body = path.read_bytes()
    out, tally = whole_answer(codec_for("openai"), CALL, body, OpenAIDialect(), chat_request(), provenance())
    assert out is body
    assert tally.model == json.loads(body)["model"]
    assert tally.usage is not None
    assert tally.usage.total_tokens == json.loads(body)["usage"]["total_tokens"]


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_rendered_anew_it_means_the_same(path: Path) -> None:
    body = path.read_bytes()
    out, _ = whole_answer(codec_for("mistral"), RENDERED, body, OpenAIDialect(), chat_request(), provenance())
    codec = codec_for("openai")
    assert codec.decode_chat(CALL, out) == codec.decode_chat(CALL, body)


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_as_a_stream_it_means_the_same(path: Path) -> None:
    body = path.read_bytes()
    request = chat_request(include_usage=True)
    out, tally = whole_as_stream(codec_for("openai"), CALL, body, OpenAIDialect(), request, provenance())
    assert out.endswith(DONE)
    assert decode(out) == codec_for("openai").decode_chat(CALL, body)
    assert tally.finish_reason is not None


def test_usage_that_no_upstream_tells_is_estimated_and_flagged() -> None:
    body = b'{"choices":[{"message":{"content":"abcde"},"finish_reason":"stop"}]}'
    out, tally = whole_answer(codec_for("openai"), CALL, body, ApiChatDialect(), chat_request(), provenance())
    assert tally.usage == Usage(7, 2, estimated=True)
    assert json.loads(out)["usage"]["estimated"] is True


@pytest.mark.parametrize("body", [b"null", b"<html>", b'{"choices":[]}', b'{"error":{"message":"x"}}'])
@pytest.mark.parametrize("answer", [whole_answer, whole_as_stream])
def test_what_is_no_answer_is_a_fault_even_if_it_would_be_forwarded(body: bytes, answer: object) -> None:
    render = whole_answer if answer is whole_answer else whole_as_stream
    with pytest.raises(Fault) as caught:
        render(codec_for("openai"), CALL, body, OpenAIDialect(), chat_request(), provenance())
    assert caught.value.kind in (FaultKind.INVALID_RESPONSE, FaultKind.SERVER_ERROR)


def test_api_chat_answers_flat() -> None:
    body = (GOLDEN / "oai_chat.json").read_bytes()
    out, _ = whole_answer(codec_for("openai"), CALL, body, ApiChatDialect(), chat_request(), provenance())
    answer = msgspec.json.decode(out)
    assert answer["content"] == "Hi!"
    assert answer["finish_reason"] == "stop"
    assert answer["model"] == "groq/openai/gpt-oss-20b"
    assert answer["usage"]["total_tokens"] == 12
    assert "choices" not in answer
