"""A run that several processes train together: how they find each other, share and agree."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_utilities.core.apply_func import apply_to_collection
from pytorch_lightning.strategies import DDPStrategy
from torch.utils.data import DataLoader

from lightning_modules.accumulation import ends_step, part_of_step
from lightning_modules.config import RunConfig
from lightning_modules.errors import UsageError
from lightning_modules.generators import seed_step
from lightning_modules.result import Command, Listener, Validation
from lightning_modules.seeds import of_step
from lightning_modules.watch import Abandoned, validates_after

COMMANDS = list(Command)


@contextmanager
def joined(config: RunConfig, *, rank: int, meeting: Path | None) -> Iterator[None]:
    """Be one of the processes that train ``config`` together; do nothing where one is enough.

    They speak over the loopback interface alone. A process that fails leaves without a word to the
    others: they fail at their next exchange, and whoever started them ends them.

    Args:
        config: of the run.
        rank: which process this is, from 0.
        meeting: a file that is not there yet, the same for all.
    """
    n_processes = config.trainer.processes
    if n_processes == 1 or meeting is None:
        yield
        return
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    if loopback is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    backend = "nccl" if _accelerator(config) == "gpu" else "gloo"
    store = dist.FileStore(str(meeting), n_processes)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=rank, world_size=n_processes)
    yield
    dist.destroy_process_group()


def refuse_alone(config: RunConfig) -> None:
    """Check that as many processes as the config wants have joined.

    Raises:
        UsageError: if not. Lightning would start the others by running the whole program again.
    """
    wanted = config.trainer.processes
    found = dist.get_world_size() if wanted > 1 and dist.is_initialized() else 1
    if wanted != found:
        what = f"{wanted} processes cannot be started from here, where {found} trains"
        raise UsageError("trainer.processes", what, "use hpo run with workers, or hpo train")


def trainer_arguments(config: RunConfig) -> dict[str, Any]:
    """Return the Trainer's arguments that say on what, and among how many, a run is trained."""
    settings = config.trainer
    if settings.processes == 1:
        return {"accelerator": settings.accelerator, "devices": 1, "use_distributed_sampler": False}
    strategy = _Together(cluster_environment=_Joined(), find_unused_parameters=config.whole)
    return {
        "accelerator": _accelerator(config),
        "devices": settings.processes,
        "strategy": strategy,
        "use_distributed_sampler": True,
    }


def of_the_first(config: RunConfig, path: Path | None) -> Path | None:
    """Return the ``path`` that the first of the processes has; all of them must ask."""
    if config.trainer.processes == 1:
        return path
    told = [None if path is None else str(path)]
    dist.broadcast_object_list(told, src=0, group=_gloo())
    return None if told[0] is None else Path(told[0])


def whole_validation(data: pl.LightningDataModule) -> pl.LightningDataModule:
    """Let every process validate all rows of ``data``: its metrics are then those of the split."""
    loaders = data.val_dataloader

    def hidden() -> Any:
        return apply_to_collection(loaders(), DataLoader, _Whole)

    data.val_dataloader = hidden  # type: ignore[method-assign]
    return data


class Agreed:
    """The listener of the first process: what it answers, all processes do.

    Args:
        listener: who answers; None goes on.
    """

    def __init__(self, listener: Listener | None) -> None:
        self._listener = listener
        self._circle = _Circle()

    def validated(self, validation: Validation) -> Command:
        """Pass the report on, and the answer to the other processes."""
        listener = self._listener
        return self._circle.say(listener.validated(validation) if listener else Command.CONTINUE)

    def batch_ended(self) -> Command:
        """Pass the question on, and the answer to the other processes."""
        listener = self._listener
        return self._circle.say(listener.batch_ended() if listener else Command.CONTINUE)


class Follow(pl.Callback):
    """Do in another process than the first what the first is told to, at the same batch.

    It keeps nothing and reports nothing. A loss that is not finite reaches the first process with
    the weights.

    Raises (inside the fit):
        Abandoned: when the first process does.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._circle = _Circle()
        self._abandon = False
        self._stepped = True

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Make what the step draws a function of (seed, step, batch of the step, process)."""
        part, rank = part_of_step(trainer, batch_idx), trainer.global_rank
        seed_step(of_step(self._config.seed, "step", trainer.global_step, part, rank))

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Hear whether the run goes on; a validation that is due comes first."""
        self._abandon = self._circle.hear() is Command.ABANDON or self._abandon
        self._stepped = ends_step(trainer, batch_idx)
        if self._abandon and self._stepped and not validates_after(trainer, batch_idx):
            raise Abandoned

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hear whether the run goes on."""
        command = self._circle.hear()
        if command is Command.STOP:
            trainer.should_stop = True
            return
        self._abandon = self._abandon or command is Command.ABANDON
        if self._abandon and self._stepped and not trainer.should_stop:
            raise Abandoned


class _Circle:
    """Pass commands from the first process to the others, without waiting for a GPU."""

    def __init__(self) -> None:
        self._group = _gloo()

    def say(self, command: Command) -> Command:
        """Tell the others."""
        dist.broadcast(torch.tensor(COMMANDS.index(command)), src=0, group=self._group)
        return command

    def hear(self) -> Command:
        """Wait for the first process to tell."""
        heard = torch.tensor(0)
        dist.broadcast(heard, src=0, group=self._group)
        return COMMANDS[int(heard)]


class _Joined(LightningEnvironment):
    """Processes that others started, and that have joined."""

    @property
    def creates_processes_externally(self) -> bool:
        return True

    def local_rank(self) -> int:
        return dist.get_rank()

    def node_rank(self) -> int:
        return 0


class _Together(DDPStrategy):
    """Training in which the first process alone writes checkpoints, whenever it sees fit."""

    def barrier(self, *args: Any, **kwargs: Any) -> None:
        if args != ("Trainer.save_checkpoint",):
            super().barrier(*args, **kwargs)


class _Whole:
    """A loader that Lightning does not share out, as it does only with a DataLoader."""

    def __init__(self, loader: "DataLoader[Any]") -> None:
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._loader)


def _gloo() -> dist.ProcessGroup | None:
    """Return a group whose messages need no GPU; None stands for the one of all processes."""
    return None if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")


def _accelerator(config: RunConfig) -> str:
    wanted = config.trainer.accelerator
    if wanted != "auto":
        return wanted
    return "gpu" if torch.cuda.is_available() else "cpu"
