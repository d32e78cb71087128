"""Upstream transcript → what the client gets, byte for byte.

`upstream/` holds what an upstream sends, `rendered/` what each dialect makes of it; `.txt` are streams, `.json` whole
answers. The official SDK then reads what was rendered, as an oracle.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from cortex.dialects.api_chat import ApiChatDialect
from cortex.dialects.dialect import Dialect
from cortex.dialects.openai import OpenAIDialect
from cortex.providers import codec_for
from cortex.providers.openai_stream import OpenAIStreamDecoder
from cortex.relay import whole_answer, whole_as_stream
from cortex.relay.rerender import Rerender
from tests.support.chunks import RENDERED, chat_request, provenance, run

HERE = Path(__file__).parent
STREAMS = sorted((HERE / "upstream").glob("*.txt"))
ANSWERS = sorted((HERE / "upstream").glob("*.json"))
DIALECTS: list[Dialect] = [OpenAIDialect(), ApiChatDialect()]


def rendered_stream(dialect: Dialect, upstream: bytes) -> bytes:
    request = chat_request(include_usage=True)
    renderer = dialect.stream_renderer(request, provenance())
    return run(Rerender(OpenAIStreamDecoder(), renderer, prompt_tokens=7), [upstream])


def golden(name: str) -> bytes:
    return (HERE / "rendered" / name).read_bytes()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_stream(path: Path, dialect: Dialect) -> None:
    assert rendered_stream(dialect, path.read_bytes()) == golden(f"{path.stem}.{dialect.name}.txt")


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_whole_answer(path: Path, dialect: Dialect) -> None:
    # Mistral's wire is OpenAI's but its answers are rendered anew in every dialect.
    codec, body, request = codec_for("mistral"), path.read_bytes(), chat_request(include_usage=True)
    answer, _ = whole_answer(codec, RENDERED, body, dialect, request, provenance())
    assert answer == golden(f"{path.stem}.{dialect.name}.json")
    stream, _ = whole_as_stream(codec, RENDERED, body, dialect, request, provenance())
    assert stream == golden(f"{path.stem}.{dialect.name}.txt")


def test_every_golden_file_is_compared() -> None:
    suffixes = [f".{dialect.name}" for dialect in DIALECTS]
    expected = {f"{path.stem}{suffix}.txt" for path in STREAMS + ANSWERS for suffix in suffixes}
    expected |= {f"{path.stem}{suffix}.json" for path in ANSWERS for suffix in suffixes}
    assert {path.name for path in (HERE / "rendered").iterdir()} == expected


@pytest.mark.parametrize("name", ["oai_chat_stream", "oai_reasoning_stream", "oai_tools_stream", "groq_stream"])
def test_the_sdk_reads_the_same_answer_out_of_both(name: str) -> None:
    upstream = (HERE / "upstream" / f"{name}.txt").read_bytes()
    message = sdk_message(golden(f"{name}.openai.txt"))
    assert message == sdk_message(upstream.replace(b'"reasoning":', b'"reasoning_content":'))


@pytest.mark.parametrize("name", ["oai_tools_stream_badid", "oai_tools_stream_noindex"])
def test_vendors_tool_call_mistakes_are_mended(name: str) -> None:
    assert sdk_message(golden(f"{name}.openai.txt")) == sdk_message(golden("oai_tools_stream.openai.txt"))


def sdk_message(stream: bytes) -> object:
    """The message as the official SDK puts it together."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for frame in stream.split(b"\n\n"):
        if frame.startswith(b"data: {"):
            state.handle_chunk(ChatCompletionChunk.model_validate(json.loads(frame.removeprefix(b"data: "))))
    (choice,) = state.get_final_completion().choices
    said = choice.message.model_dump(exclude_none=True)
    # The SDK gives an absent content and an empty one differently, and clients do not care which.
    return {**said, "content": said.get("content") or None}, choice.finish_reason
