"""The plain recurrence as the one ONNX node that it is, where the exporter would write every step.

It has such nodes for cells and gates (LSTM and GRU), and none for this one.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.export import ExportedProgram

_KINDS = {
    torch.ops.aten.rnn_tanh.input: "Tanh",
    torch.ops.aten.rnn_relu.input: "Relu",
}


def recurrences(program: ExportedProgram) -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return how the recurrences of a program are written; empty if it has others than ours."""
    steps = [node for node in program.graph.nodes if node.target in _KINDS]
    if not steps or not all(_single(node.args) for node in steps):
        return {}
    return {kind: _written(name) for kind, name in _KINDS.items()}


def _single(arguments: Sequence[Any]) -> bool:
    """Say whether a recurrence has biases, one layer, one direction, and the rows first."""
    _, _, _, has_biases, n_layers, _, _, bidirectional, batch_first = arguments
    return bool(has_biases and n_layers == 1 and not bidirectional and batch_first)


def _written(activation: str) -> Callable[..., Any]:
    """Return what writes a recurrence ``(rows, steps, channels)`` with such an activation."""
    from onnxscript import opset18

    op: Any = opset18  # whose types are those of graphs, not of what is written here

    def write(
        input: Any,
        hx: Any,
        params: Sequence[Any],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> tuple[Any, Any]:
        inputs, states, of_inputs, of_states = params
        biases = op.Unsqueeze(op.Concat(of_inputs, of_states, axis=0), [0])
        found, last = op.RNN(
            op.Transpose(input, perm=[1, 0, 2]),
            op.Unsqueeze(inputs, [0]),
            op.Unsqueeze(states, [0]),
            biases,
            initial_h=hx,
            hidden_size=hx.shape[2],
            activations=[activation],
        )
        return op.Transpose(op.Squeeze(found, [1]), perm=[1, 0, 2]), last

    return write
