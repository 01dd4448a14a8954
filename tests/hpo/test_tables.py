from pathlib import Path

import pytest

from hpo.best import BestConfig
from hpo.evaluate import Evaluation
from hpo.listing import curve, differing, list_studies, top_trials
from hpo.retrain import Retrained
from hpo.spec import load_study, shipped_studies
from hpo.tables import (
    best_lines,
    difference_rows,
    evaluation_lines,
    family_rows,
    retrained_lines,
    space_rows,
    study_rows,
    trial_lines,
    trial_rows,
)
from lightning_modules.config import RunConfig
from lightning_modules.families import FAMILIES


def square(rows) -> bool:
    headings, lines = rows
    return all(len(line) == len(headings) for line in lines)


def test_a_best_config_says_score_trial_and_every_searched_setting(finished) -> None:
    best = finished.outcome.best
    first, second, *rest = best_lines(best)
    assert first == best.summary
    assert second.startswith("  accuracy ↑ 0.9")
    assert second.endswith(f"trial {best.study['trial']} of tiny")
    listed = [line.split() for line in rest[rest.index("  searched:") + 1 :]]
    assert [name for name, _ in listed] == best.searched
    assert ["optimizer", "adamw"] in listed


def test_a_best_config_says_what_the_test_split_gave(finished) -> None:
    raw = finished.outcome.best.model_dump(mode="json", by_alias=True)
    best = BestConfig.model_validate({**raw, "test": {"opened": 2, "value": 0.5}})
    assert "  test 0.5000 (opened 2 times)" in best_lines(best)


def test_lists_and_their_lengths_are_searched_settings(finished) -> None:
    raw = finished.outcome.best.model_dump(mode="json", by_alias=True)
    raw["config"]["model"]["layers"] = [32, 16]
    raw["searched"] = ["model", "model.mlp.layers.length", "model.mlp.layers.1"]
    lines = [line.split() for line in best_lines(BestConfig.model_validate(raw))[-3:]]
    assert lines == [
        ["model", "mlp"],
        ["model.mlp.layers.length", "2"],
        ["model.mlp.layers.1", "16"],
    ]


def test_a_study_is_a_row(finished) -> None:
    headings, (row,) = study_rows(list_studies(finished.results))
    shown = dict(zip(headings, row, strict=True))
    assert (shown["study"], shown["✓"], shown["✂"], shown["✗"]) == ("tiny", "4", "2", "1")
    assert shown["metric"] == "accuracy ↑"


def test_a_study_without_a_best_has_dashes(copied) -> None:
    copied.best_config.unlink()
    _, (row,) = study_rows(list_studies(copied.path.parent))
    assert row[4:6] == ["–", "–"]


def test_a_leaderboard_has_ranks(finished) -> None:
    headings, rows = trial_rows(top_trials(finished.folder, 2), "accuracy")
    assert headings[2] == "accuracy"
    assert [row[0] for row in rows] == ["1", "2"]


def test_a_trial_without_a_run_has_dashes(finished) -> None:
    _, (row,) = trial_rows([finished.of("failed")], "accuracy")
    assert row[2:5] == ["–", "–", "–"]


@pytest.mark.parametrize("state", ["complete", "pruned", "failed"])
def test_a_trial_tells_state_parameters_and_curve(finished, state: str) -> None:
    record = finished.of(state)
    values = curve(finished.folder, record.number)
    lines = trial_lines(record, values)
    assert f" {state}  " in lines[0]
    assert any("validations" in line for line in lines) is bool(values)
    for name in record.params:
        assert any(line.split()[0] == name for line in lines)
    if state == "failed":
        assert lines[1].startswith("  nan: non-finite loss")


def test_a_default_trial_tells_its_notes(finished) -> None:
    lines = trial_lines(finished.records[0], [])
    assert "  note: default" in lines
    assert "  note: model.width: default 128 lies outside; 32 instead" in lines


def test_a_comparison_has_a_column_for_each_trial(finished) -> None:
    pair = [finished.records[0], finished.records[4]]
    headings, rows = difference_rows(pair, differing(pair))
    assert headings == ["setting", "trial 0", "trial 4"]
    assert rows[0] == ["value", "0.4667", "–"]
    assert ["optimizer.name", "adamw", "sgd"] in rows
    assert square((headings, rows))


@pytest.mark.parametrize(
    ("recorded", "verdict"),
    [("same", "equal, bit for bit"), (0.25, "differs by 0.65"), (None, None)],
)
def test_a_retrained_config_is_held_against_its_record(finished, recorded, verdict) -> None:
    record = finished.records[3]
    done = Retrained(
        config=RunConfig.model_validate(record.config),
        folder=Path("x"),
        result=record.run,
        recorded=record.value if recorded == "same" else recorded,
        changed=[],
    )
    lines = retrained_lines(done)
    assert lines[0].startswith(f"accuracy {record.value!r} at epoch ")
    assert lines[1:] == ([] if verdict is None else [f"recorded {done.recorded!r}: {verdict}"])


def test_values_on_other_data_are_not_compared(finished) -> None:
    record = finished.records[3]
    done = Retrained(
        config=RunConfig.model_validate(record.config),
        folder=Path("x"),
        result=record.run,
        recorded=record.value,
        changed=["data_sha256: a… → b…"],
    )
    told = f"recorded {record.value!r}, on other data (data_sha256: a… → b…): not comparable"
    assert retrained_lines(done)[1:] == [told]


@pytest.mark.parametrize("opened", [0, 1, 2])
def test_a_test_split_opened_again_is_worth_less(opened: int) -> None:
    done = Evaluation(
        split="test",
        trial=3,
        metric="accuracy",
        value=0.5,
        metrics={"accuracy": 0.5, "f1": 0.25},
        opened=opened,
    )
    lines = evaluation_lines(done)
    assert lines[0] == "trial 3 on test: accuracy 0.5000"
    assert lines[1].split() == ["f1", "0.2500"]
    assert lines[2:] == (
        ["the test split was opened 2 times: its value is worth less"] if opened > 1 else []
    )


def test_every_family_has_a_row() -> None:
    headings, rows = family_rows()
    assert [row[0] for row in rows] == list(FAMILIES)
    assert all(row[3] for row in rows)
    assert square((headings, rows))


def test_every_shipped_study_has_a_row_with_its_dimensions() -> None:
    _, rows = space_rows(shipped_studies())
    assert [row[0] for row in rows] == list(shipped_studies())
    for name, dimensions, what in rows:
        assert int(dimensions) == len(load_study(name).space.parameters()) > 0
        assert what
        assert "hpo run" not in what
