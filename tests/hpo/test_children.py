import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from hpo.children import Children
from hpo.protocol import ProbeOrder, TrialEnd, TrialOrder
from lightning_modules.config import RunConfig
from lightning_modules.plugins import load_plugin
from lightning_modules.result import Command, Validation

LOOKER = '''
import os, signal
from pathlib import Path
import pytorch_lightning as pl
import torch
from torch import nn


class Looker(pl.LightningModule):
    """Writes down which GPUs it sees, waits until it is let go, and trains."""

    def __init__(self, place: str = "", dies: bool = False):
        super().__init__()
        self.place, self.dies = Path(place), dies
        self.net = nn.Linear(4, 3)

    def on_fit_start(self):
        if self.dies:
            os.kill(os.getpid(), signal.SIGSEGV)
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        with (self.place / f"seen-{self.global_rank}").open("w") as stream:
            stream.write(seen)
        if self.global_rank == 0 and (self.place / "gate").exists():
            (self.place / "gate").read_text()  # a named pipe: opened when the test writes

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.log("val_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)
'''


class Listener:
    def __init__(self) -> None:
        self.heard: list[Validation] = []

    def validated(self, validation: Validation) -> Command:
        self.heard.append(validation)
        return Command.CONTINUE

    def batch_ended(self) -> Command:
        return Command.CONTINUE


MakeOrder = Callable[..., TrialOrder]


@pytest.fixture
def make_order(tmp_path: Path, registries: None) -> MakeOrder:
    """Return a function to an order whose trial waits at a gate, and says what it sees."""
    plugin = tmp_path / "looker.py"
    plugin.write_text(LOOKER)
    load_plugin(str(plugin))

    def make(number: int, *, gate: bool = True, processes: int = 1) -> TrialOrder:
        place = tmp_path / str(number)
        place.mkdir()
        if gate:
            os.mkfifo(place / "gate")
        trainer = {"max_epochs": 1, "accelerator": "cpu", "processes": processes}
        config = {
            "task": {"kind": "multiclass"},
            "data": {"source": "iris"},
            "model": {"family": "Looker", "place": str(place)},
            "trainer": trainer,
            "objective": {"metric": "val_acc", "direction": "maximize"},
        }
        return TrialOrder(
            number=number,
            config=RunConfig.model_validate(config).plain(),
            folder=str(place / "run"),
            plugins=[str(plugin)],
            cache=str(tmp_path / "cache"),
            log=str(tmp_path / "log.txt"),
        )

    return make


def let_go(tmp_path: Path, children: Children, number: int) -> TrialEnd:
    """Open the gate of a trial, and wait for its end."""
    (tmp_path / str(number) / "gate").write_text("go")
    ended: list[TrialEnd] = []
    while not ended:
        ended = children.wait(60.0)
    return ended[0]


def seen(tmp_path: Path, number: int, rank: int = 0) -> str:
    return (tmp_path / str(number) / f"seen-{rank}").read_text()


def test_each_trial_sees_the_gpu_that_fewest_others_use(
    tmp_path: Path, make_order: MakeOrder
) -> None:
    children = Children(3, devices=["0", "GPU-b"])
    try:
        for number in range(3):
            children.start(make_order(number), Listener())
        assert let_go(tmp_path, children, 1).outcome == "result"
        children.start(make_order(3), Listener())
        for number in (0, 2, 3):
            assert let_go(tmp_path, children, number).outcome == "result"
    finally:
        children.close()
    assert [seen(tmp_path, number) for number in range(4)] == ["0", "GPU-b", "0", "GPU-b"]


def test_a_gpu_is_free_again_when_its_trial_is_killed(
    tmp_path: Path, make_order: MakeOrder
) -> None:
    children = Children(2, devices=["0", "1"])
    try:
        for number in range(2):
            children.start(make_order(number), Listener())
        children.kill(0)
        children.start(make_order(2), Listener())
        assert let_go(tmp_path, children, 2).outcome == "result"
    finally:
        children.close()
    assert seen(tmp_path, 2) == "0"


def test_without_gpus_nothing_is_hidden(
    tmp_path: Path, make_order: MakeOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    children = Children(1)
    try:
        children.start(make_order(0), Listener())
        assert let_go(tmp_path, children, 0).outcome == "result"
    finally:
        children.close()
    assert seen(tmp_path, 0) == "all"


def test_every_process_of_a_trial_sees_the_gpus_of_all_of_them(
    tmp_path: Path, make_order: MakeOrder
) -> None:
    children = Children(2, devices=["0", "1", "2"])
    try:
        children.start(make_order(0), Listener())
        children.start(make_order(1, processes=2), Listener())
        for number in range(2):
            assert let_go(tmp_path, children, number).outcome == "result"
    finally:
        children.close()
    assert [seen(tmp_path, 0), seen(tmp_path, 1), seen(tmp_path, 1, rank=1)] == ["0", "1,2", "1,2"]


def test_the_memory_of_a_trial_is_that_of_all_its_processes(
    tmp_path: Path, make_order: MakeOrder
) -> None:
    children = Children(2)
    try:
        children.start(make_order(0), Listener())
        children.start(make_order(1, processes=2), Listener())
        for number in range(2):
            with (tmp_path / str(number) / "gate").open("w"):  # opened when the trial is there
                held = children.resident_bytes(number)
                if number == 0:
                    alone = held
        assert 1.5 * alone < held
    finally:
        children.close()


def test_killing_a_trial_leaves_none_of_its_processes_and_no_file(
    tmp_path: Path, make_order: MakeOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "rooms"))
    (tmp_path / "rooms").mkdir()
    children = Children(1)
    before = set(psutil.Process().children(recursive=True))
    children.start(make_order(0, processes=2), Listener())
    with (tmp_path / "0" / "gate").open("w"):
        during = set(psutil.Process().children(recursive=True))
        children.kill(0)
    gone, alive = psutil.wait_procs(during - before - _servers(), timeout=10)
    assert (len(gone), alive) == (2, [])
    assert list((tmp_path / "rooms").iterdir()) == []


@pytest.mark.parametrize("dies", [False, True])
def test_a_trial_lives_on_when_the_server_that_forked_it_is_killed(
    tmp_path: Path, make_order: MakeOrder, *, dies: bool
) -> None:
    children = Children(1)
    try:
        children.start(make_order(0), Listener())
        with (tmp_path / "0" / "gate").open("w") as gate:  # opened when the trial is there
            (server,) = [one for one in _servers() if one.children()]
            (trial,) = server.children()
            server.kill()
            assert children.wait(1.0) == []
            if dies:
                trial.kill()
            else:
                gate.write("go")
        ended: list[TrialEnd] = []
        while not ended:
            ended = children.wait(60.0)
    finally:
        children.close()
    assert (ended[0].outcome, ended[0].reason) == (("killed",) * 2 if dies else ("result", None))
    assert not trial.is_running() or trial.status() == psutil.STATUS_ZOMBIE


def test_a_probe_that_dies_is_a_mistake(make_order: MakeOrder) -> None:
    order = make_order(0, gate=False)
    config = {**order.config, "model": {**order.config["model"], "dies": True}}
    probe = ProbeOrder(configs=[config], others=[], plugins=order.plugins, n_batches=1)
    mistake = Children(1).probe(probe).mistake
    assert mistake is not None
    assert mistake[1] == "one batch of a default config ended its process: crashed by SIGSEGV"


def _servers() -> set[psutil.Process]:
    """Return the processes that children are forked from: they stay."""
    return set(psutil.Process().children())
