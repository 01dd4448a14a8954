import json
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from sklearn import metrics as sk
from torch import Tensor

from lightning_modules.evaluation.examine import ONE_CLASS, OWN_MODULE, examine
from lightning_modules.evaluation.examine import examine_logged as logged
from lightning_modules.evaluation.findings import Findings
from lightning_modules.evaluation.numbers import NO_CLASSES
from lightning_modules.metrics import compute, metrics_of
from lightning_modules.task import KINDS, METRICS, Metric

NAMES = ["ant", "bee", "cow", "dog"]


def found_of(kind: str, outputs: Tensor, targets: Tensor, **more: Any) -> Findings:
    chosen = metrics_of(kind, objective=None, everything=True)
    metrics = {name: compute(metric, outputs, targets) for name, metric in chosen.items()}
    return examine(
        kind, outputs, targets, **{"metrics": metrics, "classes": None, "seed": 0} | more
    )


def guesses(n_rows: int, n_classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    targets = torch.arange(n_rows) % n_classes
    logits = torch.randn(n_rows, n_classes, generator=generator)
    logits[torch.arange(n_rows), targets] += 1.5
    return logits.softmax(1), targets


def numbers() -> tuple[Tensor, Tensor]:
    outputs, targets = torch.randn(2, 500, generator=torch.Generator().manual_seed(2)) + 5
    return outputs, targets


def labels(n_rows: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    targets = torch.randint(0, 2, (n_rows, 3), generator=generator)
    return 0.6 * torch.rand(n_rows, 3, generator=generator) + 0.4 * targets, targets


def several() -> tuple[Tensor, Tensor]:
    outputs, targets = torch.randn(2, 60, 2, generator=torch.Generator().manual_seed(4))
    return outputs * torch.tensor([1.0, 100.0]), targets * torch.tensor([1.0, 100.0]) + 5


def nulls(value: Any, path: str = "") -> Iterator[str]:
    if value is None:
        yield path
    pairs = value.items() if isinstance(value, dict) else []
    pairs = enumerate(value) if isinstance(value, list) else pairs
    for key, below in pairs:
        yield from nulls(below, f"{path}.{key}" if path else str(key))


CASES = {
    "binary": lambda: found_of("binary", *guesses(50, 2)),
    "multiclass": lambda: found_of("multiclass", *guesses(60, 4), classes=NAMES),
    "an absent class": lambda: found_of("multiclass", guesses(60, 4)[0], torch.arange(60) % 2),
    "one class": lambda: found_of("multiclass", guesses(9, 3)[0], torch.ones(9, dtype=torch.long)),
    "negatives only": lambda: found_of(
        "binary", guesses(9, 2)[0], torch.zeros(9, dtype=torch.long)
    ),
    "one row": lambda: found_of("binary", torch.tensor([[0.5, 0.5]]), torch.tensor([1])),
    "numbers": lambda: found_of("regression", *numbers()),
    "equal numbers": lambda: found_of("regression", torch.zeros(3), torch.zeros(3)),
    "one number": lambda: found_of("regression", torch.tensor([1.0]), torch.tensor([2.0])),
    "labels": lambda: found_of("multilabel", *labels(50), classes=["hot", "wet", "windy"]),
    "rare labels": lambda: found_of(
        "multilabel", torch.full((4, 2), 0.4), torch.tensor([[0, 1], [0, 1], [0, 1], [1, 1]])
    ),
    "labels of one kind": lambda: found_of(
        "multilabel", torch.full((3, 2), 0.4), torch.ones(3, 2).long()
    ),
    "several numbers": lambda: found_of("regression", *several(), classes=["up", "down"]),
    "several, one of them equal": lambda: found_of("regression", several()[0], torch.ones(60, 2)),
    "steps": lambda: found_of("forecasting", *several()),
    "logged": lambda: logged({"val_acc": 0.5, "val_loss": float("nan")}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_null_has_its_reason_and_every_reason_its_null(case: str) -> None:
    found = CASES[case]().plain()
    assert set(found.pop("null_because")) == set(nulls(found))


@pytest.mark.parametrize("case", CASES)
def test_findings_read_back_from_strict_json(case: str) -> None:
    found = CASES[case]()
    text = json.dumps(found.plain(), allow_nan=False)
    assert Findings.model_validate(json.loads(text)) == found


def test_the_table_of_classes_agrees_with_scikit_learn() -> None:
    outputs, targets = guesses(60, 4)
    found = found_of("multiclass", outputs, targets, classes=NAMES)
    report = sk.classification_report(
        targets, outputs.argmax(1), target_names=NAMES, output_dict=True
    )
    for one in found.per_class or []:
        expected = report[one.name]
        scores = {"precision": one.precision, "recall": one.recall, "f1-score": one.f1}
        assert {**scores, "support": one.rows} == pytest.approx(expected)
    assert found.confusion == sk.confusion_matrix(targets, outputs.argmax(1)).tolist()
    assert [one.found for one in found.per_class or []] == [
        int((outputs.argmax(1) == i).sum()) for i in range(4)
    ]


def test_curves_have_the_areas_of_the_metrics() -> None:
    found = found_of("multiclass", *guesses(60, 4), classes=NAMES)
    assert [curve.name for curve in found.roc or []] == NAMES
    for curves, metric in ((found.roc, "roc_auc"), (found.pr, "pr_auc")):
        areas = [curve.area for curve in curves or []]
        assert sum(areas) / len(areas) == pytest.approx(found.metrics[metric], abs=1e-5)


def test_two_classes_have_the_curves_of_the_second() -> None:
    found = found_of("binary", *guesses(50, 2), classes=["no", "yes"])
    assert [[c.name for c in curves or []] for curves in (found.roc, found.pr)] == [["yes"]] * 2


def test_a_class_without_a_row_has_no_curve_and_no_recall() -> None:
    found = CASES["an absent class"]()
    assert [curve.name for curve in found.roc or []] == ["0", "1"]
    assert found.per_class is not None
    assert (found.per_class[2].rows, found.per_class[2].recall) == (0, None)
    assert found.null_because["per_class.2.recall"] == "no row of the split is of this class"


def test_a_split_of_one_class_has_no_area() -> None:
    found = CASES["one class"]()
    assert (found.roc, found.metrics["roc_auc"], found.ci95["pr_auc"]) == (None, None, None)
    assert {found.null_because[path] for path in ("roc", "pr", "metrics.pr_auc")} == {ONE_CLASS}
    assert found.metrics["accuracy"] is not None


def test_the_bins_of_reliability_give_the_calibration_error() -> None:
    found = CASES["multiclass"]()
    bins = found.reliability or []
    assert sum(one.rows for one in bins) == found.n_rows == 60
    assert all(one.low < one.confidence <= one.high for one in bins)
    gaps = sum(abs(one.accuracy - one.confidence) * one.rows for one in bins) / 60
    assert gaps == pytest.approx(found.metrics["ece"], abs=1e-6)


def test_an_interval_stands_around_each_metric() -> None:
    for case in ("binary", "multiclass", "numbers"):
        found = CASES[case]()
        for name, ends in found.ci95.items():
            value = found.metrics[name]
            assert ends is not None
            assert value is not None
            low, high = ends
            assert low < high
            assert low <= value <= high or name == "ece"  # resamples look worse calibrated


def test_what_is_no_metric_is_told_without_an_interval() -> None:
    found = found_of("regression", *numbers(), metrics={"loss": 3.0, "mae": 1.0})
    assert (found.metrics["loss"], found.ci95["loss"]) == (3.0, None)
    assert found.null_because["ci95.loss"] == "only metrics are resampled"


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression"])
def test_a_metric_of_a_plugin_has_an_interval(registries: None, kind: str) -> None:
    mine = Metric(direction="minimize", kinds=KINDS, compute=lambda o, t: float(t.float().mean()))
    METRICS.register("mine")(mine)
    outputs, targets = {"multiclass": guesses(60, 3), "multilabel": labels(60)}.get(kind, several())
    found = found_of(kind, outputs, targets)
    low, high = found.ci95["mine"] or (0, 0)
    assert low < float(targets.float().mean()) < high


def test_the_table_of_labels_agrees_with_scikit_learn() -> None:
    outputs, targets = labels(50)
    found = found_of("multilabel", outputs, targets, classes=["hot", "wet", "windy"])
    report = sk.classification_report(
        targets, outputs > 0.5, target_names=found.classes, output_dict=True, zero_division=0
    )
    for one in found.per_class or []:
        expected = report[one.name]
        scores = {"precision": one.precision, "recall": one.recall, "f1-score": one.f1}
        assert {**scores, "support": one.rows} == pytest.approx(expected)
    areas = [curve.area for curve in found.roc or []]
    assert sum(areas) / 3 == pytest.approx(found.metrics["roc_auc"], abs=1e-5)
    assert sum(one.rows for one in found.reliability or []) == 150


def test_a_label_that_all_rows_have_has_no_curve() -> None:
    found = CASES["rare labels"]()
    assert [curve.name for curve in found.roc or []] == ["0"]
    found = CASES["labels of one kind"]()
    assert (found.roc, found.pr, found.metrics["roc_auc"]) == (None, None, None)
    assert found.null_because["confusion"] == "a row has any number of labels"


def test_each_of_several_numbers_has_its_figures() -> None:
    found, (outputs, targets) = CASES["several numbers"](), several()
    each = found.per_target or []
    assert [one.name for one in each] == ["up", "down"]
    rmses = [sk.root_mean_squared_error(t, o) for o, t in zip(outputs.T, targets.T, strict=True)]
    assert [one.metrics["rmse"] for one in each] == pytest.approx(rmses)
    assert found.metrics["rmse"] == pytest.approx(sum(rmses) / 2)
    assert found.residuals is None
    assert [one.residuals is None for one in each] == [False, False]


def test_the_steps_of_a_forecast_have_their_errors_and_share_their_residuals() -> None:
    found, (outputs, targets) = CASES["steps"](), several()
    each = found.per_target or []
    assert [one.name for one in each] == ["step 1", "step 2"]
    assert found.residuals is not None
    assert found.residuals.mean == pytest.approx(float((outputs - targets).double().mean()))
    assert {one.residuals for one in each} == {None}


def test_intervals_of_forecasts_know_that_neighbours_have_steps_in_common() -> None:
    noise = torch.randn(40, 10, generator=torch.Generator().manual_seed(0))
    outputs = noise.repeat_interleave(10, 0)
    targets = torch.zeros_like(outputs)
    widths = []
    for kind in ("regression", "forecasting"):
        low, high = found_of(kind, outputs, targets).ci95["mae"] or (0, 0)
        widths.append(high - low)
    assert widths[1] > 2 * widths[0]


def test_residuals_say_how_predictions_lie_about_targets() -> None:
    outputs, targets = numbers()
    found = found_of("regression", outputs, targets).residuals
    assert found is not None
    errors = (outputs - targets).double()
    assert found.mean == pytest.approx(float(errors.mean()))
    assert found.sd == pytest.approx(float(errors.std(correction=0)))
    assert found.quantiles["0.5"] == pytest.approx(float(errors.quantile(0.5)))
    assert sum(found.counts) == 500
    assert len(found.edges) == len(found.counts) + 1
    truths = [truth for truth, _ in found.pairs]
    assert len(truths) == 400
    assert truths == sorted(truths)
    assert (truths[0], truths[-1]) == (float(targets.min()), float(targets.max()))
    worst, guess = found.largest[0]
    assert abs(guess - worst) == pytest.approx(float(errors.abs().max()))


@pytest.mark.parametrize(
    ("targets", "metric", "why"),
    [
        ([2.0, 2.0], "r2", "all targets of the split are equal"),
        ([0.0, 2.0], "mape", "a target is 0, of which no error is a share"),
        ([3e-7, 2.0], "mape", "a target is 0, of which no error is a share"),
    ],
)
def test_a_metric_that_says_nothing_of_these_targets_is_null(
    targets: list[float], metric: str, why: str
) -> None:
    found = found_of("regression", torch.tensor([1.0, 1.5]), torch.tensor(targets))
    assert (found.metrics[metric], found.ci95[metric]) == (None, None)
    assert found.null_because[f"metrics.{metric}"] == why
    assert found.null_because["classes"] == NO_CLASSES


def test_a_module_of_the_users_own_has_what_it_logs() -> None:
    found = CASES["logged"]()
    assert found.metrics == {"val_acc": 0.5, "val_loss": None}
    assert found.null_because["metrics.val_loss"] == "it is nan"
    assert found.null_because["confusion"] == OWN_MODULE
