"""Which seeds are fresh, and which runs count as done."""

from pathlib import Path

import pytest

from hpo.files import write_json
from hpo.records import config_sha256
from hpo.reseed.planning import Outcome, Run, fresh_seeds, is_final, outcome_of
from lightning_modules.config import RunConfig


@pytest.fixture
def run(tmp_path: Path) -> Run:
    values = {
        "task": {"kind": "multiclass"},
        "data": {"source": "iris"},
        "model": {"family": "mlp"},
    }
    config = RunConfig.model_validate({**values, "seed": 5})
    return Run(trial=3, seed=5, config=config, recorded=config.portable(), folder=tmp_path)


def left(run: Run, **fields: object) -> None:
    digest = config_sha256(run.recorded)
    record = {"schema": "hpo.run/1", "config": run.recorded, "config_sha256": digest}
    write_json(run.folder / "result.json", {**record, **fields})


def test_seeds_are_those_of_every_study_less_those_that_a_trial_has_had() -> None:
    first, second, third = fresh_seeds(3, taken=set())
    assert fresh_seeds(2, taken={first}) == [second, third]
    assert fresh_seeds(2, taken=set(), first=1) == [second, third]
    assert len(set(fresh_seeds(50, taken=set()))) == 50


def test_a_run_that_failed_by_chance_of_the_machine_is_not_done(run: Run) -> None:
    left(run, failed="nan: the loss is not finite", reason="nan")
    assert is_final(outcome_of(run))
    left(run, failed="timeout: ran longer than 5 s", reason="timeout")
    assert not is_final(outcome_of(run))


def test_what_another_config_left_or_nobody_can_read_is_no_outcome(run: Run) -> None:
    assert outcome_of(run) is None
    left(run, failed="nan: it diverged", reason="nan", config_sha256="0" * 64)
    assert outcome_of(run) is None
    (run.folder / "result.json").write_text("{")
    assert outcome_of(run) is None


def test_an_outcome_is_written_without_what_it_does_not_have() -> None:
    outcome = Outcome(schema="hpo.run/1", config={}, config_sha256="0", failed="a: b", reason="a")
    assert set(outcome.plain()) == {"schema", "config", "config_sha256", "failed", "reason"}
