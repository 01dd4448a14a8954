"""P4: what a trial costs when there is next to nothing to train.

    python -m benchmarks.speed.fixed ours|quiet|stock|alone --trials N

One batch, one epoch, one validation. Ours is all of a trial: proposal, child, training, messages,
storage, records, TensorBoard. Stock is `Trainer.fit` alone, of the same network on the same rows,
in a process that has loaded everything; no study around it. Each prints one line of JSON: seconds
of wall and CPU time for each trial after the first ones, those of children included.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks import study_layer
from benchmarks.speed.options import Options
from benchmarks.speed.processes import ROOT, at_most_two_cores, python
from benchmarks.speed.table import Table, verdict

ROUNDS, TRIALS, WARM_UP = 5, 40, 10
SHARE = 1 / 3
SIDES = {
    "ours": "a trial of `hpo run`, 1 child: proposal, training, storage, records",
    "alone": "our `train()` alone, in one process",
    "stock": "`pl.Trainer(max_epochs=1).fit`, all defaults",
    "quiet": "the same without progress bar, summary and sanity check",
}
STUDY = {
    "name": "fixed",
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 8, "high": 64}},
    "optimizer": {"name": "adamw", "lr": {"low": 1e-4, "high": 1e-1, "log": True}},
    "trainer": {"max_epochs": 1, "batch_size": 128, "accelerator": "cpu"},
    "search": {"sampler": "random", "pruner": "none"},
}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one trial, milliseconds."""

    wall: float
    cpu: float


def measure(options: Options) -> Table:
    """Return what one trial of each side costs, the sides taking turns; then the study layer."""
    rounds = options.take(options.rounds, ROUNDS)
    trials = 3 if options.quick else TRIALS
    found: dict[str, list[Cost]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            found[side].append(_run(side, trials))
    return _table(found, study_layer.measure(options), options)


def _run(side: str, trials: int) -> Cost:
    command = python("fixed", side, "--trials", trials)
    with at_most_two_cores():
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _table(found: dict[str, list[Cost]], layer: Table, options: Options) -> Table:
    rows = []
    for side, what in SIDES.items():
        ratios = [a.cpu / b.cpu for a, b in zip(found[side], found["stock"], strict=True)]
        rows.append(
            (
                what,
                _spread([cost.wall for cost in found[side]]),
                _spread([cost.cpu for cost in found[side]]),
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            )
        )
    pairs = list(zip(found["ours"], found["stock"], strict=True))
    cpu = statistics.median(a.cpu / b.cpu for a, b in pairs)
    wall = statistics.median(a.wall / b.wall for a, b in pairs)
    came = f"{cpu:.2f} of its CPU time, {wall:.2f} of its wall time"
    must = "≤ 1/3 of a default Trainer.fit"
    return Table(
        goal="P4",
        title="a trial with next to nothing to train: one batch, one validation",
        command=f"python -m benchmarks.speed p4{options.said}",
        columns=("what", "wall ms", "CPU ms", "CPU of stock, median (range)"),
        rows=(
            *rows,
            *((f"the study layer alone, up to trial {n}", *ms, "–") for n, *ms, _, _ in layer.rows),
        ),
        verdicts=(verdict(must, came, cpu <= SHARE and wall <= SHARE), *layer.verdicts),
        notes=(
            "stock has Lightning's default logger (TensorBoard's), checkpoint, progress bar (into "
            "a pipe), summary and sanity check; it has no storage, and proposes nothing",
            f"after {WARM_UP} trials that warm up, {3 if options.quick else TRIALS} are counted, "
            "children included; 1 thread each",
            "the study layer, sampler random: storage, records, TensorBoard, messages, around a "
            "training that answers at once with three validations",
        ),
    )


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


class _Clock:
    """Wall and CPU time of this process and all its children, dead ones too."""

    def __init__(self) -> None:
        self._me = psutil.Process()
        self.restart()

    def restart(self) -> None:
        self._wall, self._cpu = time.perf_counter(), self._cpu_s()

    def _cpu_s(self) -> float:
        used = 0.0
        for one in (self._me, *self._me.children(recursive=True)):
            try:
                used += sum(one.cpu_times()[:4])  # of its own, and of its children that ended
            except psutil.Error:
                continue
        return used

    def cost(self, trials: int) -> Cost:
        wall, cpu = time.perf_counter() - self._wall, self._cpu_s() - self._cpu
        return Cost(wall=1000 * wall / trials, cpu=1000 * cpu / trials)


def _ours(trials: int) -> Cost:
    """Run a study of zero-work trials, one at a time, each in a child."""
    from hpo.spec import load_study
    from hpo.study import run_study

    clock = _Clock()
    costs: list[Cost] = []

    class Marks(study_layer.Silent):
        count = 0

        def trial_ended(self, record: Any, *, best: bool) -> None:
            assert record.state == "complete", record.what
            self.count += 1
            if self.count == WARM_UP:
                clock.restart()
            elif self.count == WARM_UP + trials:
                costs.append(clock.cost(trials))

    spec = load_study({**STUDY, "budget": {"trials": WARM_UP + trials}})
    with tempfile.TemporaryDirectory() as folder:
        run_study(spec, Path(folder), workers=1, observers=[Marks()])
    return costs[0]


def _repeated(once: Any, trials: int) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(WARM_UP):
            once(number, Path(folder) / f"warm-{number}")
        clock = _Clock()
        for number in range(trials):
            once(WARM_UP + number, Path(folder) / str(number))
        return clock.cost(trials)


def _config(number: int) -> Any:
    """Return the config of a trial, drawn at random by its number."""
    import optuna

    from hpo.spec import load_study

    spec = load_study({**STUDY, "budget": {"trials": 1}})
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=number))
    return spec.space.sample(study.ask(), seed=number)


def _alone(trials: int) -> Cost:
    """Train the same configs with `train`, and nothing else."""
    from lightning_modules.build import open_data
    from lightning_modules.train import train

    configs = [_config(number) for number in range(WARM_UP + trials)]
    data = open_data(configs[0])
    return _repeated(lambda n, folder: train(configs[n], folder, data=data), trials)


def _stock(trials: int, *, quiet: bool) -> Cost:
    """Fit the same networks on the same rows with a Trainer of Lightning's."""
    import pytorch_lightning as pl
    import torch

    from benchmarks.speed.stock import VALIDATION_BATCH, Net, loader
    from lightning_modules.build import open_data

    torch.set_num_threads(1)
    configs = [_config(number) for number in range(WARM_UP + trials)]
    data = open_data(configs[0])
    assert data.prepared is not None
    prepared = data.prepared
    off: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False}
    off |= {"num_sanity_val_steps": 0}

    def once(number: int, folder: Path) -> None:
        train = loader(prepared.train, configs[number].trainer.batch_size, shuffle=True)
        net = Net(configs[number], data, n_steps=len(train))
        trainer = pl.Trainer(
            accelerator="cpu", max_epochs=1, default_root_dir=folder, **(off if quiet else {})
        )
        trainer.fit(net, train, loader(prepared.validation, VALIDATION_BATCH, shuffle=False))

    return _repeated(once, trials)


def main() -> None:
    """Measure one side and print its cost."""
    import warnings

    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("side", choices=SIDES)
    arguments.add_argument("--trials", type=int, default=TRIALS)
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    sides = {"ours": _ours, "alone": _alone}
    if given.side in sides:
        cost = sides[given.side](given.trials)
    else:
        cost = _stock(given.trials, quiet=given.side == "quiet")
    print(json.dumps(asdict(cost)))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
