"""The shipped files: whole, as the manifest says, small enough; and what is told of those that are not."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from cortex.embedding.builtin import BuiltinEmbedder
from cortex.embedding.embedder import EmbedderError
from cortex.embedding.minilm import FOLDER
from cortex.embedding.static import StaticEmbedder

ROOT = Path(__file__).parents[3]
MANIFEST = json.loads((FOLDER / "MANIFEST.json").read_text(encoding="utf-8"))
MOST_BYTES = 29 * 1024 * 1024  # of all of cortex/data


def test_the_manifest_names_every_file() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {"MANIFEST.json", *MANIFEST["files"]}


@pytest.mark.parametrize("name", MANIFEST["files"])
def test_a_file_is_the_one_of_the_manifest(name: str) -> None:
    content = (FOLDER / name).read_bytes()
    expected = MANIFEST["files"][name]
    assert (len(content), hashlib.sha256(content).hexdigest()) == (expected["bytes"], expected["sha256"])


def test_the_data_is_small_enough_to_ship_and_is_shipped() -> None:
    data = FOLDER.parent
    files = [path for path in data.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    shipped = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {path.relative_to(ROOT).as_posix() for path in files} <= shipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files again, for a test to damage."""
    return Path(shutil.copytree(FOLDER, tmp_path / "minilm"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (BuiltinEmbedder, "model.onnx"),
        (BuiltinEmbedder, "tokenizer.json"),
        (StaticEmbedder, "static.npz"),
        (StaticEmbedder, "tokenizer.json"),
    ],
)
def test_damage_is_told(kind: type[BuiltinEmbedder | StaticEmbedder], name: str, folder: Path) -> None:
    file = folder / name
    size = file.stat().st_size
    file.write_bytes(bytes(size))
    with pytest.raises(EmbedderError, match=f"{name} cannot be loaded"):
        kind(folder)
    file.write_bytes(bytes(size - 1))
    with pytest.raises(EmbedderError, match=f"{name} is damaged: {size - 1} bytes instead of {size}"):
        kind(folder)
    file.unlink()
    with pytest.raises(EmbedderError, match=f"{name} cannot be read: FileNotFoundError"):
        kind(folder)


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"files": {"tokenizer.json": 1}}'])
def test_a_manifest_that_says_nothing_is_told(manifest: str, folder: Path) -> None:
    (folder / "MANIFEST.json").write_text(manifest, encoding="utf-8")
    with pytest.raises(EmbedderError, match="cannot be read"):
        BuiltinEmbedder(folder)


def test_nothing_heavy_is_imported_before_an_embedder_is_made() -> None:
    program = (
        "import sys, cortex.embedding.service, cortex.embedding.factory\n"
        "sys.exit(', '.join({'numpy', 'onnxruntime', 'tokenizers', 'sentence_transformers'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
