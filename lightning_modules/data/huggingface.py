"""Data sets of Hugging Face that lie on this machine's disk: tables, texts, images."""

import io
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lightning_modules.data.columnwise import taken
from lightning_modules.data.config import HuggingFaceConfig
from lightning_modules.data.decoding import decode
from lightning_modules.data.frames import Array
from lightning_modules.data.large import chosen
from lightning_modules.data.raw import RawData
from lightning_modules.data.tables import rows_of_frame
from lightning_modules.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

_log = logging.getLogger(__name__)

_TRAINING = ("train", "validation")
_TEST = "test"
_PLAIN = ("Value", "ClassLabel")
"""Features that are one value a row."""


def load_huggingface(config: HuggingFaceConfig) -> RawData:
    """Return the rows of a data set that was saved by ``save_to_disk``.

    Of several splits, ``train`` and ``validation`` together are what is split here, and ``test`` is
    the test split; others are left out, with a warning.

    Raises:
        DataError: if the extra is missing; there is no such data set, or it is damaged; a column
            is missing, or of a kind that cannot be read; an image is not in the data set, or
            cannot be decoded; ``data.test`` is set beside a test split, or unset without one.
        TrialFailed: reason ``disk`` if there is no room for a large array of images.
    """
    parts, n_training = _parts(config)
    raw, kept = _rows(config, parts)
    if n_training is None:
        if config.test is None:
            hint = "set data.test, such as 0.2"
            raise DataError(config.path, "has no split called test", hint)
        return raw
    if config.test is not None:
        what = f"its split test is the test split: data.test {config.test} would have no effect"
        raise DataError(config.path, what, "remove data.test")
    own, test = np.flatnonzero(kept < n_training), np.flatnonzero(kept >= n_training)
    official = (taken(raw.x, test), _taken(raw.y, test))
    return replace(_of(raw, own), official_test=official)


def _of(raw: RawData, rows: Array) -> RawData:
    """Return some of the rows, by their numbers."""
    return replace(
        raw,
        x=taken(raw.x, rows),
        y=_taken(raw.y, rows),
        groups=None if raw.groups is None else raw.groups[rows],
        times=None if raw.times is None else raw.times[rows],
    )


def _taken(values: Any, rows: Array) -> Any:
    if isinstance(values, pd.DataFrame | pd.Series):
        return values.iloc[rows].reset_index(drop=True)
    return chosen(values, rows)


def _parts(config: HuggingFaceConfig) -> tuple[list["Dataset"], int | None]:
    """Return the parts of the data set, and how many rows train where the last part is the test."""
    found = _open(config)
    if not isinstance(found, Mapping):
        return [found], None
    if _TRAINING[0] not in found:
        names = ", ".join(map(repr, found))
        hint = f"name one of them in data.path, such as {config.path}/{next(iter(found), 'train')}"
        raise DataError(config.path, f"has no split called train, but {names}", hint)
    others = [name for name in found if name not in (*_TRAINING, _TEST)]
    if others:
        _log.warning("%s: the splits %s are left out", config.path, ", ".join(others))
    training = [found[name] for name in _TRAINING if name in found]
    if _TEST not in found:
        return training, None
    return [*training, found[_TEST]], sum(map(len, training))


def _open(config: HuggingFaceConfig) -> "Dataset | Mapping[str, Dataset]":
    folder, where = Path(os.path.expanduser(config.path)), config.path
    if find_spec("datasets") is None:
        what = "is a data set of Hugging Face, which needs datasets"
        raise DataError(where, what, "pip install 'hpo[huggingface]'")
    if not os.path.isdir(folder):  # anything else could be fetched from the network
        what = "is a file, not a folder" if os.path.exists(folder) else "there is no such folder"
        raise DataError(where, what, "give the folder that save_to_disk wrote")
    import datasets

    _check_files(folder, where)
    try:
        with _without_bars():
            return datasets.load_from_disk(str(folder.resolve()))
    except IndexError:  # of a part without files
        raise DataError(where, "has no rows", "at least one row of data is needed") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(where, f"is no data set: {first}", "save it with save_to_disk") from None


