"""Small ONNX graphs with a preparation in float64 and networks behind it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Arrays = dict[str, npt.NDArray[Any]]


def graph(
    nodes: Sequence[onnx.NodeProto], weights: Arrays, *, rows: list[Any], out: list[Any]
) -> onnx.ModelProto:
    """Return a model from ``numbers`` (float64) to ``probabilities`` (float32)."""
    made = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, ["rows", *rows])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", *out])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def dense(n_in: int = 20, width: int = 64, *, seed: int = 0) -> onnx.ModelProto:
    """Return a projection in float64, and two dense layers."""
    draw = np.random.default_rng(seed)
    weights: Arrays = {
        "projection": draw.normal(size=(n_in, n_in)),
        "first": draw.normal(size=(width, n_in)).astype(np.float32) / n_in**0.5,
        "first_bias": draw.normal(size=width).astype(np.float32),
        "second": draw.normal(size=(width, width)).astype(np.float32) / width**0.5,
        "last": draw.normal(size=(3, width)).astype(np.float32) / width**0.5,
        "last_bias": draw.normal(size=3).astype(np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["numbers", "projection"], ["projected"]),
        helper.make_node("Cast", ["projected"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Gemm", ["x", "first", "first_bias"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("MatMul", ["a", "second"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Gemm", ["c", "last", "last_bias"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    return graph(nodes, weights, rows=[n_in], out=[3])


def convolution(*, seed: int = 0) -> onnx.ModelProto:
    """Return two convolutions, a pooling and a dense layer on images of 8 by 8 pixels."""
    draw = np.random.default_rng(seed)
    weights: Arrays = {
        "mean": np.full((1, 1, 1), 0.5),
        "first": draw.normal(size=(16, 4, 3, 3)).astype(np.float32) / 6,
        "second": draw.normal(size=(32, 16, 3, 3)).astype(np.float32) / 12,
        "last": draw.normal(size=(3, 512)).astype(np.float32) / 22,
        "last_bias": np.zeros(3, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Sub", ["numbers", "mean"], ["centered"]),
        helper.make_node("Cast", ["centered"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "first"], ["h"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("Conv", ["a", "second"], ["b"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("MaxPool", ["c"], ["d"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "last", "last_bias"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    return graph(nodes, weights, rows=[4, 8, 8], out=[3])


def gates(*, seed: int = 0) -> onnx.ModelProto:
    """Return a recurrence with gates, which no quantiser knows, on ``(rows, 5 steps, 16)``."""
    draw = np.random.default_rng(seed)
    weights: Arrays = {
        "w": draw.normal(size=(1, 48, 16)).astype(np.float32) / 4,
        "r": draw.normal(size=(1, 48, 16)).astype(np.float32) / 4,
    }
    nodes = [
        helper.make_node("Cast", ["numbers"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("GRU", ["steps", "w", "r"], ["", "last"], hidden_size=16),
        helper.make_node("Transpose", ["last"], ["rows_first"], perm=[1, 0, 2]),
        helper.make_node("Flatten", ["rows_first"], ["probabilities"]),
    ]
    return graph(nodes, weights, rows=[5, 16], out=[16])
