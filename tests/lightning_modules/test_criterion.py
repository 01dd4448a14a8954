import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812  (its usual name)

from lightning_modules.criterion import (
    as_rows,
    class_weights,
    classification_loss,
    focal_loss,
    label_loss,
    label_weights,
    loss_of,
    mean_of_members,
    probabilities,
    regression_loss,
)
from lightning_modules.data.mix import soft_targets
from lightning_modules.task import (
    NUMBER_LOSSES,
    TASKS,
    BceConfig,
    FocalConfig,
    HuberConfig,
    MaeConfig,
    MseConfig,
    QuantileConfig,
)

counts = st.lists(st.integers(1, 1000), min_size=2, max_size=5)
PLAIN = {"label_smoothing": 0.0, "delta": 1.0, "quantile": 0.5}


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
    torch.testing.assert_close(probabilities(mean_of_members(outputs, kind="multiclass")), expected)


def test_members_that_are_sure_stay_finite_together() -> None:
    outputs = torch.tensor([[[200.0], [300.0]], [[-200.0], [300.0]]])
    combined = mean_of_members(outputs, kind="multiclass")
    assert bool(combined.isfinite().all())
    assert combined[1].item() == pytest.approx(0, abs=1e-5)


def test_an_ensemble_gives_the_mean_of_its_members_numbers() -> None:
    outputs = torch.tensor([[[1.0], [3.0]], [[0.0], [-1.0]]])
    assert mean_of_members(outputs, kind="regression").tolist() == [[2.0], [-0.5]]


