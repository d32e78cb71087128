from __future__ import annotations

import asyncio

import msgspec
import pytest

from cortex.chat import Delta, End, Event, Finish, Usage
from cortex.errors import Fault, FaultKind
from cortex.providers import codec_for
from cortex.providers.codec import Encoded, Model
from cortex.providers.simulated import FAULTS, SimulatedResponse, SimulatedTransport, SimulateSettings
from cortex.transport import Transport, UpstreamRequest, UpstreamResponse
from tests.unit.providers.build import chat_request, embeddings_request

CODEC = codec_for("simulated")
HI = b'{"messages":[{"role":"user","content":"Say hi to Ann"}]}'
HI_STREAM = b'{"stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"Say hi to Ann"}]}]}'
TOOLS = (
    b'{"messages":[],"tool_choice":"required","tools":[{"type":"function","function":{"name":"f","parameters":'
    b'{"type":"object","required":["city","unit"],"properties":{"city":{"type":"string"},"unit":{"enum":["C","F"]}}}}}]'
)


def encoded(body: bytes) -> Encoded:
    return CODEC.encode_chat(chat_request(body), Model("m-1"))


async def send(transport: Transport, call: Encoded) -> UpstreamResponse:
    url = "http://simulated.invalid/v1" + call.path
    return await transport.open(UpstreamRequest(call.method, url, {}, call.body), connect_timeout_s=5.0)


async def read_all(response: UpstreamResponse) -> list[bytes]:
    pieces = []
    while piece := await response.read():
        pieces.append(piece)
    response.close()
    return pieces


async def chat(settings: SimulateSettings, body: bytes) -> list[Event]:
    call = encoded(body)
    data = b"".join(await read_all(await send(SimulatedTransport(settings, "acme"), call)))
    if b'"stream":true' not in body:
        return CODEC.decode_chat(call, data)
    decoder = CODEC.chat_decoder(call)
    return decoder.feed(data) + decoder.end()


def text_of(events: list[Event]) -> str:
    return "".join(event.content for event in events if isinstance(event, Delta))


async def test_stream_and_whole_answer_say_the_same() -> None:
    whole = await chat(SimulateSettings(), HI)
    streamed = await chat(SimulateSettings(), HI_STREAM)
    assert text_of(whole) == text_of(streamed)
    assert all(word in text_of(whole) for word in ("m-1", "acme", "Say hi to Ann"))
    for events in (whole, streamed):
        finish, usage, end = events[-3:]
        assert finish == Finish("stop")
        assert isinstance(usage, Usage)
        assert usage.completion_tokens == len(text_of(whole).split())
        assert end == End()


async def test_a_text_of_its_own_and_a_limit() -> None:
    settings = SimulateSettings(text="one two three")
    assert text_of(await chat(settings, HI)) == "one two three"
    events = await chat(settings, HI[:-1] + b',"max_tokens":2}')
    assert text_of(events) == "one two "
    assert Finish("length") in events


@pytest.mark.parametrize("stream", [b"}", b',"stream":true}'])
async def test_a_tool_that_must_be_called_is_called(stream: bytes) -> None:
    events = await chat(SimulateSettings(), TOOLS + stream)
    (call,) = [call for event in events if isinstance(event, Delta) for call in event.tool_calls]
    assert (call.name, msgspec.json.decode(call.arguments)) == ("f", {"city": "text", "unit": "C"})
    assert Finish("tool_calls") in events


async def test_tokens_come_one_by_one_unless_very_fast() -> None:
    text = "a " * 20
    slow = await read_all(
        await send(SimulatedTransport(SimulateSettings(text, tokens_per_second=400)), encoded(HI_STREAM))
    )
    fast = await read_all(
        await send(SimulatedTransport(SimulateSettings(text, tokens_per_second=5000)), encoded(HI_STREAM))
    )
    assert sum(b'"content":"a ' in piece for piece in slow) == 20
    assert sum(b'"content":"a a a' in piece for piece in fast) == 2
    assert len(slow) > len(fast) > 2


async def test_a_cancelled_read_loses_nothing() -> None:
    response = await send(SimulatedTransport(SimulateSettings("hello", delay_s=0.01)), encoded(HI_STREAM))
    reading = asyncio.ensure_future(response.read())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert b"hello" in b"".join(await read_all(response))


