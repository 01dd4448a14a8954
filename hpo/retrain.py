"""Train one config again, and hold the outcome against what was recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.best import BEST_SCHEMA, BestConfig
from hpo.children import Children
from hpo.devices import gpus_for, refuse_processes
from hpo.errors import TrialFailed, UsageError
from hpo.files import read_document, write_json, write_text
from hpo.local import data_changes, read_config
from hpo.logs import log_to
from hpo.protocol import TrialEnd, TrialOrder
from hpo.records import config_sha256, read_record
from lightning_modules.build import open_data
from lightning_modules.config import RunConfig
from lightning_modules.plugins import loaded_plugins
from lightning_modules.result import Listener, RunResult
from lightning_modules.train import train

TICK_S = 0.5
"""How long to wait for the end of processes at once."""


@dataclass(frozen=True, kw_only=True)
class Retrained:
    """A run of one config, and the value that a record of the same config holds."""

    config: RunConfig
    folder: Path
    result: RunResult
    recorded: float | None
    """None where the file is no record, or the config was changed."""
    changed: list[str]
    """In what the data are not those of the record: one line per hash."""


def retrain(
    file: Path,
    folder: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    listener: Listener | None = None,
    fresh: bool = False,
) -> Retrained:
    """Train the config in ``file`` into ``folder``; leaves ``result.json`` there too.

    Args:
        file: ``best_config.json``, a trial's ``config.json``, or YAML of that form.
        folder: default ``runs/`` and the config's hash.
        overrides: ``path=value`` each.
        listener: told of every validation.
        fresh: train in a process of its own, as a study does.

    Raises:
        UsageError: if the file is no config, the folder is not empty, or the config wants more
            processes than there are GPUs.
        TrialFailed: if the training has no usable result.
    """
    config = read_config(file, overrides)
    portable = config.portable()
    digest = config_sha256(portable)
    folder = folder or Path("runs") / digest[:12]
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(str(folder), "is not empty", "remove it, or name another with -o")
    folder.mkdir(parents=True, exist_ok=True)
    with log_to(folder / "log.txt"):
        data = open_data(config)
        if config.trainer.processes == 1 and not fresh:
            result = train(config, folder, report=listener, data=data)
        else:
            result = _train_in_children(config, folder, listener)
    record = {"schema": "hpo.run/1", "config": portable, "config_sha256": digest}
    write_json(folder / "result.json", {**record, "run": result.plain()})
    best = _recorded(file, config)
    return Retrained(
        config=config,
        folder=folder,
        result=result,
        recorded=None if best is None else float(best.metric["value"]),
        changed=[] if best is None else data_changes(best, data.hashes),
    )


def _train_in_children(config: RunConfig, folder: Path, listener: Listener | None) -> RunResult:
    """Train a config in processes of its own, as many as it wants."""
    gpus = gpus_for([config.trainer])
    refuse_processes([config.trainer], gpus, workers=1)
    children = Children(1, devices=gpus)
    order = TrialOrder(
        number=0,
        config=config.plain(),
        folder=str(folder),
        plugins=[plugin.name for plugin in loaded_plugins()],
        cache=None,
        log=str(folder / "log.txt"),
    )
    ended: list[TrialEnd] = []
    try:
        children.start(order, listener)
        while not ended:
            ended = children.wait(TICK_S)
    finally:
        children.close()
    end = ended[0]
    if end.result is None:
        if end.traceback:
            write_text(folder / "traceback.txt", end.traceback)
        raise TrialFailed(end.reason or "error", end.what)
    return end.result


def _recorded(file: Path, config: RunConfig) -> BestConfig | None:
    """Return the record in ``file``, if it is one of a best config, and of this very config.

    A setting that the record does not know yet has its default. Where the data lie is no matter
    where their hash is known: that says whether they are the same.
    """
    if read_document(file).values.get("schema") != BEST_SCHEMA:
        return None
    best = read_record(file, BestConfig)
    known = best.data["sha256"] is not None
    plain = _placeless if known else RunConfig.portable
    return best if plain(read_config(file)) == plain(config) else None


def _placeless(config: RunConfig) -> dict[str, Any]:
    """Return a config without the place of its data."""
    plain = config.portable()
    return {**plain, "data": {key: one for key, one in plain["data"].items() if key != "path"}}
