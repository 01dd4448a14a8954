"""One study of a hundred trials for all tests of what is looked at; look, do not touch."""

from collections.abc import Mapping
from typing import Any

import pytest

from hpo.layout import StudyFolder
from hpo.records import read_trials
from hpo.spec import load_study
from hpo.study import run_study

HUNDRED: Mapping[str, Any] = {
    "name": "hundred",
    "task": {"kind": "multiclass"},
    "data": {"source": "iris", "test": 0.2},
    "model": {
        "one_of": {
            "mlp": {
                "n_layers": {"low": 1, "high": 2},
                "width": {"low": 4, "high": 400, "log": True},
                "dropout": {"low": 0.0, "high": 0.4},
            },
            "resnet_mlp": {"n_layers": 1, "width": {"low": 4, "high": 32, "log": True}},
            "tabm": {"n_layers": 1, "width": {"low": 4, "high": 32, "log": True}},
        }
    },
    "optimizer": {
        "one_of": {
            "adamw": {"lr": {"low": 1e-3, "high": 0.3, "log": True}},
            "sgd": {
                "lr": {"choices": [0.03, 0.3, 1e30]},  # the last one diverges
                "momentum": {"low": 0.0, "high": 0.95},
            },
        }
    },
    "trainer": {"max_epochs": 3, "batch_size": 48},
    "constraints": {"n_parameters": {"max": 20_000}},
    "budget": {"trials": 100},
    "search": {
        "sampler": "random",
        "pruner": {"name": "median", "n_startup_trials": 4, "n_min_trials": 2},
        "seed": 5,
    },
}


@pytest.fixture(scope="session")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A conditional study on iris with complete, pruned, diverged and infeasible trials."""
    results = tmp_path_factory.mktemp("hundred") / "results"
    folder = run_study(load_study(dict(HUNDRED)), results).folder
    records = read_trials(folder)
    assert {(record.state, record.reason) for record in records} == {
        ("complete", None),
        ("pruned", None),
        ("failed", "nan"),
        ("failed", "infeasible"),
    }
    assert len({record.config["model"]["family"] for record in records}) == 3
    return folder
