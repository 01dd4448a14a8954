"""Cut rows into training, validation and test: by chance, per class, by groups, by time."""

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
    parts = make_parts(y, _shares(validation, test), seed=seed, stratify=stratify)
    return checked_split(parts, with_test=test is not None)


def make_parts(
    y: Array, shares: npt.NDArray[np.float64], *, seed: int, stratify: bool
) -> list[Rows]:
    """Return the row numbers of each share, ascending, as `make_split` draws them."""
    generator = _generator(seed)
    groups = np.unique(y, return_inverse=True)[1].reshape(-1) if stratify else np.zeros(len(y), int)
    parts: list[list[Rows]] = [[] for _ in shares]
    for group in range(int(groups.max(initial=-1)) + 1):
        rows = generator.permutation(np.flatnonzero(groups == group))
        ends = np.cumsum(allot(len(rows), shares))
        for part, chosen in zip(parts, np.split(rows, ends[:-1]), strict=True):
            part.append(chosen)
    return [_sorted(part) for part in parts]


def keep_together(split: Split, groups: Rows, y: Array, *, stratify: bool) -> Split:
    """Return the split in which every row stands where the first one of its group did.

    Args:
        split: of single rows.
        groups: the group of each row, ``(rows,)``, numbered from 0.
        y: the target, ``(rows,)``.
        stratify: move the rows of a class that training would not have, to training.

    Where few groups leave a split without rows, whole groups are dealt out instead.

    Raises:
        DataError: if there are too few groups for that.
    """
    place = np.zeros(len(groups), dtype=np.int64)
    place[split.validation], place[split.test] = 1, 2
    place = place[np.unique(groups, return_index=True)[1]][groups]
    for label in np.unique(y) if stratify else ():
        if not (place[y == label] == 0).any():
            place[np.isin(groups, groups[y == label])] = 0
    parts = (split.train, split.validation, split.test)
    if any(len(rows) and not (place == i).any() for i, rows in enumerate(parts)):
        shares = np.array([len(rows) for rows in parts]) / len(groups)
        return _of_groups(groups, shares, _dealt(groups, shares, np.arange(int(groups.max()) + 1)))
    return _placed(place, with_test=bool(len(split.test)))


def split_groups(groups: Rows, *, validation: float, test: float | None, seed: int) -> Split:
    """Cut whole groups into three splits that come near their shares of rows.

    Args:
        groups: the group of each row, ``(rows,)``, numbered from 0.
        validation: share of all rows for validation.
        test: share of all rows for test; None: it stays empty.
        seed: decides which groups go where, of those of one size.

    Raises:
        DataError: if the shares leave no training rows, or there are too few groups.
    """
    shares = _shares(validation, test)
    return _of_groups(groups, shares, deal_groups(groups, shares, seed=seed))


def deal_groups(groups: Rows, shares: npt.NDArray[np.float64], *, seed: int) -> Rows:
    """Return for each row the number of the share that its whole group was dealt to."""
    return _dealt(groups, shares, _generator(seed).permutation(int(groups.max()) + 1))


def _dealt(groups: Rows, shares: npt.NDArray[np.float64], order: Rows) -> Rows:
    """Deal out whole groups, the largest first, those of one size in ``order``."""
    sizes = np.bincount(groups)
    order = order[np.argsort(-sizes[order], kind="stable")]
    lacking, place = shares * len(groups), np.zeros(len(sizes), dtype=np.int64)
    for group in order:  # the largest first, each to where the most is lacking
        place[group] = lacking.argmax()
        lacking[place[group]] -= sizes[group]
    for empty in set(np.flatnonzero(shares > 0)) - set(place):
        counts = np.bincount(place, minlength=len(shares))
        if counts.max() > 1:
            place[[g for g in order if place[g] == counts.argmax()][-1]] = empty
    return np.asarray(place[groups])


def _of_groups(groups: Rows, shares: npt.NDArray[np.float64], place: Rows) -> Split:
    together = f" in {int(groups.max()) + 1} groups (equal rows are one)"
    return _placed(place, with_test=bool(shares[2] > 0), together=together)


def split_by_time(times: Array, *, validation: float, test: float | None) -> Split:
    """Cut rows by time: the earliest train, then validation, the latest test.

    Rows of the same moment stay together, in the later split.

    Args:
        times: the moment of each row, ``(rows,)``, as numbers.
        validation: share of all rows for validation.
        test: share of all rows for test; None: it stays empty.

    Raises:
        DataError: if the shares leave no training rows, or a split is left without rows.
    """
    ends = np.cumsum(allot(len(times), _shares(validation, test)))
    ordered = np.sort(times)
    place = (times >= ordered[min(ends[0], len(times) - 1)]).astype(np.int64)
    if test is not None:
        place += times >= ordered[min(ends[1], len(times) - 1)]
    return _placed(place, with_test=test is not None)


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


def _shares(validation: float, test: float | None) -> npt.NDArray[np.float64]:
    shares = np.array([1.0 - validation - (test or 0.0), validation, test or 0.0])
    if shares[0] < 1e-9:
        raise DataError(
            "data",
            f"validation {validation} and test {test or 0.0} leave no rows for training",
            "their sum must be below 1",
        )
    return shares


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))


def _placed(place: Rows, *, with_test: bool, together: str = "") -> Split:
    parts = [np.flatnonzero(place == i) for i in range(3)]
    return checked_split(parts, with_test=with_test, together=together)


def checked_split(parts: list[Rows], *, with_test: bool, together: str = "") -> Split:
    """Return rows for training, validation and test as a split.

    Raises:
        DataError: if one of them has no row; the test split only ``with_test``.
    """
    train, validation, test = parts
    if not len(train) or not len(validation) or (with_test and not len(test)):
        raise DataError(
            "data",
            f"{sum(map(len, parts))} rows{together} are too few for splits of {len(train)} for "
            f"training, {len(validation)} for validation and {len(test)} for test",
            "add rows, or change data.validation and data.test",
        )
    return Split(train=train, validation=validation, test=test)
