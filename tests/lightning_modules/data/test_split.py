import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_modules.data.split import make_split
from lightning_modules.errors import DataError

COUNTS = st.lists(st.integers(3, 40), min_size=2, max_size=6)
SHARES = st.tuples(st.floats(0.01, 0.45), st.floats(0.01, 0.45))
SEEDS = st.integers(0, 2**32 - 1)


@given(COUNTS, SHARES, SEEDS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_each_row_is_in_one_split_and_the_same_call_gives_the_same(
    counts: list[int], shares: tuple[float, float], seed: int, stratify: bool
) -> None:
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    split = make_split(y, validation=shares[0], test=shares[1], seed=seed, stratify=stratify)
    parts = [split.train, split.validation, split.test]
    assert sorted(np.concatenate(parts)) == list(range(len(y)))
    assert all(part.dtype == np.int64 and (np.diff(part) > 0).all() for part in parts)
    again = make_split(y, validation=shares[0], test=shares[1], seed=seed, stratify=stratify)
    for part, same in zip(parts, [again.train, again.validation, again.test], strict=True):
        np.testing.assert_array_equal(part, same)


@given(COUNTS, SHARES, SEEDS)
@settings(max_examples=60, deadline=None)
def test_each_class_has_its_share_of_each_split(
    counts: list[int], shares: tuple[float, float], seed: int
) -> None:
    y = np.repeat([f"class {i}" for i in range(len(counts))], counts)
    split = make_split(y, validation=shares[0], test=shares[1], seed=seed, stratify=True)
    for i, count in enumerate(counts):
        for rows, share in ((split.validation, shares[0]), (split.test, shares[1])):
            size = int((y[rows] == f"class {i}").sum())
            assert abs(size - share * count) <= 1
            assert size >= 1
        assert (y[split.train] == f"class {i}").any()


def test_another_seed_gives_other_rows() -> None:
    splits = [
        make_split(np.zeros(50), validation=0.2, test=0.2, seed=seed, stratify=False)
        for seed in (0, 1)
    ]
    assert list(splits[0].test) != list(splits[1].test)


def test_without_a_share_the_test_split_is_empty() -> None:
    split = make_split(np.zeros(10), validation=0.3, test=None, seed=0, stratify=False)
    assert (len(split.train), len(split.validation), len(split.test)) == (7, 3, 0)
    assert split.test.dtype == np.int64


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (0.7, 0.4)])
def test_shares_must_leave_training_rows(validation: float, test: float) -> None:
    with pytest.raises(DataError, match=f"validation {validation} and test {test} leave no rows"):
        make_split(np.zeros(50), validation=validation, test=test, seed=0, stratify=False)


@pytest.mark.parametrize(("n_rows", "test"), [(2, 0.2), (1, None), (0, None)])
def test_too_few_rows_are_refused(n_rows: int, test: float | None) -> None:
    with pytest.raises(DataError, match=f"{n_rows} rows are too few for splits"):
        make_split(np.zeros(n_rows), validation=0.2, test=test, seed=0, stratify=n_rows == 0)
