import pytest
import torch

from lightning_modules import last_rows
from lightning_modules.last_rows import LastRows


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_rows, "MOST_ROWS", 5)
    monkeypatch.setattr(last_rows, "MOST_NUMBERS", 8)


def filled(n_outputs: int, *, stop_at: int | None = None) -> LastRows:
    """Return rows 0 to 11 in batches of three, carried over a checkpoint at one of them."""
    rows = LastRows()
    for i in range(0, 12, 3):
        if i == stop_at:
            kept, rows = rows.state(), LastRows()
            rows.restore(kept)
        targets = torch.arange(i, i + 3)
        rows.add(targets[:, None].float().expand(3, n_outputs), targets)
    return rows


@pytest.mark.parametrize(("n_outputs", "most"), [(1, 5), (2, 4), (100, 1)])
def test_the_last_rows_are_kept_up_to_the_bound(n_outputs: int, most: int) -> None:
    rows = filled(n_outputs)
    assert len(rows) <= most + 2
    outputs, targets = rows.take()
    assert targets.tolist() == list(range(12))[-most:]
    assert outputs.shape == (most, n_outputs)
    assert len(rows) == 0


@pytest.mark.parametrize("stop_at", [3, 9])
def test_a_run_that_goes_on_keeps_the_same_rows(stop_at: int) -> None:
    assert torch.equal(filled(2).take()[1], filled(2, stop_at=stop_at).take()[1])


def test_no_graph_is_kept() -> None:
    rows = LastRows()
    rows.add(torch.ones(2, 1, requires_grad=True) * 2, torch.ones(2))
    assert not rows.take()[0].requires_grad
