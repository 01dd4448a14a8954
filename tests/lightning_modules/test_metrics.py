import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from torch import Tensor

from lightning_modules import metrics
from lightning_modules.metrics import compute, confusion, metrics_of
from lightning_modules.task import METRICS, TASKS, Metric

CLASSES = [name for name, metric in METRICS.items() if "multiclass" in metric.kinds]
LABELS = [name for name, metric in METRICS.items() if "multilabel" in metric.kinds]
NUMBERS = [name for name, metric in METRICS.items() if "regression" in metric.kinds]


def average(n_classes: int) -> dict[str, Any]:
    return {"average": "binary" if n_classes == 2 else "macro", "zero_division": 0}


WEIGHTED: dict[str, Any] = {"average": "weighted", "zero_division": 0}


def sk_rank(score: Callable[[Any, Any], float], y: Any, p: Any) -> float:
    """Return the score of the second class of two, or the mean over the classes in ``y``."""
    classes = [1] if p.shape[1] == 2 else np.unique(y)
    return float(np.mean([score(y == one, p[:, one]) for one in classes]))


def sk_ece(y: Any, p: Any) -> float:
    """Return |accuracy - confidence| of scikit-learn's bins, each with the weight of its rows."""
    confidence, right = p.max(1), p.argmax(1) == y
    accuracy, mean = calibration_curve(right, confidence, n_bins=15)
    bins = np.searchsorted(np.linspace(0, 1, 16)[1:-1], confidence)
    rows = np.bincount(bins)[np.unique(bins)]
    return float((np.abs(accuracy - mean) * rows).sum() / len(y))


REFERENCES: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": lambda y, p: sk.accuracy_score(y, p.argmax(1)),
    "balanced_accuracy": lambda y, p: sk.balanced_accuracy_score(y, p.argmax(1)),
    "precision": lambda y, p: sk.precision_score(y, p.argmax(1), **average(p.shape[1])),
    "recall": lambda y, p: sk.recall_score(y, p.argmax(1), **average(p.shape[1])),
    "f1": lambda y, p: sk.f1_score(y, p.argmax(1), **average(p.shape[1])),
    "precision_weighted": lambda y, p: sk.precision_score(y, p.argmax(1), **WEIGHTED),
    "recall_weighted": lambda y, p: sk.recall_score(y, p.argmax(1), **WEIGHTED),
    "f1_weighted": lambda y, p: sk.f1_score(y, p.argmax(1), **WEIGHTED),
    "roc_auc": lambda y, p: sk_rank(sk.roc_auc_score, y, p),
    "pr_auc": lambda y, p: sk_rank(sk.average_precision_score, y, p),
    "brier": lambda y, p: sk.brier_score_loss(y, p, labels=range(p.shape[1])),
    "ece": sk_ece,
    "log_loss": lambda y, p: sk.log_loss(y, p, labels=range(p.shape[1])),
    "rmse": sk.root_mean_squared_error,
    "mse": sk.mean_squared_error,
    "mae": sk.mean_absolute_error,
    "median_ae": sk.median_absolute_error,
    "mape": sk.mean_absolute_percentage_error,
    "pinball": lambda y, p: sk.mean_pinball_loss(y, p, alpha=0.5),
    "r2": sk.r2_score,
}


@st.composite
def guesses(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Draw probabilities ``(rows, classes)`` and targets in which every class occurs."""
    n_classes, seed = draw(st.integers(2, 4)), draw(st.integers(0, 2**16))
    more = draw(st.lists(st.integers(0, n_classes - 1), max_size=12))
    generator = torch.Generator().manual_seed(seed)
    targets = torch.tensor([*range(n_classes), *more])
    logits = torch.randn(len(targets), n_classes, generator=generator, dtype=torch.float64)
    return logits.softmax(1), targets


@pytest.mark.parametrize("name", CLASSES)
@settings(max_examples=25)
@given(guess=guesses())
def test_a_class_metric_agrees_with_scikit_learn(name: str, guess: tuple[Tensor, Tensor]) -> None:
    outputs, targets = guess
    expected = REFERENCES[name](targets.numpy(), outputs.numpy())
    assert compute(METRICS[name], outputs, targets) == pytest.approx(expected, abs=1e-5)


@st.composite
def tied_guesses(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Draw probabilities in quarters, and targets of two classes or more out of up to four."""
    n_classes = draw(st.integers(2, 4))
    here = draw(st.lists(st.integers(0, n_classes - 1), min_size=2, max_size=12))
    targets = torch.tensor([*here, (here[0] + 1) % n_classes])
    rows = [
        np.bincount(draw(st.lists(st.integers(0, n_classes - 1), min_size=4, max_size=4)))
        for _ in targets
    ]
    outputs = np.array([np.pad(row, (0, n_classes - len(row))) for row in rows]) / 4
    return torch.from_numpy(outputs), targets


@pytest.mark.parametrize("name", CLASSES)
@settings(max_examples=25)
@given(guess=tied_guesses())
def test_a_class_metric_agrees_with_scikit_learn_on_ties_and_absent_classes(
    name: str, guess: tuple[Tensor, Tensor]
) -> None:
    outputs, targets = guess
    y, p = targets.numpy(), outputs.numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a predicted class without a row
        expected = REFERENCES[name](y, p)
    assert compute(METRICS[name], outputs, targets) == pytest.approx(expected, abs=1e-5)


numbers = st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=9)


