"""Content codings: the right bytes in any pieces, bounded output, and a fault for whatever does not decode."""

from __future__ import annotations

import contextlib
import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.content_coding import MAX_OUTPUT_BYTES, inflater
from cortex.errors import Fault, FaultKind


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate, bare": raw_deflate,
}


def decode(coding: str, pieces: Iterable[bytes]) -> list[bytes]:
    """What each `take` gives."""
    decoder = inflater(coding)
    assert decoder is not None
    output = []
    for piece in pieces:
        decoder.feed(piece)
        while data := decoder.take():
            output.append(data)
    decoder.finish()
    return output


@pytest.mark.parametrize("coding", PACK)
@given(data=st.binary(max_size=2000), size=st.integers(1, 50))
def test_any_chunking_decodes_to_the_same_bytes(coding: str, data: bytes, size: int) -> None:
    packed = PACK[coding](data)
    pieces = [packed[start : start + size] for start in range(0, len(packed), size)]
    assert b"".join(decode(coding.partition(",")[0], pieces)) == data


@pytest.mark.parametrize("value", ["", "identity", " Identity "])
def test_identity_needs_no_decoder(value: str) -> None:
    assert inflater(value) is None


@pytest.mark.parametrize("value", ["GZIP", " gzip ", "x-gzip"])
def test_gzip_by_its_other_spellings(value: str) -> None:
    assert b"".join(decode(value, [gzip.compress(b"text")])) == b"text"


@pytest.mark.parametrize("value", ["br", "zstd", "gzip, gzip", "deflate, gzip", "x" * 1000])
def test_other_codings_are_refused(value: str) -> None:
    with pytest.raises(Fault) as caught:
        inflater(value)
    assert caught.value.kind is FaultKind.INVALID_RESPONSE
    assert len(caught.value.message) < 200


def test_a_bomb_comes_out_in_bounded_pieces_and_little_memory() -> None:
    size = 16 * MAX_OUTPUT_BYTES
    bomb = gzip.compress(bytes(size))
    tracemalloc.start()
    decoder = inflater("gzip")
    assert decoder is not None
    decoder.feed(bomb)
    total = 0
    while data := decoder.take():
        assert len(data) <= MAX_OUTPUT_BYTES
        total += len(data)
    decoder.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == size
    assert peak < 4 * MAX_OUTPUT_BYTES


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@given(data=st.binary(min_size=1, max_size=200))
def test_garbage_raises_only_a_fault(coding: str, data: bytes) -> None:
    with contextlib.suppress(Fault):  # it may happen to decode
        decode(coding, [data])


def test_bad_data_is_an_invalid_response() -> None:
    with pytest.raises(Fault) as caught:
        decode("gzip", [b"this is no gzip"])
    assert caught.value.kind is FaultKind.INVALID_RESPONSE


def test_a_wrong_checksum_is_an_invalid_response() -> None:
    packed = bytearray(gzip.compress(b"text"))
    packed[-5] ^= 1
    with pytest.raises(Fault) as caught:
        decode("gzip", [bytes(packed)])
    assert caught.value.kind is FaultKind.INVALID_RESPONSE


def test_bytes_after_the_end_are_an_invalid_response() -> None:
    with pytest.raises(Fault) as caught:
        decode("gzip", [gzip.compress(b"text") + b"more"])
    assert caught.value.kind is FaultKind.INVALID_RESPONSE


@given(kept=st.integers(1, 30))
def test_a_cut_is_broken_and_what_came_before_it_stands(kept: int) -> None:
    packed = gzip.compress(b"some text, long enough to be cut")
    decoder = inflater("gzip")
    assert decoder is not None
    decoder.feed(packed[:kept])
    assert b"some text, long enough to be cut".startswith(decoder.take())
    with pytest.raises(Fault) as caught:
        decoder.finish()
    assert caught.value.kind is FaultKind.BROKEN


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_an_empty_body_is_whole(coding: str) -> None:
    assert decode(coding, [b""]) == []
