"""Mix the rows of a batch, and their targets with them: mixup and cutmix."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from lightning_modules.data.augment_config import AugmentConfig


@dataclass(frozen=True, kw_only=True)
class Mix:
    """How the rows of one batch are mixed.

    Row i keeps the share ``kept`` of itself and takes the rest from row ``partner[i]``: everywhere,
    or, with ``center`` (as shares of height and width), in a rectangle around it.
    """

    partner: Tensor
    kept: float
    center: tuple[float, float] | None = None


def draw_mix(config: AugmentConfig, n_rows: int, *, seed: int) -> Mix:
    """Draw how a batch is mixed: equal seed, equal mix, on every device."""
    generator = np.random.Generator(np.random.PCG64(seed))
    boxes = bool(config.cutmix) and (not config.mixup or bool(generator.integers(2)))
    alpha = config.cutmix if boxes else config.mixup
    kept = float(generator.beta(alpha, alpha))
    partner = torch.from_numpy(generator.permutation(n_rows))
    center = (float(generator.random()), float(generator.random()))
    return Mix(partner=partner, kept=kept, center=center if boxes else None)


def mix_rows(x: Tensor, y: Tensor, mix: Mix) -> tuple[Tensor, Tensor]:
    """Return mixed inputs and targets, both floats, in the same shapes.

    Args:
        x: ``(rows, ...)``; images ``(rows, channels, height, width)`` where ``mix`` has a center.
        y: ``(rows,)`` or ``(rows, ...)``, as `soft_targets` returns them.
        mix: from `draw_mix`.
    """
    partner = mix.partner.to(x.device)
    if mix.center is None:
        return _blend(x, partner, mix.kept), _blend(y, partner, mix.kept)
    rows, columns = _box(x.shape[2:], mix.kept, mix.center)
    mixed = x.clone()
    mixed[:, :, rows, columns] = x[partner][:, :, rows, columns]
    taken = (rows.stop - rows.start) * (columns.stop - columns.start) / math.prod(x.shape[2:])
    return mixed, _blend(y, partner, 1 - taken)


def soft_targets(y: Tensor, n_classes: int | None) -> Tensor:
    """Return targets that can be mixed: class numbers as shares, ``(rows, classes)``.

    Args:
        y: class numbers ``(rows,)``, or numbers of any shape.
        n_classes: for one column a class; None for numbers and for 0 and 1.
    """
    return y.float() if n_classes is None else F.one_hot(y, n_classes).float()


def _blend(values: Tensor, partner: Tensor, kept: float) -> Tensor:
    return kept * values + (1 - kept) * values[partner]


def _box(size: torch.Size, kept: float, center: tuple[float, float]) -> tuple[slice, slice]:
    """Return rows and columns of a rectangle of the area that is not ``kept``, cut at the rims."""
    side = math.sqrt(1 - kept)
    spans = []
    for length, at in zip(size, center, strict=True):
        middle, half = at * length, side * length / 2
        start, end = round(middle - half), round(middle + half)
        spans.append(slice(max(start, 0), min(end, length)))
    return spans[0], spans[1]
