"""What a config costs, known before it is trained: a trial over a limit is not begun."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from lightning_modules.build import RunData, build_module
from lightning_modules.config import RunConfig
from lightning_modules.costs import latency_ms
from lightning_modules.errors import TrialFailed, UsageError
from lightning_modules.module import SupervisedModule
from lightning_modules.optim import OPTIMIZERS, is_no_average
from lightning_modules.seeds import derive
from lightning_modules.train import seed_everything, steady_threads


class Infeasible(TrialFailed):
    """A config that costs more than it may. Nothing of it was trained.

    Args:
        over: what exceeds its limit, in words.
        measured: all that was measured, by its name.
        violation: by how much limits are exceeded, as shares of the limits, added up.
    """

    def __init__(
        self, over: Sequence[str], measured: Mapping[str, float], *, violation: float
    ) -> None:
        super().__init__("infeasible", ", ".join(over))
        self.measured = dict(measured)
        self.violation = violation


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of a network and of its training."""

    n_parameters: int
    size_bytes: int
    training_bytes: int | None
    """What training holds at once at least; None if only training can tell."""


def measure_config(
    config: RunConfig, data: RunData, limits: Mapping[str, float], *, room_bytes: float
) -> dict[str, float]:
    """Measure what ``limits`` name, before anything is trained.

    A network of ours, or of a plugin's family, is built without memory (on torch's meta device)
    and run there for one batch; a whole module is built as it is, and only if a limit needs that.

    Args:
        config: the run.
        data: of the run.
        limits: the most that is allowed of ``n_parameters``, ``size_mb`` (weights, 1e6 bytes) and
            ``latency_ms`` (one row, median).
        room_bytes: the memory that there is for the run.

    Returns:
        What was measured, by the names of ``limits``.

    Raises:
        Infeasible: if a limit is exceeded, or the run needs more memory than there is room for.
        TrialFailed: reason ``error`` if the network's outputs do not fit the task.
        UsageError: if a limit is set on what cannot be measured.
    """
    refuse_unmeasurable(config, data, limits)
    size = _size(config, data) if not config.whole or limits else None
    if size is None:
        return {}
    known: dict[str, float] = {
        "n_parameters": size.n_parameters,
        "size_mb": size.size_bytes / 1e6,
    }
    if size.training_bytes is not None and size.training_bytes > room_bytes:
        needs = f"training needs {size.training_bytes / 1e9:.3g} GB of memory at least"
        room = f"there are {max(room_bytes, 0) / 1e9:.3g} GB"
        violation = size.training_bytes / max(room_bytes, 1.0) - 1
        raise Infeasible([needs, room], _only(known, limits), violation=min(violation, 1e6))
    if "latency_ms" in limits and not list(_over(_only(known, limits), limits)):
        known["latency_ms"] = _latency(config, data)
    measured = _only(known, limits)
    over = list(_over(measured, limits))
    if over:
        violation = sum(max(measured[name] / limits[name] - 1, 0.0) for name in measured)
        raise Infeasible(over, measured, violation=violation)
    return measured


def refuse_unmeasurable(config: RunConfig, data: RunData, limits: Mapping[str, float]) -> None:
    """Check that everything with a limit can be measured of ``config``.

    Raises:
        UsageError: if the latency of a module or of data of the user's own is limited.
    """
    if "latency_ms" in limits and (config.whole or data.prepared is None):
        whose = f"{config.family}, a module" if config.whole else f"{config.source}, data"
        what = f"no latency can be measured for {whose} of your own"
        raise UsageError("constraints.latency_ms", what, "remove it, or limit n_parameters")


def _only(known: Mapping[str, float], limits: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in known.items() if name in limits}


def _over(measured: Mapping[str, float], limits: Mapping[str, float]) -> Iterator[str]:
    for name, value in measured.items():
        if value > limits[name]:
            yield f"{name} {value:,.6g} is over {limits[name]:,.6g}"


def _size(config: RunConfig, data: RunData) -> Size:
    module = _built(config, data)
    parameters = list(module.parameters())
    weights = sum(p.numel() * p.element_size() for p in parameters)
    held = None
    if isinstance(module, SupervisedModule):
        held = _held_bytes(module, config, data)
    training = None
    if held is not None:
        states = OPTIMIZERS[str(getattr(config.optimizer, "name", "sgd"))].states
        states += bool(getattr(config.optimizer, "momentum", 0.0))
        states += not is_no_average(config.trainer.averaging)
        training = weights * (1 + states) + max(held, weights)
    return Size(
        n_parameters=sum(p.numel() for p in parameters),
        size_bytes=weights,
        training_bytes=training,
    )


def _built(config: RunConfig, data: RunData) -> pl.LightningModule:
    """Return the module of ``config``, without memory where that can be."""
    if config.whole:
        return build_module(config, data)
    try:
        with torch.device("meta"):
            return build_module(config, data)
    except (RuntimeError, NotImplementedError):  # it looks at numbers while it is built
        return build_module(config, data)


def _held_bytes(module: SupervisedModule, config: RunConfig, data: RunData) -> int | None:
    """Return what one batch keeps for its backward pass; None if the network must see numbers.

    Raises:
        TrialFailed: reason ``error`` if the outputs do not fit the task.
    """
    rows, n_outputs = _batch_rows(config, data), module.facts.n_outputs
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    try:
        with _device(module.network), saved_tensors_hooks(pack, lambda tensor: tensor):
            out = module.network(module.facts.blank(rows))
    except Exception:  # noqa: BLE001  (a network of a plugin; its training says what is wrong)
        return None
    shape = (len(out), *out.shape[2:]) if module.is_ensemble else tuple(out.shape)
    if shape != (rows, n_outputs):
        what = f"{config.family} gives outputs {tuple(out.shape)}, the task needs "
        raise TrialFailed("error", f"{what}{(rows, n_outputs)}", "correct the network's builder")
    weights = _storages(module.network.parameters())
    return sum(one.nbytes() for key, one in _storages(kept).items() if key not in weights)


def _storages(tensors: Iterable[Tensor]) -> dict[int, torch.UntypedStorage]:
    """Return the memory that tensors lie in, each once; on the meta device it has no address."""
    storages = [tensor.untyped_storage() for tensor in tensors]
    return {id(storage): storage for storage in storages}


def _device(network: nn.Module) -> torch.device:
    return next((p.device for p in network.parameters()), torch.device("meta"))


def _batch_rows(config: RunConfig, data: RunData) -> int:
    rows = config.trainer.batch_size or 1
    if data.prepared is not None:
        rows = min(rows, data.prepared.n_rows.get("train", rows))
    return rows


def _latency(config: RunConfig, data: RunData) -> float:
    with steady_threads(config.trainer.threads):
        seed_everything(derive(config.seed, "init"))
        module = build_module(config, data)
        if data.facts is None or not isinstance(module, SupervisedModule):
            raise TypeError("a latency that was asked for can be measured")
        return latency_ms(module, data.facts)
