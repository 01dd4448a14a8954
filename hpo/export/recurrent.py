"""A recurrence as the one ONNX node that it is, however many steps it goes through.

torch traces our recurrent networks step by step, which takes seconds for each hundred of them. Here
a recurrence is one operation while its network is traced, which is then written as one node.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lightning_modules.networks.recurrent import Recurrent

_GATES = {nn.LSTM: ("LSTM", (0, 3, 1, 2)), nn.GRU: ("GRU", (1, 0, 2))}
"""What ONNX calls them, and the places of its gates among torch's."""


@torch.library.custom_op("hpo::recurrence", mutates_args=())
def recurrence(x: Tensor, inputs: Tensor, states: Tensor, biases: Tensor, kind: str) -> Tensor:
    """Stand for a recurrence ``(rows, steps, channels)`` to ``(rows, steps, width)``.

    Args:
        x: what goes in at each step.
        inputs: the weights of that, as ONNX has them: ``(1, gates * width, channels)``.
        states: those of the last state, ``(1, gates * width, width)``.
        biases: of both, one after the other, ``(1, 2 * gates * width)``.
        kind: ``LSTM``, ``GRU``, ``Tanh`` or ``Relu``.

    Raises:
        NotImplementedError: if it is run: it is only written down.
    """
    raise NotImplementedError


@recurrence.register_fake
def _(x: Tensor, inputs: Tensor, states: Tensor, biases: Tensor, kind: str) -> Tensor:
    return x.new_empty(x.shape[0], x.shape[1], states.shape[-1])


class OneNode(nn.Module):
    """Takes the place of a recurrence of one layer in one direction while it is traced."""

    def __init__(self, part: nn.RNNBase) -> None:
        super().__init__()
        plain = "Relu" if getattr(part, "nonlinearity", "tanh") == "relu" else "Tanh"
        self.kind, order = _GATES.get(type(part), (plain, (0,)))
        weights = [
            _ordered(part.get_parameter(f"{name}_l0"), order)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        self.register_buffer("inputs", weights[0][None])
        self.register_buffer("states", weights[1][None])
        self.register_buffer("biases", torch.cat(weights[2:])[None])

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Return the states at every step, as the first of several."""
        weights = (self.get_buffer(name) for name in ("inputs", "states", "biases"))
        out: Tensor = recurrence(x, *weights, self.kind)
        return (out,)


@contextmanager
def as_single_nodes(module: nn.Module) -> Iterator[None]:
    """Let the recurrences of our networks be one operation each; afterwards they are as before."""
    layers = [
        layer for one in module.modules() if isinstance(one, Recurrent) for layer in one.layers
    ]
    parts = [
        (layer, name, part)
        for layer in layers
        for name, part in layer.named_children()
        if isinstance(part, nn.RNNBase)
    ]
    try:
        for layer, name, part in parts:
            setattr(layer, name, OneNode(part))
        yield
    finally:
        for layer, name, part in parts:
            setattr(layer, name, part)


def write_recurrence(x: Any, inputs: Any, states: Any, biases: Any, kind: str) -> Any:
    """Return a recurrence as ONNX has it; called by the exporter."""
    from onnxscript import opset18

    op: Any = opset18  # whose types are those of graphs, not of what is written here
    steps, weights = op.Transpose(x, perm=[1, 0, 2]), (inputs, states, biases)
    width = states.shape[-1]
    if kind == "LSTM":
        found, _, _ = op.LSTM(steps, *weights, hidden_size=width)
    elif kind == "GRU":
        found, _ = op.GRU(steps, *weights, hidden_size=width, linear_before_reset=1)
    else:
        found, _ = op.RNN(steps, *weights, hidden_size=width, activations=[kind])
    return op.Transpose(op.Squeeze(found, [1]), perm=[1, 0, 2])


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.hpo.recurrence.default: write_recurrence
}


def _ordered(weight: Tensor, order: tuple[int, ...]) -> Tensor:
    """Return a copy of weights with their gates in another order."""
    gates = weight.detach().chunk(len(order))
    return torch.cat([gates[place] for place in order])
