from collections import Counter

import numpy as np
import pytest

from lightning_modules.data.fingerprint import fingerprint_data
from lightning_modules.data.prepared import prepare_task
from lightning_modules.data.raw import load
from lightning_modules.data.synthetic import SEASONS
from lightning_modules.data.synthetic_config import (
    MoonsConfig,
    MultilabelPointsConfig,
    SeasonalConfig,
    SentencesConfig,
    SequenceSumConfig,
    ShapesConfig,
    SyntheticConfig,
)

KINDS = [
    (ShapesConfig, "multiclass", "image"),
    (MoonsConfig, "binary", "features"),
    (SequenceSumConfig, "binary", "sequence"),
    (SentencesConfig, "binary", "text"),
]


@pytest.mark.parametrize(("config", "task", "kind"), KINDS)
def test_made_up_data_are_a_function_of_their_settings(
    config: type[SyntheticConfig], task: str, kind: str
) -> None:
    first, again, other = (config(n_rows=120, data_seed=seed) for seed in (1, 1, 2))
    hashes = [fingerprint_data(load(one, task_kind=task)) for one in (first, again, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    data = prepare_task(first, task_kind=task)
    assert data.input_kind == kind
    assert sum(data.n_rows.values()) == 120
    assert min(data.class_counts or [0]) > 0.2 * data.n_rows["train"] / len(data.classes or "")


def test_rows_with_labels_are_a_function_of_their_settings_and_can_be_learned_from() -> None:
    first, again, other = (
        load(MultilabelPointsConfig(n_rows=120, data_seed=seed), task_kind="multilabel")
        for seed in (1, 1, 2)
    )
    assert fingerprint_data(first) == fingerprint_data(again) != fingerprint_data(other)
    assert first.target_names == ["label 1", "label 2", "label 3", "label 4", "label 5"]
    prepared = prepare_task(MultilabelPointsConfig(), task_kind="multilabel")
    assert prepared.n_outputs == 5
    assert prepared.label_counts is not None
    assert min(map(min, prepared.label_counts)) > 20


def test_the_class_of_a_sequence_is_the_sign_of_its_marked_sum() -> None:
    raw = load(SequenceSumConfig(n_rows=200), task_kind="binary")
    sums = np.array([(row[:, 0] * row[:, 1]).sum() for row in raw.x])
    assert ((sums > 0) == (raw.y == "above")).all()
    assert (abs(sums) > 0.19).all()
    assert len({len(row) for row in raw.x}) > 5


def test_the_words_of_a_sentence_do_not_tell_its_class_without_their_order() -> None:
    raw = load(SentencesConfig(n_rows=2000), task_kind="binary")
    seen: dict[str, set[str]] = {}
    for text, label in zip(raw.x, raw.y, strict=True):
        kept = [word for word in text.split() if word in ("good", "bad", "not", "but", "promised")]
        seen.setdefault(" ".join(sorted(kept)), set()).add(label)
    assert Counter(map(len, seen.values()))[2] > 3
    assert len(set(raw.x)) > 1500


def test_a_series_has_its_seasons() -> None:
    series = np.asarray(load(SeasonalConfig(), task_kind="forecasting").y)
    for season in SEASONS:
        assert np.corrcoef(series[season:], series[:-season])[0, 1] > 0.75
    assert np.corrcoef(series[12:], series[:-12])[0, 1] < 0
