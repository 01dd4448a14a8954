"""The progress of fresh seeds, and what the command comes to when it is interrupted."""

import json
import signal
import sys
from pathlib import Path

import pytest

from hpo.layout import StudyFolder
from hpo.reseed.evaluation import Ask, Reseeded
from hpo.reseed.planning import Outcome, Run
from hpo.terminal import seeding
from hpo.terminal.seeding import Call, SeedLines, evaluate_in_terminal
from lightning_modules.config import RunConfig
from lightning_modules.result import RunResult, Validation

CALL = Call(workers=0, overrides=(), place="", plugins="", as_json=False)


@pytest.fixture
def run() -> Run:
    values = {
        "task": {"kind": "multiclass"},
        "data": {"source": "iris"},
        "model": {"family": "mlp"},
    }
    config = RunConfig.model_validate(values)
    return Run(trial=3, seed=5, config=config, recorded=config.portable(), folder=Path("3-5"))


def outcome(result: RunResult | None, failed: str | None = None) -> Outcome:
    return Outcome(schema="hpo.run/1", config={}, config_sha256="", run=result, failed=failed)


def test_a_run_that_ended_is_a_line_with_its_value_or_its_reason(
    run, make_record, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = SeedLines()
    for end in (outcome(make_record(3, 0.9875).run), outcome(None, "nan: it diverged")):
        lines.run_started(run)
        lines.run_ended(run, end)
    well, badly = capsys.readouterr().err.splitlines()
    assert "trial 3 seed 5" in well
    assert "0.9875  ✓" in well
    assert badly.endswith("nan: it diverged")
    assert "✗" in badly


def test_runs_that_are_being_trained_show_epoch_and_value(run) -> None:
    lines = SeedLines()
    lines.run_started(run)
    report = {"validation": 2, "epoch": 2.0, "step": 8, "seconds": 0.5, "objective": 0.5}
    lines.validated(run, Validation.model_validate({**report, "best": True, "metrics": {}}))
    assert "epoch 2/" in lines.running_lines()[0]
    assert lines.running_lines()[0].endswith("val 0.5000")


def test_a_minute_without_an_end_has_its_line(
    run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(seeding, "HEARTBEAT_S", -1.0)
    lines = SeedLines()
    lines.tick()
    assert "0/0 runs" in capsys.readouterr().err


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupted_call_names_the_command_that_goes_on(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = Reseeded(
        folder=StudyFolder(Path("results/tiny")),
        record=None,
        best_before=3,
        trained=1,
        ended=2,
        total=6,
        kept_bytes=0,
        signal=signal.SIGINT,
    )
    monkeypatch.setattr(seeding, "evaluate_seeds", lambda *args, **options: stopped)
    monkeypatch.setattr(sys, "argv", ["hpo", "evaluate", "a study", "--seeds", "3"])
    code = evaluate_in_terminal(
        stopped.folder, Ask(seeds=3), Call(**{**vars(CALL), "as_json": as_json})
    )
    said = capsys.readouterr()
    assert code == 130
    assert "2 of 6 runs are kept; go on with:  hpo evaluate 'a study' --seeds 3" in said.err
    if as_json:
        answer = json.loads(said.out)
        assert (answer["ok"], answer["exit_code"]) == (False, 130)
        assert answer["result"] == {"ended": 2, "total": 6}
