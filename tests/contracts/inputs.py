"""Small inputs of every kind and targets of every task, for what all families keep to."""

import torch
from torch import Tensor

from lightning_modules.data.facts import DataFacts, InputKind
from lightning_modules.families import FAMILIES
from lightning_modules.task import TASKS

N_STEPS, N_TOKENS = 7, 9
SHAPES: dict[InputKind, tuple[int, ...]] = {
    "features": (5,),
    "image": (2, 8, 8),
    "sequence": (N_STEPS, 3),
    "text": (N_STEPS,),
}
N_OUTPUTS = {"multiclass": 3, "multilabel": 3, "forecasting": 2}


def kinds_of(family: str) -> list[InputKind]:
    """Return the kinds of inputs that a family takes."""
    return [kind for kind in SHAPES if kind in FAMILIES[family].takes]


def tasks_of(inputs: str) -> list[str]:
    """Return the tasks that there are on such inputs."""
    return [task for task in TASKS if task != "forecasting" or inputs == "sequence"]


def facts(inputs: InputKind, task: str) -> DataFacts:
    """Return the facts of what `rows` and `targets` make; sequences are padded."""
    return DataFacts(
        input_shape=SHAPES[inputs],
        input_kind=inputs,
        n_outputs=N_OUTPUTS.get(task, 1),
        n_tokens=N_TOKENS if inputs == "text" else None,
        padded=inputs in ("sequence", "text"),
    )


def rows(inputs: InputKind, n_rows: int) -> Tensor:
    """Return rows; sequences and texts are of every length."""
    generator = torch.Generator().manual_seed(1)
    lengths = N_STEPS - torch.arange(n_rows) % N_STEPS
    real = torch.arange(N_STEPS) < lengths[:, None]
    if inputs == "text":
        return torch.randint(1, N_TOKENS, (n_rows, N_STEPS), generator=generator) * real
    x = torch.randn(n_rows, *SHAPES[inputs], generator=generator)
    if inputs != "sequence":
        return x
    x[..., -1] = 1.0
    return x * real[..., None]


def targets(task: str, n_rows: int) -> Tensor:
    """Return targets of each row: classes, numbers, or labels."""
    generator, n_outputs = torch.Generator().manual_seed(2), N_OUTPUTS.get(task, 1)
    if task in ("binary", "multiclass"):
        return torch.arange(n_rows) % max(n_outputs, 2)
    if task == "multilabel":
        return torch.randint(0, 2, (n_rows, n_outputs), generator=generator).float()
    drawn = torch.randn(n_rows, n_outputs, generator=generator)
    return drawn if task == "forecasting" else drawn[:, 0]
