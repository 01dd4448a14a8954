from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpo import child
from hpo.child import KEPT_PREPARATIONS, carry_out, prepared_data
from hpo.protocol import TrialOrder
from hpo.spec import StudySpec
from lightning_modules.folds import of_fold
from lightning_modules.result import Command, Validation

MakeSpec = Callable[..., StudySpec]


class Listener:
    """Answers every batch and every validation with the same word."""

    def __init__(self, answer: Command = Command.CONTINUE) -> None:
        self.answer = answer
        self.heard: list[Validation] = []

    def validated(self, validation: Validation) -> Command:
        self.heard.append(validation)
        return self.answer

    def batch_ended(self) -> Command:
        return Command.ABANDON if self.answer is Command.ABANDON else Command.CONTINUE


@pytest.fixture
def make_order(tmp_path: Path, make_spec: MakeSpec) -> Callable[..., TrialOrder]:
    """Return a function from changes of the tiny default config to an order."""

    def make(plugins: list[str] | None = None, **changes: Any) -> TrialOrder:
        space = make_spec().space
        plain = space.resolve(space.defaults()[0].params).plain() | changes
        return TrialOrder(
            number=4,
            config=plain,
            folder=str(tmp_path / "run"),
            plugins=plugins or [],
            cache=None,
            log=None,
        )

    return make


def test_an_order_is_carried_out(make_order: Callable[..., TrialOrder]) -> None:
    listener = Listener()
    end = carry_out(make_order(), listener)
    assert (end.number, end.outcome, end.reason) == (4, "result", None)
    assert end.result is not None
    assert end.result.validations == len(listener.heard) == 2


def test_a_run_stops_where_the_listener_says(make_order: Callable[..., TrialOrder]) -> None:
    end = carry_out(make_order(), Listener(Command.STOP))
    assert end.result is not None
    assert (end.result.stopped_by, end.result.validations) == ("pruner", 1)


def test_an_abandoned_run_has_no_result(make_order: Callable[..., TrialOrder]) -> None:
    end = carry_out(make_order(), Listener(Command.ABANDON))
    assert (end.outcome, end.result, end.reason) == ("abandoned", None, None)


def test_a_diverged_run_failed_for_nan(make_order: Callable[..., TrialOrder]) -> None:
    end = carry_out(make_order(optimizer={"name": "sgd", "lr": 1e30}), Listener())
    assert (end.outcome, end.reason) == ("failed", "nan")
    assert end.what.startswith("non-finite ")
    assert "TrialFailed" in end.traceback


def test_a_config_that_does_not_hold_failed_for_error(
    make_order: Callable[..., TrialOrder],
) -> None:
    end = carry_out(make_order(trainer={"max_epochs": 0}), Listener())
    assert (end.outcome, end.reason) == ("failed", "error")
    assert end.what.startswith("ValidationError: ")


def test_a_plugin_that_is_gone_failed_for_error(make_order: Callable[..., TrialOrder]) -> None:
    end = carry_out(make_order(plugins=["/nowhere/mine.py"]), Listener())
    assert (end.outcome, end.reason) == ("failed", "error")
    assert end.what == "/nowhere/mine.py: no such plugin file; check the path"


def test_data_are_prepared_once_for_configs_that_share_them(make_spec: MakeSpec) -> None:
    space = make_spec().space
    first = prepared_data(space.random(0))
    assert prepared_data(space.random(1)) is first
    other = make_spec("data.split_seed=7").space
    assert prepared_data(other.random(0)) is not first


def test_only_a_few_preparations_are_kept(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_prepared", {})
    for seed in range(KEPT_PREPARATIONS + 2):
        prepared_data(make_spec(f"data.split_seed={seed}").space.random(0))
    assert len(child._prepared) == KEPT_PREPARATIONS


def test_every_fold_is_prepared_once_for_all_trials(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_prepared", {})
    n_folds = KEPT_PREPARATIONS + 2
    config = make_spec(f"data.folds={n_folds}").space.random(0)
    folds = [config, *(of_fold(config, fold) for fold in range(1, n_folds))]
    first = [prepared_data(one) for one in folds]
    assert all(prepared_data(one) is data for one, data in zip(folds, first, strict=True))


def test_a_file_that_changed_is_prepared_again(make_spec: MakeSpec, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("x,y\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(40)))
    data = {"source": "csv", "path": str(table), "target": "y"}
    config = make_spec(data=data, task={"kind": "binary"}).space.random(0)
    first = prepared_data(config)
    assert prepared_data(config) is first
    table.write_text("x,y\n" + "".join(f"{n + 1},{'ab'[n % 2]}\n" for n in range(40)))
    assert prepared_data(config).hashes != first.hashes