@pytest.mark.parametrize("name", NUMBERS)
@settings(max_examples=25)
@given(numbers=numbers, shift=st.floats(-10, 10, width=32))
def test_a_number_metric_agrees_with_scikit_learn(
    name: str, numbers: list[float], shift: float
) -> None:
    targets = torch.tensor([*numbers, 123.0], dtype=torch.float64)
    outputs = targets.flip(0) + shift
    expected = REFERENCES[name](targets.numpy(), outputs.numpy())
    assert valued(name, outputs, targets) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def sk_labels(score: Callable[..., float], average: str) -> Callable[[Any, Any], float]:
    return lambda y, p: score(y, p > 0.5, average=average, zero_division=0)


def sk_label_rank(score: Callable[[Any, Any], float], y: Any, p: Any, *, least: int) -> float:
    """Return the mean over the labels that enough rows have and lack; 0 without one."""
    n = len(y)
    each = [score(y[:, i], p[:, i]) for i in range(y.shape[1]) if 0 < y[:, i].sum() <= n - least]
    return float(np.mean(each)) if each else 0.0


LABEL_REFERENCES: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": lambda y, p: 1 - sk.hamming_loss(y, p > 0.5),
    "subset_accuracy": lambda y, p: sk.accuracy_score(y, p > 0.5),
    **{
        f"{name}{suffix}": sk_labels(score, average)
        for name, score in (
            ("precision", sk.precision_score),
            ("recall", sk.recall_score),
            ("f1", sk.f1_score),
        )
        for suffix, average in (("", "macro"), ("_weighted", "weighted"), ("_micro", "micro"))
    },
    "roc_auc": lambda y, p: sk_label_rank(sk.roc_auc_score, y, p, least=1),
    "pr_auc": lambda y, p: sk_label_rank(sk.average_precision_score, y, p, least=0),
    "log_loss": lambda y, p: float(
        np.mean([sk.log_loss(y[:, i], p[:, i], labels=[0, 1]) for i in range(y.shape[1])])
    ),
}


