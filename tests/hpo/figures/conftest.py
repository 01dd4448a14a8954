"""Evaluations as they are read from their files, of any size."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hpo.evaluations import Evaluation
from lightning_modules.evaluation.findings import Findings

MakeEvaluation = Callable[..., Evaluation]
SILENT = ("classes", "per_class", "confusion", "roc", "pr", "reliability", "residuals")


@pytest.fixture
def make_evaluation() -> MakeEvaluation:
    """Return a function from findings to the evaluation that holds them."""

    def make(**found: Any) -> Evaluation:
        missing = [key for key in SILENT if key not in found]
        findings = {
            "task": "multiclass",
            "n_rows": 1234,
            "metrics": {"accuracy": 0.5},
            "ci95": {"accuracy": [0.4, 0.6]},
            "resamples": 1000,
            **dict.fromkeys(missing),
            "null_because": dict.fromkeys(missing, "not here"),
        }
        return Evaluation(
            study="tiny",
            trial=3,
            split="test",
            metric="accuracy",
            direction="maximize",
            seed=0,
            config_sha256="0" * 64,
            checkpoint_sha256="1" * 64,
            created_utc="2026-11-21T00:00:00Z",
            figures={},
            findings=Findings.model_validate({**findings, **found}),
            openings=[],
        )

    return make


@pytest.fixture
def of_classes(make_evaluation: MakeEvaluation) -> Callable[[Sequence[str]], Evaluation]:
    """Return a function from class names to an evaluation: each is taken for the next at times."""

    def make(names: Sequence[str]) -> Evaluation:
        n = len(names)
        table = [
            [8 if i == j else 2 if j == (i + 1) % n else 0 for j in range(n)] for i in range(n)
        ]
        curve = {"x": [0.0, 0.25, 1.0], "y": [0.0, 0.75, 1.0]}
        areas = [{"name": name, **curve, "area": 0.6 + i / 1000} for i, name in enumerate(names)]
        bins = [
            {"low": 0.4, "high": 0.4667, "rows": 1, "confidence": 0.45, "accuracy": 1.0},
            {"low": 0.9333, "high": 1.0, "rows": 3, "confidence": 0.95, "accuracy": 0.25},
        ]
        return make_evaluation(
            classes=list(names), confusion=table, roc=areas, pr=areas, reliability=bins
        )

    return make
