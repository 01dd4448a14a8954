"""Cut rows into folds, each of which validates once, and a test split that all of them share."""

import numpy as np

from lightning_modules.data.frames import Array
from lightning_modules.data.split import Rows, Split, checked_split, deal_groups, make_parts
from lightning_modules.errors import DataError


def make_folds(
    y: Array,
    groups: Rows,
    *,
    n_folds: int,
    fold: int,
    test: float | None,
    seed: int,
    stratify: bool,
) -> Split:
    """Cut rows by chance into ``n_folds`` folds and a test split, and let one fold validate.

    Folds differ by one row at most, also within each class, but for groups that are kept together.

    Args:
        y: the target, ``(rows,)`` or ``(rows, targets)``; only its length counts when not
            stratified.
        groups: the group of each row, numbered from 0; its rows stand where the first one does.
        n_folds: how many.
        fold: the one that validates, from 0.
        test: share of all rows that the test split gets; None: it stays empty.
        seed: decides which rows go where.
        stratify: give each class its share of every fold.

    Raises:
        DataError: if a fold would have no row.
    """
    share = test or 0.0
    rest, tested = make_parts(y, np.array([1.0 - share, share]), seed=seed, stratify=stratify)
    place = np.full(len(y), n_folds)
    labels = np.asarray(y)[rest] if stratify else np.zeros(len(rest))
    # Class by class, each in the order of chance, dealt out in turn.
    chance = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 1])))
    mixed = chance.permutation(len(rest))
    dealt = mixed[np.argsort(labels[mixed], kind="stable")]
    place[rest[dealt]] = np.arange(len(rest)) % n_folds
    place = place[np.unique(groups, return_index=True)[1]][groups]
    return _with_fold(place, n_folds, fold, with_test=bool(len(tested)))


def fold_groups(groups: Rows, *, n_folds: int, fold: int, test: float | None, seed: int) -> Split:
    """Cut whole groups into folds of nearly equal size and a test split; one fold validates.

    Args:
        groups: the group of each row, ``(rows,)``, numbered from 0.
        n_folds: how many.
        fold: the one that validates, from 0.
        test: share of all rows for test; None: it stays empty.
        seed: decides which groups go where, of those of one size.

    Raises:
        DataError: if there are too few groups.
    """
    share = test or 0.0
    place = deal_groups(groups, np.array([(1.0 - share) / n_folds] * n_folds + [share]), seed=seed)
    return _with_fold(place, n_folds, fold, with_test=test is not None)


def _with_fold(place: Rows, n_folds: int, fold: int, *, with_test: bool) -> Split:
    """Return the split in which one fold validates; ``place`` is ``n_folds`` for test rows."""
    sizes = np.bincount(place, minlength=n_folds + 1)[:n_folds]
    if not sizes.all():
        what = f"{len(place)} rows are too few for {n_folds} folds that each have one"
        raise DataError("data.folds", what, "lower it, or add rows")
    tested = place == n_folds
    train = ~tested & (place != fold)
    parts = [np.flatnonzero(rows) for rows in (train, place == fold, tested)]
    return checked_split(parts, with_test=with_test)
