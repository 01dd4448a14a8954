"""Steering: takes what other processes ask of a running study, and sees that it happens."""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from hpo.errors import SpecError, UsageError
from hpo.files import write_text
from hpo.given import check_given
from hpo.layout import StudyFolder
from hpo.protocol import TrialEnd
from hpo.scheduler import Limits, Scheduler
from hpo.spec import StudySpec
from hpo.steering.requests import (
    EndTrial,
    Enqueue,
    Request,
    SetBudget,
    Stop,
    read_request,
    request_files,
)
from hpo.steering.wishes import Wish, refusal
from lightning_modules.result import Command

EVERY_S = 0.25
"""How often the folder of the requests is looked at."""
SETTLED_NS = 2_000_000_000
"""A folder that changed later than this may change again without showing it."""
_log = logging.getLogger(__name__)


class Steering:
    """Answer the requests of one study while it runs.

    Args:
        spec: the study, with the budget that it began with.
        folder: of the study, which this process owns.
        scheduler: told to stop, and of another budget.
        most_trials: where a grid ends.
        known: requests that the storage has a trial of.
    """

    def __init__(
        self,
        spec: StudySpec,
        folder: StudyFolder,
        *,
        scheduler: Scheduler,
        most_trials: int | None,
        known: Collection[str],
    ) -> None:
        self._spec = spec
        self._folder = folder
        self._scheduler = scheduler
        self._most_trials = most_trials
        owner = folder.owner()
        self._token = owner.token if owner else None
        self._begun = set(known)
        self._wishes: dict[str, Wish] = {}
        self._by_hand: set[int] = set()
        self._kept: set[str] = set()
        """Files that were read, and cannot be removed."""
        self._looked = -EVERY_S
        self._seen_ns: int | None = None
        self.budget_set: dict[str, int | str] = {}
        """The limits of the budget that were changed."""
        self.warn: Callable[[str], None] = _log.warning
        self.limited: Callable[[Limits], None] = lambda limits: None
        """Told of another budget."""

    def tick(self, time_s: float) -> None:
        """Take what is new in the folder of the requests, a few times a second at most.

        Args:
            time_s: wall-clock time that the study has used, seconds.
        """
        if time.monotonic() - self._looked < EVERY_S:
            return
        self._looked = time.monotonic()
        self.settle()
        if self._is_new():
            files = request_files(self._folder)
            kept = {path.stem for path in files}
            self._wishes = {name: wish for name, wish in self._wishes.items() if name in kept}
            for path in files:
                if path.stem not in self._wishes and path.name not in self._kept:
                    self._take(path, time_s)

    def settle(self) -> None:
        """Remove the requests whose trials are on the disk."""
        for name in self._begun & self._wishes.keys():
            del self._wishes[name]
            self._remove(self._folder.requests / f"{name}.json")

    def wish(self) -> Wish | None:
        """Return the values that the next new trial is to have, None if nobody wishes any."""
        waiting = (wish for name, wish in self._wishes.items() if name not in self._begun)
        return next(waiting, None)

    def begun(self, request: str | None) -> None:
        """Take note that a trial has the values of a request, and will be on the disk at once."""
        if request is not None:
            self._begun.add(request)

    def answer(self, number: int, command: Command) -> Command:
        """Return the answer to a validation: stop, if a user wants the trial to end."""
        wanted = number in self._by_hand and command is Command.CONTINUE
        return Command.STOP if wanted else command

    def named(self, end: TrialEnd) -> TrialEnd:
        """Return the end of a trial, whose result tells whether a user stopped it."""
        asked, result = end.number in self._by_hand, end.result
        self._by_hand.discard(end.number)
        if not asked or result is None or result.stopped_by != "pruner":
            return end
        return end.model_copy(update={"result": result.model_copy(update={"stopped_by": "user"})})

    def _is_new(self) -> bool:
        """Return whether the folder may have changed since it was looked at."""
        try:
            changed_ns = self._folder.requests.stat().st_mtime_ns
        except OSError:
            return False
        new = changed_ns != self._seen_ns
        self._seen_ns = changed_ns if time.time_ns() - changed_ns > SETTLED_NS else None
        return new

    def _take(self, path: Path, time_s: float) -> None:
        try:
            request = read_request(path)
            if request.to not in (None, self._token):
                what = f"{_words(request)} was asked of a supervisor that has gone"
                raise UsageError(f"requests/{path.name}", what, "ask again")
            self._do(path.stem, request, time_s)
        except SpecError as error:
            first = error.problems[0]
            self.warn(f"requests/{path.name}: {first}; it is dropped")
        except UsageError as error:
            self.warn(f"{error.where}: {error.what}; it is dropped")
        except OSError as error:
            self.warn(f"requests/{path.name}: {error.strerror}; it is dropped")
        if path.stem not in self._wishes:
            self._remove(path)

    def _do(self, name: str, request: Request, time_s: float) -> None:
        """Do what is asked.

        Raises:
            UsageError: if it cannot be done, any more.
            OSError: if the study file cannot be written.
        """
        match request.ask:
            case Stop():
                self._scheduler.halt("stopped")
            case EndTrial(trial=number):
                if number not in self._scheduler.running:
                    raise UsageError(f"requests/{name}", f"trial {number} does not run", "")
                self._by_hand.add(number)
            case SetBudget() as ask:
                self._set_budget(name, ask, time_s)
            case Enqueue(params=params) if name not in self._begun:
                why = refusal(self._spec.search)
                if why is not None:
                    raise UsageError(f"requests/{name}", *why)
                params = check_given(self._spec.space, params)
                self._wishes[name] = Wish(request=name, params=params)

    def _set_budget(self, name: str, ask: SetBudget, time_s: float) -> None:
        now = self._scheduler
        wrong = ask.below(trials=now.ended + len(now.running), epochs=now.epochs, time_s=time_s)
        if wrong is not None:
            raise UsageError(f"requests/{name}", wrong, "")
        budget = self._spec.budget.model_copy(update=ask.given)
        settings = self._spec.settings.model_copy(update={"budget": budget})
        self._spec = replace(self._spec, settings=settings)
        write_text(self._folder.study_file, self._spec.text())
        self._scheduler.limits = Limits.of(budget, self._most_trials)
        self.budget_set |= ask.given
        self.limited(self._scheduler.limits)

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._kept.add(path.name)
            self.warn(f"requests/{path.name}: {error.strerror}; remove it")


def _words(request: Request) -> str:
    words = {"stop": "to stop", "end_trial": "to end a trial", "budget": "another budget"}
    return words.get(request.ask.kind, request.ask.kind)
