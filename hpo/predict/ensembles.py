"""The predictor of an ensemble: its members, each with its own preparation, as one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.errors import UsageError
from hpo.predict.predictor import Answers, Floats, Inputs, Raw
from hpo.predict.runs import RunPredictor, open_run
from hpo.records import read_record
from hpo.ship.combined import EnsembleRecord, Member, combine
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.sequences import SequencePreparation
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.durable import file_sha256
from lightning_modules.running import BEST_CHECKPOINT

OWN = ("prepare", "augment", "fold", "path")
"""What of the data section members may have each for itself: all see the same raw rows."""


@dataclass(frozen=True, kw_only=True)
class EnsemblePredictor:
    """Several trained models as one; rows are read for the first of them."""

    record: EnsembleRecord
    members: Sequence[RunPredictor]

    @classmethod
    def open(cls, path: Path) -> "EnsemblePredictor":
        """Return the ensemble of an ``ensemble.json``.

        Raises:
            UsageError: if the file is damaged; it says that the ensemble is not used; a member's
                checkpoint is gone or another than was recorded; or members read rows differently.
        """
        record = read_ensemble(path)
        if not record.used:
            hint = f"hpo ensemble {record.study} --keep lets it predict all the same"
            raise UsageError(str(path), f"is not used: {record.why}", hint)
        members = [_opened(path, member) for member in record.members]
        for member, one in zip(record.members[1:], members[1:], strict=True):
            _refuse_other_rows(path, record, member, members[0], one)
        return cls(record=record, members=members)

    @property
    def inputs(self) -> Inputs:
        """How rows are read for it: as for its first member."""
        return self.members[0].inputs

    @property
    def answers(self) -> Answers:
        """What it says of a row."""
        return self.members[0].answers

    def outputs(self, raw: Raw) -> Floats:
        """Return what the members say together; see `Predictor`.

        Raises:
            DataError: if the rows do not fit.
        """
        return combine(self.record.combination, [one.outputs(raw) for one in self.members])


def read_ensemble(path: Path) -> EnsembleRecord:
    """Return the record in an ``ensemble.json``.

    Raises:
        UsageError: if there is none, or it is damaged.
    """
    try:
        record = read_record(path, EnsembleRecord)
    except UsageError as error:
        raise UsageError(error.where, error.what, "hpo ensemble STUDY writes it") from None
    if not record.members:
        raise UsageError(str(path), "names no members", "hpo ensemble STUDY writes it")
    return record


def _opened(path: Path, member: Member) -> RunPredictor:
    folder = path.parent / member.folder
    checkpoint, trial = folder / BEST_CHECKPOINT, f"trial {member.trial} of {path.name}"
    if not checkpoint.is_file():
        what = f"no such checkpoint, and {trial} needs it"
        raise UsageError(str(checkpoint), what, "keep the ensemble in its study's folder")
    if file_sha256(checkpoint) != member.checkpoint_sha256:
        what = f"is not the checkpoint that was recorded for {trial} (another sha256)"
        raise UsageError(str(checkpoint), what, "restore it, or run hpo ensemble again")
    return open_run(folder)


def _refuse_other_rows(
    path: Path, record: EnsembleRecord, member: Member, first: RunPredictor, other: RunPredictor
) -> None:
    """Refuse a member that would need other raw rows than the first one, or answers otherwise."""
    where = f"{path}: trial {member.trial}"
    hint = f"hpo ensemble {record.study} makes one of members that do"
    settings, others = (_shared(one) for one in (first, other))
    for name in {**settings, **others}:
        if settings.get(name) != others.get(name):
            what = f"data.{name} is not that of trial {record.members[0].trial}"
            raise UsageError(where, what, hint)
    if _rows_of(first.fitted) != _rows_of(other.fitted) or first.answers != other.answers:
        what = f"does not take the same rows as trial {record.members[0].trial}"
        raise UsageError(where, what, hint)


def _shared(model: RunPredictor) -> dict[str, Any]:
    return shared_settings(model.config.portable()["data"])


def shared_settings(data: dict[str, Any]) -> dict[str, Any]:
    """Return those settings of a plain data section that all members have in common."""
    return {name: value for name, value in data.items() if name not in OWN}


def _rows_of(fitted: Fitted) -> list[Any]:
    """Return what the rows of a model are before its preparation, to compare."""
    preparation = fitted.preparation
    if isinstance(preparation, WindowPreparation):
        plain = preparation.model_dump(mode="json", exclude={"others"})
        return [*plain.items(), *_columns(preparation.others)]
    if isinstance(preparation, TablePreparation):
        return _columns(preparation)
    if isinstance(preparation, SequencePreparation):
        return ["sequence", len(preparation.channels)]
    return [preparation.kind, *(fitted.input_shape if preparation.kind == "image" else [])]


def _columns(table: TablePreparation) -> list[Any]:
    return sorted((column.kind, column.name) for column in table.columns)
