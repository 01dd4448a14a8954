"""Thousands of simulated studies, each made by its seed: whatever happens, the schedule holds.

Only the scheduler is real. What it tells is done by a supervisor without processes, files or a
clock, which dies at any moment and is made anew from what it had written. A world that fails names
its seed; `run_world(seed)` runs it again.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.budget import scheduler_of
from hpo.records import TrialRecord
from hpo.scheduler import (
    FIRST_FAILURES,
    MOST_FAILURES,
    MOST_REPEATS,
    Finish,
    Limits,
    Scheduler,
    Start,
    Wait,
)
from hpo.supervisor import GRACE_S, TICK_S
from lightning_modules.result import Command

WORLDS = 250
"""In each of the blocks."""
CALLS = 12
"""So many calls of a study may meet accidents; the one after them meets none."""
STEPS = 3000
"""No call of these small studies takes as many steps."""
TIMEOUT_S = 20.0
FATES = ("result", "nan", "oom", "killed", "hang", "disk")


class SupervisorKilledError(Exception):
    """Kill -9, at a moment between two things that are written."""


@dataclass
class Child:
    """An attempt of a trial: when it ends by itself, and how."""

    fate: str
    started_s: float
    ends_s: float
    told_s: float | None = None
    """When it was asked to stop."""


@dataclass
class Disk:
    """What outlives a supervisor; the rows of the storage may lag behind."""

    proposals: set[int] = field(default_factory=set)
    records: dict[int, TrialRecord] = field(default_factory=dict)
    rows: dict[int, TrialState] = field(default_factory=dict)
    attempts: Counter[int] = field(default_factory=Counter)
    time_s: float = 0.0


class World:
    """A study over all its calls."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.capacity = chance.randint(1, 5)
        self.window = chance.choice([None, None, self.capacity])
        self.retries = chance.randint(0, 2)
        self.limits = Limits(
            trials=chance.choice([None, *range(1, 25)]),
            epochs=chance.choice([None, None, float(chance.randint(1, 60))]),
            time_s=chance.choice([None, None, float(chance.randint(1, 100))]),
        )
        if self.limits == Limits():
            self.limits = Limits(trials=7)
        usual = [chance.choice([1.0, 10.0]), *(chance.choice([0, 0, 1.0]) for _ in FATES[1:])]
        self.fates = chance.choice([usual, [0.0, 1.0, 0, 0.2, 0, 0]])  # or nothing but nan
        self.accidents = chance.choice([0.0, 0.01, 0.1])
        self.outages = chance.choice([0.0, 0.5])
        self.configs = chance.choice([None, None, None, chance.randint(1, 8)])
        """How many the space has; what is begun after them takes the outcome of one of them."""
        self.disk = Disk()
        self.acknowledged: dict[int, TrialRecord] = {}
        self.now_s = 0.0
        self.calm = False

    # A call of the study.

    def call(self) -> Finish:
        """Go on with the study as a new process does, to the end of the call."""
        self.running: dict[int, Child] = {}
        self.unwritten: list[tuple[int, TrialState]] = []
        self.settle()
        self.begun_s = self.now_s - self.disk.time_s
        self.scheduler = self.rebuilt()
        for _ in range(STEPS):
            self.now_s += self.chance.choice([0.0, 0.01])
            step = self.scheduler.next(time_s=self.time_s)
            if isinstance(step, Finish):
                assert not self.running, "it ends while trials run"
                self.disk.time_s = self.time_s
                self.write_rows()
                return step
            if isinstance(step, Start):
                self.start(step)
            else:
                assert isinstance(step, Wait)
                assert self.running, "nothing runs and nothing is started: it waits for ever"
                self.wait()
            if self.accident():
                self.scheduler.halt("interrupted")
        raise AssertionError("the call does not end")

    @property
    def time_s(self) -> float:
        return self.now_s - self.begun_s

    def settle(self) -> None:
        """Bring the rows in line with the records, as `hpo.settle` does."""
        disk = self.disk
        for number in disk.rows:
            self.unwritten.append((number, self.state_of(number)))
        for number in range(len(disk.rows), max([*disk.records, *disk.proposals], default=-1) + 1):
            assert number in disk.records or number in disk.proposals, f"{number} is nowhere"
            self.unwritten.append((number, self.state_of(number)))
        self.write_rows()

    def state_of(self, number: int) -> TrialState:
        return TrialState.COMPLETE if number in self.disk.records else TrialState.WAITING

    def rebuilt(self) -> Scheduler:
        """Return the schedule as a new process makes it."""
        records = [record for _, record in sorted(self.disk.records.items())]
        past = [_row(number, state) for number, state in sorted(self.disk.rows.items())]
        scheduler = scheduler_of(self.limits, records, past, self.capacity)
        scheduler.window = self.window
        return scheduler

    def write_rows(self) -> None:
        self.disk.rows.update(self.unwritten)
        self.unwritten.clear()

    def accident(self) -> bool:
        return not self.calm and self.chance.random() < self.accidents

    def may_be_killed(self) -> None:
        if self.accident():
            raise SupervisorKilledError

    # What the scheduler asks for.

    def start(self, step: Start) -> None:
        if self.accident():  # less is free than a trial should be begun with
            self.scheduler.halt("disk")
            return
        known = self.disk.proposals | self.disk.records.keys() | self.disk.rows.keys()
        known |= {number for number, _ in self.unwritten}
        number = len(known) if step.number is None else step.number
        self.check_start(number, known)
        self.may_be_killed()
        self.unwritten.append((number, TrialState.RUNNING))
        if self.calm or self.chance.random() >= self.outages:
            self.write_rows()
        if self.configs is not None and number - self.configs in self.disk.records:
            self.may_be_killed()
            self.finish(_twin(number, self.disk.records[number - self.configs]))
            return
        fate = self.chance.choices(FATES, self.fates)[0]
        if self.calm and fate == "disk":
            fate = "result"
        ends_s = self.now_s + self.chance.expovariate(0.3)
        self.running[number] = Child(fate=fate, started_s=self.now_s, ends_s=ends_s)
        self.scheduler.started(number)
        self.may_be_killed()
        self.disk.proposals.add(number)
        self.may_be_killed()

    def check_start(self, number: int, known: set[int]) -> None:
        """Assert that the scheduler may start this trial now."""
        ended, limits, running = self.disk.records, self.limits, self.running
        waiting = known - ended.keys() - running.keys()
        assert number not in ended, "it has ended"
        assert number not in running, "it runs"
        assert len(running) < self.capacity
        assert self.scheduler.halted is None
        assert limits.trials is None or len(ended) + len(running) < limits.trials
        assert limits.epochs is None or _epochs(ended) < limits.epochs
        assert limits.time_s is None or self.time_s < limits.time_s
        if number not in known:
            assert not waiting, f"{waiting} wait, and {number} is begun"
        if self.window is not None:
            late = set(range(number - self.window + 1)) - ended.keys()
            assert not late, f"{number} is begun before {late} have ended"

    def wait(self) -> None:
        """Let time go on, to the next end or tick; take what children say, in any order."""
        ends_s = [child.ends_s for child in self.running.values() if child.fate != "hang"]
        self.now_s = max(self.now_s, min([*ends_s, self.now_s + TICK_S]))
        due = [n for n, c in self.running.items() if c.fate != "hang" and c.ends_s <= self.now_s]
        self.chance.shuffle(due)
        for number in due:
            if self.chance.random() < 0.8:  # its message has come
                self.end(number, self.running[number].fate)
                self.may_be_killed()
        self.check_answers()
        if self.running and self.scheduler.batch_ended(time_s=self.time_s) is Command.ABANDON:
            self.abandon()
        for number, child in list(self.running.items()):
            if self.now_s - child.started_s > TIMEOUT_S:
                self.end(number, "timeout")

    def check_answers(self) -> None:
        limit = self.limits.time_s
        over = self.scheduler.halted is not None or (limit is not None and self.time_s >= limit)
        prune = self.chance.random() < 0.5
        expected = Command.STOP if prune else Command.CONTINUE
        answer = self.scheduler.validated(prune=prune, time_s=self.time_s)
        assert answer is (Command.ABANDON if over else expected)

    def abandon(self) -> None:
        """Ask all to stop: some do at once, some end first, some hang and are killed."""
        for number, child in list(self.running.items()):
            child.told_s = self.now_s if child.told_s is None else child.told_s
            obeys = child.fate != "hang" and self.chance.random() < 0.7
            if obeys or self.now_s - child.told_s > GRACE_S:
                self.give_back(number)
        self.now_s += TICK_S

    def end(self, number: int, fate: str) -> None:
        """Take the end of an attempt, as the supervisor does."""
        if fate == "killed" and self.disk.attempts[number] < self.retries:
            self.disk.attempts[number] += 1
            self.give_back(number)
            return
        if fate == "disk":
            self.scheduler.halt("disk")
            self.give_back(number)
            return
        self.may_be_killed()
        del self.running[number]
        self.finish(_record(number, fate, epochs=self.chance.choice([0.5, 1.0, 3.0])))

    def finish(self, record: TrialRecord) -> None:
        """Put an end on record, then into the storage."""
        number = record.number
        assert number not in self.disk.records, f"{number} has ended twice"
        self.disk.records[number] = record
        self.may_be_killed()
        self.disk.proposals.discard(number)
        self.unwritten.append((number, TrialState.COMPLETE))
        if self.chance.random() < 0.5:
            self.disk.time_s = self.time_s
        failure = f"{record.reason}: {record.what}" if record.state == "failed" else None
        repeated = record.same_as is not None
        epochs = record.epochs_spent
        self.scheduler.finished(number, epochs=epochs, failure=failure, repeated=repeated)
        self.acknowledged[number] = record

    def give_back(self, number: int) -> None:
        del self.running[number]
        self.unwritten.append((number, TrialState.WAITING))
        self.scheduler.given_back(number)

    # What must be true.

    def check_between_calls(self) -> None:
        records = self.disk.records
        assert all(records[number] is record for number, record in self.acknowledged.items())
        known = sorted(records.keys() | self.disk.proposals | self.disk.rows.keys())
        assert known == list(range(len(known))), "numbers are missing"

    def check_end(self, finish: Finish) -> None:
        ended, limits = self.disk.records, self.limits
        again = self.rebuilt().next(time_s=self.disk.time_s)
        assert again == finish, f"the same command again says {again}, not {finish}"
        if finish.why == "failing":
            assert len(ended) >= FIRST_FAILURES
            assert {record.state for record in ended.values()} == {"failed"}
            return
        if finish.why == "exhausted":
            assert limits.trials is None
            assert sum(record.same_as is not None for record in ended.values()) >= MOST_REPEATS
            return
        assert finish.why == "budget"
        full = limits.trials is not None and len(ended) == limits.trials
        assert limits.trials is None or len(ended) <= limits.trials
        spent = limits.epochs is not None and _epochs(ended) >= limits.epochs
        over = limits.time_s is not None and self.time_s >= limits.time_s
        assert full or spent or over
        if full and not spent and not over:
            assert sorted(ended) == list(range(len(ended)))
            assert self.disk.rows.keys() == ended.keys(), "more was begun than the budget has"


