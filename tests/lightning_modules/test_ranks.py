import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch.distributed as dist

from lightning_modules.build import open_data
from lightning_modules.config import RunConfig
from lightning_modules.errors import UsageError
from lightning_modules.probe import try_config
from lightning_modules.ranks import joined, of_the_first, trainer_arguments
from lightning_modules.train import follow, train

MakeConfig = Callable[..., RunConfig]


def test_one_process_joins_nobody(make_config: MakeConfig, tmp_path: Path) -> None:
    before = dict(os.environ)
    with joined(make_config(), rank=0, meeting=tmp_path / "meeting"):
        assert not dist.is_initialized()
    assert dict(os.environ) == before
    assert list(tmp_path.iterdir()) == []


def test_one_process_goes_on_from_its_own_checkpoint(make_config: MakeConfig) -> None:
    assert of_the_first(make_config(), Path("last-000001.ckpt")) == Path("last-000001.ckpt")


def test_one_process_trains_without_a_strategy_of_several(make_config: MakeConfig) -> None:
    assert trainer_arguments(make_config()) == {
        "accelerator": "cpu",
        "devices": 1,
        "use_distributed_sampler": False,
    }


def test_one_process_cannot_train_what_wants_two(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(trainer={"batch_size": 16, "processes": 2})
    text = r"^trainer.processes: 2 processes cannot be started from here, where 1 trains; use hpo"
    with pytest.raises(UsageError, match=text):
        train(config, tmp_path / "run")
    with pytest.raises(UsageError, match=text):
        follow(config, tmp_path / "run", data=open_data(config))
    assert not (tmp_path / "run").exists()


def test_one_process_tries_what_two_will_train(make_config: MakeConfig) -> None:
    config = make_config(trainer={"batch_size": 16, "processes": 2})
    assert try_config(config, open_data(config)).n_batches > 1
