"""Studies on the disk, made of trials in memory."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hpo.files import dump_yaml
from hpo.layout import StudyFolder
from hpo.records import TrialRecord, write_trial

MakeStudy = Callable[..., StudyFolder]
SPACE: Mapping[str, Any] = {
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "n_layers": {"low": 1, "high": 3}},
    "optimizer": {"name": "adamw", "lr": {"low": 1e-4, "high": 1e-1, "log": True}},
    "trainer": {"max_epochs": 4},
    "objective": {"metric": "accuracy", "direction": "maximize"},
    "search": {"sampler": {"name": "random"}, "pruner": {"name": "median"}, "seed": 3},
}


@pytest.fixture
def write_study(tmp_path: Path) -> MakeStudy:
    """Return a function from trials to the folder of a study that has them."""

    def write(
        records: Sequence[TrialRecord],
        name: str = "tiny",
        curves: Mapping[int, Sequence[float]] | None = None,
        **sections: Any,
    ) -> StudyFolder:
        folder = StudyFolder(tmp_path / "results" / name)
        folder.path.mkdir(parents=True)
        given = {"name": name, **SPACE, **sections}
        values = {key: value for key, value in given.items() if value is not None}
        folder.study_file.write_text(dump_yaml(values), encoding="utf-8")
        for record in records:
            place = folder.trial(record.number)
            place.mkdir(parents=True)
            curve = (curves or {}).get(record.number, (0.2, record.value or 0.3))
            rows = [f"{i},{i},{i},{i},{v},1.0,{v}" for i, v in enumerate(curve, start=1)]
            head = "validation,epoch,step,seconds,objective,train/loss,val/loss"
            (place / "curve.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
            write_trial(folder, record)
        return folder

    return write


@pytest.fixture(scope="session")
def trial(make_record: Callable[..., TrialRecord]) -> Callable[..., TrialRecord]:
    """Return a function from number, value and what differs to a trial of an mlp."""

    def make(number: int, value: float | None = 0.5, **fields: Any) -> TrialRecord:
        lr = 10 ** (-4 + 3 * (number * 0.618034 % 1))
        config = {
            "task": {"kind": "multiclass"},
            "data": {"source": "iris"},
            "model": {"family": "mlp", "n_layers": 1 + number % 3, "width": 8},
            "optimizer": {"name": "adamw", "lr": lr},
            "trainer": {"max_epochs": 4},
            "objective": {"metric": "accuracy", "direction": "maximize"},
        }
        params = {"model.n_layers": 1 + number % 3, "optimizer.lr": lr}
        run = {"epochs_run": 4.0, "best_epoch": 2.0, "n_parameters": 100 + number}
        if fields.get("state") == "pruned":
            run |= {"epochs_run": 1.0, "stopped_by": "pruner"}
        if value is not None:
            fields["run"] = {**run, **fields.get("run", {})}
        notes = {"notes": ["default"]} if number == 0 else {}
        told = {"config": config, "params": params, **notes}
        return make_record(number, value, **{**told, **fields})

    return make
