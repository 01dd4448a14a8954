import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812  (its usual name)

from lightning_modules.criterion import (
    as_rows,
    class_weights,
    classification_loss,
    mean_of_members,
    probabilities,
    regression_loss,
)
from lightning_modules.task import NUMBER_LOSSES, HuberConfig, MaeConfig, MseConfig

counts = st.lists(st.integers(1, 1000), min_size=2, max_size=5)
PLAIN = {"label_smoothing": 0.0, "delta": 1.0}


@given(counts)
def test_every_class_weighs_the_same_and_the_mean_over_rows_is_1(rows: list[int]) -> None:
    weights = class_weights(rows)
    total = weights * torch.tensor(rows)
    torch.testing.assert_close(total, total[:1].expand(len(rows)))
    assert float(total.sum()) / sum(rows) == pytest.approx(1, rel=1e-5)


def test_a_class_without_rows_has_no_weight() -> None:
    with pytest.raises(ValueError, match=r"without training rows cannot be weighted: \[3, 0\]"):
        class_weights([3, 0])


@pytest.mark.parametrize(
    ("smoothing", "weights"), [(0.0, None), (0.2, None), (0.0, torch.tensor([0.5, 2.0]))]
)
def test_one_logit_loses_the_same_as_two(
    smoothing: float, weights: torch.Tensor | None, generator: torch.Generator
) -> None:
    logits = torch.randn(7, 1, generator=generator)
    targets = torch.tensor([0, 1, 1, 0, 0, 0, 1])
    two = torch.cat([torch.zeros_like(logits), logits], dim=1)
    numbers = {"label_smoothing": smoothing}
    one = classification_loss(logits, targets, weights=weights, numbers=numbers)
    other = classification_loss(two, targets, weights=weights, numbers=numbers)
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("n_columns", [1, 3])
def test_a_certain_right_answer_costs_nothing(n_columns: int) -> None:
    targets = torch.tensor([0, 1])
    logits = torch.tensor([[-99.0], [99.0]]) if n_columns == 1 else 99 * torch.eye(3)[:2]
    loss = classification_loss(logits, targets, weights=None, numbers=PLAIN)
    assert float(loss) == pytest.approx(0, abs=1e-30)


@pytest.mark.parametrize("n_columns", [1, 3])
def test_smoothing_makes_a_certain_answer_cost_something(n_columns: int) -> None:
    targets = torch.tensor([0, 1])
    logits = torch.tensor([[-9.0], [9.0]]) if n_columns == 1 else 9 * torch.eye(3)[:2]
    numbers = {"label_smoothing": 0.1}
    assert float(classification_loss(logits, targets, weights=None, numbers=numbers)) > 0.1


@pytest.mark.parametrize("n_columns", [1, 2])
def test_balanced_weights_make_a_rare_class_count_as_much(n_columns: int) -> None:
    targets = torch.tensor([0, 0, 0, 1])
    wrong = torch.full((4, 1), 0.0)
    logits = wrong if n_columns == 1 else torch.cat([wrong, wrong], dim=1)
    logits.requires_grad_()
    loss = classification_loss(logits, targets, weights=class_weights([3, 1]), numbers=PLAIN)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert float(gradient[:3, -1].sum()) == pytest.approx(-float(gradient[3, -1]))


@pytest.mark.parametrize("name", NUMBER_LOSSES)
def test_an_exact_prediction_costs_nothing_and_any_other_does(name: str) -> None:
    config, targets = NUMBER_LOSSES[name].config(), torch.tensor([1.0, -2.0])
    exact = regression_loss(config, targets[:, None], targets, numbers=PLAIN)
    off = regression_loss(config, targets[:, None] + 0.5, targets, numbers=PLAIN)
    assert float(exact) == 0
    assert float(off) > 0


def test_regression_losses_are_those_that_their_names_say() -> None:
    outputs, targets = torch.tensor([[0.0], [0.0]]), torch.tensor([1.0, 4.0])
    assert float(regression_loss(MseConfig(), outputs, targets, numbers=PLAIN)) == 8.5
    assert float(regression_loss(MaeConfig(), outputs, targets, numbers=PLAIN)) == 2.5
    huber = regression_loss(HuberConfig(), outputs, targets, numbers={"delta": 2.0})
    assert float(huber) == (0.5 + 2 * (4 - 1)) / 2


@pytest.mark.parametrize("n_columns", [1, 2, 5])
def test_probabilities_add_up_to_1_over_two_columns_or_more(
    n_columns: int, generator: torch.Generator
) -> None:
    chances = probabilities(torch.randn(6, n_columns, generator=generator))
    assert chances.shape == (6, max(n_columns, 2))
    assert bool((chances >= 0).all())
    torch.testing.assert_close(chances.sum(1), torch.ones(6))


def test_the_second_column_is_the_chance_of_the_positive_class() -> None:
    chances = probabilities(torch.tensor([[3.0]]))
    torch.testing.assert_close(chances[0, 1], F.sigmoid(torch.tensor(3.0)))


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 2.0, 1.0])])
def test_the_loss_of_an_ensemble_is_the_mean_of_its_members(
    weights: torch.Tensor | None, generator: torch.Generator
) -> None:
    outputs = torch.randn(6, 4, 3, generator=generator)
    targets = torch.tensor([0, 1, 2, 2, 1, 1])
    each = [
        classification_loss(outputs[:, i], targets, weights=weights, numbers=PLAIN)
        for i in range(4)
    ]
    together = classification_loss(*as_rows(outputs, targets), weights=weights, numbers=PLAIN)
    torch.testing.assert_close(together, torch.stack(each).mean())


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_an_ensemble_gives_the_mean_of_its_members_probabilities(
    n_outputs: int, generator: torch.Generator
) -> None:
    outputs = 3 * torch.randn(6, 4, n_outputs, generator=generator)
    expected = torch.stack([probabilities(outputs[:, i]) for i in range(4)]).mean(0)
    torch.testing.assert_close(probabilities(mean_of_members(outputs, regression=False)), expected)


def test_members_that_are_sure_stay_finite_together() -> None:
    outputs = torch.tensor([[[200.0], [300.0]], [[-200.0], [300.0]]])
    combined = mean_of_members(outputs, regression=False)
    assert bool(combined.isfinite().all())
    assert combined[1].item() == pytest.approx(0, abs=1e-5)


def test_an_ensemble_gives_the_mean_of_its_members_numbers() -> None:
    outputs = torch.tensor([[[1.0], [3.0]], [[0.0], [-1.0]]])
    assert mean_of_members(outputs, regression=True).tolist() == [[2.0], [-0.5]]
