import pytest
import torch
from torch import Tensor, nn

from lightning_modules.layers.level import FromLevel, level_of, relative

X = torch.tensor([[[1.0, 7.0], [5.0, 8.0]], [[2.0, 9.0], [2.0, 9.0]]])


class Last(nn.Module):
    """Predicts the last step of the first channel, three times."""

    def noise_shapes(self, n_rows: int) -> dict[str, tuple[int, ...]]:
        return {"dropout": (n_rows, 3)}

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return scale * x[:, -1, :1].expand(-1, 3)


@pytest.mark.parametrize(("level", "expected"), [("mean", [3.0, 2.0]), ("last", [5.0, 2.0])])
def test_the_level_is_that_of_the_first_channel(level: str, expected: list[float]) -> None:
    assert level_of(X, level).tolist() == expected
    seen = relative(X, level)
    assert seen[:, :, 0].tolist() == (X[:, :, 0] - torch.tensor(expected)[:, None]).tolist()
    assert torch.equal(seen[:, :, 1:], X[:, :, 1:])


def test_without_a_level_all_is_as_it_is() -> None:
    assert relative(X, "none") is X


@pytest.mark.parametrize("level", ["mean", "last"])
def test_a_series_elsewhere_is_forecast_elsewhere(level: str) -> None:
    network = FromLevel(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh()), level)
    moved = X + torch.tensor([1000.0, 0.0])
    torch.testing.assert_close(network(moved), network(X) + 1000.0)


def test_a_network_predicts_relative_to_the_level() -> None:
    network = FromLevel(Last(), "mean")
    assert network(X).tolist() == [[5.0] * 3, [2.0] * 3]
    assert network(X, 0.0).tolist() == [[3.0] * 3, [2.0] * 3]
    assert network.noise_shapes(4) == {"dropout": (4, 3)}


def test_every_member_of_an_ensemble_gets_the_level() -> None:
    network = FromLevel(nn.Sequential(nn.Flatten(), nn.Unflatten(1, (2, 2))), "last")
    assert network(X).shape == (2, 2, 2)
    torch.testing.assert_close(network(X)[0].min(), torch.tensor(1.0))
