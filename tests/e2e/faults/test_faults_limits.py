"""Refusals: who is to blame for which, what it costs the key or the candidate, and what the client is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import upstream_replies as replies
from tests.support.clients import OPENAI
from tests.support.fault_table import fault
from tests.support.scene import KEYS, SOUND, Case, Scene, Told, cases, moves_on
from tests.support.upstream import Script
from tests.support.upstream_replies import Reply
from tests.support.wires import ANTHROPIC, GEMINI, OLLAMA, WIRES
from tests.support.wires import OPENAI as OPENAI_WIRE

COOLDOWN_S, DAY_S, HOUR_S = 900, 24 * 3600, 3600
SLACK_S = 30  # between the refusal and the look at the key
NAMELESS = [wire for wire in WIRES if wire is not ANTHROPIC]  # whose rate limits may name no wait


def limited(case: Case, **headers: str) -> Reply:
    return case.wire.refusal(429, f"Rate limit reached for {KEYS[0]}", headers=headers)


def is_blocked(told: Told, status: str, for_s: float) -> None:
    (key,) = told.scene.keys(told.case)
    assert (key.status, key.errors) == (status, 1), told
    assert key.blocked_for_s is not None
    assert for_s - SLACK_S < key.blocked_for_s <= for_s, told


# Rate limits

_SENT = "Sun, 22 Nov 2026 10:00:00 GMT"
Headers = tuple[tuple[str, str], ...]
RETRY_AFTER: dict[Headers, float] = {
    (("Retry-After", "120"),): 120,
    (("Retry-After", "1.5e2"),): 150,
    (("Retry-After", "Sun, 22 Nov 2026 10:05:00 GMT"), ("Date", _SENT)): 300,
    (("Retry-After", "2m30s"),): 150,
    (("Retry-After-Ms", "180000"), ("Retry-After", "9")): 180,
    (("Retry-After", "1e12"),): DAY_S,
}
MEANINGLESS: list[Headers] = [
    *((("Retry-After", value),) for value in ("9" * 400, "-5", "soon", "nan", "inf", "")),
    (("Retry-After", "Sun, 99 Foo 2026 10:05:00 GMT"), ("Date", _SENT)),
]


@fault(29)
async def test_any_retry_after_moves_on_and_only_one_that_makes_sense_counts() -> None:
    played = cases(clients=[OPENAI], variants=list(RETRY_AFTER))
    played += cases(clients=[OPENAI], wires=NAMELESS, variants=MEANINGLESS)
    async with Scene(lambda case: limited(case, **dict(case.variant)), played) as scene:
        for told in await scene.ask():
            told.moved_on("rate_limited")
            told.blames("key")
            is_blocked(told, "cooling", RETRY_AFTER.get(told.case.variant, COOLDOWN_S))


@fault(29)
async def test_a_wait_that_is_over_cools_nothing() -> None:
    past = {"Retry-After": "Sun, 22 Nov 2026 09:00:00 GMT", "Date": _SENT}
    variants = ({"Retry-After": "0"}, past)
    async with Scene(lambda case: limited(case, **case.variant), cases(variants=variants)) as scene:
        for told in await scene.ask():
            told.moved_on("rate_limited")
            (key,) = scene.keys(told.case)
            assert (key.status, key.errors) == ("available", 1), told


@fault(30)
async def test_a_bare_429_cools_the_key_for_key_cooldown() -> None:
    def settings(case: Case) -> dict[str, Any]:
        return {} if case.variant == COOLDOWN_S else {"key_cooldown": f"{case.variant}s"}

    async with Scene(limited, cases(wires=NAMELESS, variants=(COOLDOWN_S, 420)), settings=settings) as scene:
        for told in await scene.ask():
            told.moved_on("rate_limited")
            told.blames("key")
            is_blocked(told, "cooling", told.case.variant)


@fault(29, 30)
async def test_the_next_key_of_the_same_candidate_comes_first() -> None:
    def script(case: Case) -> Script:
        return {KEYS[0]: limited(case), KEYS[1]: case.wire.speaking(["hi"])}

    async with Scene(script, keys=2) as scene:
        for told in await scene.ask():
            told.was_whole("hi")
            assert [each["key"] for each in told.decision["attempts"]] == [
                f"{scene.name(told.case)}#{n}" for n in (1, 2)
            ]
            assert told.decision["attempts"][0]["next"] == "key"
        for told in await scene.ask():
            told.was_whole("hi")
            assert len(told.attempts) == 1, told
            assert scene.upstream(told.case).calls(KEYS[0]) == 1, "a cooling key was called"


# No money

SPENT = (
    (429, "insufficient_quota"),
    (429, "credit_balance_exhausted"),
    (429, "organization_spend_limit_exceeded"),
    (429, "project_spend_limit_exceeded"),
    (429, "billing_hard_limit_reached"),
    (402, ""),
)


@fault(31)
async def test_without_money_every_key_is_parked_and_the_next_candidate_asked_at_once() -> None:
    """A Retry-After does not bring money back."""

    def script(case: Case) -> Reply:
        status, code = case.variant
        return case.wire.refusal(status, "You have run out", code, headers={"Retry-After": "1"})

    worded = cases(wires=[OPENAI_WIRE], variants=SPENT)
    by_status = cases(wires=[wire for wire in WIRES if wire is not OPENAI_WIRE], variants=SPENT[-1:])
    async with Scene(script, [*worded, *by_status], keys=2, attempts=3) as scene:
        for told in await scene.ask():
            name = scene.name(told.case)
            assert told.attempts == [(name, "quota_exhausted"), (name, "quota_exhausted"), (SOUND, "ok")], told
            assert told.view.whole, told
            told.blames("key")
            for key in scene.keys(told.case):
                assert key.status == "parked", told
                assert HOUR_S - SLACK_S < (key.blocked_for_s or 0) <= HOUR_S, told
        for told in await scene.ask(alone=True):
            told.was_refused(429, None)
            assert told.view.headers["x-should-retry"] == "false", told


@fault(31)
async def test_anthropic_s_429_that_names_no_wait_is_about_money() -> None:
    played = cases(wires=[ANTHROPIC], variants=[(), *MEANINGLESS])
    async with Scene(lambda case: limited(case, **dict(case.variant)), played) as scene:
        for told in await scene.ask():
            told.moved_on("quota_exhausted")
            told.blames("key")
            is_blocked(told, "parked", HOUR_S)


@fault(32)
async def test_gemini_s_daily_quota_parks_the_key_for_that_model_whatever_wait_it_names() -> None:
    details = [
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [
                {
                    "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
                    "quotaDimensions": {"location": "global", "model": GEMINI.model},
                }
            ],
        },
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12s"},
    ]
    message = "You exceeded your current quota. Please retry in 12.3s."
    spent = {"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}}

    def script(case: Case) -> Script:
        speaks = case.wire.speaking(["hi"])
        refusal = replies.json(spent, status=429)
        return lambda request: refusal if GEMINI.model in request.path else speaks(request)

    settings = {"models": [GEMINI.model, "gemini-other"]}
    async with Scene(script, cases(wires=[GEMINI]), settings=settings) as scene:
        for told in await scene.ask():
            told.moved_on("quota_exhausted")
            told.blames("key")
            is_blocked(told, "parked", HOUR_S)
            other = {**told.case.client.body(f"{scene.name(told.case)}/gemini-other", stream=False)}
            async with scene.gateway.client.post(told.case.client.path, json=other) as response:
                assert response.status == 200, "the same key serves another model"
            scene.asked_outside()


@fault(33)
async def test_a_limit_of_the_account_cools_its_keys_together_and_no_other() -> None:
    def script(case: Case) -> Script:
        speaks = case.wire.speaking(["hi"])
        return {KEYS[0]: limited(case, **{"Retry-After": "60"}), KEYS[1]: speaks, KEYS[2]: speaks}

    keys: list[Any] = [{"value": KEYS[0], "account": "org"}, {"value": KEYS[1], "account": "org"}, KEYS[2]]
    async with Scene(script, settings={"keys": keys}) as scene:
        for told in await scene.ask():
            told.was_whole("hi")
            name = scene.name(told.case)
            assert [each["key"] for each in told.decision["attempts"]] == [f"{name}#1", f"{name}#3"], told
            assert [key.status for key in scene.keys(told.case)] == ["cooling", "cooling", "available"], told
            assert [key.errors for key in scene.keys(told.case)] == [1, 0, 0], "one key has failed"
            assert not scene.upstream(told.case).calls(KEYS[1])


# Keys and models


@fault(34)
async def test_a_refused_key_is_disabled_with_an_alarm_and_never_the_client_s_fault() -> None:
    def script(case: Case) -> Reply:
        return case.wire.refusal(case.variant, f"Incorrect API key provided: {KEYS[0]}")

    async with Scene(script, cases(variants=(401, 403))) as scene:
        for told in await scene.ask(alone=True):
            told.was_refused(502, None, "invalid_key", "no_permission")
            told.blames("key")
            assert [key.status for key in scene.keys(told.case)] == ["disabled"], told
        for told in await scene.ask(alone=True):
            told.was_refused(503, "no_candidate_available")
        for told in await scene.ask():
            assert told.attempts == [(SOUND, "ok")], told
            assert len(scene.upstream(told.case).requests) == 1, "a disabled key was called"
    logged = scene.gateway.logged.getvalue()
    alarms = [line for line in logged.splitlines() if "key disabled" in line and '"level": "error"' in line]
    assert len(alarms) == len(scene.cases)
    assert all(f'"{scene.name(case)}#1"' in logged for case in scene.cases)


@fault(35)
async def test_a_model_that_is_not_there_moves_on_and_blames_nobody() -> None:
    def script(case: Case) -> Reply:
        return case.wire.refusal(404, f"model '{case.wire.model}' not found", "model_not_found")

    async with Scene(script) as scene:
        for told in await scene.ask():
            told.moved_on("model_not_found")
            told.blames(None)
        for told in await scene.ask(alone=True):
            told.was_refused(502, None, "model_not_found")


# The request's own fault


@fault(36)
async def test_a_bad_request_is_passed_through_and_blames_nobody() -> None:
    def script(case: Case) -> Reply:
        return case.wire.refusal(case.variant, "temperature must be a number")

    async with Scene(script, cases(variants=(400, 413, 422)), sections={"health": {"eject_after": 2}}) as scene:
        for _ in range(3):
            for told in await scene.ask():
                told.was_refused(told.case.variant, None, "bad_request")
                assert len(told.attempts) == 1, told
                assert "temperature must be a number" in told.view.error["message"]
                assert told.view.headers["x-should-retry"] == "false", told
                told.blames(None)
        assert not scene.sound.requests


@fault(36)
async def test_a_prompt_too_long_goes_to_a_larger_window_or_is_a_400() -> None:
    def script(case: Case) -> Reply:
        message = "This model's maximum context length is 8192 tokens, prompt is too long"
        return case.wire.refusal(400, message, "context_length_exceeded")

    async with Scene(script, sections={"health": {"eject_after": 1}}) as scene:
        for told in await scene.ask():
            told.moved_on("context_length_exceeded")
            told.blames(None)
        for told in await scene.ask(alone=True):
            told.was_refused(400, "context_length_exceeded", "context_length_exceeded")
            assert len(told.attempts) == 1, told
            told.blames(None)


# Filters and empty answers


@fault(37)
async def test_what_a_filter_has_withheld_is_an_answer() -> None:
    def script(case: Case) -> Reply:
        return case.wire.streamed(*case.wire.filtered_frames) if case.stream else replies.json(case.wire.filtered)

    filtering = [wire for wire in WIRES if wire.filtered is not None]
    async with Scene(script, cases(wires=filtering)) as scene:
        for told in await scene.ask():
            told.was_whole("", finish_reason="content_filter")
            told.blames(None)


@fault(37)
async def test_an_answer_without_a_word_is_an_answer() -> None:
    def script(case: Case) -> Reply:
        wire = case.wire
        return wire.streamed(*wire.opening, *wire.ending) if case.stream else wire.answer("")

    async with Scene(script) as scene:
        for told in await scene.ask():
            told.was_whole("")
            told.blames(None)


@fault(37)
async def test_a_refusal_by_content_filter_is_the_request_s_own() -> None:
    refusal = OPENAI_WIRE.refusal(400, "The response was filtered", "content_filter")
    async with Scene(lambda case: refusal, cases(wires=[OPENAI_WIRE])) as scene:
        for told in await scene.ask():
            told.was_refused(400, "content_filter", "content_filter")
            told.blames(None)


# Overloaded


@fault(38)
async def test_an_overloaded_provider_moves_on_and_is_blamed_not_its_key() -> None:
    def script(case: Case) -> Reply:
        return case.wire.refusal(case.variant, "Try again later", headers={"Retry-After": "60"})

    groq_s_own = cases(wires=[OPENAI_WIRE], variants=[498])
    async with Scene(script, [*groq_s_own, *cases(clients=[OPENAI], variants=(502, 503, 504, 520, 529))]) as scene:
        await moves_on(scene, "overloaded")


@fault(38)
@pytest.mark.parametrize("status", [500, 503])
async def test_ollama_s_full_queue_is_overload(status: int) -> None:
    message = "server busy, please try again. maximum pending requests exceeded"
    async with Scene(lambda case: case.wire.refusal(status, message), cases(wires=[OLLAMA])) as scene:
        await moves_on(scene, "overloaded")


@fault(38)
async def test_a_page_of_a_proxy_is_overload_too() -> None:
    async with Scene(lambda case: replies.html("<h1>Bad Gateway</h1>", status=502)) as scene:
        await moves_on(scene, "overloaded")


@fault(39)
async def test_while_every_key_is_cooling_nobody_is_called_and_the_true_wait_is_told() -> None:
    def script(case: Case) -> Reply:
        return limited(case, **{"Retry-After": str(case.variant)})

    async with Scene(script, cases(variants=(20, 120)), keys=2) as scene:
        for told in await scene.ask(alone=True):
            told.was_refused(429, "rate_limit_exceeded", "rate_limited")
            assert len(told.attempts) == 2, told
        for told in await scene.ask(alone=True):
            told.was_refused(429, "rate_limit_exceeded")
            wait_s = told.case.variant
            assert wait_s - SLACK_S < told.view.error["retry_after_s"] <= wait_s, told
            assert 1 <= int(told.view.headers["Retry-After"]) <= min(30, wait_s + 1), told
            assert told.view.headers.get("x-should-retry") == ("false" if wait_s > 30 else None), told
            assert told.view.error["type"] == "rate_limit_error", told
            assert len(scene.upstream(told.case).requests) == 2, "a cooling key was called"
