"""What a provider's error answer means: one table from status, code and wording to a kind of fault.

The codecs share the table and put rows of their own before it. The wording matters because providers use one status
for many things: a spent budget is a 429, a prompt too long a 400. Where a page comes from something in between (HTML,
or nothing at all), it says nothing about the key or the request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from cortex.chat import Json
from cortex.errors import Fault, FaultKind
from cortex.providers.limits import retry_after_s

# What decoding JSON of an unknown hand may raise: it is none, it is of another form, it is too deep, it is not UTF-8.
NOT_DECODABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)

_MAX_BODY_BYTES = 256 * 1024
_MAX_READ = 4000  # characters of a message that the table looks at
_MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Row:
    """Matches an error of one of `statuses` (all, if none) that has one of `words` or the wording `text`, if given."""

    kind: FaultKind
    statuses: frozenset[int] = frozenset()
    words: frozenset[str] = frozenset()  # codes and types
    text: re.Pattern[str] | None = None

    def matches(self, status: int, told: Told) -> bool:
        if self.statuses and status not in self.statuses:
            return False
        if not self.words and self.text is None:
            return True
        return bool({told.code, told.type} & self.words) or bool(self.text and self.text.search(told.message))


@dataclass(frozen=True, slots=True)
class Told:
    """What an error body says, whatever its shape. Empty strings where it says nothing."""

    message: str = ""
    type: str = ""
    code: str = ""
    param: str | None = None
    status: int | None = None  # an HTTP status named inside the error
    silent: bool = False  # a page of something in between: HTML, or an empty body


def row(kind: FaultKind, *statuses: int, words: str = "", text: str = "") -> Row:
    """`words` are separated by spaces; `text` is a regular expression, whatever the case."""
    return Row(kind, frozenset(statuses), frozenset(words.split()), re.compile(text, re.IGNORECASE) if text else None)


CONTEXT_WORDING = (
    r"maximum context length|exceeds the context window|prompt is too long|exceed context limit"
    r"|exceeds the maximum number of tokens|reduce the length of the messages|too many tokens(?!,? please wait)"
    r"|too large for model with|prompt too long|longer than the context length|exceeds the context length"
)

_PROVIDER_REFUSES = (400, 422)

# The first row that matches.
TABLE: Sequence[Row] = (
    row(FaultKind.TOO_LARGE_FOR_TIER, 413, words="rate_limit_exceeded tokens"),
    row(FaultKind.TOO_LARGE_FOR_TIER, 429, text=r"request too large"),
    row(
        FaultKind.OVERLOADED,
        429,
        498,
        words="capacity_exceeded server_is_overloaded overloaded_error engine_overloaded",
    ),
    row(FaultKind.OVERLOADED, 429, text=r"capacity exceeded"),
    row(FaultKind.QUOTA_EXHAUSTED, 402),
    row(
        FaultKind.QUOTA_EXHAUSTED,
        429,
        words="insufficient_quota credit_balance_exhausted organization_spend_limit_exceeded "
        "project_spend_limit_exceeded organization_usage_limit_exceeded billing_hard_limit_reached",
        text=r"exceeded your current quota|(requests|tokens) per day|calls? / month|monthly|spend(ing)? limit"
        r"|credit balance",
    ),
    row(FaultKind.RATE_LIMITED, 429),
    row(FaultKind.INVALID_KEY, 401),
    row(
        FaultKind.INVALID_KEY,
        400,
        403,
        498,
        words="invalid_api_key API_KEY_INVALID",
        text=r"(invalid|incorrect) api (key|token)|api key not valid",
    ),
    row(FaultKind.OVERLOADED, 498),
    # Before NO_PERMISSION, which blames the key for every model.
    row(
        FaultKind.MODEL_NOT_FOUND,
        400,
        403,
        404,
        words="model_not_found model_decommissioned model_permission_blocked_org model_permission_blocked_project",
        text=r"(invalid|unknown) model\b|access to (the |this )?model|model\b.{0,99}(does not exist|not found|blocked)",
    ),
    row(FaultKind.MODEL_NOT_FOUND, 404, 410),
    row(FaultKind.CONTEXT_TOO_LONG, 400, 413, 422, words="context_length_exceeded", text=CONTEXT_WORDING),
    row(
        FaultKind.CONTENT_FILTER,
        400,
        403,
        422,
        words="content_filter content_policy_violation invalid_prompt moderation_blocked",
        text=r"guardrail|content management policy",
    ),
    row(FaultKind.NO_PERMISSION, 403),
    # The model's own output was not what its tools or schema ask for: sampling luck.
    row(FaultKind.INVALID_RESPONSE, 400, words="tool_use_failed json_validate_failed"),
    row(
        FaultKind.UNSUPPORTED,
        *_PROVIDER_REFUSES,
        words="unsupported_parameter unsupported_value extra_forbidden",
        text=r"not support|unsupported|isn't supported|extra inputs are not permitted|cannot be combined with",
    ),
    row(FaultKind.BAD_REQUEST, 400, 413, 422),
    row(FaultKind.OVERLOADED, 408, 425, 502, 503, 504, *range(520, 531)),
)

# An error inside a 200 has no status: these words give it one.
_STATUS_OF_WORD: Mapping[str, int] = {
    **dict.fromkeys(("rate_limit_exceeded", "rate_limit_error", "rate_limited", "insufficient_quota"), 429),
    **dict.fromkeys(("invalid_api_key", "authentication_error"), 401),
    **dict.fromkeys(("invalid_request_error", "context_length_exceeded", "content_filter", "invalid_prompt"), 400),
    **dict.fromkeys(("overloaded_error", "overloaded", "server_is_overloaded", "capacity_exceeded"), 503),
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "timeout_error": 504,
    "model_not_found": 404,
}
_STATUS_OF_TEXT: Sequence[tuple[re.Pattern[str], int]] = (
    (re.compile(r"rate limit|too many requests|exceeded your current quota", re.IGNORECASE), 429),
    (re.compile(r"overloaded|server busy|capacity|unavailable", re.IGNORECASE), 503),
    (re.compile(CONTEXT_WORDING, re.IGNORECASE), 400),
)
_BETWEEN = frozenset({400, 403, 422})  # without an error body, these are not the provider's judgement


def classify(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    rows: Sequence[Row] = (),
    daily_requests: bool = False,
) -> Fault:
    """An error answer → its fault. `rows` come before the table. Raises nothing.

    `daily_requests`: the request counts in the headers are those of a day, so none left is a spent quota.
    """
    if 300 <= status < 400:
        return Fault(FaultKind.INVALID_RESPONSE, f"redirect refused (HTTP {status})", status=status)
    told = read_error(body)
    kind = _kind(status, told, rows)
    if kind is FaultKind.RATE_LIMITED and daily_requests and headers.get("x-ratelimit-remaining-requests") == "0":
        kind = FaultKind.QUOTA_EXHAUSTED
    return _fault(kind, status, headers, told)


def classify_error(error: Json, rows: Sequence[Row] = ()) -> Fault:
    """An error inside an answer that began with 200, as decoded JSON → its fault. Raises nothing."""
    return _without_status(told_by(error), rows)


def classify_error_body(body: bytes) -> Fault:
    """The same for a whole frame or body that is an error, whatever its shape."""
    return _without_status(read_error(body), ())


def _without_status(told: Told, rows: Sequence[Row]) -> Fault:
    status = told.status or _STATUS_OF_WORD.get(told.code) or _STATUS_OF_WORD.get(told.type)
    if status is None:
        status = next((status for text, status in _STATUS_OF_TEXT if text.search(told.message)), 500)
    return _fault(_kind(status, told, rows), status, {}, told)


def _kind(status: int, told: Told, rows: Sequence[Row]) -> FaultKind:
    if told.silent and status in _BETWEEN:
        return FaultKind.SERVER_ERROR
    for each in (*rows, *TABLE):
        if each.matches(status, told):
            return each.kind
    return FaultKind.SERVER_ERROR


_MODEL_NAMED = re.compile(r"for (the )?model [`'\"\w]|\bfor [`'\"]?[\w./:-]+[`'\"]? in organization", re.IGNORECASE)


def _fault(kind: FaultKind, status: int, headers: Mapping[str, str], told: Told) -> Fault:
    return Fault(
        kind,
        told.message[:_MAX_MESSAGE] or f"HTTP {status} without a message",
        status=status,
        code=told.code or told.type or None,
        param=told.param,
        retry_after_s=retry_after_s(status, headers, told.message, told.type),
        model_scoped=status == 429 and bool(_MODEL_NAMED.search(told.message)),
    )


def read_error(body: bytes) -> Told:
    """The error that a body tells, in any provider's shape."""
    text = body[:_MAX_BODY_BYTES].strip()
    if not text or text.startswith(b"<"):
        return Told(silent=True)
    try:
        return told_by(msgspec.json.decode(body[:_MAX_BODY_BYTES]))
    except NOT_DECODABLE:
        return Told(message=text[:_MAX_MESSAGE].decode("utf-8", "replace"))


