"""An answer does not depend on how its bytes were split, and bytes of any kind bring no other exception."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cortex.upstream.answer import MAX_HEAD_BYTES, Answer

HEADS = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 503 No\r\n",
    b"HTTP/1.1 204 None\r\n",
    b"HTTP/2.0 200 OK\r\n",
    b"",
]
PIECES = [
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"X-A: 1\r\n",
    b"x-a:\r\n",
    b" folded\r\n",
    b"\r\n",
    b"\n",
    b"5\r\nwhole\r\n",
    b"3;a=b\r\nabc\r\n",
    b"0\r\n",
    b"whole",
    b"zz\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
]
bodies = st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=12).map(b"".join)
answers = st.tuples(st.sampled_from(HEADS), bodies).map(b"".join)


def read(method: str, data: bytes, cuts: list[int]) -> tuple[object, ...]:
    """All that shows of an answer after these bytes and the connection's end."""
    answer = Answer(method)
    body = b""
    start = 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        if cut > start:
            answer.feed(data[start:cut])
            body += answer.take()
            start = cut
    reusable = answer.reusable
    answer.end()
    body += answer.take()
    return answer.status, answer.headers, body, answer.complete, answer.error is None, reusable


@settings(deadline=None)
@given(method=st.sampled_from(["POST", "HEAD"]), data=answers, cuts=st.lists(st.integers(0, 400), max_size=30))
@example(method="POST", data=HEADS[0] + b"Content-Length: 5\r\n\r\nwhole" + HEADS[0], cuts=[])
@example(method="POST", data=b"HTTP/1.1 204 None\r\n\r\n\r\n", cuts=[])
@example(method="HEAD", data=HEADS[0] + b"Content-Length: 5\r\n\r\nwhole", cuts=[])
def test_any_split_gives_the_same_answer(method: str, data: bytes, cuts: list[int]) -> None:
    assert read(method, data, cuts) == read(method, data, list(range(len(data))))


@settings(deadline=None)
@given(data=answers)
def test_an_answer_is_complete_or_an_error_in_the_end(data: bytes) -> None:
    answer = Answer("POST")
    if data:
        answer.feed(data)
    answer.end()
    assert answer.complete is (answer.error is None)
    assert answer.status or not answer.complete


@settings(deadline=None)
@given(size=st.integers(500, 100_000), name=st.sampled_from([b"", b"X-A: ", b"X-A"]))
def test_a_head_is_bounded(size: int, name: bytes) -> None:
    answer = Answer("POST")
    answer.feed(HEADS[0] + name)
    fed = 0
    while answer.error is None:
        answer.feed(b"x" * size)
        fed += size
        assert fed <= MAX_HEAD_BYTES + size
