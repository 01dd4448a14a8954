"""Build the recurrent networks."""

import torch
from torch import Tensor, nn

from lightning_modules.families.recurrent import LstmConfig, RecurrentConfig, RnnConfig
from lightning_modules.layers.noise import Noise, Numbers, drop_at
from lightning_modules.layers.steps import Entrance, Pooling, last_step, reversed_steps


class Recurrent(nn.Module):
    """Recurrences on ``(rows, steps, channels)`` or tokens ``(rows, steps)``.

    Gives ``(rows, n_outputs)``. Each direction's last state is the one that it ends in.
    """

    def __init__(
        self,
        config: RecurrentConfig,
        input_shape: tuple[int, ...],
        n_outputs: int,
        *,
        n_tokens: int | None,
        padded: bool,
    ) -> None:
        super().__init__()
        self.config = config
        self.n_features = config.width * (2 if config.bidirectional else 1)
        self.entrance = Entrance(input_shape, config.width, n_tokens=n_tokens, padded=padded)
        widths = [config.width] + [self.n_features] * (config.n_layers - 1)
        self.layers = nn.ModuleList(_Layer(config, width) for width in widths)
        self.pooling = Pooling(config.pooling, self.n_features)
        self.out = nn.Linear(self.n_features, n_outputs)

    def noise_shapes(self, n_rows: int) -> dict[str, tuple[int, ...]]:
        """Return what one step needs: noise for the units between layers, and for the head."""
        between = {
            f"dropout.{i}": (n_rows, 1, self.n_features) for i in range(len(self.layers) - 1)
        }
        return {**between, "dropout.head": (n_rows, self.n_features)}

    def forward(
        self, x: Tensor, noise: Noise | None = None, numbers: Numbers | None = None
    ) -> Tensor:
        """Return ``(rows, n_outputs)``; without ``noise`` nothing is dropped."""
        x, lengths = self.entrance(x)
        for i, layer in enumerate(self.layers):
            before = x if i == 0 else drop_at(f"dropout.{i - 1}", x, noise, numbers)
            x = layer(before, lengths)
        pooled = self.pooling(x, lengths, self._ends(x, lengths))
        out: Tensor = self.out(drop_at("dropout.head", pooled, noise, numbers))
        return out

    def _ends(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Return the states in which both directions end, side by side."""
        if not self.config.bidirectional:
            return last_step(x, lengths)
        there, back = x.chunk(2, dim=-1)
        return torch.cat([last_step(there, lengths), back[:, 0]], dim=-1)


class _Layer(nn.Module):
    """One recurrence from the first step, and perhaps one from the last real one, side by side."""

    def __init__(self, config: RecurrentConfig, n_in: int) -> None:
        super().__init__()
        self.there = _recurrence(config, n_in)
        self.back = _recurrence(config, n_in) if config.bidirectional else None

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Return the states at every step, ``(rows, steps, width)`` or twice as wide."""
        there: Tensor = self.there(x)[0]
        if self.back is None:
            return there
        back = self.back(reversed_steps(x, lengths))[0]
        return torch.cat([there, reversed_steps(back, lengths)], dim=-1)


def _recurrence(config: RecurrentConfig, n_in: int) -> nn.RNNBase:
    """Return a single layer in one direction, with the weights that it starts from."""
    if isinstance(config, RnnConfig):
        made: nn.RNNBase = nn.RNN(
            n_in, config.width, nonlinearity=config.activation, batch_first=True
        )
    else:
        kind = nn.LSTM if isinstance(config, LstmConfig) else nn.GRU
        made = kind(n_in, config.width, batch_first=True)
    for name, parameter in made.named_parameters():
        if name.startswith("bias"):
            nn.init.zeros_(parameter)
        n_gates = len(parameter) // config.width
        for gate in parameter.chunk(n_gates) if name.startswith("weight") else ():
            start = nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_
            start(gate)
    if isinstance(config, LstmConfig):  # its gates: input, forget, cell, output
        with torch.no_grad():
            made.get_parameter("bias_ih_l0")[config.width : 2 * config.width] = 1.0
    return made


def build_recurrent(
    config: RecurrentConfig,
    input_shape: tuple[int, ...],
    n_outputs: int,
    *,
    n_tokens: int | None,
    padded: bool,
) -> Recurrent:
    """Return the network of ``config`` for rows of ``input_shape``."""
    return Recurrent(config, input_shape, n_outputs, n_tokens=n_tokens, padded=padded)
