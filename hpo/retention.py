"""Which checkpoints a study keeps: those of its best trials and of the defaults, no more."""

from collections.abc import Sequence

from hpo.layout import StudyFolder
from hpo.records import TrialRecord, ranked


def kept(records: Sequence[TrialRecord], *, direction: str, keep: int) -> set[int]:
    """Return the numbers of the trials whose weights are kept.

    The best ``keep`` complete trials, and the families' defaults, which every claim is held
    against.
    """
    complete = [record for record in records if record.state == "complete"]
    best = {record.number for record in ranked(complete, direction)[:keep]}
    return best | {record.number for record in records if "default" in record.notes}


def forget_checkpoints(
    folder: StudyFolder, records: Sequence[TrialRecord], *, direction: str, keep: int
) -> None:
    """Delete the weights of trials that ended and are not kept; their records stay.

    Call it when the storage knows every one of ``records``: a file goes after the state is stored,
    never before.
    """
    safe = kept(records, direction=direction, keep=keep)
    for record in records:
        if record.number not in safe:
            for name in ("best.ckpt", "last.ckpt"):
                (folder.trial(record.number) / name).unlink(missing_ok=True)
