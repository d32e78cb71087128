from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.redact import MAX_TEXT_CHARS, REDACTED, Redactor


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abc123def456",
        "gsk_abc123DEF456",
        "AIzaSyCanary-123",
        "xoxb-123456-abcdef",
        "hf_abcdefghijklmnop",
        "ghp_abcdefghijklmnop",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl",
        "d41d8cd98f00b204e9800998ecf8427e",
        "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE",
    ],
)
def test_what_looks_like_a_secret_is_taken_out(secret: str) -> None:
    assert Redactor().redact(f"key {secret}, refused") == f"key {REDACTED}, refused"


def test_an_authorization_is_taken_out_whatever_its_form() -> None:
    assert Redactor().redact("authorization: Bearer canary, ok") == f"authorization: {REDACTED}, ok"


@pytest.mark.parametrize(
    "text",
    [
        "groq/openai/gpt-oss-20b answered in 0.2 s",
        "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8",
        "meta-llama/llama-4-scout-17b-16e-instruct",
        "models.a_very_long_name_of_a_node_that_is_nothing_but_a_name",
        "http://localhost:11434/api/chat: connection refused",
        "task-management desk-research",
        "",
    ],
)
def test_what_only_is_long_or_technical_stays(text: str) -> None:
    assert Redactor(["another"]).redact(text) == text


def test_known_secrets_are_taken_out_exactly_longest_first() -> None:
    redactor = Redactor(["canary-one", "canary-one-two", "c.n.r"])
    assert redactor.redact("canary-one-two canary-one canary-on c.n.r cxnxr") == (
        f"{REDACTED} {REDACTED} canary-on {REDACTED} cxnxr"
    )


def test_a_short_secret_is_taken_out_as_a_word_only_and_a_tiny_one_never() -> None:
    redactor = Redactor(["test", "abc", ""])
    assert redactor.redact("the latest test: abc") == f"the latest {REDACTED}: abc"


def test_a_long_text_is_cut_but_never_within_a_secret() -> None:
    secret = "my canary with spaces"
    text = "x " * (MAX_TEXT_CHARS // 2 - 3) + secret + " y" * MAX_TEXT_CHARS
    redacted = Redactor([secret]).redact(text)
    assert len(redacted) <= MAX_TEXT_CHARS + 2
    assert "canary" not in redacted


def test_a_redactor_shows_nothing_of_itself() -> None:
    assert "canary" not in repr(Redactor(["canary-secret"]))


SECRETS = st.lists(st.text(min_size=8, max_size=40), min_size=1, max_size=4)


@given(secrets=SECRETS, texts=st.lists(st.text(max_size=20), max_size=6), data=st.data())
def test_no_known_secret_passes(secrets: list[str], texts: list[str], data: st.DataObject) -> None:
    pieces = data.draw(st.permutations([*secrets, *texts]))
    redacted = Redactor(secrets).redact(" | ".join(pieces))
    assert not [secret for secret in secrets if secret in redacted.replace(REDACTED, "\0")]
