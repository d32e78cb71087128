from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.chat import Usage
from cortex.cost import cost_usd
from routing.graph import Candidate

USAGE = Usage(1_000_000, 100_000, cached_tokens=600_000, cache_write_tokens=300_000, reasoning_tokens=50_000)


def candidate(
    input_usd: float | None, output_usd: float | None, cached_usd: float | None = None, write_usd: float | None = None
) -> Candidate:
    return Candidate(
        "a",
        "m",
        input_usd_per_mtok=input_usd,
        output_usd_per_mtok=output_usd,
        cached_input_usd_per_mtok=cached_usd,
        cache_write_usd_per_mtok=write_usd,
    )


def test_each_kind_of_token_has_its_price_and_reasoning_is_output() -> None:
    assert cost_usd(candidate(10, 50, 1, 12.5), USAGE) == pytest.approx(0.1 * 10 + 0.6 * 1 + 0.3 * 12.5 + 0.1 * 50)


def test_without_a_price_of_their_own_cached_tokens_are_input_like_any_other() -> None:
    assert cost_usd(candidate(10, 50), USAGE) == pytest.approx(10 + 5)
    assert cost_usd(candidate(10, 50, cached_usd=0), USAGE) == pytest.approx(0.4 * 10 + 5)


@pytest.mark.parametrize("prices", [(None, None), (None, 50), (10, None)])
def test_an_unknown_price_is_an_unknown_cost(prices: tuple[float | None, float | None]) -> None:
    assert cost_usd(candidate(*prices, 1, 1), USAGE) is None


def test_nothing_used_at_an_unknown_price_is_not_free() -> None:
    assert cost_usd(candidate(None, None), Usage(0, 0)) is None


def test_a_price_of_output_is_not_asked_for_where_there_is_none() -> None:
    assert cost_usd(candidate(0.1, None), Usage(1_000_000, 0)) == pytest.approx(0.1)


def test_what_is_free_costs_nothing() -> None:
    assert cost_usd(candidate(0, 0), USAGE) == 0


tokens = st.integers(0, 10**7)
prices = st.none() | st.floats(0, 1000)


@settings(deadline=None)
@given(prices, prices, prices, prices, tokens, tokens, tokens, tokens)
def test_a_cost_is_never_negative_and_never_below_what_the_answer_alone_costs(
    input_usd: float | None,
    output_usd: float | None,
    cached_usd: float | None,
    write_usd: float | None,
    prompt: int,
    cached: int,
    written: int,
    completion: int,
) -> None:
    usage = Usage(prompt, completion, cached_tokens=cached, cache_write_tokens=written)  # as wrong as upstreams can be
    cost = cost_usd(candidate(input_usd, output_usd, cached_usd, write_usd), usage)
    assert cost is None or cost >= completion * (output_usd or 0) / 1e6 >= 0
