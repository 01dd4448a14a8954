"""Score the weights of all runs on the test split, under one opening of it."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from hpo.errors import UsageError
from hpo.evaluate import check_file
from hpo.layout import StudyFolder
from hpo.reseed.judging import Tests, stand_ins, with_tests
from hpo.reseed.planning import Plan, Run
from hpo.reseed.rows import Rows, row_spread, with_rows
from hpo.seeds import SeedsRecord
from lightning_modules.build import RunData, open_data
from lightning_modules.config import RunConfig
from lightning_modules.data.cache import without_augment
from lightning_modules.metrics import compute
from lightning_modules.module import loss_numbers
from lightning_modules.restore import Scored, score
from lightning_modules.running import BEST_CHECKPOINT
from lightning_modules.seeds import derive
from lightning_modules.task import METRICS, NUMBERS

Outputs = dict[tuple[int, int], Scored]
"""By trial and seed."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """The test split of one preparation."""

    key: str
    data: RunData


def score_runs(folder: StudyFolder, plan: Plan, record: SeedsRecord) -> SeedsRecord:
    """Return the record with every run's value on the test split, and the gain there.

    Raises:
        UsageError: if a checkpoint is not the one that was recorded, or a module logs no
            objective on the test split.
    """
    scored: Outputs = {}
    known = {run.folder: run for run in plan.runs}
    split: Split | None = None
    for config in record.configs:
        for one in config.runs:
            place = folder.path / one.folder
            if one.checkpoint_sha256 is None or place not in known:
                continue
            run = known[place]
            split = _split_of(run.config, split)
            scored[run.trial, run.seed] = _score(run, split.data, one.checkpoint_sha256)
    tests = {key: _finite(found.metrics[record.metric]) for key, found in scored.items()}
    tested = with_tests(record, tests)
    if tested.gain_test is None or tested.default is None:
        return tested
    pairs = [
        (scored[trial, seed], scored[tested.default.trial, seed])
        for seed, trial in stand_ins(tested)
    ]
    spread = _spread(plan.runs[0].config, tested, pairs)
    found = None if spread is None else with_rows(tested.gain_test, spread)
    return tested.model_copy(update={"gain_test_rows": found})


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _split_of(config: RunConfig, last: Split | None) -> Split:
    """Open the test split of a config; that of the last one if both are prepared alike."""
    plain = config.plain()
    key = json.dumps([without_augment(plain["data"]), plain.get("task")], sort_keys=True)
    if last is not None and last.key == key:
        return last
    return Split(key=key, data=open_data(config, with_test=True))


def _score(run: Run, data: RunData, sha256: str) -> Scored:
    checkpoint = run.folder / BEST_CHECKPOINT
    check_file(checkpoint, sha256)
    found = score(run.config, checkpoint, split="test", data=data)
    if run.config.objective.metric not in found.metrics:
        known = ", ".join(sorted(found.metrics)) or "nothing"
        what = f"test logs no {run.config.objective.metric!r}; it logs {known}"
        raise UsageError(run.config.family, what, "log it in test_step")
    return found


def _spread(
    config: RunConfig, record: SeedsRecord, pairs: list[tuple[Scored, Scored]]
) -> float | None:
    """Return the error that the mean gain has from the test rows; None if they are not known."""
    metric = METRICS.get(record.metric)
    sides = [_rows_of(a, b) for a, b in pairs]
    whole = [side for side in sides if side is not None]
    if metric is None or len(whole) != len(pairs):
        return None
    numbers = loss_numbers(config)

    def difference(side: tuple[Tensor, Tensor, Tensor]) -> Callable[[Rows], float]:
        a, b, targets = side

        def on(rows: Rows) -> float:
            index = torch.from_numpy(rows)
            left, right = (compute(metric, one[index], targets[index], numbers) for one in (a, b))
            return left - right

        return on

    n_rows = len(whole[0][2])
    steps = whole[0][2].shape[1] if whole[0][2].ndim == 2 and config.kind == "forecasting" else 1
    block = min(steps, max(1, n_rows // 10)) if str(config.kind) in NUMBERS else 1
    seed = derive(record.seeds[0], "resamples", "test")
    return row_spread([difference(side) for side in whole], n_rows, seed=seed, block=block)


def _rows_of(a: Scored, b: Scored) -> tuple[Tensor, Tensor, Tensor] | None:
    if a.outputs is None or b.outputs is None or a.targets is None or b.targets is None:
        return None
    if a.targets.shape != b.targets.shape or not torch.equal(a.targets, b.targets):
        return None
    return a.outputs.cpu(), b.outputs.cpu(), a.targets.cpu()


def carried_over(record: SeedsRecord, before: SeedsRecord | None) -> Tests:
    """Return the test values of an earlier record whose weights are still the same."""
    known = {
        (config.trial, run.seed, run.checkpoint_sha256): run.test
        for config in (before.configs if before else [])
        for run in config.runs
    }
    return {
        (config.trial, run.seed): known.get((config.trial, run.seed, run.checkpoint_sha256))
        for config in record.configs
        for run in config.runs
    }


def disk_bytes(folder: StudyFolder) -> int:
    """Return what the runs of all evaluations take on the disk."""
    place: Path = folder.evaluation / "seeds"
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
