"""Ask a running study for something, and wait for what becomes of it; no torch, no Optuna."""

import time
from collections.abc import Callable, Sequence

from hpo.errors import EnvironmentFault, RefusedError, UsageError
from hpo.files import read_document
from hpo.grammar.nodes import Scalar
from hpo.layout import Owner, StudyFolder
from hpo.spec import load_study
from hpo.steering.requests import (
    EndTrial,
    Enqueue,
    SetBudget,
    Stop,
    run_options,
    send,
    waiting_requests,
)
from hpo.steering.status import Status, status_of
from hpo.steering.wishes import parse_wish, refusal

WAIT_S = 60.0
"""How long a command waits for what it asked for."""
POLL_S = 0.05


def stop_study(folder: StudyFolder, *, wait: bool) -> None:
    """Let a study stop as Ctrl-C does, and wait until it has.

    Raises:
        UsageError: if it does not run.
        EnvironmentFault: if it has not stopped in time.
    """
    owner = _owner(folder, "nothing to stop")
    file = send(folder, Stop(), to=owner.token)
    if not wait:
        return
    if not _waited(lambda: _gone(folder, owner)):
        what = f"has not stopped within {WAIT_S:g} s; it was asked to"
        raise EnvironmentFault(folder.name, what, f"hpo status {folder.name}")
    file.unlink(missing_ok=True)  # it may have ended before it read this


def end_trial(folder: StudyFolder, number: int, *, wait: bool) -> bool:
    """Let a trial end at its next validation, and wait until it has; return whether it did.

    It has not if the study stopped before.

    Raises:
        UsageError: if the study or the trial does not run.
        EnvironmentFault: if it has not ended in time.
    """
    owner = _owner(folder, "nothing to stop")
    running = status_of(folder).running
    result = folder.trial(number) / "result.json"
    if number not in running:
        what = f"trial {number} " + ("has ended" if result.exists() else "does not run")
        shown = ", ".join(map(str, running)) or "none"
        raise UsageError(folder.name, what, f"running: {shown}")
    file = send(folder, EndTrial(trial=number), to=owner.token)
    if not wait:
        return True
    if not _waited(lambda: result.exists() or _gone(folder, owner)):
        what = f"trial {number} has not ended within {WAIT_S:g} s; it ends at its next validation"
        raise EnvironmentFault(folder.name, what, f"hpo status {folder.name}")
    file.unlink(missing_ok=True)
    return result.exists()


def set_budget(folder: StudyFolder, ask: SetBudget) -> Status:
    """Change the total budget of a running study, and return its status with it.

    Raises:
        UsageError: if it does not run, nothing is given, or a limit is below what is used.
        RefusedError: if the supervisor did not take it.
        EnvironmentFault: if it did not answer.
    """
    options = " ".join(f"--{name} {value}" for name, value in ask.given.items())
    if not ask.given:
        raise UsageError("hpo budget", "no limit is given", "--trials, --time or --epochs")
    owner = _owner(folder, f"hpo run FILE{run_options(ask.given)} goes on with that budget")
    before = status_of(folder)
    used = before.ended + len(before.running)
    wrong = ask.below(trials=used, epochs=before.epochs, time_s=before.wall_seconds)
    if wrong is not None:
        what, _, hint = wrong.partition("; ")
        raise UsageError(f"{folder.name}: {options}", what, hint)
    file = send(folder, ask, to=owner.token)
    if not _waited(lambda: not file.exists() or _gone(folder, owner)):
        hint = f"hpo status {folder.name}"
        raise EnvironmentFault(folder.name, f"did not answer within {WAIT_S:g} s", hint)
    file.unlink(missing_ok=True)
    budget = read_document(folder.study_file).values["budget"]
    if any(budget.get(name) != value for name, value in ask.given.items()):
        raise RefusedError(folder.name, "did not take the budget", "it says why where it runs")
    return status_of(folder)


def enqueue(folder: StudyFolder, overrides: Sequence[str]) -> dict[str, Scalar]:
    """Let the next trial have given values; return them, branches that follow included.

    Raises:
        UsageError: if no values are given, they do not fit the space, or the study takes none.
        EnvironmentFault: if the folder cannot be written.
    """
    if not overrides:
        raise UsageError("hpo enqueue", "no values are given", "--set optimizer.lr=1e-3")
    spec = load_study(folder.study_file)
    why = refusal(spec.search)
    if why is not None:
        raise UsageError(folder.name, *why)
    spec.space.refuse_imported()
    params = parse_wish(spec.space, overrides)
    send(folder, Enqueue(params=params), to=None)
    return params


def room(folder: StudyFolder) -> tuple[int | None, bool]:
    """Return how many enqueued trials the budget has no room for, and whether the study runs.

    None stands for a budget that does not say: it has no limit of trials.
    """
    now = status_of(folder)
    left = now.left().trials
    if left is None:
        return None, now.owner is not None
    asked = [one for one in waiting_requests(folder).values() if one.ask.kind == "enqueue"]
    return max(len(asked) + len(now.trials) - left, 0), now.owner is not None


def _owner(folder: StudyFolder, hint: str) -> Owner:
    """Return who runs a study.

    Raises:
        UsageError: if nobody does.
    """
    owner = folder.owner()
    if owner is None:
        raise UsageError(folder.name, "does not run", hint)
    return owner


def _gone(folder: StudyFolder, owner: Owner) -> bool:
    now = folder.owner()
    return now is None or now.token != owner.token


def _waited(done: Callable[[], bool]) -> bool:
    """Wait until ``done``; return whether it came to that in time."""
    deadline = time.monotonic() + WAIT_S
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True
