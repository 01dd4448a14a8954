"""Train one config again, and hold the outcome against what was recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpo.best import BEST_SCHEMA, BestConfig
from hpo.errors import UsageError
from hpo.files import read_document, write_json
from hpo.local import data_changes, read_config
from hpo.logs import log_to
from hpo.records import config_sha256, read_record
from lightning_modules.build import open_data
from lightning_modules.config import RunConfig
from lightning_modules.result import Listener, RunResult
from lightning_modules.train import train


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
) -> Retrained:
    """Train the config in ``file`` into ``folder``; leaves ``result.json`` there too.

    Args:
        file: ``best_config.json``, a trial's ``config.json``, or YAML of that form.
        folder: default ``runs/`` and the config's hash.
        overrides: ``path=value`` each.
        listener: told of every validation.

    Raises:
        UsageError: if the file is no config, or the folder is not empty.
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
        result = train(config, folder, report=listener, data=data)
    record = {"schema": "hpo.run/1", "config": portable, "config_sha256": digest}
    write_json(folder / "result.json", {**record, "run": result.plain()})
    best = _recorded(file, digest)
    return Retrained(
        config=config,
        folder=folder,
        result=result,
        recorded=None if best is None else float(best.metric["value"]),
        changed=[] if best is None else data_changes(best, data.hashes),
    )


def _recorded(file: Path, digest: str) -> BestConfig | None:
    """Return the record in ``file``, if it is one of a best config, and of this very config."""
    if read_document(file).values.get("schema") != BEST_SCHEMA:
        return None
    best = read_record(file, BestConfig)
    return best if best.config_sha256 == digest else None
