from __future__ import annotations

import pytest

from cortex.providers.limits import duration_s, passes_by_itself, retry_after_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7.66s", 7.66),
        ("2m59.56s", 179.56),
        ("1h2m3s", 3723.0),
        ("6m0s", 360.0),
        ("900ms", 0.9),
        ("250us", 0.00025),
        ("12", 12.0),
        (" 1.5 ", 1.5),
        ("1e3", 1000.0),
        ("", None),
        ("-1s", None),
        ("5 s", None),
        ("s", None),
        ("1d", None),
        ("1_000", None),
        ("inf", None),
        ("٣", None),
        (None, None),
    ],
)
def test_duration(text: str | None, seconds: float | None) -> None:
    assert duration_s(text) == (None if seconds is None else pytest.approx(seconds))


def test_a_header_is_trusted_before_the_message() -> None:
    assert retry_after_s(429, {"retry-after": "3"}, "Please try again in 9s") == 3.0
    assert retry_after_s(429, {"retry-after": "later"}, "Please try again in 9s") == 9.0
    assert retry_after_s(429, {}, "Please RETRY IN 1m1s.") == 61.0


def test_resets_count_for_a_429_only() -> None:
    headers = {"x-ratelimit-reset-tokens": "9s"}
    assert retry_after_s(429, headers, "") == 9.0
    assert retry_after_s(503, headers, "") is None


@pytest.mark.parametrize("reset", ["2026-11-22T15:00:10Z", "2026-11-22T17:00:10+02:00", "2026-11-22T15:00:10.000"])
def test_a_reset_may_be_a_date_of_rfc_3339(reset: str) -> None:
    headers = {"date": "Sun, 22 Nov 2026 15:00:00 GMT", "anthropic-ratelimit-tokens-reset": reset}
    assert retry_after_s(429, headers, "") == 10.0
    assert retry_after_s(429, {"anthropic-ratelimit-tokens-reset": reset}, "") is None, "there is no clock here"


def test_the_reset_of_what_has_run_out_counts() -> None:
    headers = {
        "x-ratelimit-reset-tokens": "9s",
        "x-ratelimit-remaining-tokens": "5",
        "x-ratelimit-reset-requests": "2s",
        "x-ratelimit-remaining-requests": "0",
    }
    assert retry_after_s(429, headers, "") == 2.0


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0200"])
def test_a_date_counts_from_the_answers_own(zone: str) -> None:
    headers = {"date": f"Sun, 22 Nov 2026 15:00:00 {zone}", "retry-after": f"Sun, 22 Nov 2026 15:00:10 {zone}"}
    assert retry_after_s(503, headers, "") == 10.0


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"retry-after": "0"}, True),
        ({"retry-after-ms": "900"}, True),
        ({"retry-after": "soon"}, False),
        ({"anthropic-ratelimit-tokens-remaining": "0"}, True),
        ({"anthropic-ratelimit-tokens-remaining": "10", "anthropic-ratelimit-tokens-reset": "9s"}, False),
        ({}, False),
    ],
)
def test_a_limit_that_time_lifts_says_so(headers: dict[str, str], passes: bool) -> None:
    assert passes_by_itself(headers) is passes
