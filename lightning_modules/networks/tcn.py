"""Build the temporal convolutional network."""

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from lightning_modules.families.tcn import TcnConfig
from lightning_modules.layers.noise import Noise, Numbers, drop_at
from lightning_modules.layers.parts import activation
from lightning_modules.layers.steps import Entrance, Pooling


class Tcn(nn.Module):
    """Convolutions over ``(rows, steps, channels)`` or tokens ``(rows, steps)``.

    Gives ``(rows, n_outputs)``. Source: Bai et al., 2018 ("An Empirical Evaluation of Generic
    Convolutional and Recurrent Networks for Sequence Modeling").
    """

    def __init__(
        self,
        config: TcnConfig,
        input_shape: tuple[int, ...],
        n_outputs: int,
        *,
        n_tokens: int | None,
        padded: bool,
    ) -> None:
        super().__init__()
        self.config = config
        self.entrance = Entrance(input_shape, config.width, n_tokens=n_tokens, padded=padded)
        self.blocks = nn.ModuleList(_Block(config, 2**i) for i in range(config.n_layers))
        self.pooling = Pooling(config.pooling, config.width)
        self.out = nn.Linear(config.width, n_outputs)

    def noise_shapes(self, n_rows: int) -> dict[str, tuple[int, ...]]:
        """Return what one step needs: noise for the channels of every convolution."""
        shape = (n_rows, self.config.width, 1)
        return {
            f"dropout.{i}.{part}": shape
            for i in range(self.config.n_layers)
            for part in ("first", "second")
        }

    def forward(
        self, x: Tensor, noise: Noise | None = None, numbers: Numbers | None = None
    ) -> Tensor:
        """Return ``(rows, n_outputs)``; without ``noise`` nothing is dropped."""
        x, lengths = self.entrance(x)
        x = x.transpose(1, 2)
        for i, block in enumerate(self.blocks):
            x = block(x, f"dropout.{i}", noise, numbers)
        out: Tensor = self.out(self.pooling(x.transpose(1, 2), lengths))
        return out


class _Block(nn.Module):
    """Two causal convolutions added to their input, ``(rows, width, steps)``."""

    def __init__(self, config: TcnConfig, dilation: int) -> None:
        super().__init__()
        self.first = CausalConvolution(config.width, config.kernel, dilation)
        self.second = CausalConvolution(config.width, config.kernel, dilation)
        self.activation = activation(config.activation)

    def forward(
        self, x: Tensor, place: str, noise: Noise | None, numbers: Numbers | None
    ) -> Tensor:
        """Return ``(rows, width, steps)``; ``place`` begins the names of its noise."""
        inside = drop_at(f"{place}.first", self.activation(self.first(x)), noise, numbers)
        added = drop_at(f"{place}.second", self.activation(self.second(inside)), noise, numbers)
        out: Tensor = self.activation(x + added)
        return out


class CausalConvolution(nn.Module):
    """A convolution of each step with ``kernel - 1`` before it, ``dilation`` steps apart.

    Its weights count by their direction, and have a length for each output (Salimans and Kingma,
    2016).
    """

    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.before = (kernel - 1) * dilation
        self.direction = nn.Conv1d(width, width, kernel, dilation=dilation)
        self.length = nn.Parameter(self.direction.weight.detach().flatten(1).norm(dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(rows, width, steps)``."""
        kept = self.direction
        scale = self.length / kept.weight.flatten(1).norm(dim=1)
        weight = kept.weight * scale[:, None, None]
        return F.conv1d(F.pad(x, (self.before, 0)), weight, kept.bias, dilation=kept.dilation)


def build_tcn(
    config: TcnConfig,
    input_shape: tuple[int, ...],
    n_outputs: int,
    *,
    n_tokens: int | None,
    padded: bool,
) -> Tcn:
    """Return the network of ``config`` for rows of ``input_shape``."""
    return Tcn(config, input_shape, n_outputs, n_tokens=n_tokens, padded=padded)
