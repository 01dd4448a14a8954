import numpy as np
import pytest
import torch

from lightning_modules.evaluation.details import class_scores, curves


@pytest.mark.parametrize(("n_classes", "most"), [(2, 200), (20, 100), (100, 30)])
def test_curves_are_thinned_and_keep_their_ends_and_shape(n_classes: int, most: int) -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(6000) % n_classes
    logits = torch.randn(6000, n_classes, generator=generator, dtype=torch.float64)
    logits[torch.arange(6000), targets] += 1
    for kept in curves(logits.softmax(1), targets, list(map(str, range(n_classes)))):
        assert max(len(curve.x) for curve in kept) <= most + 2
        assert all((curve.x[0], curve.x[-1]) == (0, 1) for curve in kept)
        assert all(np.diff(curve.x).min() >= 0 for curve in kept)
    roc, _ = curves(logits.softmax(1), targets, list(map(str, range(n_classes))))
    assert np.trapezoid(roc[0].y, roc[0].x) == pytest.approx(roc[0].area, abs=0.01)


def test_a_class_that_nothing_was_taken_for_has_no_precision() -> None:
    one, other, neither = class_scores([[2, 0, 0], [1, 0, 0], [0, 0, 0]], ["a", "b", "c"])
    assert (one.precision, one.recall, one.f1) == (2 / 3, 1, 0.8)
    assert (other.precision, other.recall, other.f1) == (None, 0, 0)
    assert (neither.precision, neither.recall, neither.f1) == (None, None, None)
