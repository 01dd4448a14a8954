"""What a trained network costs to use: operations of one row, and time of one row and of many."""

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from lightning_modules.build import RunData
from lightning_modules.data.facts import DataFacts
from lightning_modules.module import SupervisedModule

BATCHES = {1: 15, 64: 7}
"""Rows whose way through the network is timed together, and how often."""
MOST_S = 0.1
"""After this long, three repeats are enough."""
OWN = "the module is your own: what one of its rows is, is not known"
UNCOUNTED = ("rnn", "lstm", "gru", "_transformer_encoder_layer", "_native_multi_head_attention")
"""Operations in whose names this occurs do the work of many; the counter sees nothing of it."""


@dataclass(kw_only=True)
class Costs:
    """What is known, and why the rest is None."""

    flops: int | None = None
    latency: dict[str, float] = field(default_factory=dict)
    """Milliseconds, by the rows of the batch."""
    null_because: dict[str, str] = field(default_factory=dict)


def costs_of(module: pl.LightningModule, data: RunData) -> Costs:
    """Return the costs of a network, which is left in evaluation mode."""
    if not isinstance(module, SupervisedModule) or data.facts is None:
        return Costs(null_because=dict.fromkeys(("flops", "latency_ms"), OWN))
    found = Costs()
    module.eval()
    try:
        found.flops = count_flops(module, data.facts)
    except Uncounted as error:
        found.null_because["flops"] = str(error)
    for n_rows, repeats in BATCHES.items():
        try:
            latency = latency_ms(module, data.facts, n_rows=n_rows, repeats=repeats)
            found.latency[str(n_rows)] = latency
        except Exception as error:  # noqa: BLE001  (the training has ended well: no fault of it)
            what = str(error).splitlines()[0] if str(error) else "no message"
            reason = f"{n_rows} rows do not pass: {type(error).__name__}: {what}"
            found.null_because["latency_ms" if n_rows == 1 else f"latency.{n_rows}"] = reason
    return found


def latency_ms(
    module: SupervisedModule, facts: DataFacts, *, n_rows: int = 1, repeats: int = 15
) -> float:
    """Return the median time of so many rows through the network, milliseconds.

    The first third of the repeats warms up.
    """
    rows = facts.blank(n_rows, device=module.device)
    module.eval()
    times: list[float] = []
    begun = time.perf_counter()
    with torch.inference_mode():
        for _ in range(repeats):
            started = time.perf_counter()
            module(rows)
            _wait_for(module.device)
            times.append(time.perf_counter() - started)
            if len(times) >= 3 and time.perf_counter() - begun > MOST_S:
                break
    return round(1000 * statistics.median(times[len(times) // 3 :]), 4)


class Uncounted(Exception):  # noqa: N818  (it is no error)
    """Why the operations of a network cannot be counted."""


def count_flops(module: SupervisedModule, facts: DataFacts) -> int:
    """Return the floating-point operations of one row's way forward.

    Counted are products of matrices, convolutions and attention, as torch counts them; what is done
    to each number by itself is not.

    Raises:
        Uncounted: if the network runs operations of which torch knows no count, or does not run.
    """
    rows = facts.blank(1, device=module.device)
    seen = _Seen()
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), _plain_kernels(), counter, seen:
            module(rows)
    except Exception as error:
        what = str(error).splitlines()[0] if str(error) else "no message"
        raise Uncounted(f"one row does not pass: {type(error).__name__}: {what}") from error
    counted = {str(one) for one in counter.get_flop_counts().get("Global", {})}
    hidden = sorted(
        name
        for name in seen.names
        if any(part in name for part in UNCOUNTED) and not any(name in one for one in counted)
    )
    if hidden:
        raise Uncounted(f"torch does not count {', '.join(hidden)}")
    flops = int(counter.get_total_flops())
    if not flops and any(True for _ in module.parameters()):
        raise Uncounted("torch counts no operation of this network")
    return flops


class _Seen(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the names of all operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        self.names.add(str(func).removeprefix("aten.").split(".")[0])
        return func(*args, **(kwargs or {}))


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Let recurrent layers on a CPU be made of operations that are counted, not of one kernel."""
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
