"""Write checkpoints whole or not at all; read them without running anything in them."""

import copy
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from lightning_modules.durable import is_temporary
from lightning_modules.errors import UsageError


class PlainCheckpointIO(TorchCheckpointIO):
    """Leave out of checkpoints what could not be read back without running code.

    A user's ``save_hyperparameters`` may hold functions and paths; `load_checkpoint` refuses both.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: "str | Path | Taken",
        storage_options: Any = None,
    ) -> None:
        """Write ``checkpoint`` with plain hyperparameters only: paths as text, no functions.

        A temporary file is written where it lies; Lightning would use one more in the system's
        folder for temporary files, and leave it there if the process is killed.
        """
        kept = {
            key: _plain(value) if key in _HYPERPARAMETERS else value
            for key, value in checkpoint.items()
        }
        if isinstance(path, Taken):
            path.checkpoint = kept
            return
        if not is_temporary(path):
            super().save_checkpoint(kept, path, storage_options)
            return
        # torch hides why a write to a file of its own failed
        Path(path).write_bytes(content_of(kept))


_HYPERPARAMETERS = ("hyper_parameters", "datamodule_hyper_parameters")
_NOTHING = object()


def _plain(value: Any) -> Any:
    """Return ``value`` as plain values and tensors, leaving out what is neither."""
    if isinstance(value, Mapping):
        items = {str(key): _plain(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not _NOTHING}
    if isinstance(value, list | tuple):
        kept = [item for item in map(_plain, value) if item is not _NOTHING]
        return kept if isinstance(value, list) else tuple(kept)
    if isinstance(value, Path):
        return str(value)
    if value is None or type(value) in (bool, int, float, str, torch.Tensor):
        return value
    return _NOTHING


class Taken:
    """Stands where a path would: takes a checkpoint's content as it is at this moment."""

    def __init__(self) -> None:
        self.checkpoint: dict[str, Any] = {}


def take_weights(trainer: pl.Trainer) -> dict[str, Any]:
    """Return a Lightning checkpoint without what only going on would need, in the CPU's memory.

    ``load_from_checkpoint`` reads a file of it too. The weights are a copy: training may go on.

    Args:
        trainer: that trains, with a `PlainCheckpointIO`.
    """
    taken: Any = Taken()  # Lightning hands it through as it would a path
    trainer.save_checkpoint(taken, weights_only=True)
    checkpoint: dict[str, Any] = taken.checkpoint
    weights = copy.copy(checkpoint["state_dict"])
    for name, value in weights.items():
        is_tensor = isinstance(value, torch.Tensor)
        weights[name] = value.to("cpu", copy=True) if is_tensor else copy.deepcopy(value)
    return {**checkpoint, "state_dict": weights}


def content_of(checkpoint: Mapping[str, Any]) -> memoryview:
    """Return the bytes of the file of a checkpoint."""
    content = io.BytesIO()
    torch.save(dict(checkpoint), content)
    return content.getbuffer()


def bytes_of_weights(checkpoint: Mapping[str, Any]) -> int:
    """Return how much memory the weights of a checkpoint hold."""
    weights = checkpoint["state_dict"].values()
    return sum(one.nbytes for one in weights if isinstance(one, torch.Tensor))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a local file, with weights only.

    Raises:
        UsageError: if there is no such file, or it is damaged, or holds more than weights and
            plain values (loading those would run code from the file).
    """
    if not path.is_file():
        raise UsageError(str(path), "no such checkpoint", "train it again with hpo train")
    try:
        loaded: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")  # noqa: TID251
    except Exception as error:  # noqa: BLE001  (torch raises whatever the damaged bytes lead to)
        what = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise UsageError(str(path), f"cannot be read safely ({what})", "train it again") from None
    if not isinstance(loaded, dict) or "state_dict" not in loaded:
        raise UsageError(str(path), "holds no weights", "name a checkpoint of a run")
    return loaded
