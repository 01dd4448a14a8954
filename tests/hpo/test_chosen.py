"""A study computes all its trials as was chosen before the first."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hpo.measuring
from hpo.choice import kept
from hpo.layout import StudyFolder
from hpo.records import read_trials
from hpo.spec import StudySpec
from hpo.study import run_study
from hpo.verify.verify import Wanted, verify_file
from hpo.workers import InProcess
from lightning_modules.config import RunConfig

MakeSpec = Callable[..., StudySpec]
SECTIONS: dict[str, Any] = {
    "data": {"source": "digits"},
    "model": {"family": "cnn", "n_layers": 2, "width": {"low": 8, "high": 64}},
    "trainer": {"max_epochs": 1, "batch_size": 256, "accelerator": "cpu"},
}


@pytest.fixture
def long_studies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no study be too short for measuring to pay."""
    monkeypatch.setattr(hpo.measuring, "LEAST_STUDY_S", 0.0)
    monkeypatch.setattr(hpo.measuring, "LEAST_STEP_S", 0.0)


def trainers(folder: StudyFolder) -> list[dict[str, Any]]:
    """Return what the records of all trials have in `trainer`."""
    return [record.config["trainer"] for record in read_trials(folder)]


def test_all_trials_are_computed_as_was_measured_and_their_records_say_how(
    make_spec: MakeSpec, tmp_path: Path, long_studies: None
) -> None:
    outcome = run_study(make_spec(**SECTIONS), tmp_path)
    record = kept(outcome.folder)
    assert record is not None
    chosen = record.families["cnn"].chosen
    assert len(record.families["cnn"].largest) >= 2
    found = trainers(outcome.folder)
    assert len(found) == 3
    assert all(chosen.items() <= trainer.items() for trainer in found)
    best = outcome.best
    assert best is not None
    assert chosen.items() <= best.config["trainer"].items()
    assert best.training["precision"] == chosen["precision"]
    verified = verify_file(outcome.folder.best_config, Wanted(level=2, fresh=False))
    assert verified.levels == [0, 1, 2]
    assert verified.first_difference is None


def test_what_was_chosen_is_kept_on_resume_and_measured_no_more(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = run_study(make_spec(**SECTIONS), tmp_path)
    kept_text = json.loads(outcome.folder.probe.read_text())
    kept_text["families"]["cnn"]["chosen"] = {"precision": "bf16-mixed", "layout": "contiguous"}
    outcome.folder.probe.write_text(json.dumps(kept_text))
    monkeypatch.setattr("hpo.child.measure_family", None)
    again = run_study(make_spec(**SECTIONS, budget={"trials": 5}), tmp_path)
    found = [(one["precision"], one.get("layout")) for one in trainers(again.folder)]
    assert found == [("32-true", None)] * 3 + [("bf16-mixed", "contiguous")] * 2


def test_a_study_of_before_goes_on_as_it_was_begun(
    make_spec: MakeSpec, tmp_path: Path, long_studies: None
) -> None:
    outcome = run_study(make_spec("trainer.precision=32-true", **SECTIONS), tmp_path)
    outcome.folder.probe.unlink()
    again = run_study(
        make_spec("trainer.precision=32-true", **SECTIONS, budget={"trials": 4}), tmp_path
    )
    assert not again.folder.probe.exists()
    assert {one.get("layout") for one in trainers(again.folder)} == {None}


def test_a_precision_that_is_named_is_never_changed(
    make_spec: MakeSpec, tmp_path: Path, long_studies: None
) -> None:
    given = ["trainer.precision=32-true", "trainer.layout=channels_last", "trainer.compile=false"]
    outcome = run_study(make_spec(*given, **SECTIONS), tmp_path)
    assert not outcome.folder.probe.exists()
    assert {one["precision"] for one in trainers(outcome.folder)} == {"32-true"}


def test_equal_choices_give_equal_bits(make_spec: MakeSpec, tmp_path: Path) -> None:
    named = make_spec("trainer.precision=bf16-mixed", "trainer.layout=contiguous", **SECTIONS)
    one = run_study(named, tmp_path / "named")
    other = run_study(make_spec(**SECTIONS, budget={"trials": 1}), tmp_path / "chosen")
    text = json.loads(other.folder.probe.read_text())
    text["families"]["cnn"]["chosen"] = {"precision": "bf16-mixed", "layout": "contiguous"}
    other.folder.probe.write_text(json.dumps(text))
    other = run_study(make_spec(**SECTIONS), tmp_path / "chosen")
    of_named, of_chosen = (read_trials(outcome.folder) for outcome in (one, other))
    for left, right in zip(of_named[1:], of_chosen[1:], strict=True):
        assert left.config == right.config
        assert left.run is not None
        assert right.run is not None
        assert left.run.checkpoint.sha256 == right.run.checkpoint.sha256


def test_a_probe_that_ends_its_process_is_no_mistake_of_the_user(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    class Dying(InProcess):
        """Dies where anything is to be measured, as a child without memory does."""

        def probe(self, order: Any) -> Any:
            if order.families:
                mistake = ("", "one batch of a default config ended its process: killed", "")
                return super().probe(order).model_copy(update={"mistake": mistake})
            return super().probe(order)

    outcome = run_study(make_spec(**SECTIONS), tmp_path, workers=Dying())
    assert not outcome.folder.probe.exists()
    assert {one["precision"] for one in trainers(outcome.folder)} == {"32-true"}


def test_a_concrete_config_is_never_measured(make_spec: MakeSpec) -> None:
    spec = make_spec(**SECTIONS)
    config = spec.space.resolve(spec.space.defaults()[0].params)
    assert isinstance(config, RunConfig)
    assert config.trainer.precision == "32-true"
