"""What the server of children has loaded, and has done once already, when it forks a trial.

The one module whose import does something: `multiprocessing` lets a server import, nothing else.
The first training in a process costs several times its arithmetic, and every child is a process
that trains for its first time: libraries look up, check and build what they then keep. Here that is
done before the fork, on a handful of made-up rows, so that every child finds it done.
"""

import gc
import random
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas  # noqa: F401  (tables are prepared with it)
import torch
import torchmetrics.functional  # noqa: F401  (every task is judged with it)

import hpo.inside  # noqa: F401  (a child begins in it)
from hpo.child import carry_out
from hpo.logs import log_to
from hpo.protocol import TrialOrder
from lightning_modules.config import RunConfig
from lightning_modules.families import FAMILIES
from lightning_modules.result import Command, Validation

ACCELERATORS = ("/dev/nvidiactl", "/dev/nvmap", "/dev/dxg", "/dev/kfd", "/dev/dri")
"""What Linux shows where there may be a GPU."""
ROWS = {
    "task": {"kind": "multiclass"},
    "data": {"source": "shapes", "n_rows": 60},
    "model": {"family": "mlp", "n_layers": 1, "width": 8, "norm": "batch"},
    "optimizer": {"name": "adamw"},
    "schedule": {"name": "cosine"},
    "trainer": {"max_epochs": 1, "batch_size": 16, "accelerator": "cpu"},
    "objective": {"metric": "accuracy"},
}


class _Agrees:
    """A listener who lets a training go on."""

    def validated(self, validation: Validation) -> Command:
        return Command.CONTINUE

    def batch_ended(self) -> Command:
        return Command.CONTINUE


def may_train() -> bool:
    """Return whether a training here leaves GPUs unasked: what is forked asks for itself.

    Lightning asks for them, and so does torch at the first backward pass. Where there are none, the
    answer is no for everybody.
    """
    return sys.platform == "linux" and not any(Path(name).exists() for name in ACCELERATORS)


def warm_up() -> None:
    """Train a tiny network as a child does; nothing is left of it but what libraries keep."""
    with _nothing_left(), tempfile.TemporaryDirectory(prefix="hpo-") as folder:
        order = TrialOrder(
            number=0,
            config=RunConfig.model_validate(ROWS).plain(),
            folder=f"{folder}/trial",
            plugins=[],
            cache=f"{folder}/cache",
            log=None,
        )
        order = TrialOrder.model_validate_json(order.model_dump_json())
        end = carry_out(order, _Agrees())
        end.model_dump(mode="json")


@contextmanager
def _nothing_left() -> Iterator[None]:
    """Put back what a trial could see of an earlier one; what is said goes nowhere."""
    before: Any = random.getstate(), np.random.get_state(), torch.get_rng_state()
    with log_to(None), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
            torch.set_rng_state(before[2])


for _family in FAMILIES.values():
    _family.resolve()
if may_train():
    warm_up()
gc.collect()
gc.freeze()  # no child looks through all this again, which would copy its pages
