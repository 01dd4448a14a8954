"""Limits, kills, a full disk and stops while runs are trained, with workers made for the test."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hpo.errors import EnvironmentFault
from hpo.protocol import ProbeEnd, ProbeOrder, TrialEnd, TrialOrder
from hpo.records import read_record
from hpo.reseed.evaluation import Unwatched
from hpo.reseed.planning import Outcome, Run, is_final, outcome_of
from hpo.reseed.training import Terms, Training
from hpo.supervisor import TrialLimits
from lightning_modules.config import RunConfig
from lightning_modules.result import Listener

Ends = Callable[[TrialOrder], TrialEnd | None]


class Scripted:
    """Workers that end every order as a function says; None lets it run until it is ended."""

    capacity = 2
    shares_data = True

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self.orders: list[TrialOrder] = []
        self._open: list[TrialOrder] = []
        self.asked = False
        self.held = 0

    def probe(self, order: ProbeOrder) -> ProbeEnd:
        raise NotImplementedError

    def start(self, order: TrialOrder, listener: Listener) -> None:
        self.orders.append(order)
        self._open.append(order)

    def wait(self, timeout_s: float) -> list[TrialEnd]:
        ended = [(order, self._ends(order)) for order in self._open]
        if self.asked:
            ended = [(o, TrialEnd(number=o.number, outcome="abandoned")) for o in self._open]
        self._open = [order for order, end in ended if end is None]
        return [end for _, end in ended if end is not None]

    def abandon(self) -> None:
        self.asked = True

    def kill(self, number: int) -> None:
        self._open = [order for order in self._open if order.number != number]

    def resident_bytes(self, number: int) -> int:
        return self.held

    def close(self) -> None:
        self._open = []


@pytest.fixture
def run(tmp_path: Path) -> Run:
    config = RunConfig.model_validate(
        {
            "task": {"kind": "multiclass"},
            "data": {"source": "iris"},
            "model": {"family": "mlp"},
            "seed": 5,
        }
    )
    return Run(trial=3, seed=5, config=config, recorded=config.portable(), folder=tmp_path / "3-5")


def terms(place: Path, **changes: object) -> Terms:
    settings = {
        "place": place,
        "plugins": [],
        "cache": None,
        "log": None,
        "limits": TrialLimits(),
        "retries": 1,
        "min_free_bytes": 0.0,
        "asked_to_stop": lambda: False,
    }
    return Terms(**{**settings, **changes})


def failed(order: TrialOrder, reason: str, outcome: str = "failed") -> TrialEnd:
    end = {"number": order.number, "outcome": outcome, "reason": reason, "what": "it says so"}
    return TrialEnd.model_validate({**end, "traceback": "Traceback"})


def trained(run: Run, workers: Scripted, **changes: object) -> int | None:
    given = terms(run.folder.parent, **changes)
    return Training(given, workers=workers, watcher=Unwatched()).train([run])


def test_a_run_that_fails_is_recorded_with_its_reason_and_traceback(run: Run) -> None:
    trained(run, Scripted(lambda order: failed(order, "nan")))
    found = outcome_of(run)
    assert found is not None
    assert (found.run, found.failed, found.reason) == (None, "nan: it says so", "nan")
    assert (run.folder / "traceback.txt").read_text() == "Traceback"
    assert is_final(found)


def test_what_another_time_may_end_well_is_tried_again_by_the_next_call(run: Run) -> None:
    for reason in ("timeout", "oom", "error"):
        trained(run, Scripted(lambda order, why=reason: failed(order, why)))
        assert outcome_of(run) is not None
        assert not is_final(outcome_of(run))


def test_a_run_that_takes_longer_than_a_trial_may_is_ended(run: Run) -> None:
    trained(run, Scripted(lambda _: None), limits=TrialLimits(timeout_s=0.0))
    assert read_record(run.folder / "result.json", Outcome).failed == "timeout: ran longer than 0 s"


def test_a_run_that_holds_more_than_a_trial_may_is_ended(run: Run) -> None:
    workers = Scripted(lambda _: None)
    workers.held = 3_000_000_000
    trained(run, workers, limits=TrialLimits(memory_bytes=1e9))
    assert read_record(run.folder / "result.json", Outcome).failed == "oom: held 3.00 GB"


def test_a_run_that_the_machine_killed_is_started_again_as_often_as_a_trial(run: Run) -> None:
    workers = Scripted(lambda order: failed(order, "killed", "killed"))
    trained(run, workers, retries=2)
    assert len(workers.orders) == 3
    assert read_record(run.folder / "result.json", Outcome).reason == "killed"


def test_a_full_disk_ends_it_all_and_blames_no_run(run: Run) -> None:
    with pytest.raises(EnvironmentFault, match=r"search\.min_free_gb\); what has ended is kept"):
        trained(run, Scripted(lambda order: failed(order, "disk")))
    assert outcome_of(run) is None
    workers = Scripted(lambda _: None)
    with pytest.raises(EnvironmentFault, match="then run the same command again"):
        trained(run, workers, min_free_bytes=1e18)
    assert workers.orders == []


def test_a_stop_from_outside_gives_runs_back_and_counts_as_sigterm(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.reseed.training.TICK_S", -1.0)
    workers = Scripted(lambda _: None)
    assert trained(run, workers, asked_to_stop=lambda: True) == signal.SIGTERM
    assert workers.asked
    assert outcome_of(run) is None


def test_a_run_that_does_not_stop_in_time_is_ended(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.reseed.training.TICK_S", -1.0)
    monkeypatch.setattr("hpo.reseed.training.GRACE_S", 0.0)
    workers = Scripted(lambda _: None)
    monkeypatch.setattr(workers, "abandon", lambda: None)
    began = time.monotonic()
    assert trained(run, workers, asked_to_stop=lambda: True) == signal.SIGTERM
    assert time.monotonic() - began < 5
    assert outcome_of(run) is None