async def test_embeddings() -> None:
    body = b'{"input":["a","b","a"],"dimensions":4}'
    call = CODEC.encode_embeddings(embeddings_request(body), Model("m-1"))
    (data,) = await read_all(await send(SimulatedTransport(SimulateSettings()), call))
    answer = CODEC.decode_embeddings(call, data)
    first, second, third = answer.vectors
    assert first == third != second
    assert [len(vector) for vector in answer.vectors] == [4, 4, 4]
    assert sum(float(value) ** 2 for value in first) == pytest.approx(1.0)


async def test_the_probe_never_fails() -> None:
    transport = SimulatedTransport(SimulateSettings(fail_rate=1.0, faults=("refused",)))
    response = await send(transport, CODEC.probe())
    (data,) = await read_all(response)
    assert (response.status, msgspec.json.decode(data)["object"]) == (200, "list")


async def outcome(transport: Transport, body: bytes) -> str:
    call = encoded(body)
    try:
        response = await send(transport, call)
        data = b"".join(await read_all(response))
    except Fault as fault:
        return fault.kind.value
    if response.status != 200:
        return CODEC.classify(response.status, response.headers, data).kind.value
    try:
        CODEC.decode_chat(call, data)
    except Fault as fault:
        return fault.kind.value
    return "answered"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("status_429", "rate_limited"),
        ("status_500", "server_error"),
        ("status_503", "overloaded"),
        ("status_401", "invalid_key"),
        ("status_400", "bad_request"),
        ("garbage", "invalid_response"),
        ("empty", "invalid_response"),
        ("error_body", "server_error"),
        ("cut", "broken"),
        ("refused", "connect"),
    ],
)
async def test_faults(fault: str, kind: str) -> None:
    assert await outcome(SimulatedTransport(SimulateSettings(fail_rate=1.0, faults=(fault,))), HI) == kind


async def test_a_stall_lasts_until_the_answer_is_given_up() -> None:
    transport = SimulatedTransport(SimulateSettings(fail_rate=1.0, faults=("stall",)))
    response = await send(transport, encoded(HI_STREAM))
    assert isinstance(response, SimulatedResponse)
    first = await response.read()
    assert first.startswith(b"data: ")
    assert b"[DONE]" not in first
    reading = asyncio.ensure_future(response.read())
    await asyncio.sleep(0)
    assert not reading.done()
    response.close()
    assert await reading == b""


async def test_the_same_seed_meets_the_same_failures() -> None:
    def settings(seed: int) -> SimulateSettings:
        faults = tuple(sorted(FAULTS - {"stall"}))
        return SimulateSettings(fail_rate=0.5, faults=faults, seed=seed)

    runs = []
    for seed in (1, 1, 2):
        transport = SimulatedTransport(settings(seed))
        runs.append([await outcome(transport, HI) for _ in range(50)])
    assert runs[0] == runs[1] != runs[2]
    assert 10 < runs[0].count("answered") < 40


async def test_what_is_no_request() -> None:
    transport = SimulatedTransport(SimulateSettings())
    assert (await send(transport, Encoded("/chat/completions", b"oops"))).status == 400
    assert (await send(transport, Encoded("/chat/completions", b"[]"))).status == 400
    assert (await send(transport, Encoded("/images", b"{}"))).status == 404


async def test_odd_requests_are_answered_all_the_same() -> None:
    transport = SimulatedTransport(SimulateSettings())
    for body in (b"{}", b'{"messages":5,"tools":5,"tool_choice":5}', b'{"messages":[5,{"role":"user","content":[5]}]}'):
        assert (await send(transport, Encoded("/chat/completions", body))).status == 200
    assert (await send(transport, Encoded("/embeddings", b'{"dimensions":-1}'))).status == 200


def test_a_refused_connection_is_the_network_s_fault() -> None:
    transport = SimulatedTransport(SimulateSettings(fail_rate=1.0, faults=("refused",)))
    with pytest.raises(Fault) as caught:
        asyncio.run(send(transport, encoded(HI)))  # type: ignore[arg-type]
    assert caught.value.kind is FaultKind.CONNECT
