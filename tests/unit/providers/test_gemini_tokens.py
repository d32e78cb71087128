from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cortex.errors import Fault, FaultKind
from cortex.providers.codec import Model
from cortex.providers.gemini_tokens import decode_count, encode_count
from tests.unit.providers.build import GOLDEN, chat_request

CASES = msgspec.json.decode((GOLDEN / "gemini" / "count_tokens.json").read_bytes())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_the_whole_request_is_counted(case: dict[str, Any]) -> None:
    call = encode_count(chat_request(msgspec.json.encode(case["client"])), Model(case["model"]))
    assert (call.method, call.path, list(call.dropped)) == ("POST", case["path"], case["dropped"])
    assert call.body == msgspec.json.encode(case["body"])
    assert decode_count(msgspec.json.encode(case["answer"])) == case["tokens"]


def test_what_cannot_be_asked_cannot_be_counted() -> None:
    with pytest.raises(Fault) as caught:
        encode_count(chat_request(b'{"messages":[{"role":"user","content":"Hi"}],"n":2}'), Model("m"))
    assert (caught.value.kind, caught.value.param) == (FaultKind.UNSUPPORTED, "n")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"oops", FaultKind.INVALID_RESPONSE),
        (b"{}", FaultKind.INVALID_RESPONSE),
        (b'{"totalTokens":"many"}', FaultKind.INVALID_RESPONSE),
        (b'{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}', FaultKind.OVERLOADED),
    ],
)
def test_what_is_no_count(body: bytes, kind: FaultKind) -> None:
    with pytest.raises(Fault) as caught:
        decode_count(body)
    assert caught.value.kind is kind
