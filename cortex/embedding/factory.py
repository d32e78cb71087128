"""From settings to an embedder. What an embedder needs is imported when it is made, and not before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cortex.embedding.embedder import Embedder, EmbedderError

EmbedderType = Literal["builtin", "static", "none", "sentence_transformers"]


@dataclass(frozen=True, slots=True)
class EmbedderSettings:
    """`model` (a folder, or a name on the hub) and `device` (torch's) count for `sentence_transformers` alone."""

    type: EmbedderType = "builtin"
    model: str | None = None
    device: str | None = None


def make_embedder(settings: EmbedderSettings) -> Embedder:
    """Blocking: loads, for seconds perhaps. Raises EmbedderError."""
    match settings.type:
        case "builtin":
            from cortex.embedding.builtin import BuiltinEmbedder

            return BuiltinEmbedder()
        case "static":
            from cortex.embedding.static import StaticEmbedder

            return StaticEmbedder()
        case "sentence_transformers":
            from cortex.embedding.sentence_transformers import DEFAULT_MODEL, SentenceTransformersEmbedder

            return SentenceTransformersEmbedder(settings.model or DEFAULT_MODEL, settings.device)
        case "none":
            raise EmbedderError("no embedder is configured")
