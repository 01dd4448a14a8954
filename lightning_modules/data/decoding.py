"""Decode image files into one array of images of one size, with several threads."""

import logging
import os
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from lightning_modules.data.config import ImageConfig
from lightning_modules.data.frames import Array
from lightning_modules.data.large import chosen, empty
from lightning_modules.errors import DataError

_log = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
_MODES = {"rgb": "RGB", "grey": "L"}
_MOST_THREADS = 8
_DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)

Opener: TypeAlias = Callable[[], Path | BinaryIO]


def decode_files(paths: Sequence[Path], config: ImageConfig) -> tuple[Array, Array]:
    """Return images of files as `decode` does, and the row numbers that there are images of."""
    openers: list[Opener] = [partial(Path, path) for path in paths]
    return decode(openers, [str(path) for path in paths], config)


def decode(
    openers: Sequence[Opener], names: Sequence[str], config: ImageConfig
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return images ``(rows, channels, size, size)`` as uint8, and the rows that they are.

    Sides of different length are stretched or squeezed to a square; of an animation the first
    frame is taken; transparent parts become white.

    Args:
        openers: each gives the file of one image, or its bytes as a stream.
        names: of the images, for errors.
        config: which size and channels; whether unreadable images are left out, with a warning.

    Raises:
        DataError: if an image cannot be decoded and is not to be left out, or none is left.
        TrialFailed: reason ``disk`` if there is no room for a large array of images.
    """
    n_channels = 3 if config.channels == "rgb" else 1
    x = empty((len(openers), n_channels, config.size, config.size), np.uint8)

    def fill(row: int) -> str | None:
        try:
            x[row] = _pixels(openers[row](), config)
        except UnidentifiedImageError:
            return f"it is none of {', '.join(_FORMATS)}"
        except _DAMAGED as error:
            return str(error)
        return None

    unreadable: list[int] = []
    n_threads = min(_MOST_THREADS, os.cpu_count() or 1)
    with _bombs_are_errors(), ThreadPoolExecutor(n_threads) as threads:
        for row, why in enumerate(threads.map(fill, range(len(openers)))):
            if why is not None and not config.skip_unreadable:
                threads.shutdown(cancel_futures=True)
                hint = "replace or remove it, or set data.skip_unreadable: true"
                raise DataError(names[row], f"cannot be decoded: {why}", hint)
            if why is not None:
                unreadable.append(row)
    kept = np.setdiff1d(np.arange(len(openers)), unreadable)
    if not unreadable:
        return x, kept
    first = names[unreadable[0]]
    if not len(kept):
        raise DataError(first, "cannot be decoded, nor can any other", "images are needed")
    text = "%d of %d images cannot be decoded and are left out; the first is %s"
    _log.warning(text, len(unreadable), len(openers), first)
    return chosen(x, kept), kept


def _pixels(source: Path | BinaryIO, config: ImageConfig) -> Array:
    """Return the image upright and square, ``(channels, size, size)``, 8 bits a channel."""
    with Image.open(source, formats=_FORMATS) as image:
        upright = _in_mode(ImageOps.exif_transpose(image), _MODES[config.channels])
    square = upright.resize((config.size, config.size), Image.Resampling.BILINEAR)
    return np.atleast_3d(np.asarray(square)).transpose(2, 0, 1)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits: convert would clip, not scale
        return Image.fromarray(_eight_bits(np.asarray(image))).convert(mode)
    if image.has_transparency_data:
        front = image.convert("RGBA")
        white = Image.new("RGBA", front.size, "white")
        image = Image.alpha_composite(white, front)
    return image.convert(mode)


def _eight_bits(pixels: Array) -> Array:
    return (np.clip(pixels, 0, 65535).astype(np.uint32) >> 8).astype(np.uint8)


@contextmanager
def _bombs_are_errors() -> Iterator[None]:
    """Refuse images of too many pixels; here, because threads share what is done with warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
