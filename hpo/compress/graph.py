"""The weights of a network in an ONNX graph: which they are, and how they are kept smaller.

Preparation computes in float64, and is left as it is: only float32 tensors are weights.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # of an extra, and half a second to import
    from onnx import ModelProto, NodeProto, TensorProto

Floats: TypeAlias = npt.NDArray[np.float32]
FEWEST = 512
"""A weight of fewer values is left alone: what it takes to say how it is kept is as large."""
LARGEST_HALF = 65504.0
LEAST_SHARED = 16
"""So many values share a scale, at least, where there is a choice."""


def plain_copy(model: "ModelProto") -> "ModelProto":
    """Return a copy with a name for every node and without what vendors trip over.

    Shapes of values in between, as the exporter wrote them, contradict those that the quantiser
    infers; metadata are the file's, not the graph's.
    """
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    del copy.metadata_props[:]
    for i, node in enumerate(copy.graph.node):
        node.name = f"node{i}_{node.op_type}"
    return copy


def large_weights(model: "ModelProto") -> "dict[str, TensorProto]":
    """Return the float32 tensors of the graph that are worth a smaller form, by name."""
    from onnx import TensorProto

    return {
        tensor.name: tensor
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT
        and sum(size > 1 for size in tensor.dims) > 1
        and int(np.prod(tensor.dims)) >= FEWEST
    }


def nodes_with_weights(model: "ModelProto", kinds: frozenset[str]) -> "list[NodeProto]":
    """Return the nodes of these kinds that take a large weight."""
    weights = large_weights(model)
    return [
        node
        for node in model.graph.node
        if node.op_type in kinds and any(name in weights for name in node.input)
    ]


def behind(model: "ModelProto", nodes: "list[NodeProto]") -> set[str]:
    """Return the names of all nodes whose inputs come from these, through whatever is between."""
    reached = {name for node in nodes for name in node.output}
    found = set()
    for node in model.graph.node:  # a graph is in the order of its computation
        if reached & set(node.input):
            reached |= set(node.output)
            found.add(node.name)
    return found


def store_halves(model: "ModelProto") -> int:
    """Keep large weights as float16, and compute with them as float32; return how many.

    A cast of a constant is computed once, when a session opens: computing is as fast as before, on
    every machine. A weight that float16 cannot hold stays as it is.
    """
    return _store(model, _half)


def store_bytes(model: "ModelProto") -> int:
    """Keep large weights as int8 with a scale a row or column, and compute with them as float32.

    As `store_halves`. Returns how many.
    """
    return _store(model, _byte)


Stored = tuple[list["TensorProto"], list["NodeProto"]]


def _store(model: "ModelProto", make: Callable[["TensorProto"], Stored | None]) -> int:
    kept, added, count = [], [], 0
    weights = large_weights(model)
    for tensor in model.graph.initializer:
        made = make(tensor) if tensor.name in weights else None
        if made is None:
            kept.append(tensor)
            continue
        kept += made[0]
        added += made[1]
        count += 1
    nodes = [*added, *model.graph.node]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return count


def _half(tensor: "TensorProto") -> Stored | None:
    from onnx import TensorProto, helper, numpy_helper

    values = numpy_helper.to_array(tensor)
    if not np.abs(values).max() <= LARGEST_HALF:
        return None
    name = f"{tensor.name}_half"
    cast = helper.make_node(
        "Cast", [name], [tensor.name], name=f"{name}_cast", to=TensorProto.FLOAT
    )
    return [numpy_helper.from_array(values.astype(np.float16), name)], [cast]


def _byte(tensor: "TensorProto") -> Stored | None:
    from onnx import TensorProto, helper, numpy_helper

    values = numpy_helper.to_array(tensor)
    if not np.isfinite(values).all():
        return None
    ways = _rounded(values)
    steps, scale = min(ways, key=lambda way: float(np.abs(way[0] * way[1] - values).sum()))
    name = f"{tensor.name}_int8"
    wide, scales = f"{name}_float", f"{name}_scale"
    nodes = [
        helper.make_node("Cast", [name], [wide], name=f"{name}_cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", [wide, scales], [tensor.name], name=f"{name}_mul"),
    ]
    stored = [
        numpy_helper.from_array(steps, name),
        numpy_helper.from_array(scale, scales),
    ]
    return stored, nodes


def _rounded(values: Floats) -> Iterator[tuple[npt.NDArray[np.int8], Floats]]:
    """Yield values as int8 with their scales: one a row, one a column, or one a channel out."""
    channels = tuple(range(1, values.ndim))
    ways: dict[int, list[tuple[int, ...]]] = {2: [(1,), (0,)], 3: [channels, (2,), (1,)]}
    for place, axes in enumerate(ways.get(values.ndim, [channels])):
        largest = np.abs(values).max(axis=axes, keepdims=True)
        if place and largest.size * LEAST_SHARED > values.size:
            continue
        scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        yield np.rint(values / scale).astype(np.int8), scale
