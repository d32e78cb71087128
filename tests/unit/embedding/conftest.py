"""The embedders that Cortex ships, loaded once."""

from __future__ import annotations

import pytest

from cortex.embedding.builtin import BuiltinEmbedder
from cortex.embedding.static import StaticEmbedder


@pytest.fixture(scope="session")
def builtin() -> BuiltinEmbedder:
    return BuiltinEmbedder()


@pytest.fixture(scope="session")
def static() -> StaticEmbedder:
    return StaticEmbedder()