def _row(number: int, state: TrialState) -> FrozenTrial:
    value = 0.5 if state == TrialState.COMPLETE else None
    trial = create_trial(state=state, value=value)
    trial.number = number
    return trial


def _record(number: int, fate: str, *, epochs: float) -> TrialRecord:
    failed = fate != "result"
    run: Any = None if failed else type("Run", (), {"epochs_run": epochs})
    return TrialRecord.model_construct(
        number=number,
        state="failed" if failed else "complete",
        reason=fate if failed else None,
        what="it went wrong" if failed else "",
        run=run,
    )


def _twin(number: int, twin: TrialRecord) -> TrialRecord:
    return twin.model_copy(update={"number": number, "same_as": twin.number})


def _epochs(ended: dict[int, TrialRecord]) -> float:
    return sum(record.epochs_spent for record in ended.values())


def run_world(seed: int) -> Finish:
    """Run a study over as many calls as its accidents take, and look at all that it leaves."""
    world = World(seed)
    for count in range(CALLS + 1):
        world.calm = count == CALLS
        try:
            finish = world.call()
        except SupervisorKilledError:
            finish = None
        world.check_between_calls()
        if finish is not None and finish.why not in ("interrupted", "disk"):
            world.check_end(finish)
            return finish
    raise AssertionError("the study does not end")


