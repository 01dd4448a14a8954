"""Trials in memory: what matters of each, and their curves."""

from collections.abc import Callable
from typing import Any

import pytest

from hpo.records import TrialRecord

MakeTrial = Callable[..., TrialRecord]


@pytest.fixture(scope="session")
def trial(make_record: Callable[..., TrialRecord]) -> MakeTrial:
    """Return a function from number, value and what differs to a trial of an mlp."""

    def make(number: int, value: float | None = 0.5, **fields: Any) -> TrialRecord:
        config = {
            "task": {"kind": "multiclass"},
            "model": {"family": fields.pop("family", "mlp"), "n_layers": 1, "width": 8},
            "optimizer": {"name": fields.pop("optimizer", "adamw"), "lr": 0.01},
            "trainer": {"max_epochs": fields.pop("max_epochs", 10)},
            "objective": {"metric": "accuracy", "direction": "maximize"},
            "data": {},
        }
        epochs = fields.pop("epochs", 10.0)
        run = {
            "epochs_run": epochs,
            "validations": int(epochs),
            "stopped_by": "pruner" if fields.get("state") == "pruned" else "max_epochs",
            **fields.pop("run", {}),
        }
        if value is not None:
            fields["run"] = run
        if number == 0 and "notes" not in fields:
            fields["notes"] = ["default"]
        second = f"2026-11-21T00:{number // 60:02d}:{number % 60:02d}Z"
        told = {"config": config, "started_utc": second, "ended_utc": second}
        return make_record(number, value, **{**told, **fields})

    return make
