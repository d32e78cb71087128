"""Names and rates as drawings and tables show them."""

from __future__ import annotations


def cut(name: str, longest: int) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"


def as_percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.1f} %"
