"""The programs that measure speed: they compare equal work, and leave nothing behind. No times."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from benchmarks.speed import __main__ as runner
from benchmarks.speed import boosting, floor, images, lean, stock
from benchmarks.speed.options import Options
from benchmarks.speed.parts import make_parts, opened
from benchmarks.speed.processes import ROOT, rival
from benchmarks.speed.races import Ran
from benchmarks.speed.rival_lines import Line, best_so_far
from benchmarks.speed.studies import (
    STOPS_NOBODY,
    configs_of,
    draw,
    given_study,
    identity,
    shrunken,
    study_of,
)
from benchmarks.speed.table import Table, verdict
from hpo.spec import StudySpec, load_study
from lightning_modules.build import build_module
from lightning_modules.config import RunConfig
from lightning_modules.metrics import compute
from lightning_modules.module import SupervisedModule
from lightning_modules.seeds import derive
from lightning_modules.task import METRICS
from lightning_modules.train import seed_everything

STUDIES = ("mlp", "quickstart", "cnn", "table", "gru", "regression")
PARENT = """
import subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(sleep, start_new_session={own})
print(child.pid, flush=True)
time.sleep(600)
"""


def spec_of(name: str, folder: Path) -> StudySpec:
    return load_study(shrunken(study_of(name, folder)))


def default_of(name: str, folder: Path) -> RunConfig:
    space = spec_of(name, folder).space
    return space.resolve(space.defaults()[0].params)


def line(t: float, value: float | None, state: str = "complete", number: int = 0) -> Line:
    return Line(t=t, number=number, value=value, epochs=2, state=state, same="same")


@pytest.mark.parametrize("name", STUDIES)
def test_equal_configs_are_equal_networks_for_all(name: str, tmp_path: Path) -> None:
    config = default_of(name, tmp_path)
    data = opened(config)
    theirs = stock.Net(config, data, n_steps=4).network.state_dict()
    plain = make_parts(config, data).network.state_dict()
    seed_everything(derive(config.seed, "init"))
    ours = build_module(config, data)
    assert isinstance(ours, SupervisedModule)
    for key, value in ours.network.state_dict().items():
        assert torch.equal(theirs[key], value)
        assert torch.equal(plain[key], value)


@pytest.mark.parametrize("name", STUDIES)
def test_stock_measures_what_we_measure(name: str, tmp_path: Path) -> None:
    config = default_of(name, tmp_path)
    data = opened(config)
    assert data.facts is not None
    assert data.prepared is not None
    rows = data.prepared.validation
    parts = make_parts(config, data)
    with torch.inference_mode():
        parts.network.eval()
        predicted, truth = parts.predict(parts.network(rows.x)), parts.truth(rows.y)
    metric = stock.objective_metric(config, data.facts.n_outputs)
    ours = compute(METRICS[config.objective.metric], predicted, truth)
    assert float(metric(predicted, truth)) == pytest.approx(ours, rel=1e-5)


def test_the_floor_learns(tmp_path: Path) -> None:
    config = default_of("mlp", tmp_path)
    data = opened(config)
    assert data.prepared is not None
    assert floor.train_plainly(config, data.prepared, make_parts(config, data)) > 0.5


def test_draws_begin_with_the_defaults_and_are_all_given_to_our_study(tmp_path: Path) -> None:
    spec = spec_of("quickstart", tmp_path)
    params = draw(spec, 5)
    assert params[:2] == [default.params for default in spec.space.defaults()]
    assert params == draw(spec, 5)
    given = load_study(given_study(spec.values(), params))
    assert given.search.first == params[2:]
    assert given.search.audit == STOPS_NOBODY
    assert (given.budget.trials, given.budget.time) == (5, None)
    assert [one.seed for one in configs_of(given, params)] == [derive(0, n) for n in range(5)]


def test_precision_is_each_programs_own_all_else_is_compared(tmp_path: Path) -> None:
    plain = default_of("mlp", tmp_path).plain()
    mixed = {**plain, "trainer": {**plain["trainer"], "precision": "bf16-mixed"}}
    longer = {**plain, "trainer": {**plain["trainer"], "max_epochs": 99}}
    assert identity(mixed) == identity(plain) != identity(longer)
    assert identity({**plain, "seed": 1}) != identity(plain)


def test_rivals_that_trained_something_else_are_refused() -> None:
    same = Ran(began=0, ready=0, lines=[line(1.0, 0.5)], seconds=1)
    other = Ran(began=0, ready=0, lines=[line(1.0, 0.5, number=1)], seconds=1)
    lean.check_same({"stock": same, "floor": same, "ours": same})
    with pytest.raises(RuntimeError, match="ours did not train the same"):
        lean.check_same({"stock": same, "floor": same, "ours": other})


def test_only_complete_trials_reach_a_target() -> None:
    lines = [line(3.0, 0.9), line(1.0, 0.95, "pruned"), line(2.0, 0.5), line(4.0, None)]
    assert best_so_far(lines, maximize=True) == [(2.0, 0.5), (3.0, 0.9)]
    assert best_so_far(lines, maximize=False) == [(2.0, 0.5)]


@pytest.mark.parametrize("own", [False, True])
def test_what_a_rival_started_ends_with_it(own: bool) -> None:
    with rival(sys.executable, "-c", PARENT.format(own=own)) as one:
        _, text = next(one.lines())
        child = psutil.Process(int(text))
        assert child.is_running()
    _, alive = psutil.wait_procs([child], timeout=10)
    assert all(left.status() == psutil.STATUS_ZOMBIE for left in alive)


def test_a_rival_that_fails_says_why() -> None:
    with rival(sys.executable, "-c", "raise SystemExit('no such thing')") as one:
        assert list(one.lines()) == []
        with pytest.raises(RuntimeError, match="no such thing"):
            one.wait()


def test_a_table_says_what_must_be_reached_and_whether_it_was() -> None:
    said = verdict("≥ 2×", "1.5×", False)
    table = Table(
        goal="P0",
        title="a",
        command="b",
        columns=("x", "y"),
        rows=(("1", "2|3"),),
        verdicts=(said,),
    )
    text = table.markdown()
    assert "| 1 | 2\\|3 |" in text
    assert "must reach ≥ 2×; came to 1.5×; reached: no" in text
    with pytest.raises(ValueError, match="1 cells below 2 columns"):
        Table(goal="P0", title="a", command="b", columns=("x", "y"), rows=(("1",),))


def test_the_page_has_a_place_for_every_goal(tmp_path: Path) -> None:
    page = runner.PAGE.read_text(encoding="utf-8")
    names = [goal for goal in runner.GOALS if goal != "p10"]
    for goal in (*names, *(f"gpu-{goal}" for goal in runner.ON_GPU)):
        assert "new text" in runner.marked(page, goal, "new text\n")
    copy = tmp_path / "README.md"
    copy.write_text(page, encoding="utf-8")
    runner.write("p1", "new text\n", copy)
    written = copy.read_text(encoding="utf-8")
    assert runner.marked(written, "p1", "") == runner.marked(page, "p1", "")
    with pytest.raises(ValueError, match="no marks of p0"):
        runner.marked(page, "p0", "text")


@pytest.mark.parametrize("words", [["p99"], ["p10"], ["p8", "--gpu"], ["p1", "--quick", "--write"]])
def test_a_command_without_sense_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        runner.parsed(words)
    assert refused.value.code == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_one_line_says_so() -> None:
    command = [sys.executable, "-m", "benchmarks.speed", "--gpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == runner.NO_GPU
    assert done.stderr.strip().count("\n") == 0
    assert "no GPU" in done.stderr


@pytest.mark.skipif(not images.FASHION.exists(), reason="dataset-fashion-mnist is not installed")
def test_a_part_of_fashion_mnist_is_read_as_images(tmp_path: Path) -> None:
    spec = load_study(images.images_study(tmp_path, 90, 10, 1, "cpu"))
    data = opened(spec.space.resolve(spec.space.defaults()[0].params))
    assert data.prepared is not None
    assert data.prepared.n_rows == {"train": 90, "validation": 10, "test": images.TESTED}
    assert data.prepared.input_shape == (1, 28, 28)


@pytest.mark.parametrize("name", ["table", "regression"])
def test_boosting_is_judged_as_networks_are(name: str, tmp_path: Path) -> None:
    config = default_of(name, tmp_path)
    data = opened(config, with_test=True)
    judge = boosting.Judge(config, data)
    validation, test, tries = boosting.boost(data, judge, until=0)
    assert tries == 1
    good = (0.8, 1.0) if judge.maximize else (40, 80)
    assert good[0] < validation <= good[1]
    assert good[0] < test <= good[1]


@pytest.mark.slow
def test_all_train_the_same_configs_to_the_same_epoch() -> None:
    table = lean.measure(Options(quick=True))
    assert table.goal == "P1b"
    assert table.columns == lean.COLUMNS
    assert [row[:2] for row in table.rows] == [("mlp", "3 × 2")]
    assert len(table.verdicts) == 3
