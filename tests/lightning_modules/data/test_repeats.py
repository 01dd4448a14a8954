"""No row stands in two splits, whole groups stay together, time is not looked ahead of."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lightning_modules.config import RunConfig
from lightning_modules.data.config import CsvConfig, DigitsConfig, IrisConfig, WineConfig
from lightning_modules.data.fingerprint import fingerprint_split
from lightning_modules.data.kinds import ragged
from lightning_modules.data.prepared import prepare_task
from lightning_modules.data.raw import RawData, load
from lightning_modules.data.repeats import Cut, connected, cut, equal_rows
from lightning_modules.data.split import Split, split_by_time, split_groups
from lightning_modules.errors import DataError


def place_of(split: Split) -> np.ndarray[Any, Any]:
    """Return 0, 1 or 2 for each row: training, validation, test."""
    parts = (split.train, split.validation, split.test)
    place = np.full(sum(map(len, parts)), -1)
    for i, rows in enumerate(parts):
        place[rows] = i
    return place


def csv(folder: Path, frame: pd.DataFrame, **settings: Any) -> CsvConfig:
    frame.to_csv(folder / "t.csv", index=False)
    return CsvConfig(path=str(folder / "t.csv"), target="y", **settings)


def cut_of(config: CsvConfig, kind: str = "binary") -> Cut:
    return cut(load(config, task_kind=kind), config, task_kind=kind)


FRAME = pd.DataFrame(
    {
        "a": [i % 15 / 2 for i in range(60)],
        "who": [f"p{i % 10}" for i in range(60)],
        "when": [f"{1 + i % 28:02}.{1 + i // 28:02}.2024" for i in range(60)],
        "y": ["u" if i % 2 else "v" for i in range(60)],
    }
)


@given(
    st.lists(st.integers(0, 12), min_size=30, max_size=80),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["binary", "regression"]),
)
@settings(max_examples=60, deadline=None)
def test_equal_rows_never_stand_in_two_splits(values: list[int], seed: int, kind: str) -> None:
    x = pd.DataFrame({"a": np.array(values, dtype=float), "b": [str(v % 3) for v in values]})
    y = np.arange(len(values)) % 2
    raw = RawData(x=x, y=y.astype(str) if kind == "binary" else y.astype(float), where="t")
    config = IrisConfig(split_seed=seed)
    try:
        place = place_of(cut(raw, config, task_kind=kind).split)
    except DataError as error:
        assert "equal rows are one" in str(error)  # noqa: PT017  (few different rows may not fill three)
        return
    for value in set(values):
        assert len(set(place[np.array(values) == value])) == 1


@pytest.mark.parametrize(
    ("config", "kind", "sha256"),
    [
        (WineConfig(), "multiclass", "52d16841ac"),
        (DigitsConfig(), "multiclass", "3305a791af"),
        (WineConfig(split_seed=7, test=None), "multiclass", None),
    ],
)
def test_the_split_of_different_rows_is_what_it_was(
    config: WineConfig, kind: str, sha256: str | None
) -> None:
    found = cut(load(config, task_kind=kind), config, task_kind=kind)
    assert found.n_repeats == 0
    if sha256 is not None:
        assert fingerprint_split(found.split).startswith(sha256)


def test_the_row_that_iris_has_twice_is_in_one_split() -> None:
    found = cut(load(IrisConfig(), task_kind="multiclass"), IrisConfig(), task_kind="multiclass")
    assert found.n_repeats == 1
    place = place_of(found.split)
    assert place[101] == place[142]


def test_images_are_compared_by_their_pixels() -> None:
    images = np.zeros((3, 1, 4, 4), dtype=np.float32)
    images[1, 0, 2, 2] = 1
    assert equal_rows(images).tolist() == [0, 1, 0]
    assert equal_rows(pd.DataFrame({"a": [0.0, -0.0, np.nan, np.nan]})).tolist() == [0, 0, 1, 1]


def test_sequences_are_compared_by_their_steps_and_texts_by_their_words() -> None:
    first, longer = np.array([[1.0, 2.0]]), np.array([[1.0, 2.0], [0.0, 0.0]])
    assert equal_rows(ragged([first, longer, first.copy()])).tolist() == [0, 1, 0]
    assert equal_rows(np.zeros((3, 2, 2))).tolist() == [0, 0, 0]
    texts = np.array(["one", "two", None, "one", None], dtype=object)
    assert equal_rows(texts).tolist() == [0, 1, 2, 0, 2]


def test_dropping_leaves_out_rows_of_equal_features_and_target(tmp_path: Path) -> None:
    frame = pd.concat([FRAME, FRAME.iloc[:20], FRAME.iloc[:5].assign(y="v")])
    kept = cut_of(csv(tmp_path, frame))
    dropped = cut_of(csv(tmp_path, frame, duplicates="drop"))
    assert len(kept.raw.y) == 85
    assert len(dropped.raw.y) == 62  # the 60, and 2 of the last 5 whose target is another
    assert sum(map(len, (dropped.split.train, dropped.split.validation, dropped.split.test))) == 62
    data = prepare_task(csv(tmp_path, frame, duplicates="drop"), task_kind="binary")
    assert data.n_repeats == 25


def test_a_class_that_stands_together_is_trained_on() -> None:
    x = pd.DataFrame({"a": [float(i) for i in range(30)] + [99.0] * 3})
    raw = RawData(x=x, y=np.array(["u"] * 30 + ["w"] * 3), where="t")
    for seed in range(8):
        found = cut(raw, IrisConfig(split_seed=seed), task_kind="binary")
        assert place_of(found.split)[30:].tolist() == [0, 0, 0]


@given(
    st.lists(st.integers(0, 9), min_size=20, max_size=60).filter(lambda found: len(set(found)) > 4),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_whole_groups_stay_together_and_every_split_has_one(groups: list[int], seed: int) -> None:
    numbers = np.unique(groups, return_inverse=True)[1]
    split = split_groups(numbers, validation=0.2, test=0.2, seed=seed)
    place = place_of(split)
    assert set(place) == {0, 1, 2}
    for group in set(numbers):
        assert len(set(place[numbers == group])) == 1


def test_groups_of_a_column_and_equal_rows_stay_together(tmp_path: Path) -> None:
    found = cut_of(csv(tmp_path, FRAME, split="grouped", group="who", ignore=["when"]))
    place = place_of(found.split)
    assert isinstance(found.raw.x, pd.DataFrame)
    assert list(found.raw.x.columns) == ["a"]
    for column in ("who", "a"):
        for value in FRAME[column].unique():
            assert len(set(place[FRAME[column] == value])) == 1


def test_groups_joined_by_a_chain_are_one() -> None:
    first, second = np.array([0, 1, 2, 3, 1]), np.array([0, 0, 1, 2, 1])
    assert connected(first, second).tolist() == [0, 0, 0, 1, 0]


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"10 rows in 2 groups .* are too few for splits of 5 .* 5 "
    ):
        split_groups(np.arange(10) // 5, validation=0.2, test=0.2, seed=0)


def test_time_puts_the_earliest_into_training_and_the_latest_into_test(tmp_path: Path) -> None:
    frame = FRAME.sample(frac=1, random_state=0)
    config = csv(tmp_path, frame, split="time", time="when", ignore=["who"])
    split = cut_of(config).split
    when = pd.to_datetime(frame["when"], format="%d.%m.%Y").to_numpy()
    assert when[split.train].max() < when[split.validation].min()
    assert when[split.validation].max() < when[split.test].min()
    assert (len(split.train), len(split.validation), len(split.test)) == (36, 12, 12)


def test_rows_of_one_moment_are_not_cut() -> None:
    times = np.array([0, 1, 2, 3, 3, 3, 3, 7, 8, 9])
    split = split_by_time(times, validation=0.3, test=0.2)
    assert split.train.tolist() == [0, 1, 2]
    assert split.validation.tolist() == [3, 4, 5, 6, 7]
    with pytest.raises(DataError, match="too few for splits of 0 for training"):
        split_by_time(np.zeros(9), validation=0.3, test=0.2)


def test_the_column_of_a_split_is_a_feature_where_that_is_asked(tmp_path: Path) -> None:
    config = csv(tmp_path, FRAME, split="time", time="when", use_split_column=True)
    raw = load(config, task_kind="binary")
    assert isinstance(raw.x, pd.DataFrame)
    assert list(raw.x.columns) == ["a", "who", "when"]


def test_random_does_not_look_at_classes() -> None:
    config = WineConfig(split="random")
    found = cut(load(config, task_kind="multiclass"), config, task_kind="multiclass")
    stratified = cut(load(config, task_kind="multiclass"), WineConfig(), task_kind="multiclass")
    assert found.split.test.tolist() != stratified.split.test.tolist()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "grouped"}, "group: missing; name the column for split: grouped"),
        ({"split": "time"}, "time: missing; name the column for split: time"),
        ({"group": "who"}, "group: has no effect without split: grouped"),
        ({"split": "grouped", "group": "a", "time": "b"}, "time: has no effect without"),
        ({"use_split_column": True}, "use_split_column: there is no such column"),
        ({"split": "time", "time": "when", "split_seed": 1}, "split_seed: time alone decides"),
    ],
)
def test_settings_of_a_split_without_effect_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        CsvConfig.model_validate({"path": "t.csv", "target": "y", **settings})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"split": "grouped", "group": "whom"},
            r"data.group: no column 'whom'; did you mean 'who'",
        ),
        ({"split": "grouped", "group": "y"}, r"data.group: 'y' is the target; name another"),
        (
            {"split": "time", "time": "when", "ignore": ["when"]},
            r"data.time: 'when' is in data.ignore too; remove it",
        ),
        ({"split": "time", "time": "who"}, r"data.time: column 'who' holds neither dates nor num"),
    ],
)
def test_columns_that_cannot_split_are_named(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        cut_of(csv(tmp_path, FRAME, **settings))


def test_a_row_without_group_is_named(tmp_path: Path) -> None:
    frame = FRAME.assign(who=[None if i == 3 else "p" for i in range(60)])
    with pytest.raises(DataError, match=r"data.group: line 5 has no 'who'; complete it"):
        cut_of(csv(tmp_path, frame, split="grouped", group="who"))


def test_numbers_are_not_stratified() -> None:
    settings = {"task": {"kind": "regression"}, "model": {"family": "mlp"}}
    with pytest.raises(ValidationError, match=r"data.split: numbers have no classes"):
        RunConfig.model_validate(
            {**settings, "data": {"source": "diabetes", "split": "stratified"}}
        )
    with pytest.raises(ValidationError, match="split"):
        RunConfig.model_validate({**settings, "data": {"source": "diabetes", "split": "time"}})
