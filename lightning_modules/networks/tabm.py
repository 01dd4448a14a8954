"""Build the parameter-efficient ensemble."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from lightning_modules.families.tabm import TabmConfig
from lightning_modules.layers.embeddings import Edges, embedded_width, embedding
from lightning_modules.layers.noise import Noise, Numbers, drop_at
from lightning_modules.layers.parts import activation


class Tabm(nn.Module):
    """An ensemble on ``(rows, *input_shape)``, laid flat; gives ``(rows, members, n_outputs)``.

    Source: Gorishniy et al., 2025 ("TabM: Advancing Tabular Deep Learning with Parameter-Efficient
    Ensembling"), which builds on BatchEnsemble (Wen et al., 2020).
    """

    def __init__(
        self,
        config: TabmConfig,
        input_shape: tuple[int, ...],
        n_outputs: int,
        bin_edges: Edges | None = None,
    ) -> None:
        super().__init__()
        n_features, each = math.prod(input_shape), embedded_width(config.embedding)
        self.config = config
        self.embedding = embedding(config.embedding, n_features, bin_edges)
        widths = [n_features * each] + [config.width] * config.n_layers
        self.blocks = nn.ModuleList(
            nn.Sequential(
                SharedLinear(n_in, n_out, config.n_members), activation(config.activation)
            )
            for n_in, n_out in pairwise(widths)
        )
        self.out = MemberLinear(config.width, n_outputs, config.n_members)
        with torch.no_grad():  # what makes the members differ: a sign of each feature for each
            signs = torch.randint(0, 2, (config.n_members, n_features)) * 2.0 - 1
            self.blocks[0][0].scale_in.copy_(signs.repeat_interleave(each, dim=1))  # type: ignore[index]

    def noise_shapes(self, n_rows: int) -> dict[str, tuple[int, ...]]:
        """Return what one step needs: noise for every hidden layer of every member."""
        config = self.config
        shape = (n_rows, config.n_members, config.width)
        return {f"dropout.{i}": shape for i in range(config.n_layers)}

    def forward(
        self, x: Tensor, noise: Noise | None = None, numbers: Numbers | None = None
    ) -> Tensor:
        """Return ``(rows, members, n_outputs)``; without ``noise`` nothing is dropped."""
        x = self.embedding(x.flatten(1)).flatten(1)[:, None]
        for i, block in enumerate(self.blocks):
            x = drop_at(f"dropout.{i}", block(x), noise, numbers)
        out: Tensor = self.out(x)
        return out


class SharedLinear(nn.Module):
    """A dense layer that members share, ``(rows, members or 1, n_in)`` to ``(…, members, n_out)``.

    Each member scales its inputs and outputs, and adds its bias.
    """

    def __init__(self, n_in: int, n_out: int, n_members: int) -> None:
        super().__init__()
        bound = n_in**-0.5
        self.shape = (n_members, n_out)
        self.weight = nn.Parameter(torch.empty(n_out, n_in).uniform_(-bound, bound))
        self.scale_in = nn.Parameter(torch.ones(n_members, n_in))
        self.scale_out = nn.Parameter(torch.ones(n_members, n_out))
        # One dimension: what has one is not decayed. Members start with equal biases.
        self.bias = nn.Parameter(torch.empty(n_out).uniform_(-bound, bound).repeat(n_members))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(rows, members, n_out)``."""
        out = F.linear(x * self.scale_in, self.weight)
        return out * self.scale_out + self.bias.view(self.shape)


class MemberLinear(nn.Module):
    """A dense layer of each member, ``(rows, members, n_in)`` to ``(rows, members, n_out)``."""

    def __init__(self, n_in: int, n_out: int, n_members: int) -> None:
        super().__init__()
        bound = n_in**-0.5
        self.shape = (n_members, n_out)
        self.weight = nn.Parameter(torch.empty(n_members, n_in, n_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_members * n_out).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(rows, members, n_out)``."""
        return torch.einsum("rmi,mio->rmo", x, self.weight) + self.bias.view(self.shape)


def build_tabm(
    config: TabmConfig,
    input_shape: tuple[int, ...],
    n_outputs: int,
    bin_edges: Edges | None = None,
) -> Tabm:
    """Return the network of ``config`` for rows of ``input_shape``."""
    return Tabm(config, input_shape, n_outputs, bin_edges)
