"""Turn raw images into float32 by one center and one scale per channel."""

import math
from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lightning_modules.data.frames import Array
from lightning_modules.data.large import empty
from lightning_modules.data.rounding import to_float32
from lightning_modules.errors import DataError
from lightning_modules.settings import Settings

Floats: TypeAlias = npt.NDArray[np.float64]

_CHUNK, _CHUNK_VALUES = 2048, 2**24
"""Images that are float64 at a time, and their values: exact statistics in little memory."""


class ImagePreparation(Settings):
    """What is subtracted from each channel and what it is divided by.

    With scale ``standard`` these are mean and standard deviation; with ``minmax`` the lowest pixel
    and the range; with ``none`` 0 and 1.
    """

    kind: Literal["image"] = "image"
    mean: list[float]
    sd: list[float]

    def apply(self, images: Array) -> npt.NDArray[np.float32]:
        """Return images ``(rows, channels, height, width)`` scaled, in the same shape.

        Raises:
            DataError: if the shape is another, or a pixel is NaN or infinite.
        """
        if images.ndim != 4 or images.shape[1] != len(self.mean):
            raise DataError(
                "data",
                f"images have shape {images.shape}",
                f"expected (rows, {len(self.mean)}, height, width)",
            )
        scaled = empty(images.shape, np.float32)
        mean, sd = (np.asarray(values)[:, None, None] for values in (self.mean, self.sd))
        step = _rows_at_a_time(images)
        for start in range(0, len(images), step):
            chunk = images[start : start + step].astype(np.float64)
            wrong = ~np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1)
            if wrong.any():
                row = start + int(wrong.argmax()) + 1
                raise DataError("data", f"image {row} has a pixel that is NaN or infinite")
            with np.errstate(over="ignore"):
                scaled[start : start + step] = to_float32((chunk - mean) / sd)
        return scaled


def fit_images(images: Array, scale: str) -> ImagePreparation:
    """Fit on training images ``(rows, channels, height, width)``; a constant channel has sd 1.

    ``scale`` is ``standard``, ``minmax`` or ``none``.
    """
    channels = images.shape[1]
    if scale == "none":
        return ImagePreparation(mean=[0.0] * channels, sd=[1.0] * channels)
    low = images.min(axis=(0, 2, 3)).astype(np.float64)
    high = images.max(axis=(0, 2, 3)).astype(np.float64)
    size = np.maximum(np.abs(low), np.abs(high))
    size[size == 0] = 1.0  # everything is divided by it: sums of the largest floats overflow
    center, spread = low / size, high / size - low / size
    if scale == "standard":
        center, spread = _moments(images, size)
    with np.errstate(over="ignore"):
        spread = np.minimum(spread * size, np.finfo(np.float64).max)
    return ImagePreparation(
        mean=np.clip(center * size, low, high).tolist(),
        sd=np.where((high > low) & (spread > 0), spread, 1.0).tolist(),
    )


def pixel_range(images: Array) -> tuple[float, float]:
    """Return what black and white are in training images ``(rows, channels, height, width)``.

    Of bytes 0 and 255, of others the least and the greatest pixel.
    """
    if images.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(images.min()), float(images.max())
    return low, high if high > low else low + 1.0


def _moments(images: Array, size: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each channel divided by its ``size``."""
    pixels = len(images) * images.shape[2] * images.shape[3]
    total = np.zeros(images.shape[1])
    for chunk in _chunks(images, size):
        total += chunk.sum(axis=(0, 2, 3))
    mean = total / pixels
    squares = np.zeros(images.shape[1])
    for chunk in _chunks(images, size):
        squares += np.square(chunk - mean[:, None, None]).sum(axis=(0, 2, 3))
    return mean, np.sqrt(squares / pixels)


def _chunks(images: Array, size: Floats) -> Iterator[Floats]:
    step = _rows_at_a_time(images)
    for start in range(0, len(images), step):
        yield images[start : start + step] / size[:, None, None]


def _rows_at_a_time(images: Array) -> int:
    return max(1, min(_CHUNK, _CHUNK_VALUES // max(1, math.prod(images.shape[1:]))))