@st.composite
def label_guesses(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Draw probabilities, in quarters or fine, and labels; one may be in every row, or in none."""
    n_rows, n_labels = draw(st.integers(2, 9)), draw(st.integers(2, 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    outputs = torch.rand(n_rows, n_labels, generator=generator, dtype=torch.float64)
    if draw(st.booleans()):
        outputs = (4 * outputs).round() / 4
    share = draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))
    targets = (torch.rand(n_rows, n_labels, generator=generator) < share).long()
    targets[:, 0] = torch.arange(n_rows) % 2
    return outputs, targets


@pytest.mark.parametrize("name", LABELS)
@settings(max_examples=25)
@given(guess=label_guesses())
def test_a_label_metric_agrees_with_scikit_learn(name: str, guess: tuple[Tensor, Tensor]) -> None:
    outputs, targets = guess
    expected = LABEL_REFERENCES[name](targets.numpy(), outputs.numpy())
    assert compute(METRICS[name], outputs, targets) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", LABELS)
def test_labels_that_no_row_has_have_a_finite_value(name: str) -> None:
    for targets in (torch.zeros(3, 2).long(), torch.ones(3, 2).long()):
        assert np.isfinite(compute(METRICS[name], torch.full((3, 2), 0.3), targets))


@pytest.mark.parametrize("name", NUMBERS)
@settings(max_examples=25)
@given(seed=st.integers(0, 2**16), n_targets=st.integers(2, 4))
def test_a_metric_of_several_numbers_is_scikit_learns_uniform_average(
    name: str, seed: int, n_targets: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    outputs, targets = 3 * torch.randn(2, 9, n_targets, generator=generator, dtype=torch.float64)
    value = compute(METRICS[name], outputs, targets, {"quantile": 0.5})
    each = [REFERENCES[name](targets[:, i], outputs[:, i]) for i in range(n_targets)]
    assert value == pytest.approx(np.mean(each))
    assert value == pytest.approx(REFERENCES[name](targets.numpy(), outputs.numpy()))


@settings(max_examples=25)
@given(numbers=numbers, quantile=st.floats(0.01, 0.99))
def test_pinball_is_that_of_the_quantile_of_the_loss(numbers: list[float], quantile: float) -> None:
    targets = torch.tensor(numbers, dtype=torch.float64)
    outputs = targets.flip(0) + 1
    value = compute(METRICS["pinball"], outputs, targets, {"quantile": quantile})
    assert value == pytest.approx(sk.mean_pinball_loss(targets, outputs, alpha=quantile))


def test_a_loss_without_a_quantile_has_no_pinball() -> None:
    chosen: dict[str, Any] = {"objective": None, "everything": True}
    assert "pinball" not in metrics_of("regression", **chosen)
    assert "pinball" in metrics_of("regression", **chosen, numbers=["quantile"])


Guesses = tuple[Tensor, Tensor, Tensor]


def good_bad_and_truth(name: str) -> Guesses:
    """Return perfect outputs, wrong ones, and the targets, of a kind of task of the metric."""
    targets = torch.tensor([0, 1, 2, 1])
    if name in NUMBERS:
        return targets.float(), targets.roll(1).float(), targets.float()
    if name not in CLASSES:
        return torch.eye(3)[targets], torch.eye(3)[targets.roll(1)], torch.eye(3)[targets].long()
    return torch.eye(3)[targets], torch.eye(3)[targets.roll(1)], targets


def valued(name: str, outputs: Tensor, targets: Tensor) -> float:
    return compute(METRICS[name], outputs, targets, {"quantile": 0.5})


@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_prediction_has_the_best_value(name: str) -> None:
    outputs, _, truth = good_bad_and_truth(name)
    best = {"maximize": 1.0, "minimize": 0.0}[METRICS[name].direction]
    assert valued(name, outputs, truth) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_a_worse_prediction_has_a_worse_value(name: str) -> None:
    good, bad, truth = good_bad_and_truth(name)
    better, worse = (valued(name, one, truth) for one in (good, bad))
    assert better > worse if METRICS[name].direction == "maximize" else better < worse


def test_a_metric_is_a_function_or_the_name_of_one() -> None:
    outputs, targets = torch.eye(2), torch.tensor([0, 0])
    for function in ("lightning_modules.metrics:accuracy", lambda o, t: 0.5):
        metric = Metric(direction="maximize", kinds=("binary",), compute=function)
        assert compute(metric, outputs, targets) == 0.5


@pytest.mark.parametrize("kind", TASKS)
def test_a_validation_measures_the_usual_metrics_and_the_objective(kind: str) -> None:
    rare = "r2" if "r2" in METRICS and kind in METRICS["r2"].kinds else "roc_auc"
    usual = metrics_of(kind, objective=None, everything=False)
    asked = metrics_of(kind, objective=rare, everything=False)
    everything = metrics_of(kind, objective=None, everything=True, numbers=["quantile"])
    assert all(metric.each_validation for metric in usual.values())
    assert set(asked) == {*usual, rare}
    assert set(everything) == {name for name in METRICS if kind in METRICS[name].kinds}


@pytest.mark.parametrize("name", ["balanced_accuracy", "roc_auc", "pr_auc"])
def test_a_class_that_is_not_in_the_split_does_not_count(name: str) -> None:
    outputs = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.3, 0.6]])
    targets = torch.tensor([0, 1, 1])
    expected = {"balanced_accuracy": 0.75, "roc_auc": 1.0, "pr_auc": 1.0}[name]
    assert compute(METRICS[name], outputs, targets) == pytest.approx(expected)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_split_of_one_class_has_a_finite_value(name: str, n_classes: int) -> None:
    value = compute(METRICS[name], torch.eye(n_classes), torch.zeros(n_classes, dtype=torch.long))
    assert np.isfinite(value)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("target", [1.0, 0.0])
def test_equal_targets_have_a_finite_value(name: str, target: float) -> None:
    outputs, targets = torch.tensor([1.0, 2.0]), torch.full((2,), target)
    assert np.isfinite(valued(name, outputs, targets))


def test_a_certainty_is_held_against_the_accuracy_of_its_bin() -> None:
    outputs = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.96, 0.04], [0.6, 0.4]])
    # 14/15 to 1 is one bin: confidence 2.96, of which 2 are right; 0.6 stands alone.
    value = compute(METRICS["ece"], outputs, torch.tensor([0, 1, 0, 0]))
    assert value == pytest.approx((0.96 + 0.4) / 4)


def test_a_share_of_the_target_is_no_per_cent() -> None:
    value = compute(METRICS["mape"], torch.tensor([9.0, 110.0]), torch.tensor([10.0, 100.0]))
    assert value == pytest.approx(0.1)


def test_a_wrong_certainty_costs_a_finite_log_loss() -> None:
    value = compute(METRICS["log_loss"], torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    assert 10 < value < 20


def test_confusion_counts_right_classes_by_rows_and_found_ones_by_columns() -> None:
    outputs, targets = torch.eye(3)[[0, 1, 1, 2]], torch.tensor([0, 0, 1, 1])
    assert confusion(outputs, targets) == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]


@settings(max_examples=25)
@given(guesses())
def test_confusion_agrees_with_scikit_learn(guess: tuple[Tensor, Tensor]) -> None:
    outputs, targets = guess
    labels = range(outputs.shape[1])
    expected = sk.confusion_matrix(targets.numpy(), outputs.argmax(1).numpy(), labels=labels)
    assert confusion(outputs, targets) == expected.tolist()


def test_every_metric_of_ours_stands_in_the_module_under_its_name() -> None:
    for name in METRICS:
        assert METRICS[name].compute == f"lightning_modules.metrics:{name}"
        assert callable(getattr(metrics, name))
