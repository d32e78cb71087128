"""The semantic tier: a question that was answered before in other words, where everything else of the request is alike.

What is compared is the last human turn, and that only where it is one plain text of a human's; it is `cache.guards` and
the calibrated threshold that say whether two questions are one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cache.key import NoKey, Scope
from cortex.chat import Json
from cortex.embedding.service import EmbeddingService
from cortex.operation import Operation
from routing.semantic.features import Reading
from routing.semantic.turn import human_text

if TYPE_CHECKING:
    from cache.semantic import Match, SemanticIndex, Vector


class Question(msgspec.Struct):
    """A last human turn, and the digest of all else that was asked."""

    text: str
    scope: bytes
    vector: Vector | None = None  # once it is known
    nearest: str | None = None  # why the most similar question was not taken for the same


def question_of(operation: Operation, keys: Scope, also: tuple[Json, ...]) -> Question | None:
    """None: the last turn is not one human's text alone, so that nothing may be compared."""
    try:
        said = msgspec.json.decode(operation.body)
        last = said["messages"][-1]
        text = _taken_out(last) if last["role"] == "user" else None
        if not text or human_text(text) != text.strip():
            return None
        return Question(text, keys.digest(msgspec.json.encode(said), operation.besides, ("question", *also)))
    except (msgspec.MsgspecError, LookupError, TypeError, NoKey):
        return None


def _taken_out(message: dict[str, Json]) -> str | None:
    """The one text of a message, which is left without it."""
    content = message["content"]
    if isinstance(content, str):
        message["content"] = None
        return content
    texts = [part for part in content if part["type"] == "text"]
    if len(texts) != 1 or not isinstance(text := texts[0]["text"], str):
        return None
    texts[0]["text"] = None
    return text


class Similar:
    """What is known of questions, as one configuration compares them."""

    def __init__(
        self,
        questions: SemanticIndex,
        service: EmbeddingService,
        *,
        threshold: float,
        max_age_s: float,
        within_s: float,
    ) -> None:
        """`max_age_s` of an answer to another question; `within_s` is granted to a question's vector."""
        self.max_age_s = max_age_s
        self._questions = questions
        self._service = service
        self._threshold = threshold
        self._within_s = within_s

    async def find(self, question: Question, left_s: float) -> Match | None:
        """The question that asks the same. `left_s` to the request: a vector may take half of it."""
        from cache.fitness import unfit

        if (why := unfit(question.text, Reading(question.text).features.language)) is not None:
            question.nearest = f"not compared: {why}"
            return None
        vector = await self._service.vector(question.text, within_s=min(self._within_s, left_s / 2))
        if vector is None:
            question.nearest = f"not compared: the embedder is {self._service.status().state}, or too slow"
            return None
        question.vector = vector
        match = self._questions.find(question.scope, question.text, vector, self._threshold)
        if match is None or match.refused is None:
            return match
        kind = match.refused.partition(":")[0]  # what follows are words of the questions, which are nobody's to read
        question.nearest = f"the nearest question ({match.similarity:.3f}) is another: {kind}"
        return None

    def remember(self, question: Question, key: bytes) -> None:
        if question.vector is not None:
            self._questions.add(question.scope, key, question.text, question.vector)

    def forget(self, key: bytes) -> None:
        self._questions.discard(key)

    def overview(self) -> dict[str, Json]:
        status = self._service.status()
        told = {"questions": len(self._questions), "bytes": self._questions.size_bytes, "embedder": status.state}
        return told if status.reason is None else {**told, "reason": status.reason}
