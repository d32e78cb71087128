"""The targets: each takes any bytes and must return, or raise `Fault`. Any other exception is a bug.

Stateful decoders are fed whole and cut in pieces, and must say the same both times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from cortex.chat import Broken, ChatRequest, Event
from cortex.config.units import read_duration
from cortex.content_coding import inflater
from cortex.dialects import openai_embeddings
from cortex.dialects.api_chat import ApiChatDialect
from cortex.dialects.openai import OpenAIDialect
from cortex.errors import Fault
from cortex.ndjson import NdjsonDecoder
from cortex.providers import CODECS, codec_for
from cortex.providers.codec import Codec, Encoded, Model
from cortex.sse import SseDecoder

Target: TypeAlias = Callable[[bytes], None]

_STATUSES = (200, 301, 400, 401, 402, 403, 404, 413, 422, 429, 498, 500, 503, 529)
_MESSAGES = msgspec.Raw(b'[{"role":"user","content":"hi"}]')


def _request(*, stream: bool) -> ChatRequest:
    members = {"messages": _MESSAGES, "stream": msgspec.Raw(b"true" if stream else b"false")}
    return ChatRequest(members, model="m", stream=stream, include_usage=True)


def sse(data: bytes) -> None:
    whole, cut = SseDecoder(), SseDecoder()
    events = whole.feed(data)
    pieces = [event for n in range(0, len(data), 3) for event in cut.feed(data[n : n + 3])]
    said = [[(event.event, event.data) for event in each if event.data is not None] for each in (events, pieces)]
    assert said[0] == said[1]


def ndjson(data: bytes) -> None:
    whole, cut = NdjsonDecoder(), NdjsonDecoder()
    lines = whole.feed(data)
    pieces = [line for n in range(0, len(data), 3) for line in cut.feed(data[n : n + 3])]
    assert lines == pieces
    assert whole.rest() == cut.rest()


def content_coding(data: bytes) -> None:
    for coding in ("gzip", "deflate"):
        if (inflated := inflater(coding)) is not None:
            inflated.feed(data)
            while inflated.take():
                pass
            inflated.finish()


def requests(data: bytes) -> None:
    """What a client may send, through every codec."""
    for dialect in (OpenAIDialect(), ApiChatDialect()):
        try:
            request = dialect.parse(data)
        except Fault:
            continue
        for name in CODECS:
            _ignoring_faults(
                lambda _, name=name, request=request: codec_for(name).encode_chat(request, Model("m")), b""
            )
    openai_embeddings.parse(data)


def durations(data: bytes) -> None:
    try:
        read_duration(data.decode("latin-1"))
    except ValueError:
        return


def _stream(codec: Codec, call: Encoded) -> Target:
    def target(data: bytes) -> None:
        whole = _events(codec, call, [data])
        cut = _events(codec, call, [data[n : n + 5] for n in range(0, len(data), 5)])
        assert _told(whole) == _told(cut)

    return target


def _events(codec: Codec, call: Encoded, pieces: Sequence[bytes]) -> list[Event]:
    decoder = codec.chat_decoder(call)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.end()


def _told(events: Sequence[Event]) -> list[object]:
    return [(event.fault.kind, event.fault.message) if isinstance(event, Broken) else event for event in events]


def _answer(codec: Codec, call: Encoded) -> Target:
    def target(data: bytes) -> None:
        codec.decode_chat(call, data)

    return target


def _errors(codec: Codec) -> Target:
    def target(data: bytes) -> None:
        head, _, body = data.partition(b"\n")
        header = head.decode("latin-1").strip()
        names = ("retry-after", "retry-after-ms", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens", "date")
        for status in _STATUSES:
            fault = codec.classify(status, dict.fromkeys(names, header), body)
            assert fault.retry_after_s is None or 0 <= fault.retry_after_s <= 24 * 3600

    return target


def _ignoring_faults(target: Callable[[bytes], object], data: bytes) -> None:
    try:
        target(data)
    except Fault:
        return


def _all() -> Mapping[str, Target]:
    targets: dict[str, Target] = {each.__name__: each for each in (sse, ndjson, content_coding, requests, durations)}
    for name in CODECS:
        codec = codec_for(name)
        targets[f"{name}_stream"] = _stream(codec, codec.encode_chat(_request(stream=True), Model("m")))
        targets[f"{name}_answer"] = _answer(codec, codec.encode_chat(_request(stream=False), Model("m")))
        targets[f"{name}_errors"] = _errors(codec)
    return targets


TARGETS: Mapping[str, Target] = {
    name: (lambda data, target=target: _ignoring_faults(target, data)) for name, target in _all().items()
}
