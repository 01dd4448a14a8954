"""The floor: a plain loop over tensors in memory, one thread; no Lightning, no storage, no records.

    python -m benchmarks.speed.floor CONFIGS.json --ready FOLDER

Two such processes take the configs of a list by turns, whoever is free the next.
"""

import argparse
import json
import math
import time
import warnings
from pathlib import Path

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from benchmarks.speed.parts import Parts, make_parts, opened
from benchmarks.speed.rival_lines import Line, tell, wait_for_start
from benchmarks.speed.studies import identity
from lightning_modules.config import RunConfig
from lightning_modules.data.prepared import PreparedData, Rows
from lightning_modules.metrics import compute
from lightning_modules.task import METRICS

EVALUATION_BATCH = 1024


def train_plainly(config: RunConfig, data: PreparedData, parts: Parts) -> float:
    """Train a config for all its epochs; return the best value of its objective."""
    size, settings = config.trainer.batch_size, config.trainer
    assert size is not None
    device = torch.device("cuda" if settings.accelerator == "gpu" else "cpu")
    x, y, network = data.train.x.to(device), data.train.y.to(device), parts.network.to(device)
    held = Rows(x=data.validation.x.to(device), y=data.validation.y.to(device))
    n_batches = max(len(y) // size + (len(y) % size > 1), 1)
    optimizer, schedule = parts.optimizer(n_batches * settings.max_epochs)
    best: float | None = None
    for _ in range(settings.max_epochs):
        network.train()
        order = torch.randperm(len(y), device=device)
        for i in range(n_batches):
            rows = order[i * size : (i + 1) * size]
            loss = parts.loss(x[rows], y[rows])
            optimizer.zero_grad()
            loss.backward()
            if settings.gradient_clip is not None:
                torch.nn.utils.clip_grad_norm_(network.parameters(), settings.gradient_clip)
            optimizer.step()
            if schedule is not None and not isinstance(schedule, ReduceLROnPlateau):
                schedule.step()
        value = validate(parts, held)
        if isinstance(schedule, ReduceLROnPlateau):
            schedule.step(value)
        maximize = config.objective.direction == "maximize"
        if math.isfinite(value) and (best is None or (value > best) == maximize):
            best = value
    return math.nan if best is None else best


def validate(parts: Parts, rows: Rows) -> float:
    """Return the objective over the validation rows."""
    parts.network.eval()
    with torch.inference_mode():
        outputs: list[Tensor] = [parts.network(x) for x in rows.x.split(EVALUATION_BATCH)]
        predicted, truth = parts.predict(torch.cat(outputs)), parts.truth(rows.y)
        return compute(METRICS[parts.config.objective.metric], predicted, truth)


def claim(folder: Path, number: int) -> bool:
    """Return whether this process is the first that asks for a config."""
    try:
        (folder / f"taken-{number}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def main() -> None:
    """Train what nobody else has taken, in the order of the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", type=Path)
    parser.add_argument("--ready", type=Path, required=True)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    plain = json.loads(given.configs.read_text(encoding="utf-8"))
    configs = [RunConfig.model_validate(one) for one in plain]
    for config in configs:
        opened(config)
    wait_for_start(given.ready)
    for number, config in enumerate(configs):
        if not claim(given.ready, number):
            continue
        data = opened(config)
        assert data.prepared is not None
        value = train_plainly(config, data.prepared, make_parts(config, data))
        epochs, kept = config.trainer.max_epochs, value if math.isfinite(value) else None
        same = identity(config.plain())
        state = "complete" if kept is not None else "failed"
        tell(Line(t=time.time(), number=number, value=kept, epochs=epochs, state=state, same=same))


if __name__ == "__main__":
    main()
