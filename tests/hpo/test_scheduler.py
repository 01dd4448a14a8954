import random
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.scheduler import FIRST_FAILURES, Finish, Limits, Scheduler, Start, Wait
from lightning_modules.result import Command


@dataclass
class World:
    """A study that a scheduler runs: what ended, what waits on disk, and how it may go on."""

    limits: Limits
    capacity: int
    chance: random.Random
    ended: dict[int, tuple[float, str | None]] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)
    created: int = 0
    time_s: float = 0.0
    scheduler: Scheduler = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Make the scheduler anew from what is on disk, as a new process does."""
        failures = [failure for _, failure in self.ended.values() if failure is not None]
        self.scheduler = Scheduler(
            limits=self.limits,
            capacity=self.capacity,
            waiting=deque(self.waiting),
            ended=len(self.ended),
            epochs=sum(epochs for epochs, _ in self.ended.values()),
            failures=failures,
            any_success=len(failures) < len(self.ended),
        )

    def start(self, step: Start) -> None:
        """Start what the scheduler says: never a trial that runs or ended, old ones first."""
        assert len(self.scheduler.running) < self.capacity
        assert self.scheduler.halted is None
        if step.number is None:
            assert self.waiting == []
            number, self.created = self.created, self.created + 1
        else:
            number = step.number
            self.waiting.remove(number)
        assert number not in self.scheduler.running
        assert number not in self.ended
        self.scheduler.started(number)

    def end(self, *, failures: float) -> None:
        """Let a running trial end, in a random way."""
        number = self.chance.choice(sorted(self.scheduler.running))
        failure = self.chance.choice(["nan", "oom"]) if self.chance.random() < failures else None
        epochs = 0.0 if failure else float(self.chance.randint(1, 5))
        self.scheduler.finished(number, epochs=epochs, failure=failure)
        assert number not in self.ended
        self.ended[number] = (epochs, failure)

    def give_back(self) -> None:
        number = self.chance.choice(sorted(self.scheduler.running))
        self.scheduler.given_back(number)
        self.waiting.append(number)

    def die(self) -> None:
        """Kill the process: what ran waits, as `hpo.study.settle` finds it."""
        self.waiting += sorted(self.scheduler.running)
        self.restart()

    def step(self, *, failures: float) -> Finish | None:
        """Take one step of the study, or end this call of it."""
        self.time_s += self.chance.random()
        step = self.scheduler.next(time_s=self.time_s)
        if isinstance(step, Finish):
            assert not self.scheduler.running
            return step
        if isinstance(step, Start):
            self.start(step)
            return None
        assert isinstance(step, Wait)
        assert self.scheduler.running, "nothing runs and nothing is started: it waits for ever"
        answer = self.scheduler.batch_ended(time_s=self.time_s)
        if answer is Command.ABANDON or self.chance.random() < 0.2:
            self.give_back()
        else:
            self.end(failures=failures)
        return None


def run_world(world: World, *, failures: float, accidents: float) -> Finish:
    """Run a study to its end over as many calls as its accidents take."""
    for _ in range(10_000):
        finish = world.step(failures=failures)
        if finish is not None and finish.why != "interrupted":
            return finish
        if finish is not None:
            world.die()
        elif world.chance.random() < accidents:
            world.chance.choice([world.die, lambda: world.scheduler.halt("interrupted")])()
    raise AssertionError("the study does not end")


@given(
    seed=st.integers(0, 2**32),
    trials=st.integers(1, 12),
    capacity=st.integers(1, 4),
    accidents=st.sampled_from([0.0, 0.1, 0.3]),
)
def test_whatever_happens_a_study_ends_with_exactly_its_budget_of_trials(
    seed: int, trials: int, capacity: int, accidents: float
) -> None:
    world = World(Limits(trials=trials), capacity, random.Random(seed))
    finish = run_world(world, failures=0.3, accidents=accidents)
    if finish.why == "budget":
        assert sorted(world.ended) == list(range(trials))
        assert world.waiting == []
    else:
        assert finish.why == "failing"
        assert len(world.ended) >= FIRST_FAILURES
        assert all(failure is not None for _, failure in world.ended.values())


@given(
    seed=st.integers(0, 2**32),
    epochs=st.integers(1, 30),
    capacity=st.integers(1, 4),
    accidents=st.sampled_from([0.0, 0.2]),
)
def test_no_trial_starts_after_the_budget_of_epochs_is_used(
    seed: int, epochs: int, capacity: int, accidents: float
) -> None:
    world = World(Limits(epochs=float(epochs)), capacity, random.Random(seed))
    assert run_world(world, failures=0.0, accidents=accidents).why == "budget"
    used = [used for used, _ in world.ended.values()]
    assert sum(used) >= epochs
    assert sum(used[:-capacity]) < epochs


@given(seed=st.integers(0, 2**32), capacity=st.integers(1, 4), limit=st.integers(1, 20))
def test_a_study_ends_when_its_time_is_used_and_what_ran_waits(
    seed: int, capacity: int, limit: int
) -> None:
    world = World(Limits(time_s=float(limit)), capacity, random.Random(seed))
    assert run_world(world, failures=0.0, accidents=0.1).why == "budget"
    assert world.time_s >= limit
    assert sorted([*world.ended, *world.waiting]) == list(range(world.created))
    assert len(world.waiting) <= capacity


@given(seed=st.integers(0, 2**32), capacity=st.integers(1, 4))
def test_a_raised_budget_goes_on_where_the_study_ended(seed: int, capacity: int) -> None:
    world = World(Limits(trials=3), capacity, random.Random(seed))
    run_world(world, failures=0.0, accidents=0.1)
    world.limits = Limits(trials=7)
    world.restart()
    run_world(world, failures=0.0, accidents=0.1)
    assert sorted(world.ended) == list(range(7))


def test_a_lowered_budget_leaves_waiting_trials_waiting() -> None:
    scheduler = Scheduler(
        limits=Limits(trials=3), capacity=2, waiting=deque([1, 3]), ended=2, any_success=True
    )
    assert scheduler.next(time_s=0) == Start(1)
    scheduler.started(1)
    assert scheduler.next(time_s=0) == Wait()
    scheduler.finished(1, epochs=1, failure=None)
    assert scheduler.next(time_s=0) == Finish("budget")


def test_a_trial_that_was_given_back_is_started_before_a_new_one() -> None:
    scheduler = Scheduler(limits=Limits(trials=3), waiting=deque([4, 2]))
    assert scheduler.next(time_s=0) == Start(4)


def test_no_more_trials_run_at_once_than_there_is_room_for() -> None:
    scheduler = Scheduler(limits=Limits(trials=9), capacity=2)
    scheduler.started(0)
    assert scheduler.next(time_s=0) == Start()
    scheduler.started(1)
    assert scheduler.next(time_s=0) == Wait()


def test_an_interrupt_waits_for_what_runs_then_ends() -> None:
    scheduler = Scheduler(limits=Limits(trials=9))
    scheduler.started(0)
    scheduler.halt("interrupted")
    assert scheduler.batch_ended(time_s=0) is Command.ABANDON
    assert scheduler.next(time_s=0) == Wait()
    scheduler.given_back(0)
    assert scheduler.next(time_s=0) == Finish("interrupted")
    assert list(scheduler.waiting) == [0]


def test_five_equal_failures_at_the_beginning_end_the_study() -> None:
    scheduler = Scheduler(limits=Limits(trials=9))
    for number in range(FIRST_FAILURES):
        assert scheduler.next(time_s=0) == Start()
        scheduler.started(number)
        scheduler.finished(number, epochs=0, failure="nan: loss")
    assert scheduler.next(time_s=0) == Finish("failing")


@pytest.mark.parametrize(
    "failures",
    [
        ["nan: a", "nan: a", "nan: a", "nan: a", "oom: b"],
        ["nan: a", "nan: a", None, "nan: a", "nan: a", "nan: a"],
        ["nan: a"] * (FIRST_FAILURES - 1),
    ],
)
def test_failures_that_differ_or_are_few_or_came_after_a_success_do_not_end_it(
    failures: list[str | None],
) -> None:
    scheduler = Scheduler(limits=Limits(trials=9))
    for number, failure in enumerate(failures):
        scheduler.started(number)
        scheduler.finished(number, epochs=0, failure=failure)
    assert scheduler.next(time_s=0) == Start()


def test_a_failing_study_waits_for_what_runs() -> None:
    scheduler = Scheduler(limits=Limits(trials=9), capacity=2, failures=["nan: a"] * 5)
    scheduler.started(7)
    assert scheduler.next(time_s=0) == Wait()


@pytest.mark.parametrize(
    ("prune", "time_s", "answer"),
    [
        (False, 0.0, Command.CONTINUE),
        (True, 0.0, Command.STOP),
        (False, 5.0, Command.ABANDON),
        (True, 5.0, Command.ABANDON),
    ],
)
def test_a_validation_is_answered_by_time_first_and_pruner_second(
    prune: bool, time_s: float, answer: Command
) -> None:
    scheduler = Scheduler(limits=Limits(time_s=5.0))
    assert scheduler.validated(prune=prune, time_s=time_s) is answer


def test_a_limit_that_is_reached_exactly_is_used() -> None:
    assert Scheduler(limits=Limits(trials=2), ended=2).next(time_s=0) == Finish("budget")
    assert Scheduler(limits=Limits(epochs=2.0), epochs=2.0).next(time_s=0) == Finish("budget")
    assert Scheduler(limits=Limits(time_s=2.0)).next(time_s=2.0) == Finish("budget")
