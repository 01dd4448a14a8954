"""Measure a study's best config on a split; the test split has this one reader."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.best import BestConfig
from hpo.errors import RefusedError, StudyError, UsageError
from hpo.files import write_json
from hpo.layout import StudyFolder
from hpo.local import data_changes, local_config
from hpo.logs import log_to
from hpo.records import now_utc, read_record
from lightning_modules.build import open_data
from lightning_modules.durable import file_sha256
from lightning_modules.restore import score


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a checkpoint scored on a split."""

    split: str
    trial: int
    metric: str
    value: float
    metrics: dict[str, float]
    opened: int
    """How often the test split has been opened, this time included; 0 for validation."""


def evaluate_study(
    folder: StudyFolder, *, test: bool, overrides: tuple[str, ...] = ()
) -> Evaluation:
    """Score the best trial's checkpoint on validation, or on the test split.

    Opening the test split is counted in ``best_config.json`` and ``evaluation/test.json``.

    Raises:
        StudyError: if no trial of the study is complete.
        UsageError: if the checkpoint is not the one that was recorded.
        RefusedError: if data or split are not those that were recorded: rows of one split would
            be measured as another's.
    """
    if not folder.best_config.exists():
        raise StudyError(folder.name, "no trial is complete", f"hpo run {folder.study_file}")
    best = read_record(folder.best_config, BestConfig)
    checkpoint = folder.path / best.checkpoint["path"]
    check_file(checkpoint, best.checkpoint["sha256"])
    config = local_config(best.config, folder.best_config, overrides)
    split = "test" if test else "validation"
    with log_to(folder.log):
        data = open_data(config, with_test=test)
        _refuse_other_data(folder, best, data.hashes)
        metrics = score(config, checkpoint, split=split, data=data)
    name = config.objective.metric
    if name not in metrics:
        known = ", ".join(sorted(metrics)) or "nothing"
        what = f"{split} logs no {name!r}; it logs {known}"
        raise UsageError(config.family, what, f"log it in {split}_step")
    opened = _count_opening(folder, best, name, metrics) if test else 0
    return Evaluation(
        split=split,
        trial=int(best.study["trial"]),
        metric=name,
        value=metrics[name],
        metrics=metrics,
        opened=opened,
    )


def _refuse_other_data(
    folder: StudyFolder, best: BestConfig, hashes: Mapping[str, str | None]
) -> None:
    changed = data_changes(best, hashes)
    if changed:
        what = "these are not the data that the study was made on:\n  " + "\n  ".join(changed)
        raise RefusedError(folder.name, what, "restore them, or run a new study on these")


def check_file(path: Path, sha256: str) -> None:
    """Check that a file is the one that was recorded.

    Raises:
        UsageError: if it is missing or has other bytes.
    """
    if not path.is_file():
        raise UsageError(str(path), "no such file", "train it again with hpo train")
    if file_sha256(path) != sha256:
        raise UsageError(str(path), "is not the file that was recorded", "train it again")


def _count_opening(
    folder: StudyFolder, best: BestConfig, name: str, metrics: dict[str, float]
) -> int:
    log = folder.evaluation / "test.json"
    openings: list[Any] = json.loads(log.read_text(encoding="utf-8")) if log.exists() else []
    entry = {"utc": now_utc(), "trial": best.study["trial"], "metrics": metrics}
    folder.evaluation.mkdir(exist_ok=True)
    write_json(log, [*openings, entry])
    opened = len(openings) + 1
    reasons = {k: v for k, v in best.null_because.items() if k != "test.value"}
    updated = best.model_copy(
        update={
            "test": {"opened": opened, "value": metrics[name], "metrics": metrics},
            "null_because": reasons,
        }
    )
    write_json(folder.best_config, updated.model_dump(mode="json", by_alias=True))
    return opened
