"""The types of provider, one row each: what the configuration may leave out, and what it must give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ProviderType:
    """One row. `defaults` are written as in the file; what is not among them must be given."""

    defaults: Mapping[str, Any]
    timeouts: Mapping[str, float] = field(default_factory=dict)  # in seconds, before the general ones
    needs_key: bool = True
    openai_shaped: bool = True  # its base_url includes /v1
    usd_per_mtok: float | None = None  # the price of models whose own is unknown
    api_versions: tuple[str, ...] = ()  # of which the file may choose one


PROVIDER_TYPES: Mapping[str, ProviderType] = {
    "ollama": ProviderType(
        {"base_url": "http://localhost:11434", "priority": 10, "models": ["llama3"]},
        timeouts={"first_token": 300.0},  # a model that must be loaded first takes minutes
        needs_key=False,
        openai_shaped=False,
        usd_per_mtok=0.0,
    ),
    "groq": ProviderType(
        {"base_url": "https://api.groq.com/openai/v1", "priority": 20, "models": ["openai/gpt-oss-20b"]}
    ),
    "gemini": ProviderType(
        {
            "base_url": "https://generativelanguage.googleapis.com",
            "priority": 30,
            "models": ["gemini-flash-latest"],
        },
        openai_shaped=False,
    ),
    "cohere": ProviderType(
        {"base_url": "https://api.cohere.com", "priority": 40, "models": ["command-a-plus-05-2026"]},
        openai_shaped=False,
    ),
    "anthropic": ProviderType(
        {
            "base_url": "https://api.anthropic.com",
            "priority": 45,
            "models": ["claude-haiku-5-5"],
            "api_version": "2023-06-01",
        },
        openai_shaped=False,
        api_versions=("2023-06-01", "2026-10-21"),
    ),
    "openai": ProviderType({"base_url": "https://api.openai.com/v1", "priority": 50, "models": ["gpt-5.4-mini"]}),
    "mistral": ProviderType(
        {"base_url": "https://api.mistral.ai/v1", "priority": 60, "models": ["mistral-small-latest"]}
    ),
    "openai_compatible": ProviderType({"priority": 70}, needs_key=False),
    # Answers in this process: nothing is ever sent to its address.
    "simulated": ProviderType(
        {"base_url": "http://simulated.invalid/v1", "priority": 90, "models": ["simulated"], "simulate": {}},
        needs_key=False,
        usd_per_mtok=0.0,
    ),
}
