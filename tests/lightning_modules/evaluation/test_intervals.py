import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lightning_modules.evaluation.intervals import (
    FEWEST,
    ONE_VALUE,
    RESAMPLES,
    UNDEFINED,
    UNKNOWN,
    UNMEASURED,
    Group,
    class_groups,
    label_groups,
    number_groups,
    resample,
    resamples_for,
    with_functions,
)
from lightning_modules.metrics import compute, metrics_of
from lightning_modules.task import METRICS, Metric


def guesses(n_rows: int, n_classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return probabilities with ties, and targets of at least two classes."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, n_classes, (n_rows,), generator=generator)
    targets[:2] = torch.tensor([0, 1])
    logits = torch.randn(n_rows, n_classes, generator=generator, dtype=torch.float64).round()
    logits[torch.arange(n_rows), targets] += 1
    return logits.softmax(1), targets


def numbers(n_rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    outputs, targets = torch.randn(2, n_rows, generator=generator, dtype=torch.float64) + 5
    return outputs, targets


def of_rows(groups: list[Group], rows: list[int]) -> dict[str, float]:
    """Return the metrics of as many drawn rows as there are."""
    weights = np.bincount(rows, minlength=len(rows)).astype(float)
    return {name: value for group in groups for name, value in group(weights).items()}


def measured(kind: str, outputs: Tensor, targets: Tensor) -> dict[str, float]:
    chosen = metrics_of(kind, objective=None, everything=True)
    return {name: compute(metric, outputs, targets) for name, metric in chosen.items()}


DRAWN = st.lists(st.integers(0, 11), min_size=10, max_size=10)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@settings(max_examples=25)
@given(drawn=DRAWN, seed=st.integers(0, 9))
def test_a_resample_has_the_metrics_of_its_rows(
    n_classes: int, drawn: list[int], seed: int
) -> None:
    outputs, targets = guesses(12, n_classes, seed)
    rows = [0, 1, *drawn]  # of two classes at least
    kind = "binary" if n_classes == 2 else "multiclass"
    expected = measured(kind, outputs[rows], targets[rows])
    assert of_rows(class_groups(outputs, targets), rows) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=25)
@given(drawn=DRAWN, seed=st.integers(0, 9))
def test_a_resample_of_numbers_has_the_metrics_of_its_rows(drawn: list[int], seed: int) -> None:
    outputs, targets = numbers(12, seed)
    rows = [0, 1, *drawn]
    expected = measured("regression", outputs[rows], targets[rows])
    assert of_rows(number_groups(outputs, targets), rows) == pytest.approx(expected)


def labels(n_rows: int, n_labels: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return probabilities with ties, and labels; at least one row has the first, one lacks it."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, 2, (n_rows, n_labels), generator=generator)
    targets[:2, 0] = torch.tensor([0, 1])
    drawn = torch.rand(n_rows, n_labels, generator=generator, dtype=torch.float64)
    return (4 * (0.7 * drawn + 0.3 * targets)).round() / 4, targets


@settings(max_examples=25)
@given(drawn=DRAWN, seed=st.integers(0, 9))
def test_a_resample_of_labels_has_the_metrics_of_its_rows(drawn: list[int], seed: int) -> None:
    outputs, targets = labels(12, 3, seed)
    rows = [0, 1, *drawn]
    expected = measured("multilabel", outputs[rows], targets[rows])
    assert of_rows(label_groups(outputs, targets), rows) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=25)
@given(drawn=DRAWN, seed=st.integers(0, 9))
def test_a_resample_of_several_numbers_has_the_metrics_of_its_rows(
    drawn: list[int], seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    outputs, targets = torch.randn(2, 12, 3, generator=generator, dtype=torch.float64) + 5
    rows = [0, 1, *drawn]
    expected = measured("regression", outputs[rows], targets[rows])
    assert of_rows(number_groups(outputs, targets), rows) == pytest.approx(expected)


def test_labels_that_the_resample_lacks_have_no_area() -> None:
    outputs, targets = labels(5, 2)
    found = of_rows(label_groups(outputs, targets), [0] * 5)
    assert np.isnan(found["roc_auc"])
    assert np.isfinite(found["accuracy"])


def test_many_labels_are_ranked_in_parts_to_the_same_values(monkeypatch) -> None:
    outputs, targets = labels(40, 6)
    rows = list(range(40))
    whole = of_rows(label_groups(outputs, targets), rows)
    monkeypatch.setattr("lightning_modules.evaluation.intervals.AT_ONCE", 90)
    assert of_rows(label_groups(outputs, targets), rows) == pytest.approx(whole)


def test_a_metric_that_no_group_knows_is_computed_row_for_row() -> None:
    outputs, targets = numbers(12)
    rows = [0, 0, 0, *range(3, 12)]
    known = number_groups(outputs, targets)
    groups = with_functions(known, ["rmse", "pinball"], outputs, targets, {"quantile": 0.2})
    assert len(groups) == len(known) + 1
    above = (targets - outputs)[rows]
    expected = torch.maximum(0.2 * above, -0.8 * above).mean()
    assert of_rows(groups, rows)["pinball"] == pytest.approx(float(expected))


def test_what_is_no_metric_is_left_alone() -> None:
    outputs, targets = numbers(12)
    known = number_groups(outputs, targets)
    assert with_functions(known, ["loss", "rmse"], outputs, targets, {}) == known


def test_a_metric_that_fails_on_some_rows_is_undefined_there(registries: None) -> None:
    def picky(outputs: Tensor, targets: Tensor) -> float:
        if len(targets.unique()) < 8:
            raise ValueError("too few")
        return float(targets.mean())

    METRICS.register("picky")(Metric(direction="minimize", kinds=("regression",), compute=picky))
    outputs, targets = numbers(12)
    groups = with_functions([], ["picky"], outputs, targets, {})
    assert np.isnan(of_rows(groups, [0] * 12)["picky"])
    value = of_rows(groups, list(range(12)))["picky"]
    known = resample({"picky": value}, groups, rows=(12, 1), seed=0)
    ends = known.ci95["picky"]
    assert ends is None or ends[0] < value < ends[1]


def test_many_classes_are_ranked_in_parts_to_the_same_values(monkeypatch) -> None:
    outputs, targets = guesses(40, 6)
    rows = list(range(40))
    whole = of_rows(class_groups(outputs, targets), rows)
    monkeypatch.setattr("lightning_modules.evaluation.intervals.AT_ONCE", 90)
    assert of_rows(class_groups(outputs, targets), rows) == pytest.approx(whole)


def test_an_interval_is_as_wide_as_the_binomial_says() -> None:
    outputs, targets = guesses(400, 2)
    share = measured("binary", outputs, targets)["accuracy"]
    known = resample({"accuracy": share}, class_groups(outputs, targets), rows=(400, 2), seed=0)
    low, high = known.ci95["accuracy"] or (0, 0)
    half = 1.96 * (share * (1 - share) / 400) ** 0.5
    assert (low, high) == pytest.approx((share - half, share + half), abs=0.006)
    assert known.resamples == RESAMPLES
    assert known.reasons == {}


def test_rows_that_are_alike_are_drawn_together() -> None:
    noise = np.random.default_rng(0).normal(size=40).repeat(10)
    outputs, targets = torch.from_numpy(noise), torch.zeros(400, dtype=torch.float64)
    groups, values = number_groups(outputs, targets), {"mae": float(np.abs(noise).mean())}
    known = [resample(values, groups, rows=(400, 1), seed=0, block=block) for block in (1, 10)]
    widths = [float(np.diff(one.ci95["mae"] or [0, 0])[0]) for one in known]
    expected = 2 * 1.96 * np.abs(noise).std() / 40**0.5  # of 40 different rows
    assert widths[1] == pytest.approx(expected, rel=0.25)
    assert widths[0] < 0.5 * widths[1]


def test_blocks_draw_as_many_rows_as_there_are() -> None:
    seen = []
    groups: list[Group] = [lambda weights: {"rows": seen.append(weights.sum()) or 1.0}]
    resample({"rows": 1.0}, groups, rows=(23, 1), seed=0, block=4)
    assert set(seen) == {23.0}


def test_equal_seeds_give_equal_intervals() -> None:
    outputs, targets = numbers(30)
    groups, values = number_groups(outputs, targets), {"mse": 1.0, "median_ae": 1.0}
    one, again, other = (resample(values, groups, rows=(30, 1), seed=s) for s in (4, 4, 5))
    assert one == again
    assert one.ci95["mse"] != other.ci95["mse"]


def test_what_has_no_interval_has_a_reason() -> None:
    groups: list[Group] = [
        lambda weights: {"flat": 1.0, "rare": np.nan if weights[0] else weights[1], "lost": 1.0}
    ]
    values = {"flat": 1.0, "rare": 1.0, "mine": 1.0, "lost": None}
    known = resample(values, groups, rows=(20, 1), seed=0)
    assert known.reasons == {
        "flat": ONE_VALUE,
        "rare": UNDEFINED,
        "mine": UNKNOWN,
        "lost": UNMEASURED,
    }
    assert set(known.ci95.values()) == {None}


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_resample_of_one_class_has_no_area(n_classes: int) -> None:
    outputs, targets = guesses(5, n_classes)
    found = of_rows(class_groups(outputs, targets), [0] * 5)
    assert np.isnan(found["roc_auc"])


@pytest.mark.parametrize(
    ("rows", "n"), [((100, 2), RESAMPLES), ((10**6, 2), 250), ((10**8, 100), FEWEST)]
)
def test_large_splits_are_resampled_less_often(rows: tuple[int, int], n: int) -> None:
    assert resamples_for(*rows) == n
