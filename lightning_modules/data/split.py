"""Cut rows into training, validation and test by a seed; per class where classes exist."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lightning_modules.data.frames import Array
from lightning_modules.errors import DataError

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Row numbers of the three splits, ascending; each row stands in exactly one."""

    train: Rows
    validation: Rows
    test: Rows


def make_split(
    y: Array, *, validation: float, test: float | None, seed: int, stratify: bool
) -> Split:
    """Cut the rows of ``y`` into three splits, a pure function of the arguments.

    Args:
        y: the target, ``(rows,)``; only its length counts when not stratified.
        validation: share of all rows that the validation split gets.
        test: share of all rows that the test split gets; None: it stays empty.
        seed: decides which rows go where.
        stratify: give each class its share of each split. A class of three rows or more then
            stands in every split that has a share.

    Raises:
        DataError: if the shares leave no training rows, or there are too few rows to give each
            split one.
    """
    shares = np.array([1.0 - validation - (test or 0.0), validation, test or 0.0])
    if shares[0] < 1e-9:
        raise DataError(
            "data",
            f"validation {validation} and test {test or 0.0} leave no rows for training",
            "their sum must be below 1",
        )
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    groups = np.unique(y, return_inverse=True)[1].reshape(-1) if stratify else np.zeros(len(y), int)
    parts: list[list[Rows]] = [[], [], []]
    for group in range(int(groups.max(initial=-1)) + 1):
        rows = generator.permutation(np.flatnonzero(groups == group))
        ends = np.cumsum(allot(len(rows), shares))
        for part, chosen in zip(parts, np.split(rows, ends[:-1]), strict=True):
            part.append(chosen)
    train, val, held_out = (_sorted(part) for part in parts)
    if not len(train) or not len(val) or (test is not None and not len(held_out)):
        raise DataError(
            "data",
            f"{len(y)} rows are too few for splits of {len(train)} for training, "
            f"{len(val)} for validation and {len(held_out)} for test",
            "add rows, or change data.validation and data.test",
        )
    return Split(train=train, validation=val, test=held_out)


def allot(n_rows: int, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return how many of ``n_rows`` each share gets, by largest remainder.

    With enough rows nobody who has a share goes without: the largest gives.

    >>> allot(10, np.array([0.7, 0.2, 0.1])).tolist(), allot(3, np.array([0.8, 0.1, 0.1])).tolist()
    ([7, 2, 1], [1, 1, 1])
    """
    ideal = n_rows * shares
    sizes = np.floor(ideal + 1e-9).astype(np.int64)
    order = np.argsort(-(ideal - sizes), kind="stable")
    sizes[order[: n_rows - int(sizes.sum())]] += 1
    if n_rows >= int((shares > 0).sum()):
        for i in np.flatnonzero((shares > 0) & (sizes == 0)):
            sizes[sizes.argmax()] -= 1
            sizes[i] += 1
    return sizes


def _sorted(parts: list[Rows]) -> Rows:
    return np.sort(np.concatenate([np.empty(0, np.int64), *parts]))
