"""Measure a study's best config on a split; the test split has this one reader."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hpo.best import BestConfig
from hpo.errors import RefusedError, UsageError
from hpo.evaluations import Evaluation, Opening, read_openings
from hpo.figures import FIGURES, draw
from hpo.files import make_folder, write_json, write_text
from hpo.layout import StudyFolder
from hpo.listing import no_best
from hpo.local import data_changes, local_config
from hpo.logs import log_to
from hpo.records import now_utc, read_record
from hpo.revise import revise_best
from lightning_modules.build import RunData, open_data
from lightning_modules.config import RunConfig
from lightning_modules.durable import file_sha256
from lightning_modules.evaluation.examine import examine, examine_logged
from lightning_modules.evaluation.findings import Findings
from lightning_modules.module import loss_numbers
from lightning_modules.restore import Scored, score
from lightning_modules.seeds import derive


def evaluate_study(
    folder: StudyFolder, *, test: bool, overrides: tuple[str, ...] = ()
) -> Evaluation:
    """Measure the best trial's checkpoint on validation, or on the test split.

    Leaves ``evaluation/<split>.json`` and pictures beside it. Opening the test split is counted
    there and in ``best_config.json``.

    Raises:
        StudyError: if no trial of the study is complete.
        UsageError: if the checkpoint is not the one that was recorded, the module does not log
            the objective on that split, or the log of the test split's openings is damaged.
        RefusedError: if data or split are not those that were recorded: rows of one split would
            be measured as another's.
    """
    if not folder.best_config.exists():
        raise no_best(folder)
    best = read_record(folder.best_config, BestConfig)
    checkpoint = folder.path / best.checkpoint["path"]
    check_file(checkpoint, best.checkpoint["sha256"])
    config = local_config(best.config, folder.best_config, overrides)
    split = "test" if test else "validation"
    before = read_openings(folder.evaluated("test")) if test else []
    with log_to(folder.log):
        data = open_data(config, with_test=test)
        _refuse_other_data(folder, best, data.hashes)
        scored = score(config, checkpoint, split=split, data=data)
    if config.objective.metric not in scored.metrics:
        known = ", ".join(sorted(scored.metrics)) or "nothing"
        what = f"{split} logs no {config.objective.metric!r}; it logs {known}"
        raise UsageError(config.family, what, f"log it in {split}_step")
    findings = _examine(config, data, scored, _seed(best, split))
    return _write(folder, best, _evaluation(config, best, split, findings, before))


def check_file(path: Path, sha256: str) -> None:
    """Check that a file is the one that was recorded.

    Raises:
        UsageError: if it is missing or has other bytes.
    """
    if not path.is_file():
        raise UsageError(str(path), "no such file", "train it again with hpo train")
    if file_sha256(path) != sha256:
        raise UsageError(str(path), "is not the file that was recorded", "train it again")


def _refuse_other_data(
    folder: StudyFolder, best: BestConfig, hashes: Mapping[str, str | None]
) -> None:
    changed = data_changes(best, hashes)
    if changed:
        what = "these are not the data that the study was made on:\n  " + "\n  ".join(changed)
        raise RefusedError(folder.name, what, "restore them, or run a new study on these")


def _evaluation(
    config: RunConfig, best: BestConfig, split: str, findings: Findings, before: Sequence[Opening]
) -> Evaluation:
    """Return the evaluation, without pictures; of the test split, with one opening more."""
    opening = Opening(utc=now_utc(), trial=best.study["trial"], metrics=findings.metrics)
    return Evaluation(
        study=best.study["name"],
        trial=best.study["trial"],
        split=split,
        fold_of=config.n_folds if split == "validation" else None,
        metric=config.objective.metric,
        direction=str(config.objective.direction),
        seed=_seed(best, split),
        config_sha256=best.config_sha256,
        checkpoint_sha256=best.checkpoint["sha256"],
        created_utc=opening.utc,
        figures={},
        findings=findings,
        openings=[*before, opening] if split == "test" else [],
    )


def _seed(best: BestConfig, split: str) -> int:
    """Return the seed of the resamples."""
    return derive(int(best.seeds["study"]), "resamples", split)


def _examine(config: RunConfig, data: RunData, scored: Scored, seed: int) -> Findings:
    if scored.outputs is None or scored.targets is None:
        return examine_logged(scored.metrics)
    return examine(
        str(config.kind),
        scored.outputs,
        scored.targets,
        metrics=scored.metrics,
        classes=(data.facts.classes or data.facts.target_names) if data.facts else None,
        seed=seed,
        numbers=loss_numbers(config),
    )


def _write(folder: StudyFolder, best: BestConfig, evaluation: Evaluation) -> Evaluation:
    """Write everything, the count of the test split's openings first."""
    drawn = draw(evaluation)
    names = {name: f"{evaluation.split}-{name}.svg" for name in FIGURES}
    figures = {name: names[name] for name in drawn}
    evaluation = evaluation.model_copy(update={"figures": figures})
    make_folder(folder.evaluation)
    write_json(folder.evaluated(evaluation.split), evaluation.plain())
    if evaluation.openings:
        _count_opening(folder, best, evaluation)
    for name, file in names.items():
        if name in drawn:
            write_text(folder.evaluation / file, drawn[name])
        else:  # of an earlier best config
            (folder.evaluation / file).unlink(missing_ok=True)
    return evaluation


def _count_opening(folder: StudyFolder, best: BestConfig, evaluation: Evaluation) -> None:
    metrics = {k: v for k, v in evaluation.findings.metrics.items() if v is not None}
    test = {"opened": evaluation.opened, "value": evaluation.value, "metrics": metrics}
    reasons = {}
    if evaluation.value is None:
        reasons["test.value"] = evaluation.plain()["null_because"]["value"]
    revise_best(folder.best_config, of=best, changes={"test": test}, reasons=reasons)
