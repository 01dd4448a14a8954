"""Optuna's storage as its dashboard sees it: what is stored, and what our records add to it.

Nothing of that is written: the note, the figures, the artifacts and the best trial are made of the
records when they are asked for, so that studies of any age have them, and the storage may be
read-only.
"""

import copy
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, NoReturn, cast

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from hpo.dashboard.artifacts import Artifacts
from hpo.dashboard.notes import PIECE, VERSION, attributes_of_note, note_of, with_written
from hpo.dashboard.plots import figures_of
from hpo.dashboard.summaries import Summaries, Summary

OURS = ("dashboard:", "artifacts:")
"""How the attributes begin that our records add."""


class ViewedStorage(BaseStorage):
    """Reads ``stored`` and adds to it; writes nothing but notes, and these if ``notes``."""

    def __init__(
        self, stored: BaseStorage, summaries: Summaries, *, artifacts: Artifacts, notes: bool
    ) -> None:
        self._stored = stored
        self._summaries = summaries
        self._artifacts = artifacts
        self._notes = notes
        self._lock = Lock()
        self._additions: dict[int, tuple[Summary, dict[str, Any]]] = {}
        self._pictures: dict[int, tuple[int, dict[str, str]]] = {}
        """Of trials by their ids: when their folder changed, and what names their pictures."""

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return all studies; what is added to one is made when it is looked at."""
        return [self._with_additions(study) for study in self._stored.get_all_studies()]

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the stored attributes and ours."""
        return self._added(study_id, self._stored.get_study_system_attrs(study_id))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the stored trials, with their pictures."""
        trials = self._stored.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        summary = self._summary(study_id)
        return trials if summary is None else [self._pictured(summary, one) for one in trials]

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a stored trial, with the pictures that `get_all_trials` found."""
        trial = self._stored.get_trial(trial_id)
        _, pictures = self._pictures.get(trial_id, (0, {}))
        return _with(trial, pictures)

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the trial of the best config: feasible, and chosen over seeds if it was so.

        Raises:
            ValueError: if no trial is complete.
        """
        summary = self._summary(study_id)
        if summary is None or summary.best is None:
            return self._stored.get_best_trial(study_id)
        number = summary.best.study["trial"]
        try:
            found = self._stored.get_trial_id_from_study_id_trial_number(study_id, number)
        except KeyError:
            return self._stored.get_best_trial(study_id)
        return self.get_trial(found)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return what is stored."""
        return self._stored.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return what is stored."""
        return self._stored.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return what is stored."""
        return self._stored.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return what is stored."""
        return self._stored.get_study_user_attrs(study_id)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Write a piece of a note.

        Raises:
            PermissionError: if it is none, or notes are not allowed.
        """
        is_note = key.startswith("dashboard:") and key.split(":")[-2].endswith("note_str")
        if not self._notes or not (is_note or key.endswith("note_ver")):
            _refuse()
        self._stored.set_study_system_attr(study_id, key, value)

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Refuse."""
        _refuse()

    def delete_study(self, study_id: int) -> None:
        """Refuse."""
        _refuse()

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Refuse."""
        _refuse()

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Refuse."""
        _refuse()

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Refuse."""
        _refuse()

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Refuse."""
        _refuse()

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Refuse."""
        _refuse()

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Refuse."""
        _refuse()

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Refuse."""
        _refuse()

    def _summary(self, study_id: int) -> Summary | None:
        return self._summaries.find(self._stored.get_study_name_from_id(study_id))

    def _with_additions(self, study: FrozenStudy) -> FrozenStudy:
        attrs = study.system_attrs
        later = _Later(attrs, lambda: self._added(study._study_id, attrs))
        return FrozenStudy(
            study_name=study.study_name,
            direction=None,
            directions=study.directions,
            user_attrs=study.user_attrs,
            system_attrs=cast("dict[str, Any]", later),
            study_id=study._study_id,
        )

    def _added(self, study_id: int, attrs: Mapping[str, Any]) -> dict[str, Any]:
        """Return stored attributes and ours; ours are made again when the study has changed."""
        summary = self._summary(study_id)
        if summary is None:
            return dict(attrs)
        with self._lock:
            known = self._additions.get(study_id)
            if known is None or known[0] is not summary:
                made = {**figures_of(summary), **self._artifacts.of_study(summary.folder)}
                known = (summary, {"": note_of(summary, study_id), **made})
                self._additions[study_id] = known
        rest = {key: value for key, value in attrs.items() if not key.startswith(PIECE)}
        additions = {key: value for key, value in known[1].items() if key}
        body = with_written(known[1][""], written_of(attrs))
        return {**rest, **additions, **attributes_of_note(body, int(attrs.get(VERSION, 0)))}

    def _pictured(self, summary: Summary, trial: FrozenTrial) -> FrozenTrial:
        if not trial.state.is_finished():
            return trial
        try:
            changed = summary.folder.trial(trial.number).stat().st_mtime_ns
        except OSError:
            return trial
        known = self._pictures.get(trial._trial_id)
        if known is None or known[0] != changed:
            known = (changed, self._artifacts.of_trial(summary.folder, trial.number))
            self._pictures[trial._trial_id] = known
        return _with(trial, known[1])


class _Later(Mapping[str, Any]):
    """Stored attributes, and ours if somebody asks for one of them."""

    def __init__(self, stored: Mapping[str, Any], make: Callable[[], dict[str, Any]]) -> None:
        self._stored = stored
        self._make = make
        self._whole: dict[str, Any] | None = None

    def _all(self) -> dict[str, Any]:
        if self._whole is None:
            self._whole = self._make()
        return self._whole

    def __getitem__(self, key: str) -> Any:
        return self._all()[key] if key.startswith(OURS) else self._stored[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def items(self) -> Any:
        """Return all, as quickly as a dict does."""
        return self._all().items()


def written_of(attrs: Mapping[str, Any]) -> str:
    """Return the note that people wrote of a study."""
    pieces = {key: str(value) for key, value in attrs.items() if key.startswith(PIECE)}
    return "".join(pieces.get(f"{PIECE}{i}", "") for i in range(len(pieces)))


def _with(trial: FrozenTrial, attrs: Mapping[str, str]) -> FrozenTrial:
    if not attrs:
        return trial
    seen = copy.copy(trial)
    seen.system_attrs = {**trial.system_attrs, **attrs}
    return seen


def _refuse() -> NoReturn:
    raise PermissionError("this storage is for looking only")
