"""The vendors that speak OpenAI's wire, one row each: how a row differs is data, and nothing elsewhere asks its name.

A new OpenAI-compatible vendor is a new row and a golden folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MessageRules:
    """What a vendor asks of messages beyond OpenAI's form.

    With any rules the `developer` role becomes `system`, a refusal becomes content, a tool's result becomes one string,
    what clients keep for other vendors goes, and parts in `refused_parts` make the request unsupported.
    """

    allow: frozenset[str] | None = None  # the only members it takes; None: any
    refused_parts: frozenset[str] = frozenset({"input_audio", "file"})
    sound_models: str | None = None  # models with this in their names take sound all the same, as a bare string
    short_ids: bool = False  # tool-call ids are nine letters and digits
    strict_turns: bool = False  # see cortex.providers.openai_messages


@dataclass(frozen=True, slots=True)
class Vendor:
    """One row. Member names on the left of a mapping are OpenAI's; a rename happens before `allow` is asked."""

    forwards: str | None = "openai"  # None: its answers need rendering anew to be OpenAI's
    chat_path: str = "/chat/completions"  # below base_url, which ends in /v1
    responses: bool = False  # some of its models are asked through /responses: see cortex.providers.openai_models
    embeddings_path: str = "/embeddings"
    probe_path: str = "/models"

    rename: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # member → word → this vendor's word
    lossy: frozenset[str] = frozenset()  # members of `values` whose replaced words mean something else: named
    limits: Mapping[str, float] = field(default_factory=dict)  # member → the largest value that it takes
    words: Mapping[str, frozenset[bytes]] = field(default_factory=dict)  # member → its only values; others go
    omit: tuple[tuple[str, bytes, str], ...] = ()  # a member's value that goes for models with this in their names
    most: Mapping[str, int] = field(default_factory=dict)  # member → how many items it takes; more go elsewhere
    drop: tuple[str, ...] = ()  # taken out, and named if they asked for something
    refuse: tuple[str, ...] = ()  # a request that asks for one of these goes elsewhere
    allow: frozenset[str] | None = None  # the only members it takes, all others are dropped; None: any
    stream_usage: bool = True  # takes stream_options.include_usage; else the stream has its usage unasked
    functions_only: bool = False  # takes no other tools, and no choice among allowed tools
    schema_drop: frozenset[str] = frozenset()  # keywords that a function's parameters must not hold
    messages: MessageRules | None = None
    extra_content: bool = False  # takes tool calls in the history with what another provider said beside them

    token_ids: bool = False  # takes an embeddings input of token ids
    embeddings_rename: Mapping[str, str] = field(default_factory=dict)
    embeddings_allow: frozenset[str] | None = None

    daily_requests: bool = False  # its x-ratelimit-*-requests headers count requests a day, not a minute

    takes_all: bool = field(init=False)  # of a chat, as it is

    def __post_init__(self) -> None:
        rules = (self.rename, self.values, self.limits, self.words, self.omit, self.most, self.drop, self.refuse)
        asks = any(rules) or self.functions_only or bool(self.schema_drop) or self.messages is not None
        object.__setattr__(self, "takes_all", not asks and self.allow is None)


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


_MISTRAL_CHAT = _names(
    "model messages temperature top_p top_k max_tokens min_tokens stop random_seed metadata response_format tools "
    "tool_choice parallel_tool_calls presence_penalty frequency_penalty repetition_penalty logprobs top_logprobs n "
    "prediction reasoning_effort prompt_mode guardrails prompt_cache_key service_tier safe_prompt stream"
)
_GROQ_CHAT = _names(
    "model messages stream stream_options temperature top_p max_tokens max_completion_tokens stop seed user tools "
    "tool_choice parallel_tool_calls functions function_call response_format reasoning_effort reasoning_format "
    "include_reasoning service_tier disable_tool_validation documents citation_options compound_custom "
    "search_settings exclude_domains include_domains"
)

VENDORS: Mapping[str, Vendor] = {
    "openai": Vendor(responses=True, token_ids=True),
    "openai_compatible": Vendor(extra_content=True, token_ids=True),
    "simulated": Vendor(),
    # It answers 400 to members that it does not know, in messages too.
    "groq": Vendor(
        refuse=("logprobs", "top_logprobs", "n", "prediction", "modalities", "audio", "web_search_options"),
        drop=("frequency_penalty", "presence_penalty", "logit_bias", "metadata", "store"),
        values={"reasoning_effort": {"minimal": "low", "xhigh": "high", "max": "high"}},
        words={"service_tier": frozenset({b'"auto"', b'"on_demand"', b'"flex"', b'"performance"'})},
        omit=(("reasoning_effort", b'"none"', "gpt-oss"),),
        most={"stop": 4},
        allow=_GROQ_CHAT,
        functions_only=True,
        messages=MessageRules(allow=_names("role content tool_calls tool_call_id function_call reasoning")),
        daily_requests=True,
    ),
    # Its answers may hold content as a list of chunks, usage on the last content chunk and tool calls without type.
    # It answers 422 to members that it does not know.
    "mistral": Vendor(
        forwards=None,
        rename={"max_completion_tokens": "max_tokens", "seed": "random_seed"},
        values={
            "tool_choice": {"required": "any"},
            "reasoning_effort": dict.fromkeys(("minimal", "low", "medium", "xhigh", "max"), "high"),
        },
        lossy=frozenset({"reasoning_effort"}),
        limits={"temperature": 1.5},
        words={"service_tier": frozenset({b'"auto"', b'"standard_only"'})},
        refuse=("modalities", "audio", "web_search_options"),
        allow=_MISTRAL_CHAT,
        stream_usage=False,
        functions_only=True,
        schema_drop=frozenset({"$id", "$schema", "additionalProperties"}),
        messages=MessageRules(
            allow=_names("role content tool_calls tool_call_id name prefix"),
            sound_models="voxtral",
            short_ids=True,
            strict_turns=True,
        ),
        embeddings_rename={"dimensions": "output_dimension"},
        embeddings_allow=frozenset(
            {"model", "input", "output_dimension", "output_dtype", "encoding_format", "metadata"}
        ),
    ),
}
