"""Hidden units that can be removed: where their weights stand, and which of them matter least."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_modules.settings import Settings

State = Mapping[str, Tensor]
LENGTH, DIRECTION = ".length", ".direction.weight"
"""What follows the name of a convolution whose weights have a length of their own."""
QUESTION = "pooling.question.weight"
"""What the name of attention's question ends in."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the units of a layer stand in one tensor.

    Along ``axis`` stand ``layers`` of them side by side, this one the ``turn``-th from 0. Each is
    ``copies`` runs of all its units, of ``each`` values a unit.
    """

    name: str
    axis: int
    copies: int = 1
    each: int = 1
    layers: int = 1
    turn: int = 0

    def positions(self, state: State) -> Tensor:
        """Return where along the axis they are, ``(copies, units, each)``."""
        everywhere = torch.arange(state[self.name].shape[self.axis])
        return everywhere.view(self.layers, self.copies, -1, self.each)[self.turn]

    def values(self, state: State) -> Tensor:
        """Return the values of each unit, ``(units, values)``."""
        values = state[self.name].movedim(self.axis, 0)[self.positions(state)]
        return values.double().transpose(0, 1).flatten(1)


@dataclass(frozen=True, kw_only=True)
class Units:
    """The hidden units of one layer, or of layers that are added to each other."""

    into: Sequence[Place]
    """The weights into them; behind batch norms, which leave those no size, the norms' scales."""
    out: Sequence[Place]
    """The weights out of them, of all that read them."""
    scales: Sequence[Place] = ()
    """What each of them is multiplied by besides."""
    beside: Sequence[Place] = ()
    """What each of them has besides: biases, statistics."""
    linear: bool = False
    """Whether they are read as they are, without an activation: then others can stand for one."""
    size: str
    """What says in the family's config how many there are,"""
    number: int | None = None
    """and the how manieth there, if it is a list."""

    def importance(self, state: State) -> Tensor:
        """Return how much each unit can move what comes behind, ``(units,)``."""
        factors = [self.into, self.out, *([scale] for scale in self.scales)]
        values = [torch.cat([place.values(state) for place in one], 1) for one in factors]
        return torch.stack([one.norm(dim=1) for one in values]).prod(0)

    def places(self) -> list[Place]:
        """Return all places."""
        return [*self.into, *self.out, *self.scales, *self.beside]

    def left(self, model: Settings) -> int:
        """Return how many there are in a network of this config."""
        said = getattr(model, self.size)
        left: int = said if self.number is None else said[self.number]
        return left


def without(state: State, layers: Sequence[Units], model: Settings) -> dict[str, Tensor]:
    """Return the weights of a smaller network: those of the units that matter most.

    Units that nothing reads are removed without a trace; so are linear ones that others can stand
    for.

    Args:
        state: of a module.
        layers: all its hidden units.
        model: the config of the smaller network.
    """
    plain = _plain(state)
    kept: dict[tuple[str, int], Tensor] = {}
    for units in layers:
        ranked = units.importance(plain).argsort(descending=True, stable=True)
        best, gone = ranked.tensor_split([units.left(model)])
        if units.linear:
            plain |= _stood_for(plain, units, gone, by=best)
        for place in units.places():
            where = (place.name, place.axis)
            if where not in kept:
                kept[where] = torch.ones(plain[place.name].shape[place.axis], dtype=torch.bool)
            kept[where][place.positions(plain)[:, gone]] = False
    cut = dict(plain)
    for (name, axis), mask in kept.items():
        cut[name] = cut[name].movedim(axis, 0)[mask].movedim(0, axis)
    return {name: one.contiguous() for name, one in _alike(plain, cut).items()}


def _plain(state: State) -> dict[str, Tensor]:
    """Return weights of which none counts by its direction alone."""
    plain = dict(state)
    for name in (name.removesuffix(LENGTH) for name in state if name.endswith(LENGTH)):
        weight = state[name + DIRECTION]
        scale = state[name + LENGTH] / weight.flatten(1).norm(dim=1)
        plain[name + DIRECTION] = weight * scale[:, None, None]
    return plain


def _stood_for(state: State, units: Units, gone: Tensor, *, by: Tensor) -> dict[str, Tensor]:
    """Return the weights out of linear units where some say what others said, as nearly as can be.

    Where steps have few channels, as many units and one can stand for all others.
    """
    made = torch.cat([place.values(state) for place in (*units.into, *units.beside)], 1)
    shares = made[gone] @ torch.linalg.pinv(made[by])
    found = {}
    for place in units.out:
        weight, at = state[place.name].movedim(place.axis, -1).clone(), place.positions(state)
        lost = weight[..., at[:, gone].flatten()].double() @ shares
        weight[..., at[:, by].flatten()] += lost.to(weight.dtype)
        found[place.name] = weight.movedim(-1, place.axis)
    return found


def _alike(before: State, after: State) -> dict[str, Tensor]:
    """Return plain weights after a cut, with what their number has a say in put right."""
    alike = dict(after)
    for name, one in after.items():
        if name.endswith(LENGTH):
            direction = after[name.removesuffix(LENGTH) + DIRECTION]
            alike[name] = direction.flatten(1).norm(dim=1)
        elif name.endswith(QUESTION):  # what it is like is divided by the root of their number
            alike[name] = one * math.sqrt(len(one) / len(before[name]))
    return alike