def _check_files(folder: Path, where: str) -> None:
    """Refuse what leads out of the folder: links, and names of files that lie elsewhere."""
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        if not path.resolve().is_relative_to(root):
            hint = "put the file itself there"
            raise DataError(where, f"{path.name} is a link that leaves the folder", hint)
        for name in _named_in(path, where):
            if name != Path(name).name or name in ("", ".."):
                what = f"{path.name} names {name!r}, which is not beside it"
                raise DataError(where, what, "save it with save_to_disk")


def _named_in(path: Path, where: str) -> list[str]:
    """Return the files or splits that a description in the data set names."""
    if path.name not in ("state.json", "dataset_dict.json"):
        return []
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        if path.name == "state.json":
            return [str(file["filename"]) for file in held.get("_data_files") or []]
        return [str(name) for name in held["splits"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(where, f"{path.name} is damaged", "save it with save_to_disk") from None


@contextmanager
def _without_bars() -> Iterator[None]:
    from datasets.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()


def _rows(config: HuggingFaceConfig, parts: Sequence["Dataset"]) -> tuple[RawData, Array]:
    """Return the rows of all parts, and their numbers: images may have been left out."""
    for part in parts[1:]:
        if part.features != parts[0].features:
            raise DataError(config.path, "its splits differ in their columns", "save them alike")
    wanted = _wanted(config, parts[0].column_names)
    _check_kinds(config, parts[0], wanted)
    frame = pd.concat([_frame(part, wanted) for part in parts], ignore_index=True)
    if not len(frame):
        raise DataError(config.path, "has no rows", "at least one row of data is needed")
    unread = [name for name in parts[0].column_names if name not in wanted]
    frame = frame.assign(**dict.fromkeys(unread, ""))  # they are there, for who looks for them
    if config.image is None:
        return rows_of_frame(config, frame), np.arange(len(frame))
    return _with_images(config, parts, frame)


def _wanted(config: HuggingFaceConfig, names: Sequence[str]) -> list[str]:
    """Return the columns that are read; those of other kinds need not be readable."""
    if config.image is None and config.text is None:
        return [name for name in names if name not in config.ignore]
    named = {*config.targets, config.text, config.group, config.time}
    return [name for name in names if name in named]


def _check_kinds(config: HuggingFaceConfig, part: "Dataset", names: Sequence[str]) -> None:
    for name in names:
        kind = type(part.features[name]).__name__
        if kind not in _PLAIN:
            hint = "name it in data.ignore"
            if kind == "Image":
                hint = f"set data.image: {name}"
            raise DataError(config.path, f"column {name!r} holds {kind}, no plain values", hint)


def _frame(part: "Dataset", names: Sequence[str]) -> pd.DataFrame:
    """Return columns as pandas reads them, classes by their names."""
    table = part.select_columns(list(names)).with_format("arrow")[:]
    frame: pd.DataFrame = table.to_pandas()
    for name in names:
        labels = getattr(part.features[name], "names", None)
        if labels is not None:
            known = dict(enumerate(labels))
            frame[name] = frame[name].map(known).astype(object)  # -1 stands for none
    if not names:
        return pd.DataFrame(index=range(len(part)))
    return frame


def _with_images(
    config: HuggingFaceConfig, parts: Sequence["Dataset"], frame: pd.DataFrame
) -> tuple[RawData, Array]:
    """Return decoded images with the targets that ``frame`` has, and the rows that they are of."""
    name = str(config.image)
    try:
        raw = rows_of_frame(config.model_copy(update={"text": name, "image": None}), frame)
    except DataError as error:
        what = error.what.replace("data.text:", "data.image:")
        raise DataError(error.where, what, error.hint) from None
    kind = type(parts[0].features[name]).__name__
    if kind != "Image":
        raise DataError(config.path, f"column {name!r} holds {kind}, no images", "name another")
    columns = [part.select_columns([name]).with_format("arrow") for part in parts]
    places = [(column, i) for column in columns for i in range(len(column))]
    openers = [partial(_bytes, *place, name) for place in places]
    titles = [f"{config.path}: {name!r} of row {i + 1}" for i in range(len(openers))]
    x, kept = decode(openers, titles, config.images)
    return replace(_of(raw, kept), x=x), kept


def _bytes(column: "Dataset", row: int, name: str) -> io.BytesIO:
    """Return an image as it lies in the data set; a path that stands for one is not followed."""
    held = column[row][name][0].as_py()
    if held is None or held["bytes"] is None:
        raise ValueError("its bytes are not in the data set")
    return io.BytesIO(held["bytes"])
