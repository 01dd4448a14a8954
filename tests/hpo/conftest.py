"""Tiny studies, observers made of functions, and registries that forget what a test registered."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import settings

from hpo.records import TrialRecord
from hpo.spec import StudySpec, load_study
from hpo.tracking.observers import Observer

# The same examples each time, however busy the machine is.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

MakeSpec = Callable[..., StudySpec]
MakeRecord = Callable[..., TrialRecord]
Observe = Callable[..., Observer]

TINY: Mapping[str, Any] = {
    "name": "tiny",
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 16, "step": 4}},
    "optimizer": {"name": "adamw", "lr": {"low": 1e-3, "high": 1e-1, "log": True}},
    "trainer": {"max_epochs": 2, "batch_size": 60, "accelerator": "cpu"},
    "budget": {"trials": 3},
    "search": {"sampler": "random", "pruner": "none"},
}


@pytest.fixture(scope="session")
def make_spec() -> MakeSpec:
    """Return a function from sections and ``path=value`` overrides to a study: an mlp on iris."""

    def make(*overrides: str, **sections: Any) -> StudySpec:
        given = {key: value for key, value in {**TINY, **sections}.items() if value is not None}
        return load_study(given, overrides)

    return make


@pytest.fixture(scope="session")
def make_record() -> MakeRecord:
    """Return a function from what matters of a record to a record."""

    def make(number: int = 0, value: float | None = 0.5, **fields: Any) -> TrialRecord:
        run = None if value is None else {**RUN, "value": value} | fields.pop("run", {})
        record = {
            "schema": "hpo.trial/1",
            "study": "tiny",
            "number": number,
            "state": "failed" if value is None else "complete",
            "params": {"optimizer.lr": 0.1},
            "config": {"seed": number},
            "config_sha256": "0" * 64,
            "seed": number,
            "run": run,
            "started_utc": "2026-11-21T00:00:00Z",
            "ended_utc": "2026-11-21T00:00:01Z",
            "seconds": 1.0,
        }
        return TrialRecord.model_validate(record | fields)

    return make


RUN: Mapping[str, Any] = {
    "best_validation": 1,
    "best_epoch": 1.0,
    "metrics": {"val/accuracy": 0.5},
    "stopped_by": "max_epochs",
    "epochs_run": 2.0,
    "validations": 2,
    "steps": 4,
    "seconds": 0.5,
    "n_parameters": 100,
    "size_bytes": 400,
    "latency_ms": 0.01,
    "device": "cpu",
    "checkpoint": {"path": "best.ckpt", "sha256": "1" * 64, "bytes": 10},
    "data": {
        "source": "iris",
        "sha256": "2" * 64,
        "split_sha256": "3" * 64,
        "preparation_sha256": "4" * 64,
        "n_rows": {"train": 90, "validation": 30},
        "classes": ["a", "b", "c"],
        "majority_class": 0.33,
    },
}


class _Told:
    """An observer that calls the functions it was given, and passes over everything else."""

    def __init__(self, functions: Mapping[str, Callable[..., None]]) -> None:
        self._functions = functions

    def __getattr__(self, name: str) -> Callable[..., None]:
        return self._functions.get(name, lambda *args, **kwargs: None)


@pytest.fixture(scope="session")
def observe() -> Observe:
    """Return a function from handlers, by the name of what they are told, to an observer."""

    def make(**functions: Callable[..., None]) -> Any:
        return _Told(functions)

    return make
