"""What every provider must be shown to do, and which test shows it: docs/providers.md is made of this.

    @proves("gemini", "embeddings")
    async def test_embeddings(...): ...

A cell of the table, a provider's type and a capability, has proofs, or it stands in `NONE` with the reason.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cortex.config.provider_types import PROVIDER_TYPES

# What each shows, in words that follow "through Cortex, with OpenAI's own client:".
CAPABILITIES: Mapping[str, str] = {
    "chat": "a question has its answer, whole",
    "stream": "the answer comes token by token",
    "tools": "the model is offered tools and calls one",
    "parallel tools": "it calls several at once",
    "tool stream": "a call comes in pieces, and is whole at the end",
    "tool round trip": "a tool's result goes back, and the model speaks",
    "image": "the model is shown an image",
    "JSON schema": "the answer keeps to a schema",
    "stop": "words that end the answer reach the model",
    "usage": "tokens are counted, of streams too",
    "reasoning": "an effort can be asked for, and what comes of it is told",
    "embeddings": "texts become vectors",
    "errors": "an upstream's refusal is the client's exception for it",
    "cancel": "a client that leaves ends the call",
}

# It answers in this process, and stands for an OpenAI-compatible provider.
_NO_UPSTREAM = frozenset({"simulated"})
PROVIDERS = tuple(name for name in sorted(PROVIDER_TYPES) if name not in _NO_UPSTREAM)

NONE: Mapping[tuple[str, str], str] = {
    ("anthropic", "embeddings"): "Anthropic offers none: the request goes to another candidate, or is refused with 400",
}

_FOLDER = Path(__file__).parents[1] / "e2e"
_T = TypeVar("_T", bound=Callable[..., object])


@dataclass(frozen=True, order=True)
class Proof:
    provider: str
    capability: str
    test: str  # as pytest names it: file::function, and the case in brackets if it has one

    @property
    def file(self) -> str:
        return self.test.partition("::")[0]


@dataclass(frozen=True)
class _Claim:
    provider: str
    capability: str
    case: str | None


def proves(provider: str, *capabilities: str, case: str | None = None) -> Callable[[_T], _T]:
    """The decorated test shows these of a type of provider. `case`: which of a parametrised test's cases does."""

    def claim(test: _T) -> _T:
        claims = [_Claim(provider, capability, case) for capability in capabilities]
        test.__dict__.setdefault("proves", []).extend(claims)
        return test

    return claim


def proofs() -> list[Proof]:
    """Of all tests of providers, in order."""
    return sorted(_found())


def _found() -> Iterator[Proof]:
    for path in sorted(_FOLDER.glob("test_provider_*.py")):
        module = importlib.import_module(f"tests.e2e.{path.stem}")
        for name, test in vars(module).items():
            for claim in getattr(test, "proves", ()):
                case = "" if claim.case is None else f"[{claim.case}]"
                yield Proof(claim.provider, claim.capability, f"tests/e2e/{path.name}::{name}{case}")
