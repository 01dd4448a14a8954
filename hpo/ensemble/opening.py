"""`hpo evaluate STUDY --ensemble --test`: the ensemble beside the single best, on test rows."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from hpo.ensemble.crossfit import Sides, judge, null_because
from hpo.ensemble.members import Network, networks_of
from hpo.ensemble.objective import Objective
from hpo.ensemble.predictions import predictions_on_test
from hpo.errors import UsageError
from hpo.evaluate import evaluate_study
from hpo.files import make_folder, write_json
from hpo.layout import StudyFolder
from hpo.predict.ensembles import read_ensemble
from hpo.records import now_utc
from hpo.ship.combined import EnsembleRecord, Method, Scores, combine
from lightning_modules.durable import file_sha256
from lightning_modules.settings import Settings


class TestedEnsemble(Settings):
    """``evaluation/ensemble.json``: an ensemble and the single best on the test split."""

    __test__ = False

    schema_name: Literal["hpo.ensemble_test/1"] = Field("hpo.ensemble_test/1", alias="schema")
    study: str
    metric: str
    direction: Literal["minimize", "maximize"]
    method: Method
    trials: list[int]
    """Its members."""
    single: int
    """The trial beside it."""
    used: bool
    """Whether the ensemble predicts, by what the validation rows said."""
    scores: Scores
    opened: int
    """How often the test split has been opened, this time included."""
    ensemble_sha256: str
    """Of the file ``ensemble.json`` that was measured."""
    null_because: dict[str, str]
    created_utc: str


def evaluate_ensemble(folder: StudyFolder, overrides: Sequence[str] = ()) -> TestedEnsemble:
    """Measure an ensemble and the single best on the test split, under one opening of it.

    Leaves ``evaluation/ensemble.json``, and what `hpo.evaluate.evaluate_study` leaves, which counts
    the opening. Nothing is chosen by these rows. Of a trial over folds, the single best is the
    network of its first fold, which is the one that it left.

    Raises:
        StudyError: if no trial of the study is complete, or the objective is undefined.
        UsageError: if there is no ensemble, no test split, or a checkpoint is not the one that was
            recorded.
        RefusedError: if data or split are not those that were recorded.
    """
    record = read_ensemble(folder.combined)
    sha256 = file_sha256(folder.combined)
    networks = _members(folder, record, overrides)
    single = networks_of(folder, record.single, overrides)[0]
    opened = evaluate_study(folder, test=True, overrides=tuple(overrides)).opened
    found = predictions_on_test(folder, [*networks, single])
    sides = Sides(
        ensemble=combine(record.combination, list(found.parts[:-1])),
        single=np.ascontiguousarray(found.parts[-1]),
        targets=found.targets,
        arrangement=found.arrangement,
    )
    objective = Objective.of(single.config)
    scores = judge([sides], objective, parts=None, split="test", seed=record.seed)
    done = _tested(record, scores, opened=opened, sha256=sha256)
    make_folder(folder.evaluation)
    write_json(folder.evaluated("ensemble"), done.model_dump(mode="json", by_alias=True))
    return done


def _tested(record: EnsembleRecord, scores: Scores, *, opened: int, sha256: str) -> TestedEnsemble:
    return TestedEnsemble(
        schema="hpo.ensemble_test/1",
        study=record.study,
        metric=record.metric,
        direction=record.direction,
        method=record.method,
        trials=list(dict.fromkeys(member.trial for member in record.members)),
        single=record.single,
        used=record.used,
        scores=scores,
        opened=opened,
        ensemble_sha256=sha256,
        null_because=null_because(scores),
        created_utc=now_utc(),
    )


def _members(
    folder: StudyFolder, record: EnsembleRecord, overrides: Sequence[str]
) -> list[Network]:
    """Return the networks of the members, their checkpoints compared."""
    known: dict[tuple[int, int | None], Network] = {}
    for trial in dict.fromkeys(member.trial for member in record.members):
        known |= {(trial, one.fold): one for one in networks_of(folder, trial, overrides)}
    networks = [known.get((member.trial, member.fold)) for member in record.members]
    found = []
    for member, network in zip(record.members, networks, strict=True):
        if network is None or network.sha256 != member.checkpoint_sha256:
            what = f"trial {member.trial} has other weights than the ensemble was made of"
            raise UsageError(str(folder.combined), what, f"hpo ensemble {record.study}")
        found.append(network)
    return found
