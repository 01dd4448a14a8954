"""Ray Tune on the same configs, an optional column: measured only where `ray` is installed.

    python -m benchmarks.speed.ray_tune CONFIGS.json

Each trial is a Ray task of one CPU that trains as stock does, two at a time, an ASHA scheduler
asked after every epoch. Its trials run to their end: the grace period is all of them.
"""

import argparse
import importlib.util
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.speed.processes import python, rival
from benchmarks.speed.races import Ran
from benchmarks.speed.rival_lines import Line, read_line, tell
from benchmarks.speed.studies import Values

MISSING = "ray: not installed"


def is_there() -> bool:
    """Return whether Ray is installed."""
    return importlib.util.find_spec("ray") is not None


def run_ray(configs: list[Values], folder: Path) -> Ran:
    """Train these configs under Ray Tune.

    Raises:
        RuntimeError: if no trial ended.
    """
    folder.mkdir(parents=True)
    path = folder / "configs.json"
    path.write_text(json.dumps(configs), encoding="utf-8")
    with rival(*python("ray_tune", path, "--folder", folder)) as one:
        told = [read_line(text) for _, text in one.lines()]
        seconds = one.wait()
    lines = [line for line in told if line is not None and line.state != "ready"]
    ready = [line.t for line in told if line is not None and line.state == "ready"]
    if not lines:
        raise RuntimeError("ray ended no trial")
    return Ran(began=one.began, ready=ready[0], lines=lines, seconds=seconds)


def train_one(given: dict[str, Any]) -> None:
    """Train one config inside a Ray worker, as stock does."""
    import torch
    from ray import tune

    from benchmarks.speed.stock import be_quiet, fit_config
    from lightning_modules.config import RunConfig

    be_quiet()
    torch.set_num_threads(1)
    config = RunConfig.model_validate(json.loads(Path(given["configs"]).read_text())[given["n"]])
    began = time.time()
    folder = Path(given["folder"]) / f"{given['n']:04d}"

    def report(value: float, epoch: int) -> None:
        tune.report({"objective": value, "epoch": epoch, "began": began, "ended": time.time()})

    fit_config(config, folder, report=report)


def main() -> None:
    """Run all configs, two at a time, and write a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    configs = json.loads(given.configs.read_text(encoding="utf-8"))
    epochs = max(config["trainer"]["max_epochs"] for config in configs)
    mode = configs[0]["objective"]["direction"][:3]
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        tuner = tune.Tuner(
            tune.with_resources(train_one, {"cpu": 1}),
            param_space={
                "n": tune.grid_search(list(range(len(configs)))),
                "configs": str(given.configs),
                "folder": str(given.folder / "trials"),
            },
            tune_config=tune.TuneConfig(
                metric="objective",
                mode=mode,
                scheduler=ASHAScheduler(
                    time_attr="epoch", max_t=epochs + 1, grace_period=epochs + 1
                ),
            ),
            run_config=tune.RunConfig(storage_path=str(given.folder / "ray"), verbose=0),
        )
        grid = tuner.fit()
    finally:
        ray.shutdown()
    _tell_all([result for result in grid if result.metrics], mode)


def _tell_all(results: list[Any], mode: str) -> None:
    begun = min(result.metrics["began"] for result in results)
    tell(Line(t=begun, number=-1, value=None, epochs=0, state="ready", same=""))
    for result in results:
        last = result.metrics
        curve = result.metrics_dataframe["objective"]
        value = float(curve.max() if mode == "max" else curve.min())
        number, epochs = last["config"]["n"], int(last["epoch"])
        tell(
            Line(
                t=last["ended"],
                number=number,
                value=value,
                epochs=epochs,
                state="complete",
                same="",
            )
        )


if __name__ == "__main__":
    main()
