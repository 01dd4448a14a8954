"""What a smaller form loses is measured on the same rows; what is worse or larger is refused."""

import pytest
import torch
from torch import Tensor

from hpo.compress.judging import Truth, change, drop, verdict
from hpo.compress.outcome import Change


def classes(n_wrong: int = 0, n_rows: int = 200) -> Tensor:
    """Return probabilities that are right but for some rows."""
    targets = torch.arange(n_rows) % 3
    found = targets.clone()
    found[:n_wrong] = (found[:n_wrong] + 1) % 3
    return torch.nn.functional.one_hot(found, 3).float() * 0.7 + 0.1


TRUTH = Truth(
    kind="multiclass",
    metric="accuracy",
    direction="maximize",
    targets=torch.arange(200) % 3,
    numbers={},
)
ERROR = Truth(
    kind="regression",
    metric="rmse",
    direction="minimize",
    targets=torch.zeros(100),
    numbers={},
)


def found(before: Tensor, after: Tensor, truth: Truth = TRUTH) -> Change:
    made = change(before, after, truth)
    assert made is not None
    return made


def said(
    made: Change | None,
    truth: Truth = TRUTH,
    *,
    max_drop: float = 0.01,
    sizes: tuple[int, int] = (100, 50),
) -> str:
    one = verdict(made, truth, max_drop=max_drop, sizes=sizes)
    assert one.kept == one.words.startswith("kept")
    return one.words


def test_the_difference_is_after_minus_before() -> None:
    made = found(classes(10), classes(14))
    assert (made.before, made.after) == pytest.approx((0.95, 0.93))
    assert made.difference == pytest.approx(-0.02)
    assert made.ci95[0] < -0.02 < made.ci95[1] <= 0
    assert made.largest == pytest.approx(0.7)
    assert made.after_ci95 is not None
    assert made.after_ci95[0] < 0.93 < made.after_ci95[1]


def test_rows_are_paired_so_that_equal_outputs_differ_by_nothing() -> None:
    made = found(classes(40), classes(40))
    assert made.difference == 0
    assert made.ci95 == [0, 0]


def test_an_error_that_falls_is_no_drop() -> None:
    made = found(torch.full((100,), 2.0), torch.full((100,), 1.5), ERROR)
    assert drop(made, "minimize") == pytest.approx(-0.5)
    assert said(made, ERROR) == "kept"


def test_a_metric_that_is_worse_than_allowed_is_refused_in_its_own_units() -> None:
    assert said(found(classes(0), classes(4))) == (
        "refused: accuracy is worse by 0.02000, more than 0.01"
    )
    worse = found(torch.full((100,), 2.0), torch.full((100,), 2.5), ERROR)
    assert said(worse, ERROR) == "refused: rmse is worse by 0.5000, more than 0.01"
    assert said(worse, ERROR, max_drop=0.6) == "kept"


def test_what_is_larger_is_refused_and_both_reasons_are_said() -> None:
    assert said(found(classes(), classes()), sizes=(100, 101)) == (
        "refused: larger than the original"
    )
    assert said(found(classes(), classes()), sizes=(100, 100)) == (
        "refused: no smaller than the original"
    )
    assert said(found(classes(0), classes(4)), sizes=(100, 101)) == (
        "refused: accuracy is worse by 0.02000, more than 0.01; larger than the original"
    )


def test_what_may_be_worse_on_other_rows_is_kept_and_says_so() -> None:
    words = said(found(classes(0), classes(1)))
    assert words.startswith("kept; on other rows it may be worse by 0.01")


def test_outputs_that_are_no_numbers_are_refused() -> None:
    broken = classes()
    broken[3, 1] = torch.nan
    assert change(classes(), broken, TRUTH) is None
    assert said(None).startswith("refused: it puts out NaN or infinity")


def test_labels_and_several_numbers_have_an_interval_too() -> None:
    labels = Truth(
        kind="multilabel",
        metric="f1",
        direction="maximize",
        targets=torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0]] * 20),
        numbers={},
    )
    right = labels.targets.float()
    made = found(right, torch.roll(right, 1, 0), labels)
    assert made.ci95[0] < made.difference < made.ci95[1]
    steps = Truth(
        kind="forecasting",
        metric="mae",
        direction="minimize",
        targets=torch.zeros(60, 3),
        numbers={},
    )
    torch.manual_seed(0)
    made = found(torch.zeros(60, 3), torch.rand(60, 3), steps)
    assert made.ci95[0] < made.difference < made.ci95[1]
