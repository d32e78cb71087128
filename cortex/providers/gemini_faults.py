"""What Gemini's errors mean: they have details, which tell the quota that is spent and how long to wait.

The wait that comes with a daily quota is not to be believed: it tells when the next minute begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from cortex.chat import Json
from cortex.errors import MAX_COOLDOWN_S, Fault, FaultKind
from cortex.providers import faults
from cortex.providers.faults import NOT_DECODABLE, Row, row
from cortex.providers.limits import duration_s

ROWS: tuple[Row, ...] = (
    row(FaultKind.QUOTA_EXHAUSTED, 429, text=r"credits are depleted|spend(ing)? (cap|limit)"),
    row(FaultKind.RATE_LIMITED, 429),  # says "exceeded your current quota" of every limit: the details tell which
    row(FaultKind.NO_PERMISSION, 400, words="FAILED_PRECONDITION"),  # the key's country, or no billing
    # What this provider cannot take, or this model; another one may.
    row(
        FaultKind.UNSUPPORTED,
        400,
        text=r"thought.?signature|is not enabled|unknown name|cannot find field|too many states|nesting depth"
        r"|at most \d+ requests|mime type",
    ),
)

_NO_QUOTA = re.compile(r"\blimit: 0\b(?!\.)")  # the account has none of this model at all


class _Violation(msgspec.Struct, rename="camel"):
    quota_id: str = ""
    quota_dimensions: dict[str, Json] | None = None


class _Detail(msgspec.Struct, rename="camel"):
    """One of several kinds, each with members of its own."""

    retry_delay: str | None = None
    violations: list[_Violation] | None = None


def classify(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """An error answer → its fault. Raises nothing."""
    fault = faults.classify(status, headers, body, rows=ROWS)
    try:
        return _with_details(fault, msgspec.json.decode(body))
    except NOT_DECODABLE:
        return fault


def classify_error(error: Json) -> Fault:
    """The same for an error inside an answer that began with 200."""
    return _with_details(faults.classify_error(error, ROWS), error)


def _with_details(fault: Fault, error: Json) -> Fault:
    details = list(_details(error))
    violations = [violation for detail in details for violation in detail.violations or ()]
    no_quota = fault.status == 429 and bool(_NO_QUOTA.search(fault.message))
    kind, retry_after_s = fault.kind, fault.retry_after_s
    if kind is FaultKind.RATE_LIMITED and (no_quota or any("PerDay" in each.quota_id for each in violations)):
        kind = FaultKind.QUOTA_EXHAUSTED
    if kind is FaultKind.QUOTA_EXHAUSTED:
        retry_after_s = None
    else:
        # Where message and details differ, the longer: too early means to be refused again.
        waits_s = [wait_s for detail in details if (wait_s := duration_s(detail.retry_delay)) is not None]
        if waits_s:
            retry_after_s = min(max(*waits_s, retry_after_s or 0.0), MAX_COOLDOWN_S)
    of_model = no_quota or any(
        "model" in (each.quota_dimensions or ()) or "PerModel" in each.quota_id for each in violations
    )
    return Fault(
        kind,
        fault.message,
        status=fault.status,
        code=fault.code,
        param=fault.param,
        retry_after_s=retry_after_s,
        model_scoped=fault.model_scoped or of_model,
    )


def _details(error: Json) -> Iterator[_Detail]:
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, dict) and isinstance(error.get("error"), dict):
        error = error["error"]
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        try:
            yield msgspec.convert(detail, _Detail)
        except msgspec.ValidationError:
            continue
