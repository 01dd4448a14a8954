"""Which checkpoints a study keeps: of its best, the defaults, an ensemble, what seeds chose."""

from collections.abc import Sequence
from pathlib import Path

from hpo.errors import UsageError
from hpo.layout import StudyFolder
from hpo.records import TrialRecord, ranked, read_record
from hpo.seeds import chosen_by_seeds
from hpo.ship.combined import EnsembleRecord
from lightning_modules.running import BEST_CHECKPOINT, forget_running


def kept(records: Sequence[TrialRecord], *, direction: str, keep: int) -> set[int]:
    """Return the numbers of the trials whose weights are kept.

    The best ``keep`` complete trials, and the families' defaults, which every claim is held
    against.
    """
    complete = [record for record in records if record.has_rank]
    best = {record.number for record in ranked(complete, direction)[:keep]}
    return best | {record.number for record in records if "default" in record.notes}


def forget_checkpoints(
    folder: StudyFolder, records: Sequence[TrialRecord], *, direction: str, keep: int
) -> None:
    """Delete the weights of trials that ended and are not kept, and what any could go on from.

    Their records stay. Call it when the storage knows every one of ``records``: a file goes after
    the state is stored, never before.
    """
    safe = kept(records, direction=direction, keep=keep) | chosen_by_seeds(folder)
    safe |= _in_ensemble(folder)
    for record in records:
        trial = folder.trial(record.number)
        forget_running(trial)
        if record.number not in safe:
            _forget_weights(trial)


class Retention:
    """Deletes checkpoints as trials end, looking at what changed alone.

    Args:
        folder: of the study.
        records: trials that have ended; what they leave and is not kept goes at once.
        direction: ``maximize`` or ``minimize``.
        keep: how many of the best complete trials keep their weights.
    """

    def __init__(
        self,
        folder: StudyFolder,
        records: Sequence[TrialRecord],
        *,
        direction: str,
        keep: int,
    ) -> None:
        self._folder, self._direction, self._keep = folder, direction, keep
        forget_checkpoints(folder, records, direction=direction, keep=keep)
        complete = [record for record in records if record.has_rank]
        self._best = ranked(complete, direction)[:keep]
        self._always = {record.number for record in records if "default" in record.notes}
        self._always |= chosen_by_seeds(folder) | _in_ensemble(folder)

    def ended(self, record: TrialRecord) -> None:
        """Take note of a trial that the storage knows to have ended."""
        known = {one.number for one in self._best}
        new = [record] if record.has_rank else []
        self._best = ranked([*self._best, *new], self._direction)[: self._keep]
        kept = {one.number for one in self._best}
        if "default" in record.notes:
            self._always.add(record.number)
        forget_running(self._folder.trial(record.number))
        for number in (known | {record.number}) - kept - self._always:
            _forget_weights(self._folder.trial(number))


def _forget_weights(trial: Path) -> None:
    """Delete the weights of a trial, those of all its folds."""
    for place in (trial, *trial.glob("fold-*")):
        (place / BEST_CHECKPOINT).unlink(missing_ok=True)


def _in_ensemble(folder: StudyFolder) -> set[int]:
    """Return the members of the study's ensemble; none if there is none, or it is not known."""
    try:
        record = read_record(folder.combined, EnsembleRecord)
    except UsageError:
        return set()
    return {member.trial for member in record.members} if record.used else set()
