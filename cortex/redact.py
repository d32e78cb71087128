"""Taking secrets out of text that leaves the process: logs, error messages, diagnostics.

Promises that a known secret never passes, and that what looks like one does not pass either. Meant for prose: an
identifier that is random by design (a trace id) looks like a secret, so identifiers go beside the text, not through it.
Must not know where a secret comes from or where the text goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

REDACTED = "[redacted]"
MAX_TEXT_CHARS = 16 * 1024

# A secret this short says too little to be looked for: taking "a" out of every text would leave none.
_MIN_SECRET_CHARS = 4
# Up to here a secret may be an ordinary word ("test"), and is taken out only where it stands alone.
_MAX_WORD_CHARS = 7

_PATTERNS = (
    re.compile(r"\b(?i:bearer)\s+[A-Za-z0-9._~+/=-]{6,}"),
    re.compile(r"\bg?sk[-_][A-Za-z0-9_-]{6,}"),
    re.compile(r"\b(?:xai-|hf_|gh[a-z]_|glpat-)[A-Za-z0-9_-]{12,}"),
    re.compile(r"\bAIza[A-Za-z0-9_-]{6,}"),
    re.compile(r"\bxox[a-z]-[A-Za-z0-9-]{6,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){0,2}"),
)
_LONG_TOKEN = re.compile(r"[A-Za-z0-9+_=-]{32,}")
_HEX_RUN = re.compile(r"[0-9a-fA-F]{32,}")
_RUN = re.compile(r"[A-Za-z0-9]{16,}")


class Redactor:
    """Replaces secrets by `[redacted]`: the given ones exactly, others by their looks."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Longest first, so that a secret is not left half standing because another is its beginning.
        known = sorted({secret for secret in secrets if len(secret) >= _MIN_SECRET_CHARS}, key=len, reverse=True)
        self._known = re.compile("|".join(map(_exactly, known))) if known else None

    def redact(self, text: str) -> str:
        """The text without secrets, cut at `MAX_TEXT_CHARS` characters."""
        # Known secrets go first and from the whole text: a cut must not leave the first half of one.
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        if len(text) > MAX_TEXT_CHARS:
            text = text[:MAX_TEXT_CHARS].rpartition(" ")[0] + " …"
        for pattern in _PATTERNS:
            text = pattern.sub(REDACTED, text)
        return _LONG_TOKEN.sub(_redact_if_random, text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _exactly(secret: str) -> str:
    pattern = re.escape(secret)
    return pattern if len(secret) > _MAX_WORD_CHARS else rf"(?<!\w){pattern}(?!\w)"


def _redact_if_random(match: re.Match[str]) -> str:
    token = match.group()
    return REDACTED if _looks_random(token) else token


def _looks_random(token: str) -> bool:
    """Whether a long token is a key rather than a model's name: hexadecimal, or a long run of mixed characters."""
    if _HEX_RUN.search(token):
        return True
    return any(
        any(c.isdigit() for c in run) and any(c.islower() for c in run) and any(c.isupper() for c in run)
        for run in _RUN.findall(token)
    )
