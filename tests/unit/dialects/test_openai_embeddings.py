"""Embeddings: the input's forms, and both encodings whatever the upstream gave."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse

from cortex.chat import Usage
from cortex.dialects.openai_embeddings import parse, render
from cortex.embeddings import Embeddings, EmbeddingsRequest
from cortex.errors import Fault, FaultKind

NUMBERS = [0.5, -2.0, 0.0]  # exact as 32-bit floats
BASE64 = base64.b64encode(struct.pack("<3f", *NUMBERS)).decode()


def request(**members: Any) -> EmbeddingsRequest:
    return parse(json.dumps({"input": "Hi", **members}).encode())


def rendered(embeddings: Embeddings, asked: EmbeddingsRequest) -> dict[str, Any]:
    out: dict[str, Any] = json.loads(render(embeddings, asked))
    if not asked.base64:  # the SDK's type knows the decoded form only
        CreateEmbeddingResponse.model_validate(out)
    return out


@pytest.mark.parametrize("value", ["Hi", ["Hi", "you"], [1, 2, 3], [[1, 2], [3]]])
def test_every_form_of_input(value: object) -> None:
    asked = request(input=value, model="m", user="u", dimensions=3)
    assert asked.model == "m"
    assert asked.body == {"input": value, "model": "m", "user": "u", "dimensions": 3}
    assert not asked.base64


@pytest.mark.parametrize(
    "value", ["", [], [""], ["Hi", ""], [[]], [[1], []], ["Hi", 1], [-1], [1.5], [True], None, {}, 7]
)
def test_other_inputs_are_refused(value: object) -> None:
    with pytest.raises(Fault) as caught:
        request(input=value)
    assert caught.value.param == "input"
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [("encoding_format", "hex"), ("encoding_format", 1), ("dimensions", 0), ("dimensions", "3"), ("model", 1)],
)
def test_parse_refuses(name: str, value: object) -> None:
    with pytest.raises(Fault) as caught:
        request(**{name: value})
    assert caught.value.param == name


def test_a_missing_input_and_a_host_are_refused() -> None:
    for body, param in ((b"{}", "input"), (b'{"input":"Hi","base_url":"http://x"}', "base_url")):
        with pytest.raises(Fault) as caught:
            parse(body)
        assert caught.value.param == param


@pytest.mark.parametrize("given", [NUMBERS, BASE64])
@pytest.mark.parametrize(("encoding", "expected"), [("float", NUMBERS), ("base64", BASE64), (None, NUMBERS)])
def test_the_client_gets_the_encoding_that_it_asked_for(given: Any, encoding: str | None, expected: object) -> None:
    asked = request(encoding_format=encoding)
    assert rendered(Embeddings("m", [given, given], Usage(5, 0)), asked) == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": expected},
            {"object": "embedding", "index": 1, "embedding": expected},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }


def test_numbers_stay_as_precise_as_they_came() -> None:
    assert rendered(Embeddings("m", [[0.1]], None), request())["data"][0]["embedding"] == [0.1]


def test_usage_that_no_upstream_tells_is_estimated_and_flagged() -> None:
    asked = request(input="x" * 38)
    assert rendered(Embeddings("m", [[1.0]], None), asked)["usage"] == {
        "prompt_tokens": 10,
        "total_tokens": 10,
        "estimated": True,
    }


@pytest.mark.parametrize(
    ("vector", "encoding"),
    [("!!!!", "float"), ("AAA=", "float"), ("é", "float"), (["x"], "base64"), ([None], "base64")],
)
def test_a_vector_that_is_none_is_the_upstreams_fault(vector: Any, encoding: str) -> None:
    with pytest.raises(Fault) as caught:
        render(Embeddings("m", [vector], None), request(encoding_format=encoding))
    assert caught.value.kind is FaultKind.INVALID_RESPONSE
