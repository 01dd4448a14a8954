"""The record of an evaluation on fresh seeds, there and back."""

import json
from pathlib import Path

import pytest

from hpo.errors import UsageError
from hpo.layout import StudyFolder
from hpo.seeds import SeededConfig, SeedRun, SeedsRecord, read_seeds, write_seeds
from hpo.statistics import mean_interval, paired


def _run(seed: int, value: float | None) -> SeedRun:
    return SeedRun(
        seed=seed,
        value=value,
        test=None,
        failed=None if value is not None else "nan: the loss is not finite",
        folder=f"evaluation/seeds/0003-{seed}",
        checkpoint_sha256=None if value is None else "1" * 64,
    )


@pytest.fixture
def record() -> SeedsRecord:
    values = {3: [0.9, 0.92, None], 0: [0.8, 0.83, 0.81]}
    configs = [
        SeededConfig(
            trial=trial,
            is_default=trial == 0,
            config_sha256=str(trial) * 64,
            search_value=0.9,
            runs=[_run(seed, value) for seed, value in zip([5, 6, 7], found, strict=True)],
        )
        for trial, found in values.items()
    ]
    return SeedsRecord(
        study="tiny",
        metric="accuracy",
        direction="maximize",
        seeds=[5, 6, 7],
        configs=configs,
        chosen=3,
        why="the best mean over seeds",
        gain=paired([0.9, 0.92], [0.8, 0.83]),
        gain_test=None,
        worth=mean_interval([0.9, 0.92]),
        optimism=mean_interval([0.0, -0.02]),
        as_of_utc="2026-11-21T00:00:00Z",
        created_utc="2026-11-21T00:00:00Z",
    )


def test_the_record_reads_back_as_it_was_written(tmp_path: Path, record: SeedsRecord) -> None:
    folder = StudyFolder(tmp_path)
    folder.evaluation.mkdir()
    write_seeds(folder, record)
    read = read_seeds(folder)
    assert read == record.explained()
    assert read is not None
    assert set(read.null_because) == {"gain_test", "gain_test_rows"}
    assert "hpo evaluate STUDY --seeds N --test" in read.null_because["gain_test"]
    assert json.loads(folder.seeds.read_text())["schema"] == "hpo.seeds/1"


def test_a_failed_run_is_left_out_of_the_mean_and_named(record: SeedsRecord) -> None:
    config = record.config(3)
    assert config is not None
    assert config.interval is not None
    assert config.interval.mean == pytest.approx(0.91)
    assert [run.seed for run in config.failures] == [7]
    assert record.default is not None
    assert record.default.trial == 0


def test_a_config_whose_runs_all_failed_has_no_interval(record: SeedsRecord) -> None:
    failed = record.configs[0].model_copy(update={"runs": [_run(5, None)]})
    assert failed.interval is None


def test_no_evaluation_is_none_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    assert read_seeds(folder) is None
    folder.evaluation.mkdir()
    folder.seeds.write_text("{")
    with pytest.raises(UsageError, match=r"seeds\.json"):
        read_seeds(folder)
