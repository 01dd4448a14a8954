"""What a study leaves on disk, in an order that a kill at any moment leaves sound."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict

from hpo.best import best_of
from hpo.best_writer import BestWriter
from hpo.figures.learning import course_of, learning_figure
from hpo.files import make_folder, write_json, write_text
from hpo.layout import StudyFolder
from hpo.proposals import Proposal
from hpo.records import (
    TrialRecord,
    attributes_of,
    curve_rows,
    now_utc,
    read_curve,
    write_leaderboard,
    write_trial,
)
from hpo.retention import Retention
from hpo.scheduler import Scheduler
from hpo.steering.wishes import REQUEST
from hpo.storage.writer import StudyStorage
from lightning_modules.phases import phase, timed

_log = logging.getLogger(__name__)
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
        schedule: what runs, and the limits; both are part of the progress.
        records: trials that ended in earlier calls.
        keep_checkpoints: how many of the best trials keep their weights.
    """

    def __init__(
        self,
        folder: StudyFolder,
        *,
        storage: StudyStorage,
        best: BestWriter,
        schedule: Scheduler,
        records: Sequence[TrialRecord],
        keep_checkpoints: int,
    ) -> None:
        self._folder = folder
        self._storage = storage
        self._best = best
        self._schedule = schedule
        owner = folder.owner()
        self._token = owner.token if owner else None
        self._begun: dict[int, str] = {}
        """When each trial began."""
        self._leader = best_of(records, best.direction)
        self._retention = Retention(
            folder, records, direction=best.direction, keep=keep_checkpoints
        )
        self._unstored: list[TrialRecord] = []
        """Trials that ended, and the storage may not know yet."""
        self._tables_at = time.monotonic()
        self._changed = False
        self._shown: object = None
        """The state of the schedule that the progress shows."""
        self.records = list(records)

    def copy_curve(self, twin: int, number: int) -> dict[int, float]:
        """Give a trial the curve of another, and what it has of pictures of predictions.

        Returns:
            The objective of every validation of it.
        """
        source, trial = self._folder.trial(twin), self._folder.trial(number)
        make_folder(trial)
        for name in ("curve.csv", "confusion.svg", "residuals.svg"):
            if (source / name).exists():
                write_text(trial / name, (source / name).read_text(encoding="utf-8"))
        return read_curve(source)

    def begun(self, proposal: Proposal) -> None:
        """Write what a trial begins with, for a storage that is out of reach or is lost.

        A storage that took the trial keeps it through a loss of power: the file need not, too.
        """
        self._begun[proposal.number] = now_utc()
        record = {
            "schema": "hpo.proposal/1",
            "params": proposal.trial.params,
            "request": proposal.trial.user_attrs.get(REQUEST),
        }
        place = self._folder.proposal(proposal.number)
        write_json(place, record, sync=self._storage.waits)

    def ended(self, record: TrialRecord, traceback: str, *, time_s: float) -> bool:
        """Write the record of a trial; return whether none is better.

        Args:
            record: of the trial.
            traceback: of what it failed with, empty if there is none.
            time_s: the wall-clock time that the study has used.
        """
        make_folder(self._folder.trial(record.number))
        if traceback:
            write_text(self._folder.trial(record.number) / "traceback.txt", traceback)
        self._draw(record)
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

    def _draw(self, record: TrialRecord) -> None:
        """Draw the learning curve of a trial that was validated; a study never ends for that."""
        trial = self._folder.trial(record.number)
        metric, direction = self._best.metric, self._best.direction
        try:
            rows = curve_rows(trial)
            course = course_of(record, rows, metric=metric, direction=direction)
            picture = learning_figure(course) if rows else None
        except Exception as error:  # noqa: BLE001  (a curve that a disk or a person damaged)
            _log.warning("%s: no picture: %s: %s", trial, type(error).__name__, error)
            return
        if picture is not None:
            write_text(trial / "curve.svg", picture, sync=False)

    def tick(self, time_s: float) -> None:
        """Write what has waited long enough."""
        self._storage.tick()
        self._retire()
        if time.monotonic() - self._tables_at < TABLES_EVERY_S:
            return
        if self._changed:
            self._write_tables(time_s)
        elif self._state() != self._shown:
            self.write_progress(time_s)

    def close(self, time_s: float) -> None:
        """Write all that waits.

        Raises:
            EnvironmentFault: if the storage stays out of reach; the records are on disk.
        """
        self._write_tables(time_s, running=False)
        self._storage.finish_writing()
        self._retire()

    def _retire(self) -> None:
        """Delete checkpoints that are not kept, once the storage knows their trials."""
        if self._unstored and not self._storage.waits:
            with phase("records"):
                for record in self._unstored:
                    self._retention.ended(record)
            self._unstored.clear()

    @timed("records")
    def _write_tables(self, time_s: float, *, running: bool = True) -> None:
        self._changed = False
        if self.records:
            write_leaderboard(
                self._folder,
                self.records,
                direction=self._best.direction,
                metric=self._best.metric,
            )
            self._best.write(self.records, time_s=time_s, running=running)
        self.write_progress(time_s)

    def _state(self) -> object:
        return sorted(self._schedule.running), self._schedule.limits

    @timed("records")
    def write_progress(self, time_s: float) -> None:
        """Write how far the study is, what runs, and the limits."""
        self._tables_at, self._shown = time.monotonic(), self._state()
        running = [
            {"number": number, "started_utc": self._begun[number]}
            for number in sorted(self._schedule.running & self._begun.keys())
        ]
        progress = {
            "wall_seconds": round(time_s, 3),
            "ended": len(self.records),
            "owner": self._token,
            "limits": asdict(self._schedule.limits),
            "running": running,
        }
        write_json(self._folder.progress, progress)
