"""Dropout whose randomness is an input, and the drawing of that input."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

Noise = Mapping[str, Tensor]
Numbers = Mapping[str, float]
Shapes = Mapping[str, tuple[int, ...]]


def draw_noise(shapes: Shapes, *, seed: int, device: torch.device) -> dict[str, Tensor]:
    """Draw uniform noise in [0, 1) for one step: equal seed, equal noise, on every device."""
    sizes = [math.prod(shape) for shape in shapes.values()]
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(sum(sizes), generator=generator).to(device)
    parts = torch.split(drawn, sizes)
    return {name: part.view(shapes[name]) for name, part in zip(shapes, parts, strict=True)}


def drop(x: Tensor, noise: Tensor | None, p: float | Tensor) -> Tensor:
    """Zero the entries of ``x`` where ``noise`` is below ``p``, and scale the others by 1/(1-p).

    Args:
        x: any shape.
        noise: uniform in [0, 1), broadcastable to ``x``; None leaves ``x`` as it is.
        p: the share to drop, below 1.

    Source: Srivastava et al., 2014.
    """
    if noise is None:
        return x
    return x * (noise >= p) / (1 - p)


def drop_at(
    place: str, x: Tensor, noise: Noise | None, numbers: Numbers | None, *, share: float = 1.0
) -> Tensor:
    """Drop by the noise of ``place``, called ``<number>`` or ``<number>.<where>``.

    Args:
        place: its number, such as ``dropout``, gives the probability.
        x: any shape.
        noise: of the step; where it has none for ``place``, ``x`` is left as it is.
        numbers: of the step.
        share: of the number, where the probability differs from place to place.
    """
    drawn = noise.get(place) if noise else None
    if drawn is None or not numbers:
        return x
    return drop(x, drawn, share * numbers[number_of(place)])


def number_of(place: str) -> str:
    """Return the name of the number that decides how much is dropped at ``place``.

    >>> number_of("dropout.2.out")
    'dropout'
    """
    return place.partition(".")[0]
