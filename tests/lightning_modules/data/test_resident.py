import torch

from lightning_modules.data.batches import Batches
from lightning_modules.data.resident import resident


def test_rows_stay_where_they_are_unless_a_gpu_trains() -> None:
    x, y = torch.zeros(4, 2), torch.arange(4)
    for device in ("cpu", "meta"):
        assert resident(x, y, torch.device(device)) == (x, y)


def test_batches_are_cut_where_the_rows_are() -> None:
    x, y = torch.zeros(10, 2, device="meta"), torch.zeros(10, device="meta")
    for shuffle in (True, False):
        batches = list(Batches(x, y, batch_size=4, shuffle=shuffle, seed=0))
        assert {part.device.type for batch in batches for part in batch} == {"meta"}
        assert sum(len(batch[1]) for batch in batches) == 10
