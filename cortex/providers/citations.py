"""What an answer cites, as OpenAI has it: a page, and the part of the text that leads to it."""

from __future__ import annotations

from typing import Any

from cortex.chat import Json

MAX_CITATIONS = 4096  # of one answer


def url_citation(start: int, end: int, url: Any, title: Any) -> dict[str, Json] | None:
    """An annotation; None if what is cited has no URL. `start` and `end` count characters of the answer's text."""
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        return None
    cited = {"start_index": start, "end_index": end, "url": url, "title": title if isinstance(title, str) else ""}
    return {"type": "url_citation", "url_citation": cited}
