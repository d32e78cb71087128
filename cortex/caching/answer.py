"""A whole answer as its upstream gave it, and what any client gets of it: the same events, each time in its own form.

The upstream's bytes are kept, not a rendering: the relays that took the first client through read them again, so that
a repeated answer cannot differ from the first. What does not tell of a single request is rendered once a form.
"""

from __future__ import annotations

import sys
from functools import lru_cache

import msgspec

from cortex.chat import Usage
from cortex.cost import cost_usd
from cortex.dialects.dialect import Provenance
from cortex.operation import Operation
from cortex.providers.codec import NO_HEADERS, Codec, Encoded
from cortex.relay import Tally
from routing.graph import Candidate

# Of the objects of an answer, and what the allocator leaves unused beside its bytes; these, its renderings and what a
# codec noted of the call are counted apart.
_OBJECTS_BYTES = 800
_RENDERED_BYTES = 232  # the dictionary of them


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Who answers, and how: known from the commit on."""

    codec: Codec
    call: Encoded  # without what was asked: `bare`
    candidate: Candidate
    route: tuple[str, ...]
    streamed: bool  # frames; else one JSON answer
    request_id: str
    created: int  # Unix time in seconds
    prompt_tokens: int  # an estimate

    def provenance(self, request_id: str) -> Provenance:
        """Of an answer that took no attempt."""
        return Provenance(request_id, self.candidate.name, self.route, list, self.prompt_tokens, self.created)


class Answer(msgspec.Struct, eq=False, gc=False):
    origin: Origin
    data: bytes  # the upstream's, whole
    tally: Tally
    asked: str  # the graph's entry
    rendered: dict[object, bytes] | None = None  # by `Operation.form`, from the first repetition on

    @property
    def usage(self) -> Usage:
        return self.tally.usage or self.tally.estimate(self.origin.prompt_tokens)

    @property
    def cost_usd(self) -> float | None:
        """What the upstream took for it; None: a price is unknown."""
        return cost_usd(self.origin.candidate, self.usage)

    @property
    def size_bytes(self) -> int:
        size = _OBJECTS_BYTES + sys.getsizeof(self.data) + _size_of_notes(self.origin.call.memo)
        if self.rendered is not None:
            size += _RENDERED_BYTES
            for rendering in self.rendered.values():
                size += 0 if rendering is self.data else sys.getsizeof(rendering)
        return size

    def render(self, operation: Operation, request_id: str) -> bytes:
        """All that the client gets as its body. `rendered`, and with it the size, may grow."""
        form, rendered = operation.form, self.rendered
        if form is not None and rendered is not None and (known := rendered.get(form)) is not None:
            return known
        origin = self.origin
        provenance = origin.provenance(request_id if form is None else origin.request_id)
        if origin.streamed:
            body = operation.replay(origin.codec, origin.call, self.data, provenance)
        else:
            body, _ = operation.answer(origin.codec, [(origin.call, self.data)], provenance)
        if form is not None:
            if rendered is None:
                rendered = self.rendered = {}
            rendered[form] = body
        return body


def bare(call: Encoded) -> Encoded:
    """As much of a call as its decoder wants to see: nothing of what was asked."""
    if call.memo is None:
        return _alike(call.path, call.dropped, call.forwards)
    return msgspec.structs.replace(call, body=b"", headers=NO_HEADERS)


@lru_cache(1024)
def _alike(path: str, dropped: tuple[str, ...], forwards: str | None) -> Encoded:
    """One for all the calls that it stands for."""
    return Encoded(path, dropped=dropped, forwards=forwards)


def _size_of_notes(memo: object) -> int:
    """Of a codec's notes on a call: names of functions, if anything."""
    return 0 if memo is None else sys.getsizeof(memo) + 2 * len(msgspec.json.encode(memo))
