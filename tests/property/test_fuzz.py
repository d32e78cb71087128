"""The fuzz targets, with hypothesis in atheris's place: any bytes, and bytes that look like what is expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS

GOLDEN = Path(__file__).parents[1] / "golden" / "providers"
SEEDS = sorted({path.read_bytes() for path in GOLDEN.rglob("*") if path.is_file() and path.stat().st_size < 4096})
PIECES = [
    b"data: ",
    b"event: error\n",
    b"\n\n",
    b"\r",
    b'{"error":',
    b"[DONE]",
    b"null",
    b"\xff",
    b'"',
    b"}",
    b"[" * 99,
]


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A golden file with some of its bytes replaced."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 20)))
        data = data[:start] + draw(st.binary(max_size=8) | st.sampled_from(PIECES)) + data[end:]
    return data


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.binary(max_size=200) | st.lists(st.sampled_from(PIECES)).map(b"".join) | spoiled())
@settings(max_examples=60, deadline=None)
def test_only_the_declared_error_escapes(target: str, data: bytes) -> None:
    TARGETS[target](data)
