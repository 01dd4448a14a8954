from pathlib import Path

import pytest

from hpo.check import check_study, domain, report
from hpo.errors import UsageError
from hpo.spec import load_study


@pytest.fixture(scope="module")
def checked():
    return check_study(load_study("quickstart", ["data.source=digits", "trainer.max_epochs=2"]))


def test_every_family_is_tried_and_three_configs_are_shown(checked) -> None:
    assert [one.config.family for one in checked.tried] == ["mlp", "cnn"]
    assert len(checked.samples) == 3
    assert all(one.n_parameters > 0 for one in checked.samples)


def test_the_same_study_shows_the_same_configs(checked) -> None:
    again = [checked.spec.space.random(seed) for seed in range(3)]
    assert [one.config for one in checked.samples] == again


def test_the_longest_time_is_all_trials_at_full_length(checked) -> None:
    epochs = [one.epoch_s for one in checked.tried]
    trials = checked.spec.budget.trials
    assert checked.longest_s == pytest.approx(trials * 2 * sum(epochs) / len(epochs))


def test_without_a_number_of_trials_there_is_no_longest_time() -> None:
    checked = check_study(load_study("smoke", ["budget={time: 10m}"]))
    assert checked.longest_s is None
    lines: list[str] = []
    report(checked, lines.append)
    assert not any("at most about" in line for line in lines)


def test_the_report_names_every_dimension_and_family(checked) -> None:
    lines: list[str] = []
    report(checked, lines.append)
    dimensions = len(checked.spec.space.parameters())
    assert lines[0] == f"study quickstart: {dimensions} dimensions"
    for line, parameter in zip(lines[1:], checked.spec.space.parameters(), strict=False):
        assert line.split()[0] == parameter.name
    text = "\n".join(lines)
    for words in ("three configs by chance:", "default configs, tried on", "at most about"):
        assert words in text


def test_a_range_a_choice_and_a_branch_are_told_in_words() -> None:
    spec = load_study(
        "quickstart", ["model.mlp.dropout={low: 0.0, high: 0.5, step: 0.25}", "budget.trials=1"]
    )
    told = {one.name: domain(one) for one in spec.space.parameters()}
    assert told["model"] == "mlp | cnn"
    assert told["model.mlp.width"] == "32 … 256 log"
    assert told["model.mlp.dropout"] == "0 … 0.5 step 0.25"
    assert told["trainer.batch_size"] == "32 | 64 | 128"


def test_a_family_that_cannot_take_the_data_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = load_study("smoke", ["model={family: cnn, width: {low: 4, high: 8}}"])
    with pytest.raises(UsageError, match=r"cnn takes image data, iris gives features \(4,\)"):
        check_study(spec)
    assert list(tmp_path.iterdir()) == []
