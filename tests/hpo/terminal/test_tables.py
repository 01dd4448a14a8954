from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from hpo.best import BestConfig
from hpo.evaluations import Evaluation, Opening
from hpo.listing import curve, differing, list_studies, top_trials
from hpo.order import About
from hpo.retrain import Retrained
from hpo.spec import load_study, shipped_studies
from hpo.terminal.tables import (
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
from lightning_modules.evaluation.findings import Findings
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


def test_a_searched_setting_that_the_record_leaves_out_is_its_default_or_off(finished) -> None:
    raw = finished.outcome.best.model_dump(mode="json", by_alias=True)
    raw["searched"] = ["data.prepare.indicator", "data.prepare.tokens", "optimizer.adamw.lr"]
    lines = [line.split() for line in best_lines(BestConfig.model_validate(raw))[-3:]]
    assert lines[:2] == [["data.prepare.indicator", "off"], ["data.prepare.tokens", "words"]]
    assert float(lines[2][1]) > 0


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
    assert (shown["study"], shown["✓"], shown["✂"], shown["✗"]) == ("tiny", "3", "3", "1")
    assert shown["metric"] == "accuracy ↑"


def test_what_people_say_of_a_study_gives_way_to_its_numbers(finished) -> None:
    about = About(tags=["paper"], note="a note that is longer than the terminal\nis wide")
    lines = list_studies(finished.results)
    for width in (80, 100):
        headings, (row,) = study_rows(lines, [about], width)
        columns = zip(headings, row, strict=True)
        assert sum(max(cell_len(a), cell_len(b)) + 2 for a, b in columns) <= width + 2
        assert row[:-1] == study_rows(lines)[1][0]
        assert row[-1].startswith("paper a")
    assert study_rows(lines, [About()], 80) == study_rows(lines)
    assert study_rows(lines, [about])[1][0][-1] == "paper a note that is longer than the terminal"


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


def evaluated(found: dict[str, Any], *, opened: int = 0) -> Evaluation:
    opening = Opening(utc="2026-11-21T00:00:00Z", trial=3, metrics={})
    silent = ("confusion", "roc", "pr", "reliability", "residuals")
    rest = {"task": "binary", "n_rows": 1234, "resamples": 9, "classes": None, "per_class": None}
    return Evaluation(
        study="tiny",
        trial=3,
        split="test",
        metric="accuracy",
        direction="maximize",
        seed=0,
        config_sha256="",
        checkpoint_sha256="",
        created_utc="",
        figures={},
        findings=Findings(**{**rest, **dict.fromkeys(silent), "null_because": {}, **found}),
        openings=[opening] * opened,
    )


MEASURED: dict[str, Any] = {
    "metrics": {"loss": 1.0, "accuracy": 0.5, "roc_auc": None},
    "ci95": {"loss": None, "accuracy": [0.25, 0.75], "roc_auc": None},
    "null_because": {"metrics.roc_auc": "all rows of the split are of one class"},
}


@pytest.mark.parametrize("opened", [0, 1, 2])
def test_a_test_split_opened_again_is_worth_less(opened: int) -> None:
    lines = evaluation_lines(evaluated(MEASURED, opened=opened))
    assert lines[0] == "trial 3 on test: accuracy 0.5000, 1,234 rows"
    assert lines[6:] == (
        ["the test split was opened 2 times: its value is worth less"] if opened > 1 else []
    )


def test_every_metric_has_its_direction_and_interval_or_why_it_has_no_value() -> None:
    lines = evaluation_lines(evaluated(MEASURED))
    assert [line.split(maxsplit=3) for line in lines[2:]] == [
        ["metric", "value", "95%", "interval"],
        ["accuracy", "↑", "0.5000", "0.2500 to 0.7500"],
        ["loss", "1.000", "–"],
        ["roc_auc", "↑", "–", "all rows of the split are of one class"],
    ]


def test_every_class_has_its_scores_and_of_many_the_worst_have() -> None:
    def scores(i: int) -> dict[str, Any]:
        share = 0.5 + i / 1000
        return {"name": f"k{i}", "rows": 7, "found": 7, "precision": share, "recall": share}

    few = [{**scores(0), "f1": 0.5}, {**scores(1), "precision": None, "f1": None}]
    lines = evaluation_lines(evaluated({**MEASURED, "per_class": few}))
    assert [line.split() for line in lines[-3:]] == [
        ["class", "precision", "recall", "f1", "rows"],
        ["k0", "0.5000", "0.5000", "0.5000", "7"],
        ["k1", "–", "0.5010", "–", "7"],
    ]
    many = [{**scores(i), "f1": 0.9 - i / 1000} for i in range(100)]
    lines = evaluation_lines(evaluated({**MEASURED, "per_class": many}))
    assert [line.split()[0] for line in lines[-21:-1]] == [f"k{i}" for i in range(99, 79, -1)]
    assert lines[-1] == "… and 80 classes with a higher f1"


def test_names_of_classes_keep_the_columns_in_line() -> None:
    one = {"rows": 7, "found": 7, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    named = [{**one, "name": name} for name in ("a", "鸢尾花", "x" * 60, "\x1b[2J\r")]
    lines = evaluation_lines(evaluated({**MEASURED, "per_class": named}))[-5:]
    assert len({cell_len(line) for line in lines}) == 1
    assert all(line.isprintable() for line in lines)


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


def test_a_best_config_says_how_its_last_verification_came_out(finished) -> None:
    raw = finished.outcome.best.model_dump(mode="json", by_alias=True)
    stamp = {
        "utc": "2026-11-21T00:00:00Z",
        "levels": [0, 1],
        "outcome": "verified",
        "what": "all",
        "machine": "one",
        "same_machine_class": True,
        "package": "hpo 0.1.0",
    }
    assert not [line for line in best_lines(BestConfig.model_validate(raw)) if "verif" in line]
    lines = best_lines(BestConfig.model_validate({**raw, "verified": stamp}))
    assert "  verified 2026-11-21T00:00:00Z, levels 0, 1" in lines
    failed = {**stamp, "outcome": "differs", "what": "config: its hash", "levels": [0]}
    lines = best_lines(BestConfig.model_validate({**raw, "verified": failed}))
    assert "  verification FAILED 2026-11-21T00:00:00Z, level 0: config: its hash" in lines
