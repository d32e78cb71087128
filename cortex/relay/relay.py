"""The interface of a relay, and the choice of one."""

from __future__ import annotations

from typing import Protocol, cast

from cortex.chat import ChatRequest
from cortex.dialects.dialect import Dialect, Provenance
from cortex.errors import Fault
from cortex.providers.codec import Codec, Encoded, FrameDecoder
from cortex.relay.forward import Forward
from cortex.relay.rerender import Rerender
from cortex.relay.tally import Tally


class Relay(Protocol):
    """One streamed answer. Any chunking of the upstream's bytes gives the client the same lines."""

    committed: bool  # content has been seen, or the whole answer: another attempt would repeat it
    whole: bool  # the terminal marker has been seen: nothing more needs to be read
    fault: Fault | None  # set once; what was returned before stands, nothing will follow
    tally: Tally

    def feed(self, data: bytes) -> bytes:
        """Whole client frames, ready to be written; b"" while there are none. Raises nothing."""

    def end(self) -> bytes:
        """The upstream's body has ended. Sets `fault` unless the answer is whole."""


def relay_for(codec: Codec, call: Encoded, dialect: Dialect, request: ChatRequest, provenance: Provenance) -> Relay:
    decoder = codec.chat_decoder(call)
    if call.forwards == dialect.name:
        return Forward(cast(FrameDecoder, decoder), include_usage=request.include_usage)
    return Rerender(decoder, dialect.stream_renderer(request, provenance), provenance.prompt_tokens)
