from __future__ import annotations

import pytest

from cortex.errors import Fault, FaultKind
from cortex.ndjson import NdjsonDecoder


def test_lines_end_at_lf_and_blank_ones_are_left_out() -> None:
    assert NdjsonDecoder().feed(b'{"a":1}\n\r\n  \n{"b":2}\r\n') == [b'{"a":1}', b'{"b":2}']


def test_a_line_comes_when_its_end_has_come() -> None:
    decoder = NdjsonDecoder()
    assert decoder.feed(b'{"a"') == []
    assert decoder.rest() == b'{"a"'
    assert decoder.feed(b":1}\n{") == [b'{"a":1}']
    assert decoder.rest() == b"{"


@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_a_line_beyond_the_bound_is_a_fault(chunk: int) -> None:
    body = b"fits\n" + b"x" * 65 + b"\n"
    decoder = NdjsonDecoder(max_line_bytes=64)
    with pytest.raises(Fault) as caught:
        for start in range(0, len(body), chunk):
            decoder.feed(body[start : start + chunk])
    assert caught.value.kind is FaultKind.INVALID_RESPONSE
