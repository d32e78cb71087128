"""The operator `rules`: what can be asked of a request that is no matter of meaning. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules may ask about one request."""

    prompt_tokens: int  # an estimate
    needs: frozenset[str] = frozenset()  # of routing.demand.CAPABILITIES
    headers: Mapping[str, str] = field(default_factory=dict)  # asked for in lower case
    client: str | None = None  # the client key's name, as "client#1"
    language: Callable[[], str | None] = lambda: None  # of the last human turn; asked only where a rule does


@dataclass(frozen=True, slots=True)
class When:
    """Conditions that must all hold; those that are None or empty ask nothing."""

    tokens_over: int | None = None
    tokens_under: int | None = None
    needs: tuple[tuple[str, bool], ...] = ()  # a capability, and whether the request must need it or must not
    headers: tuple[tuple[str, frozenset[str] | None], ...] = ()  # a name in lower case and its values; None: any value
    clients: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()  # ISO 639-1 codes

    def holds(self, facts: Facts) -> bool:
        if self.tokens_over is not None and facts.prompt_tokens <= self.tokens_over:
            return False
        if self.tokens_under is not None and facts.prompt_tokens >= self.tokens_under:
            return False
        if any((need in facts.needs) is not wanted for need, wanted in self.needs):
            return False
        if self.clients and facts.client not in self.clients:
            return False
        if not all(_has(facts.headers, name, values) for name, values in self.headers):
            return False
        return not self.languages or facts.language() in self.languages

    def __str__(self) -> str:
        """In the file's words, short: for drawings and decisions."""
        told = [f"over {self.tokens_over:,} tokens"] if self.tokens_over is not None else []
        told += [f"under {self.tokens_under:,} tokens"] if self.tokens_under is not None else []
        told += [_WORDS[need] if wanted else f"no {_WORDS[need]}" for need, wanted in self.needs]
        told += [name if values is None else f"{name}: {'|'.join(sorted(values))}" for name, values in self.headers]
        told += ["|".join(sorted(names)) for names in (self.clients, self.languages) if names]
        return ", ".join(told) or "always"


_WORDS = {"tools": "tools", "vision": "images", "json_schema": "JSON schema"}


def _has(headers: Mapping[str, str], name: str, values: frozenset[str] | None) -> bool:
    value = headers.get(name)
    return value is not None and (values is None or value.strip() in values)
