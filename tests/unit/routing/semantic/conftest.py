"""The shipped head and the built-in embedder, loaded once."""

from __future__ import annotations

import pytest

from cortex.embedding.builtin import BuiltinEmbedder
from cortex.task_head import shipped_head
from routing.semantic.head import TaskHead


@pytest.fixture(scope="session")
def head() -> TaskHead:
    return shipped_head()


@pytest.fixture(scope="session")
def builtin() -> BuiltinEmbedder:
    return BuiltinEmbedder()
