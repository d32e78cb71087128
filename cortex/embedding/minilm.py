"""The files of all-MiniLM-L6-v2 that Cortex ships; training/export_minilm.py makes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from cortex.embedding.embedder import EmbedderError

if TYPE_CHECKING:
    from collections.abc import Callable

    Tokenize = Callable[[str], list[int]]

FOLDER = Path(__file__).parent.parent / "data" / "minilm"
MAX_TOKENS = 256  # what the model was trained for; the rest of a text does not count
MAX_CHARACTERS = 4096  # what is looked at for those tokens: the tokenizer would read a megabyte for half a second


def shipped(name: str, folder: Path = FOLDER) -> Path:
    """The path of a shipped file, of the size that the manifest says. Raises EmbedderError."""
    try:
        expected = json.loads((folder / "MANIFEST.json").read_bytes())["files"][name]["bytes"]
        found = (folder / name).stat().st_size
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EmbedderError(f"{folder / name} cannot be read: {type(error).__name__}: {error}") from error
    if found != expected:
        raise EmbedderError(f"{folder / name} is damaged: {found} bytes instead of {expected}; install Cortex again")
    return folder / name


def tokenizer(folder: Path = FOLDER, *, special: bool) -> Tokenize:
    """Text → token ids, at most `MAX_TOKENS`; `special` puts [CLS] and [SEP] around. Raises EmbedderError."""
    path = shipped("tokenizer.json", folder)
    try:
        from tokenizers import Tokenizer

        made = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:
        raise EmbedderError(f"{path} cannot be loaded: {error}") from error
    made.enable_truncation(MAX_TOKENS)

    def tokenize(text: str) -> list[int]:
        text = text[:MAX_CHARACTERS]
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is no text to the tokenizer
        ids: list[int] = made.encode(text, add_special_tokens=special).ids
        return ids

    return tokenize
