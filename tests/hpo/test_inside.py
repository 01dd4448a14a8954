"""A child that trained well takes another order, and is as good as a fresh one."""

import csv
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from hpo import inside
from hpo.children import Children
from hpo.protocol import TrialEnd, TrialOrder
from lightning_modules.config import RunConfig
from lightning_modules.curve import CURVE
from lightning_modules.result import Command, Validation
from lightning_modules.running import BEST_CHECKPOINT

FIRST = {
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "n_layers": 2, "width": 16, "dropout": 0.3},
    "optimizer": {"name": "adamw"},
    "trainer": {"max_epochs": 3, "batch_size": 16, "accelerator": "cpu"},
    "objective": {"metric": "accuracy"},
}
OTHERS: Mapping[str, Mapping[str, Any]] = {
    "images": {
        "data": {"source": "shapes", "n_rows": 90},
        "model": {"family": "cnn", "n_layers": 1, "width": 4},
    },
    "another network": {"model": {"family": "resnet_mlp", "n_layers": 1, "width": 8}},
    "another optimizer": {"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9}},
    "another precision": {"trainer": {"max_epochs": 2, "precision": "bf16-mixed"}},
    "two threads": {"trainer": {"max_epochs": 1, "threads": 2}},
    "averaged weights": {"trainer": {"max_epochs": 2, "averaging": {"name": "ema"}}},
    "other data": {"data": {"source": "digits"}, "trainer": {"max_epochs": 1}},
    "numbers": {
        "task": {"kind": "regression"},
        "data": {"source": "diabetes"},
        "objective": {"metric": "mse"},
        "trainer": {"max_epochs": 1},
    },
}


class Listener:
    """Answers what it was given, then to go on."""

    def __init__(self, *commands: Command) -> None:
        self._commands = list(commands)

    def validated(self, validation: Validation) -> Command:
        return self._commands.pop(0) if self._commands else Command.CONTINUE

    def batch_ended(self) -> Command:
        return Command.CONTINUE


class World:
    """Children of one process at most, and what they trained."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.children = Children(1)
        self._count = 0

    def order(self, changed: Mapping[str, Any] | None = None, **more: Any) -> TrialOrder:
        self._count += 1
        config = RunConfig.model_validate({**FIRST, **(changed or {})}).plain()
        given = {
            "number": self._count,
            "config": config,
            "folder": str(self.place / str(self._count)),
            "plugins": [],
            "cache": str(self.place / "cache"),
            "log": str(self.place / f"log-{self._count}.txt"),
        }
        return TrialOrder.model_validate({**given, **more})

    def train(self, order: TrialOrder, listener: Listener | None = None) -> TrialEnd:
        self.children.start(order, listener or Listener())
        return self.ended()

    def ended(self) -> TrialEnd:
        ended: list[TrialEnd] = []
        while not ended:
            ended = self.children.wait(60.0)
        return ended[0]

    def resting(self) -> set[psutil.Process]:
        """Return the children that live."""
        me = psutil.Process()
        servers = me.children()
        living = {one for server in servers for one in server.children(recursive=True)}
        return {one for one in living if one.status() != psutil.STATUS_ZOMBIE}

    def left(self, number: int) -> tuple[list[dict[str, str]], bytes]:
        """Return curve and weights of an order, without what a clock measured."""
        with (self.place / str(number) / CURVE).open(newline="") as stream:
            rows = [
                {name: cell for name, cell in row.items() if "second" not in name}
                for row in csv.DictReader(stream)
            ]
        return rows, (self.place / str(number) / BEST_CHECKPOINT).read_bytes()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.children.close()


def test_an_order_leaves_nothing_to_the_next_of_the_same_child(world: World) -> None:
    assert world.train(world.order()).outcome == "result"
    (child,) = world.resting()
    for name, changed in OTHERS.items():
        trainer = {**FIRST["trainer"], **changed.get("trainer", {})}  # type: ignore[dict-item]
        end = world.train(world.order({**changed, "trainer": trainer}))
        assert end.outcome == "result", (name, end.what)
    pruned = world.train(world.order(), Listener(Command.STOP))
    assert pruned.result is not None
    assert pruned.result.stopped_by == "pruner"
    assert world.train(world.order()).outcome == "result"
    assert world.resting() == {child}
    assert world.left(len(OTHERS) + 3) == world.left(1)
    world.children.close()
    world.train(world.order())
    assert world.left(len(OTHERS) + 4) == world.left(1)


def test_the_end_of_a_study_ends_the_children_that_wait(world: World) -> None:
    world.train(world.order())
    resting = world.resting()
    assert len(resting) == 1
    world.children.close()
    psutil.wait_procs(resting, timeout=10)
    assert not world.resting()


@pytest.mark.parametrize(
    ("changed", "more"),
    [
        ({"optimizer": {"name": "sgd", "lr": 1e30}}, {}),
        ({}, {"memory_bytes": 1e11}),
        ({}, {"loggers": ["csv"]}),
    ],
    ids=["failed", "memory limit", "loggers"],
)
def test_what_could_reach_the_next_order_ends_with_its_child(
    world: World, changed: dict[str, Any], more: dict[str, Any]
) -> None:
    world.train(world.order(changed, **more))
    assert not world.resting()
    assert world.train(world.order()).outcome == "result"


def test_a_child_in_which_code_of_somebody_else_ran_takes_no_other_order(
    world: World, tmp_path: Path
) -> None:
    plugin = tmp_path / "own.py"
    plugin.write_text("from pathlib import Path\n")
    assert world.train(world.order(plugins=[str(plugin)])).outcome == "result"
    assert not world.resting()


def test_an_abandoned_order_ends_with_its_child(world: World) -> None:
    assert world.train(world.order(), Listener(Command.ABANDON)).outcome == "abandoned"
    assert not world.resting()


def test_a_command_that_comes_too_late_does_not_reach_the_next_order(world: World) -> None:
    world.train(world.order())
    (child,) = world.resting()
    world.children._resting._ones[0][0].pipe.send_bytes(Command.ABANDON.value.encode())
    assert world.train(world.order()).outcome == "result"
    assert world.resting() == {child}
    assert world.left(2) == world.left(1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_order_is_not_blamed_for_a_child_that_ended_before_it_came(
    world: World, number: signal.Signals
) -> None:
    world.train(world.order())
    (child,) = world.resting()
    os.kill(child.pid, signal.SIGSTOP)  # it cannot take the order, nor end
    world.children.start(world.order(), Listener())
    os.kill(child.pid, number)
    os.kill(child.pid, signal.SIGCONT)
    assert world.ended().outcome == "result"
    assert world.resting() == set() or child not in world.resting()


def test_what_an_order_says_goes_into_its_own_log(world: World) -> None:
    world.train(world.order())
    world.train(world.order({"optimizer": {"name": "sgd", "lr": 0.1}}))
    (child,) = world.resting()
    shown = {os.readlink(f"/proc/{child.pid}/fd/{fd}") for fd in (1, 2)}
    assert shown == {str(world.place / "log-2.txt")}


def test_a_child_stays_as_large_as_it_was_and_ends_after_fifty_orders(world: World) -> None:
    brief = {"trainer": {"max_epochs": 1, "batch_size": 64, "accelerator": "cpu"}}
    held = []
    for _ in range(inside.MOST_ORDERS - 1):
        assert world.train(world.order(brief)).outcome == "result"
        (child,) = world.resting()
        held.append(child.memory_info().rss)
    assert held[-1] - held[4] < 20e6
    assert world.train(world.order(brief)).outcome == "result"
    assert not world.resting()
