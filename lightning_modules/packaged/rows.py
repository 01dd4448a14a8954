"""Raw images, sequences, texts and windows of a series as what a network takes."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.image_preparation import ImagePreparation
from lightning_modules.data.sequences import SequencePreparation
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.data.target import NumberTarget
from lightning_modules.packaged.columns import RawColumns
from lightning_modules.packaged.numbers import doubles, to_float32
from lightning_modules.packaged.table import Table

_LARGEST = torch.finfo(torch.float64).max


class Images(nn.Module):
    """``images`` ``(rows, channels, height, width)`` scaled, as `ImagePreparation.apply`."""

    def __init__(self, preparation: ImagePreparation) -> None:
        super().__init__()
        self.register_buffer("mean", doubles(preparation.mean)[:, None, None])
        self.register_buffer("sd", doubles(preparation.sd)[:, None, None])

    def forward(self, raw: Mapping[str, Tensor]) -> Tensor:
        """Return the same shape in float32."""
        pixels = raw["images"].to(torch.float64)
        return to_float32((pixels - self.get_buffer("mean")) / self.get_buffer("sd"))


class Sequences(nn.Module):
    """``sequences`` ``(rows, length + difference, channels)``, as `SequencePreparation.apply`.

    Where they are padded, ``lengths`` ``(rows,)`` says how many of these steps are real.
    """

    def __init__(self, preparation: SequencePreparation) -> None:
        super().__init__()
        channels = preparation.channels
        self.difference, self.padded = preparation.difference, preparation.padded
        self.register_buffer("fill", doubles([one.fill for one in channels]))
        self.register_buffer("center", doubles([one.center for one in channels]))
        self.register_buffer("scale", doubles([one.scale for one in channels]))
        self.register_buffer("steps", torch.arange(preparation.length))

    def forward(self, raw: Mapping[str, Tensor]) -> Tensor:
        """Return ``(rows, length, channels)``, with one more channel where they are padded."""
        values = raw["sequences"]
        values = torch.where(values.isnan(), self.get_buffer("fill"), values)
        for _ in range(self.difference):
            values = (values[:, 1:] - values[:, :-1]).clamp(-_LARGEST, _LARGEST)
        scaled = to_float32((values - self.get_buffer("center")) / self.get_buffer("scale"))
        if not self.padded:
            return scaled
        real = self.get_buffer("steps") < (raw["lengths"] - self.difference)[:, None]
        shown = torch.where(real[..., None], scaled, torch.zeros_like(scaled))
        return torch.cat([shown, real[..., None].to(torch.float32)], dim=2)


class Texts(nn.Module):
    """``tokens`` ``(rows, length)``: a text is cut into tokens before."""

    def forward(self, raw: Mapping[str, Tensor]) -> Tensor:
        """Return them as they are."""
        return raw["tokens"]


class Series(nn.Module):
    """Windows of a series: ``numbers`` ``(rows, window, columns)`` with the predicted one first.

    As `WindowPreparation.channels`, the predicted column scaled as a target is.
    """

    def __init__(
        self, preparation: WindowPreparation, target: NumberTarget, raw: RawColumns
    ) -> None:
        super().__init__()
        self.log = target.log
        self.register_buffer("mean", doubles([target.mean]))
        self.register_buffer("sd", doubles([target.sd]))
        others = RawColumns(
            numbers=raw.numbers[1:],
            texts=raw.texts,
            vocabularies=raw.vocabularies,
            moments=raw.moments,
        )
        self.others = Table(preparation.others, others) if preparation.others.columns else None

    def forward(self, raw: Mapping[str, Tensor]) -> Tensor:
        """Return ``(rows, window, channels)`` in float32."""
        numbers = raw["numbers"]
        predicted = numbers[..., :1].log() if self.log else numbers[..., :1]
        scaled = ((predicted - self.get_buffer("mean")) / self.get_buffer("sd")).to(torch.float32)
        if self.others is None:
            return scaled
        return torch.cat([scaled, self.others({**raw, "numbers": numbers[..., 1:]})], dim=-1)


def preparation_of(fitted: Fitted, raw: RawColumns) -> nn.Module:
    """Return the preparation of raw tensors, by name, as a module.

    Args:
        fitted: with the model.
        raw: the columns of a table or series, as `raw_columns` has them.

    Raises:
        TypeError: if a series is fitted with another target than one number.
    """
    preparation, target = fitted.preparation, fitted.target
    if isinstance(preparation, TablePreparation):
        return Table(preparation, raw)
    if isinstance(preparation, ImagePreparation):
        return Images(preparation)
    if isinstance(preparation, SequencePreparation):
        return Sequences(preparation)
    if isinstance(preparation, WindowPreparation):
        if not isinstance(target, NumberTarget):
            raise TypeError("a series is predicted as one number a step")
        return Series(preparation, target, raw)
    return Texts()
