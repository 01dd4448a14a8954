import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hpo.ship.combined import Combination, combine
from lightning_modules.packaged.combined import Combined

WEIGHTS = [0.5, 0.3, 0.2, 0.0]


class _Says(nn.Module):
    """A network that says what it was told to."""

    def __init__(self, outputs: np.ndarray, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.outputs = torch.from_numpy(outputs)

    def forward(self, raw: dict[str, Tensor]) -> Tensor:
        return self.outputs


@pytest.mark.parametrize("n_members", [1, 3, 4])
@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression", "forecasting"])
@pytest.mark.parametrize("method", ["mean", "weighted", "greedy", "vote", "stack"])
def test_members_agree_as_the_definition_says(method: str, kind: str, n_members: int) -> None:
    drawn = np.random.default_rng(0)
    shape = (9,) if kind == "regression" else (9, 3)
    parts = [drawn.random(shape).astype(np.float32) for _ in range(n_members)]
    if kind == "multiclass":
        parts = [part / part.sum(1, keepdims=True) for part in parts]
    parts[0][0] = 0.0  # no logarithm
    intercepts = None
    if method == "stack":
        intercepts = [0.1] if kind == "regression" else [0.1, -0.2, 0.3]
    how = {"method": method, "weights": WEIGHTS[:n_members], "intercepts": intercepts}
    members = [_Says(part, kind) for part in parts]
    found = Combined(members, **how)({})  # type: ignore[arg-type]
    expected = combine(Combination(kind=kind, **how), parts)  # type: ignore[arg-type]
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-7)
