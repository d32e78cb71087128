"""all-MiniLM-L6-v2 as an ONNX graph: token ids in, one vector of length 1 a text out.

Written out node by node rather than traced: the file depends on the weights and on this module alone, and what a
tracer, an optimiser and a quantiser do together is worse (0.959 mean cosine with the original, this 0.997; and slower).
Everything runs on any CPU that onnxruntime runs on.

    input_ids  int64 (n, tokens)   texts of one length, [CLS] … [SEP], at most `MAX_TOKENS`; none is padded
    embedding  float32 (n, 384)    the mean over all tokens, L2-normalised

There is no mask, because a padded batch is worth nothing here: activations are quantised by their range over the whole
input, so that a text's vector would depend on its neighbours', and attention without a mask takes a faster path.

Quantised: the weights of the linear layers to int8, a scale a column; the word embeddings to int8, a scale a row. The
weights keep to ±64, not ±127: a CPU without VNNI adds two products of uint8 and int8 in 16 bits, and 2 · 255 · 64 just
fits. A few channels of the activations are ten times as large as the others and would take all of the range: they are
made smaller by a constant vector ahead of the quantised product, and the weights' rows larger by as much.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

DIMENSIONS = 384
HEADS = 12
LAYERS = 6
MAX_TOKENS = 256
WEIGHT_MAX = 64
WORD_MAX = 127
EPSILON = 1e-12
OPSET = 17
IR_VERSION = 9
MICROSOFT = "com.microsoft"

Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]
Scales = Mapping[str, Floats]  # name of a linear layer → what its input's channels are divided by


def layers_with_inputs() -> dict[str, str]:
    """Linear layer → the tensor that it reads, for those whose input has outlying channels."""
    pairs: dict[str, str] = {}
    for n in range(LAYERS):
        pairs |= {f"qkv{n}": f"hidden{n}", f"up{n}": f"attended{n}", f"down{n}": f"gelu{n}"}
    return pairs


def build(weights: Weights, *, quantise: Scales | None, outputs: tuple[str, ...] = ()) -> onnx.ModelProto:
    """The model in float, or quantised where `quantise` says by which scales. `outputs`: tensors to give out, too."""
    graph = _Graph(weights, quantise)
    x = graph.embeddings()
    for n in range(LAYERS):
        x = graph.layer(n, x)
    graph.pool(x)
    given = [
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", DIMENSIONS]),
        *(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "tokens"])
    made = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", [ids], given, graph.constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    model: onnx.ModelProto = helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION)
    model.producer_name = "cortex"
    return model


def quantise(matrix: Floats, *, axis: int, limit: int) -> tuple[NDArray[np.int8], Floats]:
    """The matrix as ±`limit`, and its scales: one for each place along the axis that is not `axis`."""
    scales = (np.abs(matrix).max(axis=axis, keepdims=True) / limit).astype(np.float32)
    scales[scales == 0] = 1
    return np.clip(np.rint(matrix / scales), -limit, limit).astype(np.int8), scales


class _Graph:
    def __init__(self, weights: Weights, quantise: Scales | None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._weights = weights
        self._quantise = quantise

    def embeddings(self) -> str:
        """hidden0 (n, tokens, 384): word + position + segment 0, normalised."""
        words = self._weights["embeddings.word_embeddings.weight"]
        places = self._weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
        segment = self._weights["embeddings.token_type_embeddings.weight"][0]
        if self._quantise is None:
            self._op("Gather", [self._constant("words", words), "input_ids"], "word")
        else:
            rows, scales = quantise(words, axis=1, limit=WORD_MAX)
            self._op("Gather", [self._constant("words", rows), "input_ids"], "word_int8")
            self._op("Cast", ["word_int8"], "word_float", to=TensorProto.FLOAT)
            self._op("Gather", [self._constant("words_scale", scales), "input_ids"], "word_scale")
            self._op("Mul", ["word_float", "word_scale"], "word")
        self._op("Shape", ["input_ids"], "tokens", start=1, end=2)
        zero = self._constant("zero", np.array([0], np.int64))
        self._op("Slice", [self._constant("places", places + segment), zero, "tokens", zero], "place")
        return self._normalised("hidden0", "embeddings.LayerNorm", "word", "place")

    def layer(self, n: int, x: str) -> str:
        """One of the six: (n, tokens, 384) → the same."""
        before = f"encoder.layer.{n}"
        parts = [self._linear_weights(f"{before}.attention.self.{part}") for part in ("query", "key", "value")]
        matrix, bias = (np.concatenate([part[side] for part in parts], axis=-1) for side in (0, 1))
        self._linear(f"qkv{n}", x, matrix, bias)
        thirds = self._constant(f"thirds{n}", np.full(3, DIMENSIONS, np.int64))
        query_key_value = [f"query{n}", f"key{n}", f"value{n}"]
        self._op("Split", [f"qkv{n}", thirds], *query_key_value, axis=-1)
        self._op("MultiHeadAttention", query_key_value, f"attention{n}", domain=MICROSOFT, num_heads=HEADS)
        self._linear(f"out{n}", f"attention{n}", *self._linear_weights(f"{before}.attention.output.dense"))
        attended = self._normalised(f"attended{n}", f"{before}.attention.output.LayerNorm", f"out{n}", x)
        self._linear(f"up{n}", attended, *self._linear_weights(f"{before}.intermediate.dense"))
        self._op("Gelu", [f"up{n}"], f"gelu{n}", domain=MICROSOFT)
        self._linear(f"down{n}", f"gelu{n}", *self._linear_weights(f"{before}.output.dense"))
        return self._normalised(f"hidden{n + 1}", f"{before}.output.LayerNorm", f"down{n}", attended)

    def pool(self, x: str) -> None:
        """The sum over the tokens points where their mean does."""
        self._op("ReduceSum", [x, self._constant("over_tokens", np.array([1], np.int64))], "sum", keepdims=0)
        self._op("LpNormalization", ["sum"], "embedding", axis=-1, p=2)

    def _linear_weights(self, name: str) -> tuple[Floats, Floats]:
        """(in, out), (out,)"""
        return self._weights[f"{name}.weight"].T, self._weights[f"{name}.bias"]

    def _linear(self, name: str, x: str, matrix: Floats, bias: Floats) -> None:
        offset = self._constant(f"{name}_bias", bias)
        if self._quantise is None:
            product = self._op("MatMul", [x, self._constant(f"{name}_weight", matrix)], f"{name}_product")
            self._op("Add", [product, offset], name)
            return
        if (smaller := self._quantise.get(name)) is not None:
            matrix = matrix * smaller[:, None]
            x = self._op("Mul", [x, self._constant(f"{name}_smaller", 1 / smaller)], f"{name}_input")
        whole, scales = quantise(matrix, axis=0, limit=WEIGHT_MAX)
        self._op(
            "DynamicQuantizeMatMul",
            [
                x,
                self._constant(f"{name}_weight", whole),
                self._constant(f"{name}_scale", scales[0]),
                self._constant(f"{name}_zero", np.zeros(scales.shape[1], np.int8)),
                offset,
            ],
            name,
            domain=MICROSOFT,
        )

    def _normalised(self, name: str, weights: str, left: str, right: str) -> str:
        parts = [self._constant(f"{name}_{part}", self._weights[f"{weights}.{part}"]) for part in ("weight", "bias")]
        added = self._op("Add", [left, right], f"{name}_sum")
        return self._op("LayerNormalization", [added, *parts], name, axis=-1, epsilon=EPSILON)

    def _constant(self, name: str, values: NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _op(self, kind: str, inputs: list[str], *outputs: str, domain: str = "", **attributes: float | int) -> str:
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0], domain=domain, **attributes))
        return outputs[0]