@pytest.mark.parametrize("block", range(12))
def test_whatever_happens_the_schedule_of_a_study_holds(block: int) -> None:
    for seed in range(block * WORLDS, (block + 1) * WORLDS):
        try:
            run_world(seed)
        except AssertionError as error:
            pytest.fail(f"world {seed}: {error or 'see the assertion above'}")


def test_failures_that_end_a_study_end_it_again_in_whatever_order_they_came() -> None:
    """Trial 2 hangs while five others fail alike: it ends last, and is the third of the records."""
    alike = ["nan: a", "nan: a", "nan: a", "nan: a", "nan: a", "timeout: b"]
    lasting = Scheduler(limits=Limits(trials=9), failures=alike)
    rebuilt = Scheduler(limits=Limits(trials=9), failures=[*alike[:2], alike[5], *alike[2:5]])
    assert lasting.next(time_s=0) == rebuilt.next(time_s=0) == Start()


def test_a_budget_of_epochs_alone_ends_a_study_that_only_fails_in_ever_other_words() -> None:
    failures = [f"nan: non-finite loss (lr {n})" for n in range(MOST_FAILURES)]
    assert Scheduler(limits=Limits(epochs=9.0), failures=failures[1:]).next(time_s=0) == Start()
    hopeless = Scheduler(limits=Limits(epochs=9.0), failures=failures)
    assert hopeless.next(time_s=0) == Finish("failing")
    assert Scheduler(limits=Limits(trials=99), failures=failures).next(time_s=0) == Start()
