"""Every sampler with every pruner runs a real study; one registered tomorrow is covered too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hpo.search import PRUNERS, SAMPLERS
from hpo.spec import load_study
from hpo.study import run_study

STUDY: Mapping[str, Any] = {
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 16, "step": 4}},
    "optimizer": {"name": "adamw", "lr": {"choices": [0.003, 0.01, 0.03]}},
    "trainer": {"max_epochs": 3, "batch_size": 90, "accelerator": "cpu"},
    "budget": {"trials": 4},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.mark.parametrize("pruner", PRUNERS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_runs_a_study_with_every_pruner(
    results: Path, sampler: str, pruner: str
) -> None:
    short = {"n_startup_trials": 2}
    search = {
        "sampler": {"name": sampler, **(short if sampler in ("tpe", "gp") else {})},
        "pruner": {"name": pruner, **(short if pruner in ("median", "percentile") else {})},
    }
    spec = load_study({"name": f"{sampler}-{pruner}", **STUDY, "search": search})
    outcome = run_study(spec, results)
    records = outcome.end.records
    assert [record.number for record in records] == [0, 1, 2, 3]
    assert {record.state for record in records} <= {"complete", "pruned"}
    assert len({tuple(record.params.values()) for record in records}) > 1
    assert all(set(record.params) == {"model.width", "optimizer.lr"} for record in records)
    assert outcome.best is not None
    complete = [record.value for record in records if record.state == "complete"]
    assert outcome.best.metric["value"] == max(value for value in complete if value is not None)
    if pruner == "none":
        assert len(complete) == 4
