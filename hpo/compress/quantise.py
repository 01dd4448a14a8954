"""Quantise the dense and convolutional layers of an ONNX graph, and hear nothing of the vendor."""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.compress.graph import behind, nodes_with_weights, plain_copy, store_bytes, store_halves
from hpo.errors import UsageError
from lightning_modules.data.frames import Array

if TYPE_CHECKING:
    from onnx import ModelProto

DYNAMIC = frozenset({"MatMul", "Gemm", "LSTM"})
STATIC = frozenset({"MatMul", "Gemm", "Conv"})
THROUGH = frozenset(
    {"Relu", "Clip", "MaxPool", "AveragePool", "Reshape", "Flatten", "Transpose", "Squeeze"}
)
"""What computes on eight bits as well, between two layers that do."""
WARNING = 2
SILENT = 4
"""Severities of onnxruntime's own log."""
Feeds = Mapping[str, Array]


def half(model: "ModelProto") -> "ModelProto":
    """Return the graph with its weights in float16.

    Raises:
        UsageError: if it has none that are worth it.
    """
    made = plain_copy(model)
    if not store_halves(made):
        raise _nothing("fp16")
    return made


def dynamic(model: "ModelProto") -> "ModelProto":
    """Return the graph with dense layers and LSTMs in int8, their inputs' range taken as they come.

    The other large weights (convolutions, gated units, embeddings) are kept as int8 too, and
    computed with in float32.

    Raises:
        UsageError: if it has no weights that are worth it.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    made = plain_copy(model)
    nodes = nodes_with_weights(made, DYNAMIC)
    if nodes:
        names = [node.name for node in nodes]
        names += [f"{name}_MatMul" for name in names]  # what it makes of Gemm first
        with _vendor() as path:
            quantize_dynamic(
                made,
                path,
                op_types_to_quantize=sorted(DYNAMIC),
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=names,
                extra_options={"MatMulConstBOnly": True},
            )
            made = _read(path)
    if not store_bytes(made) and not nodes:
        raise _nothing("dynamic")
    return made


def static(model: "ModelProto", rows: Sequence[Feeds]) -> "ModelProto":
    """Return the graph with dense and convolutional layers in int8, all ranges known beforehand.

    The other large weights are kept as in `dynamic`.

    Args:
        model: the graph.
        rows: what it is fed to see the ranges, in batches: training rows.

    Raises:
        UsageError: if it has no such layer.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    made = plain_copy(model)
    nodes = nodes_with_weights(made, STATIC)
    if not nodes:
        what = "has no dense or convolutional layer with constant weights to quantise"
        raise UsageError("--method static", what, "--method dynamic keeps all weights as int8")
    names = {node.name for node in nodes}
    later = behind(made, nodes)
    names |= {n.name for n in made.graph.node if n.op_type in THROUGH and n.name in later}
    with _vendor() as path:
        quantize_static(
            made,
            path,
            _Reader(rows),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=sorted(STATIC | THROUGH),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=sorted(names),
            extra_options={"MatMulConstBOnly": True},
        )
        made = _read(path)
    store_bytes(made)
    return made


class _Reader:
    """Gives batches one by one, as the vendor asks for them."""

    def __init__(self, batches: Sequence[Feeds]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> dict[str, Array] | None:
        """Return the next batch; None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else dict(batch)


def _read(path: Path) -> "ModelProto":
    import onnx

    made = onnx.load(path)
    del made.metadata_props[:]
    return made


def _nothing(method: str) -> UsageError:
    what = "no layer is large enough to be worth a smaller form"
    return UsageError(f"--method {method}", what, "serve the file as it is")


@contextmanager
def _vendor() -> Iterator[Path]:
    """Give the path of a file in a folder that goes again; nothing is said meanwhile."""
    import onnxruntime

    root: Any = logging.getLogger()
    before = logging.root.manager.disable
    silent = logging.NullHandler()  # else logging.warning sets one up, for all that follows
    root.addHandler(silent)
    logging.disable(logging.WARNING)
    onnxruntime.set_default_logger_severity(SILENT)
    try:
        with tempfile.TemporaryDirectory(prefix="hpo-compress-") as folder:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield Path(folder) / "quantised.onnx"
    finally:
        onnxruntime.set_default_logger_severity(WARNING)
        logging.disable(before)
        root.removeHandler(silent)
