"""How upstreams speak: one pure codec for each type of provider, chosen here by its type.

A new provider is a module with a codec, a row here and a golden folder; a vendor that speaks OpenAI's wire is a row in
`cortex.providers.vendors` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from cortex.providers.anthropic import AnthropicCodec
from cortex.providers.codec import Codec
from cortex.providers.cohere import CohereCodec
from cortex.providers.gemini import GeminiCodec
from cortex.providers.ollama import OllamaCodec
from cortex.providers.openai import OpenAICodec
from cortex.providers.vendors import VENDORS

CODECS: Mapping[str, Callable[[], Codec]] = {
    "anthropic": AnthropicCodec,
    "cohere": CohereCodec,
    "gemini": GeminiCodec,
    "ollama": OllamaCodec,
    **{name: partial(OpenAICodec, vendor) for name, vendor in VENDORS.items()},
}

# The codecs of those whose API has versions of which the configuration chooses one.
_VERSIONED: Mapping[str, Callable[[str], Codec]] = {"anthropic": AnthropicCodec}


def codec_for(type: str, api_version: str | None = None) -> Codec:
    """A codec for this type of provider. Raises KeyError for a type that no row names, or that has no versions."""
    return CODECS[type]() if api_version is None else _VERSIONED[type](api_version)
