"""Hidden units that can be removed: where their weights stand, and which of them matter least.

A network without some of its hidden units is a smaller network of the same family: its config says
so, and it is exported, served and trained again like any other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_modules.config import RunConfig
from lightning_modules.families.cnn import CnnConfig
from lightning_modules.families.mlp import MlpConfig

State = Mapping[str, Tensor]
NORM = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the units of a layer stand in one tensor.

    Along ``axis`` lie ``copies`` runs of all units, of ``each`` values a unit.
    """

    name: str
    axis: int
    copies: int = 1
    each: int = 1

    def chosen(self, tensor: Tensor, units: Tensor) -> Tensor:
        """Return the tensor with these units alone."""
        n_units = tensor.shape[self.axis] // (self.copies * self.each)
        places = torch.arange(tensor.shape[self.axis]).view(self.copies, n_units, self.each)
        return tensor.index_select(self.axis, places[:, units].flatten())

    def norms(self, tensor: Tensor) -> Tensor:
        """Return the Euclidean norm of each unit's values, ``(units,)``."""
        n_units = tensor.shape[self.axis] // (self.copies * self.each)
        values = tensor.movedim(self.axis, 0).reshape(self.copies, n_units, -1)
        return values.double().square().sum((0, 2)).sqrt()


@dataclass(frozen=True, kw_only=True)
class Units:
    """The hidden units of one layer: the weights into them, what is per unit, the weights out."""

    into: Place
    out: Place
    beside: Sequence[Place]
    """Biases and norms, those that the network has."""
    gain: str | None
    """The scale of a batch norm behind them: the weights into them have no size of their own."""

    def importance(self, state: State) -> Tensor:
        """Return how much each unit can move what comes behind, ``(units,)``."""
        if self.gain is None:
            scale = self.into.norms(state[self.into.name])
        else:
            scale = state[self.gain].abs().double()
        return scale * self.out.norms(state[self.out.name])

    def size(self, state: State) -> int:
        """Return how many there are."""
        return state[self.into.name].shape[self.into.axis] // self.into.copies

    def places(self) -> list[Place]:
        """Return all places."""
        return [self.into, *self.beside, self.out]


def units_of(config: RunConfig, state: State) -> list[Units] | None:
    """Return the layers whose hidden units can be removed, in the order of the config's sizes.

    Args:
        config: of the network.
        state: of its module, names with their prefix.

    Returns:
        None for a family whose sizes cannot shrink one by one: recurrent ones, residual ones along
        their main way, and a user's own.
    """
    find = _FINDERS.get(config.family)
    if find is None:
        return None
    prefix = "network.network." if any(n.startswith("network.network.") for n in state) else ""
    return find(config, state, prefix or "network.")


def smaller(
    config: RunConfig, state: State, layers: Sequence[Units], share: float
) -> tuple[RunConfig, dict[str, Tensor]]:
    """Return config and weights with that share of each layer's units removed, one unit at least.

    Args:
        config: of the network.
        state: of its module.
        layers: from `units_of`, all of them.
        share: of the units of ``state``, below 1.
    """
    cut = dict(state)
    sizes = []
    for units in layers:
        size = units.size(state)
        kept = max(round(size * (1 - share)), 1)
        best = units.importance(state).argsort(descending=True, stable=True)[:kept]
        chosen = best.sort().values
        for place in units.places():
            cut[place.name] = place.chosen(cut[place.name], chosen)
        sizes.append(kept)
    return _sized(config, sizes), {name: one.contiguous() for name, one in cut.items()}


def _sized(config: RunConfig, sizes: Sequence[int]) -> RunConfig:
    plain = config.plain()
    model: dict[str, Any] = plain["model"]
    if isinstance(config.model, MlpConfig | CnnConfig):
        named = {name: None for name in ("n_layers", "width", "growth") if name in model}
        plain["model"] = {**model, **named, "layers": list(sizes)}
    else:  # every block is as wide inside
        plain["model"] = {**model, "hidden_factor": sizes[0] / model["width"]}
    return RunConfig.model_validate(plain)


def _mlp(config: RunConfig, state: State, prefix: str) -> list[Units]:
    model: Any = config.model
    n_layers = len(model.widths)
    return [
        _layer(
            state,
            into=Place(name=f"{prefix}blocks.{i}.0.weight", axis=0),
            out=Place(
                name=f"{prefix}blocks.{i + 1}.0.weight"
                if i + 1 < n_layers
                else f"{prefix}out.weight",
                axis=1,
            ),
            norm=f"{prefix}blocks.{i}.1",
        )
        for i in range(n_layers)
    ]


def _cnn(config: RunConfig, state: State, prefix: str) -> list[Units]:
    """Return channels; between the blocks stand poolings, which have no weights."""
    blocks = [name for name in state if name.startswith(prefix) and name.endswith(".0.weight")]
    found = []
    for i, name in enumerate(blocks):
        if i + 1 < len(blocks):
            out = Place(name=blocks[i + 1], axis=1)
        else:  # laid flat, every channel is all its pixels
            head, n_channels = state[f"{prefix}out.weight"], state[name].shape[0]
            out = Place(name=f"{prefix}out.weight", axis=1, each=head.shape[1] // n_channels)
        norm = name.removesuffix(".0.weight") + ".1"
        found.append(_layer(state, into=Place(name=name, axis=0), out=out, norm=norm))
    return found


def _inside(layer: str, narrow: str, *, copies: int = 1) -> Callable[..., list[Units]]:
    """Return a finder of the units inside blocks: dense, activation, dense.

    Args:
        layer: the name of the first dense layer, with ``{}`` for the block's number.
        narrow: that of the second.
        copies: how often the first has each unit.
    """

    def find(config: RunConfig, state: State, prefix: str) -> list[Units]:
        model: Any = config.model
        found = []
        for i in range(model.n_layers):
            into = Place(name=f"{prefix}{layer.format(i)}.weight", axis=0, copies=copies)
            out = Place(name=f"{prefix}{narrow.format(i)}.weight", axis=1)
            found.append(_layer(state, into=into, out=out, norm=None))
        return found

    return find


def _layer(state: State, *, into: Place, out: Place, norm: str | None) -> Units:
    """Return units with what the network has beside their weights."""
    beside = [Place(name=into.name.removesuffix("weight") + "bias", axis=0, copies=into.copies)]
    beside += [Place(name=f"{norm}.{part}", axis=0) for part in NORM if norm is not None]
    gain = f"{norm}.weight" if f"{norm}.running_var" in state else None
    there = [place for place in beside if place.name in state]
    return Units(into=into, out=out, beside=there, gain=gain)


_FINDERS: dict[str, Callable[[RunConfig, State, str], list[Units]]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "resnet_mlp": _inside("widen.{}.1", "narrow.{}"),
    "transformer": _inside("blocks.{}.widen.1", "blocks.{}.narrow"),
    "vit": _inside("blocks.{}.widen.1", "blocks.{}.narrow"),
    "ft_transformer": _inside("blocks.{}.widen.1", "blocks.{}.narrow", copies=2),
}
