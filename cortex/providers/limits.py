"""When a provider that refuses will take requests again: every form in which they say it, as seconds.

Pure: there is no clock here, so a date counts from the answer's own `date` header and means nothing without one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from cortex.errors import MAX_COOLDOWN_S

_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PIECE = r"\d{1,12}(?:\.\d{1,12})?(?:ms|us|µs|ns|h|m|s)"  # `ms` is tried before `m`
_DURATION = re.compile(rf"(?:{_PIECE})+")
_PIECES = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(ms|us|µs|ns|h|m|s)")
_IN_TEXT = re.compile(rf"(?:try again|retry) in ((?:{_PIECE})+)", re.IGNORECASE)
# What limits count, and how the headers are called that tell of it.
_COUNTED = ("requests", "tokens", "input-tokens", "output-tokens")
_STYLES = ("x-ratelimit-{1}-{0}", "anthropic-ratelimit-{0}-{1}")
_NUMBER = re.compile(r"\d{1,300}(?:\.\d{1,20})?(?:e\d{1,3})?", re.IGNORECASE | re.ASCII)


def retry_after_s(status: int, headers: Mapping[str, str], message: str, kind: str = "") -> float | None:
    """The wait that the provider names, clamped to a day; None if it names none that makes sense.

    `kind` is the error's type, which may tell whether requests or tokens have run out. In order of trust: the
    retry-after headers, the message, and for a 429 the reset times of what has run out.
    """
    wait_s = _named_wait(headers)
    if wait_s is None:
        wait_s = _in_text(message)
    if wait_s is None and status == 429:
        wait_s = _reset(headers, f"{kind} {message}")
    return None if wait_s is None else min(wait_s, MAX_COOLDOWN_S)


def passes_by_itself(headers: Mapping[str, str]) -> bool:
    """Whether the headers show a limit that time lifts: they name a wait, or say what has run out."""
    spent = (headers.get(style.format(what, "remaining"), "") for what in _COUNTED for style in _STYLES)
    return _named_wait(headers) is not None or any(left.strip() == "0" for left in spent)


def duration_s(text: str | None) -> float | None:
    """`7.66s`, `2m59.56s`, `900ms`, or a bare number of seconds."""
    if text is None:
        return None
    text = text.strip()
    if (number := _number(text, 1.0)) is not None:
        return number
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(value) * _UNIT_S[unit] for value, unit in _PIECES.findall(text))


def _named_wait(headers: Mapping[str, str]) -> float | None:
    wait_s = _number(headers.get("retry-after-ms"), 1e-3)
    return _retry_after(headers.get("retry-after"), headers.get("date")) if wait_s is None else wait_s


def _number(text: str | None, unit_s: float) -> float | None:
    if text is None or not _NUMBER.fullmatch(text.strip()):
        return None
    number = float(text) * unit_s
    return number if math.isfinite(number) else MAX_COOLDOWN_S


def _retry_after(value: str | None, date: str | None) -> float | None:
    wait_s = duration_s(value)
    return _until(value, date) if wait_s is None else wait_s


def _until(value: str | None, date: str | None) -> float | None:
    """From the answer's own date to that date."""
    if value is None or date is None:
        return None
    until, now = _date(value), _date(date)
    return None if until is None or now is None else max(0.0, (until - now).total_seconds())


def _date(text: str) -> datetime | None:
    """A date as HTTP writes it, or as RFC 3339 does."""
    text = text[:64].strip()
    try:
        date = datetime.fromisoformat(text) if text[4:5] == "-" else parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _in_text(message: str) -> float | None:
    found = _IN_TEXT.search(message)
    return duration_s(found.group(1)) if found else None


def _reset(headers: Mapping[str, str], text: str) -> float | None:
    """The reset of what has run out; where that is not told, the later one: too early means to be refused again."""
    resets: dict[str, float] = {}
    spent: list[str] = []
    for what in _COUNTED:
        for style in _STYLES:
            reset = headers.get(style.format(what, "reset"))
            reset_s = duration_s(reset)
            if reset_s is None:
                reset_s = _until(reset, headers.get("date"))
            if reset_s is not None:
                resets[what] = reset_s
                if headers.get(style.format(what, "remaining"), "").strip() == "0":
                    spent.append(what)
    named = [what for what in resets if what in text.lower()]
    return max((resets[what] for what in spent or named or resets), default=None)
