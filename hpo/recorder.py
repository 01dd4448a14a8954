"""What a study leaves on disk, in an order that a kill at any moment leaves sound."""

import time
from collections.abc import Sequence

from hpo.best import BestWriter, best_of
from hpo.files import write_json, write_text
from hpo.layout import StudyFolder
from hpo.proposals import Proposal
from hpo.records import TrialRecord, attributes_of, write_leaderboard, write_trial
from hpo.retention import Retention
from hpo.storage import StudyStorage

TABLES_EVERY_S = 1.0
"""How old leaderboard, best config and progress may be; a new best is written at once."""


class Recorder:
    """Write trials as they begin and end.

    The record of a trial comes first, then the storage, then what follows from both: tables, and
    the checkpoints that are not kept. Whatever is missing after a kill follows from the records.

    Args:
        folder: of the study.
        storage: Optuna's storage of it.
        best: writes the best config.
        records: trials that ended in earlier calls.
        keep_checkpoints: how many of the best trials keep their weights.
    """

    def __init__(
        self,
        folder: StudyFolder,
        *,
        storage: StudyStorage,
        best: BestWriter,
        records: Sequence[TrialRecord],
        keep_checkpoints: int,
    ) -> None:
        self._folder = folder
        self._storage = storage
        self._best = best
        self._leader = best_of(records, best.direction)
        self._retention = Retention(
            folder, records, direction=best.direction, keep=keep_checkpoints
        )
        self._unstored: list[TrialRecord] = []
        """Trials that ended, and the storage may not know yet."""
        self._tables_at = time.monotonic()
        self._changed = False
        self.records = list(records)

    def begun(self, proposal: Proposal) -> None:
        """Write what a trial begins with, for a storage that is out of reach."""
        record = {"schema": "hpo.proposal/1", "params": proposal.trial.params}
        write_json(self._folder.proposal(proposal.number), record)

    def ended(self, record: TrialRecord, traceback: str, *, time_s: float) -> bool:
        """Write the record of a trial; return whether none is better.

        Args:
            record: of the trial.
            traceback: of what it failed with, empty if there is none.
            time_s: the wall-clock time that the study has used.
        """
        if traceback:
            write_text(self._folder.trial(record.number) / "traceback.txt", traceback)
        write_trial(self._folder, record)
        self._folder.proposal(record.number).unlink(missing_ok=True)
        self._storage.finish(record.number, record.state, record.value, attributes_of(record))
        self.records.append(record)
        self._unstored.append(record)
        self._changed = True
        candidates = [self._leader] if self._leader else []
        self._leader = best_of([*candidates, record], self._best.direction)
        if self._leader is record:
            self._write_tables(time_s)
        return self._leader is record

    def tick(self, time_s: float) -> None:
        """Write what has waited long enough."""
        self._storage.tick()
        self._retire()
        if self._changed and time.monotonic() - self._tables_at >= TABLES_EVERY_S:
            self._write_tables(time_s)

    def close(self, time_s: float) -> None:
        """Write all that waits.

        Raises:
            EnvironmentFault: if the storage stays out of reach; the records are on disk.
        """
        self._write_tables(time_s)
        self._storage.finish_writing()
        self._retire()

    def _retire(self) -> None:
        """Delete checkpoints that are not kept, once the storage knows their trials."""
        if self._unstored and not self._storage.waits:
            for record in self._unstored:
                self._retention.ended(record)
            self._unstored.clear()

    def _write_tables(self, time_s: float) -> None:
        self._tables_at, self._changed = time.monotonic(), False
        if self.records:
            write_leaderboard(
                self._folder,
                self.records,
                direction=self._best.direction,
                metric=self._best.metric,
            )
            self._best.write(self.records, time_s=time_s)
        seconds, ended = round(time_s, 3), len(self.records)
        write_json(self._folder.progress, {"wall_seconds": seconds, "ended": ended})
