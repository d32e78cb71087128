"""OpenAI's embeddings, as clients speak them: numbers or base64 as they asked, whatever the upstream gave."""

from __future__ import annotations

import base64
import binascii
import sys
from array import array
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from cortex.chat import Json, Usage
from cortex.dialects.members import read, read_members, read_text
from cortex.embeddings import Embeddings, EmbeddingsRequest
from cortex.errors import Fault, FaultKind, bad_request

_Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]
_Token: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
_Tokens: TypeAlias = Annotated[list[_Token], msgspec.Meta(min_length=1)]

# One list cannot be told from another before its items are seen, so each form has a decoder of its own.
_INPUTS: tuple[msgspec.json.Decoder[Any], ...] = (
    msgspec.json.Decoder(_Text),
    msgspec.json.Decoder(Annotated[list[_Text], msgspec.Meta(min_length=1)]),
    msgspec.json.Decoder(_Tokens),
    msgspec.json.Decoder(Annotated[list[_Tokens], msgspec.Meta(min_length=1)]),
)
_FORMAT = msgspec.json.Decoder(Literal["float", "base64"] | None)
_DIMENSIONS = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=1)] | None)


def parse(body: bytes) -> EmbeddingsRequest:
    """Raises Fault(BAD_REQUEST), with the member at fault as its `param`."""
    members = read_members(body)
    cache = members.pop("cache", None)
    _check_input(members.get("input"))
    read(members, "dimensions", _DIMENSIONS, "a positive integer")
    encoding = read(members, "encoding_format", _FORMAT, '"float" or "base64"')
    return EmbeddingsRequest(members, model=read_text(members, "model"), base64=encoding == "base64", cache=cache)


def render(embeddings: Embeddings, request: EmbeddingsRequest) -> bytes:
    """The JSON answer. Raises Fault(INVALID_RESPONSE) if a vector is not what it should be."""
    usage = embeddings.usage or Usage(request.prompt_tokens, 0, estimated=True)
    told: dict[str, Json] = {"prompt_tokens": usage.prompt_tokens, "total_tokens": usage.total_tokens}
    if usage.estimated:
        told["estimated"] = True
    vector = _as_base64 if request.base64 else _as_numbers
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": vector(given)}
                for index, given in enumerate(embeddings.vectors)
            ],
            "model": embeddings.model,
            "usage": told,
        }
    )


def _check_input(value: msgspec.Raw | None) -> None:
    if value is None:
        raise bad_request("`input` is missing", param="input")
    for decoder in _INPUTS:
        try:
            decoder.decode(value)
        except msgspec.ValidationError:
            continue
        return
    raise bad_request(
        "`input` must be a string, a list of strings, a list of token ids, or a list of lists of token ids; none empty",
        param="input",
    )


def _as_base64(vector: Sequence[float] | str) -> str:
    if isinstance(vector, str):
        return vector
    try:
        return base64.b64encode(_little_endian(array("f", vector)).tobytes()).decode("ascii")
    except (TypeError, OverflowError):
        raise _invalid("a vector that is not a list of numbers") from None


def _as_numbers(vector: Sequence[float] | str) -> Sequence[float]:
    if not isinstance(vector, str):
        return vector
    numbers = array("f")
    try:
        numbers.frombytes(base64.b64decode(vector, validate=True))
    except (binascii.Error, ValueError):
        raise _invalid("a vector that is not base64 of 32-bit floats") from None
    return _little_endian(numbers).tolist()


def _little_endian(numbers: array[float]) -> array[float]:
    """To or from the wire's byte order."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _invalid(what: str) -> Fault:
    return Fault(FaultKind.INVALID_RESPONSE, f"the upstream answered {what}")