@pytest.mark.parametrize("n_columns", [1, 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_shares_of_one_class_lose_what_its_number_does(
    n_columns: int, smoothing: float, weighted: bool, generator: torch.Generator
) -> None:
    logits = torch.randn(7, n_columns, generator=generator)
    n_classes = max(n_columns, 2)
    targets = torch.arange(7) % n_classes
    shares = targets.float() if n_columns == 1 else F.one_hot(targets, n_classes).float()
    weights = torch.tensor([0.5, 2.0, 1.0])[:n_classes] if weighted else None
    numbers = {"label_smoothing": smoothing}
    hard = classification_loss(logits, targets, weights=weights, numbers=numbers)
    soft = classification_loss(logits, shares, weights=weights, numbers=numbers)
    torch.testing.assert_close(soft, hard)


@pytest.mark.parametrize("n_columns", [1, 2])
def test_a_mixed_row_counts_as_its_parts_do(n_columns: int, generator: torch.Generator) -> None:
    logits = torch.randn(1, n_columns, generator=generator)
    shares = torch.tensor([0.25]) if n_columns == 1 else torch.tensor([[0.75, 0.25]])
    weights = torch.tensor([0.5, 3.0])
    parts = [
        classification_loss(logits, torch.tensor([label]), weights=None, numbers=PLAIN)
        for label in (0, 1)
    ]
    whole = classification_loss(logits, shares, weights=weights, numbers=PLAIN)
    expected = (0.75 * 0.5 * parts[0] + 0.25 * 3 * parts[1]) / (0.75 * 0.5 + 0.25 * 3)
    assert float(whole) == pytest.approx(float(expected))
    plain = classification_loss(logits, shares, weights=None, numbers=PLAIN)
    assert float(plain) == pytest.approx(float(0.75 * parts[0] + 0.25 * parts[1]))


WEIGHTS = [None, torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("n_columns", [1, 3])
@given(seed=st.integers(0, 2**16), gamma=st.floats(0, 5))
def test_the_focal_loss_is_that_of_its_formula(
    n_columns: int, weights: torch.Tensor | None, seed: int, gamma: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(6, n_columns, generator=generator, dtype=torch.float64)
    targets = torch.arange(6) % max(n_columns, 2)
    right = probabilities(logits)[torch.arange(6), targets]
    per_row = -((1 - right) ** gamma) * right.log()
    weighed = torch.ones(6, dtype=torch.float64) if weights is None else weights[targets]
    expected = (per_row * weighed).sum() / weighed.sum()
    loss = focal_loss(logits, targets, weights=weights, numbers={"gamma": gamma})
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("n_columns", [1, 3])
@pytest.mark.parametrize("gamma", [0.0, 0.3, 2.0])
def test_the_focal_loss_of_the_surest_rows_has_a_finite_gradient(
    n_columns: int, gamma: float
) -> None:
    targets = torch.tensor([0, 1])
    logits = torch.tensor([[-500.0], [500.0]]) if n_columns == 1 else 500 * torch.eye(3)[:2]
    for sign in (1, -1):
        sure = (sign * logits).requires_grad_()
        focal_loss(sure, targets, weights=None, numbers={"gamma": gamma}).backward()
        assert sure.grad is not None
        assert bool(sure.grad.isfinite().all())


@pytest.mark.parametrize("loss", [BceConfig(), FocalConfig()])
def test_the_loss_of_labels_is_the_mean_over_them(
    loss: BceConfig | FocalConfig, generator: torch.Generator
) -> None:
    logits, numbers = torch.randn(7, 3, generator=generator), {**PLAIN, "gamma": 1.5}
    targets = torch.randint(0, 2, (7, 3), generator=generator)
    of_one = focal_loss if isinstance(loss, FocalConfig) else classification_loss
    each = [
        of_one(logits[:, i : i + 1], targets[:, i], weights=None, numbers=numbers) for i in range(3)
    ]
    together = label_loss(loss, logits, targets.float(), weights=None, numbers=numbers)
    torch.testing.assert_close(together, torch.stack(each).mean())


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=5))
def test_of_each_label_rows_with_it_weigh_as_much_as_those_without(
    rows: list[tuple[int, int]],
) -> None:
    weights = label_weights(rows)
    for (without, having), pair in zip(rows, weights.T.tolist(), strict=True):
        if not without:
            assert pair == [1.0, 1.0]
            continue
        assert pair[0] * without == pytest.approx(pair[1] * having)
        assert pair[0] * without + pair[1] * having == pytest.approx(without + having)


def test_weights_of_labels_count_in_their_loss() -> None:
    logits, targets = torch.zeros(4, 1), torch.tensor([[0.0], [0.0], [0.0], [1.0]])
    logits.requires_grad_()
    weights = label_weights([(3, 1)])
    loss = label_loss(BceConfig(), logits, targets, weights=weights, numbers=PLAIN)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert float(gradient[:3].sum()) == pytest.approx(-float(gradient[3]))


@given(st.integers(0, 2**16), st.floats(0.05, 0.95))
def test_the_quantile_loss_is_least_at_the_quantile(seed: int, quantile: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randn(41, generator=generator, dtype=torch.float64)
    numbers = {"quantile": quantile}
    losses = [
        regression_loss(QuantileConfig(), value.expand(41, 1), targets, numbers=numbers)
        for value in targets
    ]
    best = targets[torch.stack(losses).argmin()]
    shares = [float((targets < best).double().mean()), float((targets <= best).double().mean())]
    assert shares[0] <= quantile <= shares[1]


@pytest.mark.parametrize("name", NUMBER_LOSSES)
def test_the_loss_of_several_numbers_is_the_mean_of_their_losses(
    name: str, generator: torch.Generator
) -> None:
    config = NUMBER_LOSSES[name].config()
    outputs, targets = torch.randn(2, 6, 3, generator=generator)
    each = [
        regression_loss(config, outputs[:, i : i + 1], targets[:, i], numbers=PLAIN)
        for i in range(3)
    ]
    together = loss_of("regression", config, outputs, targets, weights=None, numbers=PLAIN)
    torch.testing.assert_close(together, torch.stack(each).mean())


def test_members_share_several_targets(generator: torch.Generator) -> None:
    outputs, targets = torch.randn(5, 4, 2, generator=generator), torch.randn(5, 2)
    rows, repeated = as_rows(outputs, targets)
    assert torch.equal(repeated.view(5, 4, 2), targets[:, None].expand(5, 4, 2))
    assert torch.equal(rows.view(5, 4, 2), outputs)


def test_an_ensemble_gives_the_mean_of_its_members_chances_of_each_label(
    generator: torch.Generator,
) -> None:
    outputs = 3 * torch.randn(6, 4, 3, generator=generator)
    mean = mean_of_members(outputs, kind="multilabel").sigmoid()
    torch.testing.assert_close(mean, outputs.sigmoid().mean(1))


@pytest.mark.parametrize(
    ("kind", "n_columns"), [("binary", 1), ("multiclass", 4), ("multilabel", 3)]
)
def test_the_loss_of_mixed_targets_is_the_mix_of_the_losses(
    kind: str, n_columns: int, generator: torch.Generator
) -> None:
    config = getattr(TASKS[kind].config(), "loss", None)
    assert config is not None
    logits = torch.randn(6, n_columns, generator=generator)
    if kind == "multilabel":
        one, other = torch.randint(0, 2, (2, 6, n_columns), generator=generator).float()
    else:
        one, other = torch.randint(0, max(n_columns, 2), (2, 6), generator=generator)
    n_classes = n_columns if kind == "multiclass" else None
    mixed = 0.25 * soft_targets(one, n_classes) + 0.75 * soft_targets(other, n_classes)
    losses = [
        loss_of(kind, config, logits, targets, weights=None, numbers=PLAIN)
        for targets in (one, other, mixed)
    ]
    torch.testing.assert_close(losses[2], 0.25 * losses[0] + 0.75 * losses[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_logarithms_are_taken_in_full_precision(
    dtype: torch.dtype, generator: torch.Generator
) -> None:
    logits, numbers = 4 * torch.randn(9, 3, generator=generator), {"gamma": 2.0}
    rough = logits.to(dtype)
    for targets, loss in (
        (torch.arange(9) % 3, lambda x, y: focal_loss(x, y, weights=None, numbers=numbers)),
        (
            torch.randint(0, 2, (9, 3), generator=generator).float(),
            lambda x, y: label_loss(FocalConfig(), x, y, weights=None, numbers=numbers),
        ),
    ):
        value = loss(rough, targets)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, loss(rough.float(), targets), rtol=1e-6, atol=0)
