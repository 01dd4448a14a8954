"""TensorBoard: one folder of curves a trial, and HParams over the whole conditional space."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpo.figures.raster import png_of
from hpo.layout import StudyFolder
from hpo.loggers import run_name
from hpo.proposals import Proposal
from hpo.records import TrialRecord, now_utc
from hpo.scheduler import Limits
from hpo.tracking import hparams
from hpo.tracking.event_file import EventFile
from hpo.tracking.observers import StudyEnd, StudyStart
from lightning_modules.result import RunResult, Validation

PICTURES = ("curve", "confusion", "residuals")
PICTURES_AFTER_S = 5.0
"""So long a trial is the best before it has pictures: they take as long as a small training, and
early in a study one best follows the other."""
_log = logging.getLogger(__name__)


class TensorBoardObserver:
    """Write what TensorBoard shows, at most a second after it happens."""

    def __init__(self) -> None:
        self._files: dict[int, EventFile] = {}
        self._folder: StudyFolder | None = None
        self._metric = ""
        self._best: tuple[EventFile, TrialRecord, float] | None = None
        """The best trial, if it has no pictures yet, and since when."""

    def study_started(self, start: StudyStart) -> None:
        """Write the one HParams config of the study, and the ends that a kill has left out."""
        self._folder, self._metric = start.folder, start.metric
        parameters = start.spec.space.parameters()
        hparams.describe(start.folder.tensorboard, parameters, start.metric)
        for record in start.past:
            if not hparams.has_ended(_place(start.folder, record.number, record.config)):
                self.trial_ended(record, best=False)

    def trial_started(self, proposal: Proposal) -> None:
        """Open the folder of a trial."""
        if self._folder is None:
            return
        place = _place(self._folder, proposal.number, proposal.config.plain())
        self._files[proposal.number] = EventFile(place)

    def validated(self, number: int, validation: Validation, *, prune: bool) -> None:
        """Write the curves."""
        file = self._files[number]
        for name, value in {**validation.metrics, **validation.pace}.items():
            file.add_scalar(name, value, step=validation.step)
        file.tick()

    def batch_ended(self) -> None:
        """Write the curves that have waited long enough."""
        for file in self._files.values():
            file.tick()
        if self._best is not None and time.monotonic() - self._best[2] >= PICTURES_AFTER_S:
            self._show_best()

    def budget_changed(self, limits: Limits) -> None:
        """Nothing is shown of a budget."""

    def warned(self, text: str) -> None:
        """Nothing is shown of a warning."""

    def trial_ended(self, record: TrialRecord, *, best: bool) -> None:
        """Write parameters, final values and state: HParams shows a run that has all three.

        Pictures stay in TensorBoard's memory: only one that stays the best for a while has them.
        """
        if self._folder is None:
            return
        file = self._files.pop(record.number, None)
        if file is None:  # it could not be begun, or its supervisor was killed
            file = EventFile(_place(self._folder, record.number, record.config))
        _tell(file, record, record.run, self._metric)
        file.flush()
        if best:
            self._best = file, record, time.monotonic()

    def trial_given_back(self, number: int) -> None:
        """Close the file; the trial is written into another when it goes on."""
        file = self._files.pop(number, None)
        if file is not None:
            file.flush()

    def study_ended(self, end: StudyEnd) -> None:
        """Show the best trial, if nothing did it before."""
        self._show_best()

    def _show_best(self) -> None:
        if self._best is None or self._folder is None:
            return
        file, record, _ = self._best
        self._best = None
        steps = record.run.steps if record.run is not None else 0
        _draw(file, self._folder.trial(record.number), step=steps)
        file.flush()


def write_seed_run(
    folder: StudyFolder, record: TrialRecord, *, metric: str, seed: int, run: RunResult | None
) -> Path:
    """Write another training of a trial's config as a run of the same trial; return its folder.

    HParams shows the means of all runs of a trial in one row.

    Args:
        folder: of the study.
        record: of the trial.
        metric: the objective.
        seed: of the other training.
        run: what it came to; None if it failed.
    """
    name = f"t{record.number:04d}-seed{seed}"
    place = folder.tensorboard / name
    for old in place.glob("events.*"):
        old.unlink()
    file = EventFile(place)
    state = "failed" if run is None else record.state
    again = record.model_copy(update={"state": state, "started_utc": now_utc()})
    _tell(file, again, run, metric)
    file.flush()
    return place


def _tell(file: EventFile, record: TrialRecord, run: RunResult | None, metric: str) -> None:
    """Write start, final values and end of a run."""
    started = hparams.begin(
        record.params, trial=record.number, state=record.state, started_utc=record.started_utc
    )
    file.add(started, step=0)
    if run is not None:
        final = {
            metric: run.value,
            "n_parameters": run.n_parameters,
            "latency_ms": run.latency_ms,
            "latency_ms_64": run.latency.get("64"),
            "flops": run.flops,
        }
        for name, value in final.items():
            if value is not None:
                file.add_scalar(f"objective/{name}", value, step=run.steps)
    file.add(hparams.end(failed=record.state == "failed"), step=0)


def _draw(file: EventFile, trial: Path, *, step: int) -> None:
    """Show the pictures of a trial; a study never ends for one that cannot be shown."""
    for name in PICTURES:
        path = trial / f"{name}.svg"
        if not path.is_file():
            continue
        try:
            content = png_of(path.read_text(encoding="utf-8"))
        except Exception as error:  # noqa: BLE001  (a file that a disk or a person damaged)
            _log.warning("%s: not shown: %s: %s", path, type(error).__name__, error)
            continue
        file.add_image(name, content, step=step)


def _place(folder: StudyFolder, number: int, config: Mapping[str, Any]) -> Path:
    """Return the folder of a trial, which names its family and optimizer."""
    return folder.tensorboard / run_name(number, config)
