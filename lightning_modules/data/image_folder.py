"""Images in a folder: one sub-folder per class, each image brought to one size."""

import os
from pathlib import Path

import numpy as np

from lightning_modules.data.config import ImageFolderConfig
from lightning_modules.data.decoding import SUFFIXES, decode_files
from lightning_modules.data.raw import RawData
from lightning_modules.errors import DataError


def load_image_folder(config: ImageFolderConfig) -> RawData:
    """Return the images ``(rows, channels, size, size)`` as uint8; labels are folder names.

    Raises:
        DataError: as `list_images` and `decoding.decode`.
        TrialFailed: reason ``disk`` if there is no room for a large array of images.
    """
    listed = list_images(config.path)
    x, kept = decode_files([path for _, path in listed], config)
    labels = np.array([label for label, _ in listed], dtype=object)
    return RawData(x=x, y=labels[kept], where=config.path)


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
