"""Images in a folder: one sub-folder per class, each image brought to one size."""

import os
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lightning_modules.data.config import ImageFolderConfig
from lightning_modules.data.frames import Array
from lightning_modules.data.raw import RawData
from lightning_modules.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
_MODES = {"rgb": "RGB", "grey": "L"}


def load_image_folder(config: ImageFolderConfig) -> RawData:
    """Return the images ``(rows, channels, size, size)`` as uint8; labels are folder names.

    Sides of different length are stretched or squeezed to a square; of an animation the first
    frame is taken; transparent parts become white.

    Raises:
        DataError: as `list_images`, or if an image cannot be decoded.
    """
    listed = list_images(config.path)
    n_channels = 3 if config.channels == "rgb" else 1
    x = np.empty((len(listed), n_channels, config.size, config.size), dtype=np.uint8)
    for row, (_, path) in enumerate(listed):
        image = _decoded(path, _MODES[config.channels])
        pixels = np.asarray(image.resize((config.size, config.size), Image.Resampling.BILINEAR))
        x[row] = pixels.reshape(config.size, config.size, n_channels).transpose(2, 0, 1)
    return RawData(x=x, y=np.array([label for label, _ in listed], dtype=object), where=config.path)


def list_images(folder: str) -> list[tuple[str, Path]]:
    """Return (class, file) of every image, in sorted order; hidden files are left out.

    Raises:
        DataError: if the folder is missing, unreadable or has no class folders, a class folder
            has no images, or a symbolic link leads out of the folder.
    """
    root = Path(os.path.expanduser(folder))
    if not os.path.isdir(root):  # Path.is_dir raises where a name is too long
        what = "is a file, not a folder" if os.path.exists(root) else "there is no such folder"
        raise DataError(folder, what, "give the folder that has one sub-folder per class")
    inside = root.resolve()
    listed = []
    for path in _visible(root):
        if not path.is_dir():
            continue
        _check_inside(path, inside)
        listed += [(path.name, image) for image in _images_of(path, inside)]
    if not listed:
        hint = "one sub-folder per class is expected, its images in it"
        raise DataError(folder, "has no class folders", hint)
    return listed


def _images_of(folder: Path, inside: Path) -> list[Path]:
    entries = _visible(folder)
    images = [path for path in entries if path.suffix.lower() in SUFFIXES and not path.is_dir()]
    if not images:
        below = next((path for path in entries if path.is_dir()), None)
        hint = f"expected {', '.join(SUFFIXES)}; or remove it"
        if below is not None:
            hint = f"it holds folders such as {below.name!r}: is {folder} the folder of classes?"
        raise DataError(str(folder), "has no images", hint)
    for path in images:
        _check_inside(path, inside)
    return images


def _check_inside(path: Path, inside: Path) -> None:
    """Refuse a link that leads elsewhere: what it shows is no part of the data set."""
    if path.is_symlink() and not path.resolve().is_relative_to(inside):
        hint = "put the images themselves there"
        raise DataError(str(path), "is a link that leaves the folder", hint)


def _visible(folder: Path) -> list[Path]:
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise DataError(str(folder), f"cannot be read: {error.strerror}") from None
    return sorted(paths, key=lambda path: path.name)


def _decoded(path: Path, mode: str) -> Image.Image:
    """Return the image upright in ``mode``, 8 bits a channel."""
    try:
        with warnings.catch_warnings(), Image.open(path, formats=_FORMATS) as image:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # 16 bits: convert would clip, not scale
                return Image.fromarray(_eight_bits(np.asarray(upright))).convert(mode)
            if upright.has_transparency_data:
                front = upright.convert("RGBA")
                white = Image.new("RGBA", front.size, "white")
                upright = Image.alpha_composite(white, front)
            return upright.convert(mode)
    except UnidentifiedImageError:
        raise _undecodable(path, f"it is none of {', '.join(_FORMATS)}") from None
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        struct.error,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise _undecodable(path, str(error)) from None


def _undecodable(path: Path, why: str) -> DataError:
    return DataError(str(path), f"cannot be decoded: {why}", "replace or remove it")


def _eight_bits(pixels: Array) -> Array:
    return (np.clip(pixels, 0, 65535).astype(np.uint32) >> 8).astype(np.uint8)