def told_by(error: Json) -> Told:
    """The same for decoded JSON: `error` is the whole body, or what stands in its `error` member."""
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, dict) and error.get("error") is not None:
        error = error["error"]
    if not isinstance(error, dict):
        return Told(message=_words(error))
    status = next(
        (error[name] for name in ("status_code", "raw_status_code", "code") if _is_status(error.get(name))), None
    )
    param = error.get("param")
    return Told(
        message=_words(error.get("message") or error.get("detail") or error.get("error_description")),
        type=_word(error.get("type")) or _reason(error) or _detail_type(error),
        code=_code(error),
        param=param if isinstance(param, str) else None,
        status=status,
    )


def _is_status(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600


def _word(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _code(error: dict[str, Json]) -> str:
    details = error.get("details")
    return (
        _word(error.get("code"))
        or _word(error.get("status"))
        or _number_as_word(error.get("code"))
        or (_word(details.get("error_code")) if isinstance(details, dict) else "")
    )


def _number_as_word(value: Json) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and not _is_status(value) else ""


def _words(value: Json) -> str:
    """A message as text, whatever its JSON type: some are objects, or lists of complaints."""
    if value is None or isinstance(value, str):
        return (value or "")[:_MAX_READ]
    try:
        return msgspec.json.encode(value).decode()[:_MAX_READ]
    except RecursionError:
        return ""


def _reason(error: dict[str, Json]) -> str:
    """Google's word for what is wrong, among the details."""
    details = error.get("details")
    listed = details if isinstance(details, list) else ()
    return next((word for each in listed if isinstance(each, dict) and (word := _word(each.get("reason")))), "")


def _detail_type(error: dict[str, Json]) -> str:
    """The type of the first complaint where the error is a list of them."""
    detail = error.get("detail")
    if detail is None and isinstance(error.get("message"), dict):
        detail = error["message"].get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        return _word(detail[0].get("type"))
    return ""
