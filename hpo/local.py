"""Use a recorded config on this machine: overrides, and the data's place, which no record holds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpo.best import BestConfig
from hpo.errors import Problem, SpecError, UsageError
from hpo.files import Document, read_document
from hpo.problems import config_problems
from hpo.records import hash_changes
from hpo.spec import override_document
from lightning_modules.config import RunConfig


def read_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read one config: ``best_config.json``, a trial's ``config.json``, or YAML of that form.

    Raises:
        UsageError: if the file cannot be read, or is a study file with undecided leaves.
        SpecError: if anything in the config is wrong; it names every mistake.
    """
    document = read_document(path)
    values = document.values
    if "budget" in values or "search" in values:
        raise UsageError(str(path), "is a study file, not one config", f"hpo run {path}")
    if isinstance(values.get("config"), dict) and "schema" in values:
        return local_config(values["config"], path, overrides)
    return local_config(values, path, overrides)


def local_config(config: Mapping[str, Any], file: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Return a recorded config with its data found on this machine.

    A path that a record keeps as its last name is looked up in the study file of the record.

    Raises:
        SpecError: if anything in the config is wrong.
    """
    document = Document(name=str(file), values=dict(config))
    data = config.get("data")
    if isinstance(data, Mapping) and isinstance(data.get("path"), str):
        place = _study_path(file)
        if place is not None and Path(place).name == Path(data["path"]).name:
            if not Path(data["path"]).exists():
                values = {**document.values, "data": {**data, "path": place}}
                document = Document(name=str(file), values=values)
    for override in overrides:
        document = override_document(document, override)
    problems = [
        Problem(f"{document.where(loc)}: {'.'.join(loc)}", what, hint)
        for loc, what, hint in config_problems(RunConfig, document.values)
    ]
    if problems:
        raise SpecError(problems)
    return RunConfig.model_validate(document.values)


def only_data(overrides: Sequence[str]) -> None:
    """Check that nothing else is set than where the data of a trained model are.

    Raises:
        UsageError: if another setting is, which would change nothing.
    """
    for one in overrides:
        if not one.startswith("data."):
            what = f"{one.partition('=')[0]} has no effect on a model that is trained"
            raise UsageError("--set", what, "data.path=FILE says where its data are")


def data_changes(best: BestConfig, hashes: Mapping[str, str | None]) -> list[str]:
    """Return in what the data with these hashes are not those that the record was made on."""
    stored = {"data_sha256": best.data["sha256"], "split_sha256": best.data["split_sha256"]}
    return hash_changes(stored, hashes)


def _study_path(record: Path) -> str | None:
    """Return the data's path of the study whose folder holds ``record``, or a trial's folder."""
    folders = [folder for folder in list(record.parents)[:3] if (folder / "study.yaml").is_file()]
    if not folders:
        return None
    data = read_document(folders[0] / "study.yaml").values.get("data")
    path = data.get("path") if isinstance(data, Mapping) else None
    return path if isinstance(path, str) else None
