"""The rows of the table: a fault, what must hold, how the plain stack is tried, whose tests."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults_baseline import checkpoints, deaths, failures, footprint, resume, storage
from benchmarks.faults_baseline.stack import Verdict

Plain = Callable[[Path, bool], Verdict]
DEATH = "test_a_death_becomes_a_failure_with_its_reason"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A row; ``plain`` takes an empty folder's path and whether all options are on."""

    name: str
    what: str
    promise: str
    plain: Plain | None
    options: bool = True
    """Whether the plain stack has options that could matter; the usual result stands for both."""
    tests: tuple[str, ...] = ()
    """Parts of the names of our tests; those with the row's own name in theirs are found anyway."""


FAULTS = [
    Fault(
        name="F1",
        what="a training process is killed (kill -9)",
        promise="the trial is trained again, the study goes on",
        plain=deaths.f1_worker_killed,
        tests=("test_a_trial_that_was_killed", "test_a_trial_that_is_always_killed"),
    ),
    Fault(
        name="F2",
        what="the whole search is killed, then run again",
        promise="no result lost, no trial left running, the budget exact",
        plain=deaths.f2_search_killed,
        tests=("test_nothing_acknowledged_is_lost",),
    ),
    Fault(
        name="F3",
        what="SIGTERM in a training",
        promise="exit status 143; the training goes on at its next batch",
        plain=deaths.f3_terminated,
    ),
    Fault(
        name="F4",
        what="Ctrl-C in a training",
        promise="exit status 130; the training goes on at its next batch",
        plain=deaths.f4_interrupted,
    ),
    Fault(
        name="F5",
        what="SIGTERM in a validation, a save, between trials …",
        promise="the same at any moment",
        plain=deaths.f5_terminated_anywhere,
    ),
    Fault(
        name="F6",
        what="a model crashes, or ends its process",
        promise="that trial fails with its reason, the next one runs",
        plain=deaths.f6_ends_itself,
        tests=(
            *(f"{DEATH}[{end}]" for end in ("segfault", "os exit", "sys exit")),
            *(f"{DEATH}[{end}]" for end in ("base exception", "exception")),
            "test_the_study_goes_on_and_ranks",
            "test_the_storage_says_fail",
        ),
    ),
    Fault(
        name="F7",
        what="out of memory",
        promise="that trial fails with its reason, the next one runs",
        plain=failures.f7_out_of_memory,
        tests=tuple(f"{DEATH}[{end}]" for end in ("memory error", "cuda memory", "grow")),
    ),
    Fault(
        name="F8",
        what="a training hangs",
        promise="it ends at its time limit, the next one runs",
        plain=failures.f8_hangs,
        options=False,
        tests=(f"{DEATH}[hang]", "test_a_study_whose_trial_hangs"),
    ),
    Fault(
        name="F9",
        what="the loss or the value is no number",
        promise="that trial fails with its reason, and is never the best",
        plain=failures.f9_no_number,
        tests=(f"{DEATH}[nan]", "test_a_config_that_diverges_failed"),
    ),
    Fault(
        name="F10",
        what="search and trainings are killed at random, three times",
        promise="no result lost, no trial left running, the budget exact",
        plain=deaths.f10_killed_at_random,
        tests=("test_nothing_acknowledged_is_lost",),
    ),
    Fault(
        name="F11",
        what="the same command, eight times at once",
        promise="one study; nobody crashes",
        plain=storage.f11_race,
        options=False,
    ),
    Fault(
        name="F13",
        what="another program locks the database",
        promise="the study waits, and loses nothing",
        plain=storage.f13_locked,
    ),
    Fault(
        name="F14",
        what="the database is deleted or emptied in mid-run",
        promise="an error that names the file; every result is kept",
        plain=storage.f14_lost,
        options=False,
    ),
    Fault(
        name="F15",
        what="the database's disk is full",
        promise="the study goes on when there is space again, the budget exact",
        plain=storage.f15_full,
    ),
    Fault(
        name="F16",
        what="the checkpoints' disk is full",
        promise="no half file, no trial lost",
        plain=checkpoints.f16_full,
    ),
    Fault(
        name="F17",
        what="killed while a checkpoint is saved",
        promise="the old file or the new one, never a half",
        plain=checkpoints.f17_killed,
        options=False,
    ),
    Fault(
        name="F18",
        what="a checkpoint is damaged",
        promise="it is refused, not gone on from",
        plain=checkpoints.f18_damaged,
        options=False,
    ),
    Fault(
        name="F19",
        what="the database is damaged",
        promise="it is refused by name, not written on",
        plain=storage.f19_damaged,
        options=False,
    ),
    Fault(
        name="F20",
        what="a trial's record, or the best config, is torn or lost",
        promise="it is noticed, and made again",
        plain=None,
    ),
    Fault(
        name="F25",
        what="the command of a finished study, again",
        promise="no trial, no changed file",
        plain=resume.f25_again,
    ),
    Fault(
        name="F26",
        what="5 trials and 5 more, with one seed",
        promise="the ten of one call, none twice",
        plain=resume.f26_sequence,
    ),
    Fault(
        name="F27",
        what="a training goes on from its checkpoint",
        promise="the weights of one that was never stopped, to the bit",
        plain=checkpoints.f27_resumed,
        options=False,
        tests=("test_an_abandoned_run_goes_on_to_the_bits",),
    ),
    Fault(
        name="F28",
        what="resumed with another space, direction or data",
        promise="refused with the difference",
        plain=resume.f28_changed,
        options=False,
    ),
    Fault(
        name="F29",
        what="300 trials",
        promise="memory and handles stay flat, a few checkpoints are kept",
        plain=footprint.f29_long,
        options=False,
    ),
    Fault(
        name="F30",
        what="weights of trials that are not the best",
        promise="they go, after the trial's end is stored; the best stay",
        plain=checkpoints.f30_kept,
        options=False,
    ),
]
