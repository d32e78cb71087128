"""What an answer costs, from what it used and what its model's provider asks for it. Arithmetic only.

An unknown price makes a cost unknown, never nothing. Prices that change with a prompt's length are not known here.
"""

from __future__ import annotations

from cortex.chat import Usage
from routing.graph import Candidate


def cost_usd(candidate: Candidate, usage: Usage) -> float | None:
    """US dollars; None: a price that is needed is unknown.

    Tokens read from a cache, or written to one, have prices of their own at some providers; at the others they are
    input like any other.
    """
    input_usd, output_usd = candidate.input_usd_per_mtok, candidate.output_usd_per_mtok
    if input_usd is None or (output_usd is None and usage.completion_tokens):
        return None
    cached_usd = _first(candidate.cached_input_usd_per_mtok, input_usd)
    write_usd = _first(candidate.cache_write_usd_per_mtok, input_usd)
    plain_tokens = max(0, usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens)
    return (
        plain_tokens * input_usd
        + usage.cached_tokens * cached_usd
        + usage.cache_write_tokens * write_usd
        + usage.completion_tokens * (output_usd or 0.0)
    ) / 1e6


def _first(price: float | None, otherwise: float) -> float:
    return otherwise if price is None else price
