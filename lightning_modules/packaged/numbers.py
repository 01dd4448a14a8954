"""Columns of numbers as features: all of them at once, in float64, as numpy prepares them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_modules.data.columns import Curve, NumericColumn

_LARGEST = torch.finfo(torch.float32).max


def to_float32(values: Tensor) -> Tensor:
    """Return float64 as float32; what is larger than float32 holds becomes its largest.

    >>> to_float32(torch.tensor([1.5, -1e300], dtype=torch.float64)).tolist()
    [1.5, -3.4028234663852886e+38]
    """
    return values.clamp(-_LARGEST, _LARGEST).to(torch.float32)


def doubles(values: Sequence[float] | Sequence[Sequence[float]]) -> Tensor:
    """Return statistics as float64."""
    return torch.tensor(values, dtype=torch.float64)


class Take(nn.Module):
    """Some places of the last axis, in an order of their own.

    Args:
        places: which.
        width: how many there are; where all are taken as they stand, nothing is computed.
    """

    def __init__(self, places: Sequence[int], width: int) -> None:
        super().__init__()
        self.whole = list(places) == list(range(width))
        if not self.whole:
            self.register_buffer("places", torch.tensor(places, dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(..., places)`` of ``(..., width)``."""
        return x if self.whole else x.index_select(-1, self.get_buffer("places"))


class Numbers(nn.Module):
    """``(..., columns)`` float64, NaN where missing, to as many features in float32.

    Each column as `NumericColumn.apply` has it, without the indicator.
    """

    def __init__(self, columns: Sequence[NumericColumn]) -> None:
        super().__init__()
        self.register_buffer("fill", doubles([one.fill for one in columns]))
        self.clipped = any(one.clip is not None for one in columns)
        if self.clipped:
            ends = [one.clip or [-torch.inf, torch.inf] for one in columns]
            self.register_buffer("low", doubles([low for low, _ in ends]))
            self.register_buffer("high", doubles([high for _, high in ends]))
        curves = [one.curve for one in columns]
        self.curves = Curves(curves) if any(one is not None for one in curves) else None
        self.scaled = any(one.center != 0 or one.scale != 1 for one in columns)
        if self.scaled:
            self.register_buffer("center", doubles([one.center for one in columns]))
            self.register_buffer("scale", doubles([one.scale for one in columns]))

    def forward(self, values: Tensor) -> Tensor:
        """Return ``(..., columns)`` in float32."""
        values = torch.where(values.isnan(), self.get_buffer("fill"), values)
        if self.clipped:
            low, high = self.get_buffer("low"), self.get_buffer("high")
            values = torch.minimum(torch.maximum(values, low), high)
        if self.curves is not None:
            values = self.curves(values)
        if self.scaled:
            values = (values - self.get_buffer("center")) / self.get_buffer("scale")
        return to_float32(values)


class Curves(nn.Module):
    """The curve of each column that has one, on ``(..., columns)``; others are left as they are.

    The piece that a value lies in is found by halving, for all columns at once.
    """

    def __init__(self, curves: Sequence[Curve | None]) -> None:
        super().__init__()
        longest = max(len(one.knots) for one in curves if one is not None)
        self.width = 1 << (longest - 1).bit_length()
        pieces = [_pieces(one, self.width) for one in curves]
        for i, name in enumerate(("knots", "levels", "slopes")):
            self.register_buffer(name, torch.cat([piece[i] for piece in pieces]))
        self.register_buffer("starts", torch.arange(len(curves)) * self.width)
        self.all = None not in curves
        self.register_buffer("curved", torch.tensor([one is not None for one in curves]))

    def forward(self, values: Tensor) -> Tensor:
        """Return the level of each value."""
        knots = self.get_buffer("knots")
        at, step = self.get_buffer("starts").expand(values.shape), self.width
        while step > 1:
            step //= 2
            at = torch.where(values >= knots[at + step], at + step, at)
        beyond = (values - knots[at]).clamp(min=0.0)
        found = self.get_buffer("slopes")[at] * beyond + self.get_buffer("levels")[at]
        return found if self.all else torch.where(self.get_buffer("curved"), found, values)


def _pieces(curve: Curve | None, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return knots, levels and slopes behind them, filled up with knots that nothing reaches."""
    knots, levels = (curve.knots, curve.levels) if curve is not None else ([0.0], [0.0])
    slopes = doubles(levels).diff() / doubles(knots).diff()
    left = width - len(knots)
    return (
        torch.cat([doubles(knots), doubles([torch.inf] * left)]),
        torch.cat([doubles(levels), doubles([0.0] * left)]),
        torch.cat([slopes, doubles([0.0] * (left + 1))]),
    )
