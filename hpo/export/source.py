"""What is exported: the networks that a run, a study's record or an ensemble names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.best import BestConfig
from hpo.errors import UsageError
from hpo.layout import StudyFolder, find_study
from hpo.listing import no_best
from hpo.predict.ensembles import EnsemblePredictor
from hpo.predict.opening import MODEL_FILES
from hpo.predict.predictor import Predictor
from hpo.predict.runs import RunPredictor, open_run
from hpo.records import read_record
from hpo.ship.combined import ENSEMBLE, EnsembleRecord
from lightning_modules.durable import file_sha256
from lightning_modules.running import BEST_CHECKPOINT

BEST, CONFIG = "best_config.json", "config.json"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Trained networks as one model, and the records that speak of them."""

    record: Path
    """The file, or a run's folder, that says what it is."""
    name: str
    """The study's, or that of the run's folder."""
    study: StudyFolder | None
    members: Sequence[RunPredictor]
    described: list[dict[str, Any]]
    """Weight, trial and sha256 of the checkpoint of each member."""
    predictor: Predictor
    """All of them as `hpo predict` has them: what the file is compared with."""
    config_file: Path
    """Holds the config of the first member."""
    ensemble: EnsembleRecord | None = None
    best: BestConfig | None = None

    @property
    def first(self) -> RunPredictor:
        """The only member, or the first of an ensemble."""
        return self.members[0]

    @property
    def folder(self) -> Path:
        """Where a file is put unless its user says where."""
        return self.record if self.record.is_dir() else self.record.parent


def open_source(given: str, results: Path, *, trial: int | None = None) -> Source:
    """Return what a path, or the name of a study, stands for.

    Args:
        given: a ``best_config.json``, an ``ensemble.json``, the folder of a run or of a study, or
            a study's name.
        results: the folder of all studies.
        trial: of a study, this one in the place of the best.

    Raises:
        UsageError: if it is none of these; a file of it is damaged, or a checkpoint gone or
            another one; or the network is a user's own module, or of a user's own data module.
        StudyError: if no trial of the study is complete.
    """
    path = Path(given)
    if path.suffix.lower() in MODEL_FILES:
        hint = f"name a {BEST}, an {ENSEMBLE}, or the folder of a run"
        raise UsageError(given, "is a model file already", hint)
    if trial is not None:
        return _of_trial(_study_of(path, results), trial)
    if path.name == ENSEMBLE or (path / ENSEMBLE).is_file():
        return _of_ensemble(path / ENSEMBLE if path.is_dir() else path)
    if (path / CONFIG).is_file():
        return _of_run(path)
    if path.is_file():
        return _of_record(path)
    if path.is_dir() and not (path / "study.yaml").is_file():
        what = "is no folder of a run or of a study"
        raise UsageError(given, what, f"name a {BEST}, or the folder of a run")
    study = _study_of(path, results)
    if not study.best_config.exists():
        raise no_best(study)
    return _of_record(study.best_config)


def _study_of(path: Path, results: Path) -> StudyFolder:
    return StudyFolder(path.parent) if path.name == BEST else find_study(str(path), results)


def _of_record(file: Path) -> Source:
    """Return the best trial of a study."""
    if file.suffix.lower() != ".json":
        hint = f"name a {BEST}, an {ENSEMBLE}, or the folder of a run"
        raise UsageError(str(file), "is no record of a trained network", hint)
    best = read_record(file, BestConfig)
    run = _opened(file)
    study = StudyFolder(file.parent)
    described = _member(best.study["trial"], best.checkpoint["sha256"])
    return Source(
        record=file,
        name=best.study["name"],
        study=study if study.study_file.is_file() else None,
        members=[run],
        described=[described],
        predictor=run,
        config_file=file,
        best=best,
    )


def _of_trial(study: StudyFolder, trial: int) -> Source:
    """Return one trial of a study.

    Raises:
        UsageError: if it left no weights.
    """
    folder = study.trial(trial)
    if not (folder / BEST_CHECKPOINT).is_file():
        kept = [int(one.name) for one in study.trial_folders() if (one / BEST_CHECKPOINT).is_file()]
        shown = ", ".join(map(str, kept[:20])) or "none"
        what = f"trial {trial} of {study.name} has no checkpoint"
        raise UsageError("--trial", what, f"those that were kept are of: {shown}")
    source = _of_run(folder)
    return Source(
        record=folder,
        name=f"{study.name}-{trial:04d}",
        study=study,
        members=source.members,
        described=[_member(trial, source.described[0]["checkpoint_sha256"])],
        predictor=source.predictor,
        config_file=source.config_file,
    )


def _of_run(folder: Path) -> Source:
    run = _opened(folder)
    return Source(
        record=folder,
        name=folder.resolve().name,
        study=None,
        members=[run],
        described=[_member(None, file_sha256(folder / BEST_CHECKPOINT))],
        predictor=run,
        config_file=folder / CONFIG,
    )


def _of_ensemble(file: Path) -> Source:
    predictor = EnsemblePredictor.open(file)
    record, study = predictor.record, StudyFolder(file.resolve().parent.parent)
    described = [
        {
            "trial": member.trial,
            "weight": member.weight,
            "checkpoint_sha256": member.checkpoint_sha256,
        }
        | ({} if member.fold is None else {"fold": member.fold})
        for member in record.members
    ]
    return Source(
        record=file,
        name=record.study,
        study=study if study.study_file.is_file() else None,
        members=predictor.members,
        described=described,
        predictor=predictor,
        config_file=file.parent / record.members[0].folder / CONFIG,
        ensemble=record,
    )


def _opened(path: Path) -> RunPredictor:
    """Return the network of a record or a run's folder.

    Raises:
        UsageError: if it cannot be brought back; of a module that brings its own preparation, with
            what its user can do.
    """
    try:
        return open_run(path)
    except UsageError as error:
        if "own preparation" not in error.what:
            raise
        hint = (
            "load it with load_from_checkpoint, put its preparation before it, and export it with "
            "torch.onnx.export"
        )
        raise UsageError(error.where, f"{error.what}, which a file would lack", hint) from None


def _member(trial: int | None, sha256: str) -> dict[str, Any]:
    return {"trial": trial, "weight": 1.0, "checkpoint_sha256": sha256}
