import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_modules.data.config import CsvConfig, IrisConfig
from lightning_modules.data.folds import fold_groups, make_folds
from lightning_modules.data.prepared import prepare_task
from lightning_modules.data.split import Split
from lightning_modules.errors import DataError

COUNTS = st.lists(st.integers(3, 30), min_size=2, max_size=5)
SEEDS = st.integers(0, 2**32 - 1)


def cut(y: np.ndarray, fold: int, **chosen: object) -> Split:
    usual = {"n_folds": 4, "test": 0.2, "seed": 0, "stratify": True}
    return make_folds(y, np.arange(len(y)), fold=fold, **{**usual, **chosen})


@given(COUNTS, SEEDS, st.integers(2, 6), st.sampled_from([None, 0.1, 0.3]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_each_row_validates_in_one_fold_or_stands_in_the_test_split_of_all(
    counts: list[int], seed: int, n_folds: int, test: float | None, stratify: bool
) -> None:
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    if len(y) * (1 - (test or 0)) < n_folds + 1:
        return
    chosen = {"n_folds": n_folds, "test": test, "seed": seed, "stratify": stratify}
    splits = [cut(y, fold, **chosen) for fold in range(n_folds)]
    tested = splits[0].test
    assert bool(len(tested)) == (test is not None)
    for split in splits:
        np.testing.assert_array_equal(split.test, tested)
        everything = np.concatenate([split.train, split.validation, split.test])
        assert sorted(everything) == list(range(len(y)))
    validating = np.concatenate([split.validation for split in splits])
    assert sorted([*validating, *tested]) == list(range(len(y)))


@given(COUNTS, SEEDS, st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_each_class_has_its_share_of_each_fold(counts: list[int], seed: int, n_folds: int) -> None:
    y = np.repeat([f"class {i}" for i in range(len(counts))], counts)
    splits = [cut(y, fold, n_folds=n_folds, seed=seed) for fold in range(n_folds)]
    sizes = [len(split.validation) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    for name in np.unique(y):
        of_class = [int((y[split.validation] == name).sum()) for split in splits]
        assert max(of_class) - min(of_class) <= 1
        assert all((y[split.train] == name).any() for split in splits)


@given(st.lists(st.integers(0, 9), min_size=40, max_size=60), SEEDS, st.booleans())
@settings(max_examples=40, deadline=None)
def test_rows_of_a_group_stand_together(of: list[int], seed: int, dealt: bool) -> None:
    groups = np.unique(of, return_inverse=True)[1]
    if groups.max() < 8:
        return
    chosen = {"n_folds": 3, "fold": 1, "test": 0.2, "seed": seed}
    try:
        split = (
            fold_groups(groups, **chosen)
            if dealt
            else make_folds(np.zeros(len(groups)), groups, stratify=False, **chosen)
        )
    except DataError:  # chance may leave no group for a fold, where rows are dealt out
        assert not dealt
        return
    parts = [set(groups[part]) for part in (split.train, split.validation, split.test)]
    assert not (parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2])


def test_more_folds_than_rows_are_refused() -> None:
    with pytest.raises(DataError, match=r"data.folds: 5 rows are too few for 6 folds"):
        cut(np.zeros(5), 0, n_folds=6, test=None, stratify=False)


def test_folds_of_a_source_train_on_all_rows_but_their_own_and_the_test_split() -> None:
    folds = [prepare_task(IrisConfig(folds=3, fold=i), task_kind="multiclass") for i in range(3)]
    n_rows = [data.n_rows for data in folds]
    assert len({rows["test"] for rows in n_rows}) == 1
    assert sum(rows["validation"] for rows in n_rows) == 150 - n_rows[0]["test"]
    assert all(sum(rows.values()) == 150 for rows in n_rows)
    assert len({data.split_sha256 for data in folds}) == 3
    assert len({data.preparation_sha256 for data in folds}) == 3
    every = prepare_task(IrisConfig(folds=3), task_kind="multiclass")
    assert every.split_sha256 == folds[0].split_sha256


@pytest.mark.parametrize(
    ("settings_", "complaint"),
    [
        ({"fold": 1}, "fold: has no effect without folds"),
        ({"folds": 3, "fold": 3}, "of 3 folds the last is 2"),
        ({"folds": 3, "validation": 0.3}, "validation: each of the folds validates once"),
    ],
)
def test_settings_that_folds_leave_without_effect_are_errors(
    settings_: dict[str, float], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        IrisConfig.model_validate(settings_)


def test_folds_of_a_split_by_time_are_an_error() -> None:
    with pytest.raises(ValueError, match="folds: time alone decides the split"):
        CsvConfig(path="a.csv", target="y", split="time", time="when", folds=3)
