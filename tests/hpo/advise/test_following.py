import json
from pathlib import Path

import pytest

from hpo.advise import advise, next_study
from hpo.advise.counsel import Advice
from hpo.advise.following import follow
from hpo.errors import SpecError, UsageError
from hpo.insight import Insight, read_material
from hpo.spec import load_study


@pytest.fixture
def insight(trial, write_study) -> Insight:
    folder = write_study([trial(n, 0.5 + (n * 7 % 24) / 60) for n in range(24)])
    return Insight(read_material(folder))


def advice(**fields) -> Advice:
    return Advice(**{"kind": "x", "what": "do it", "because": "of that", **fields})


def test_the_next_study_loads_and_begins_with_the_best(insight, tmp_path: Path) -> None:
    path = tmp_path / "next.yaml"
    made = next_study(insight, advise(insight), path)
    spec = load_study(path)
    assert spec.name == made.name == "tiny-2"
    assert spec.search.seed == 4
    best = insight.material.best
    assert best is not None
    assert spec.search.first[0] == {
        name: value for name, value in best.params.items() if name in spec.search.first[0]
    }
    assert len(spec.search.first) == 5
    assert "begins with the best configs" in path.read_text()


def test_moves_drops_and_settings_are_in_the_file(insight) -> None:
    text = follow(
        insight,
        [
            advice(move=("optimizer.lr", "high", 0.56)),
            advice(drop="model.n_layers"),
            advice(settings={"trainer.max_epochs": 6}),
        ],
    ).text
    assert "lr: {low: 0.0001, high: 0.56, log: true}" in text
    assert "max_epochs: 6" in text
    best = insight.material.best
    assert f"n_layers: {best.params['model.n_layers']}" in text
    assert "# " in text.splitlines()[0]


def test_values_that_no_longer_fit_are_left_out_and_said(insight) -> None:
    best = insight.material.best
    low = best.params["optimizer.lr"] * 1.01
    made = follow(insight, [advice(move=("optimizer.lr", "low", low))])
    first = json.dumps(made.text)
    assert "without optimizer.lr" in "".join(made.changes)
    assert str(best.params["optimizer.lr"]) not in first


def test_a_bound_that_its_field_forbids_is_not_moved(insight) -> None:
    made = follow(insight, [advice(what="raise it", move=("optimizer.lr", "low", -1.0))])
    assert "low: 0.0001" in made.text
    assert made.changes[0].startswith("not done: raise it; ")


def test_families_that_are_left_out_take_their_trials_with_them(trial, write_study) -> None:
    def of(number: int, value: float, family: str):
        record = trial(number, value)
        params = {"model": family, f"model.{family}.n_layers": 1}
        return record.model_copy(update={"params": params})

    branch = {"n_layers": {"low": 1, "high": 2}}
    records = [of(0, 0.9, "mlp"), of(1, 0.8, "tabm"), of(2, 0.7, "mlp")]
    folder = write_study(records, model={"one_of": {"mlp": branch, "tabm": branch}})
    made = follow(Insight(read_material(folder)), [advice(keep=("mlp",))])
    assert "tabm" not in made.text
    assert "those of trials 0" in made.changes[-1]


def test_nothing_is_overwritten(insight, tmp_path: Path) -> None:
    path = tmp_path / "next.yaml"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists already; name another file"):
        next_study(insight, [], path)
    assert path.read_text() == "mine"
    with pytest.raises(UsageError, match="there is no folder"):
        next_study(insight, [], tmp_path / "no" / "next.yaml")


def test_names_go_on_counting(trial, write_study) -> None:
    folder = write_study([trial(0, 0.5)], "long-7")
    (folder.path.parent / "long-8").mkdir()
    assert follow(Insight(read_material(folder)), []).name == "long-9"


def test_a_grid_is_not_begun_with_other_points(trial, write_study) -> None:
    search = {"sampler": "qmc", "pruner": "none", "seed": 0}
    folder = write_study([trial(0, 0.5)], search=search)
    made = follow(Insight(read_material(folder)), [])
    assert "first:" not in made.text
    assert made.changes == ("not begun with the best configs: the sampler has points of its own",)


def test_text_of_the_user_stays_in_its_comment(insight) -> None:
    made = follow(insight, [advice(settings={"trainer.max_epochs": 6}, because="a\nname: evil")])
    heads = [line for line in made.text.splitlines() if "evil" in line]
    assert [line[0] for line in heads] == ["#"]


def test_a_study_of_unknown_families_needs_its_plugin(trial, write_study) -> None:
    own = {"family": "unheard_of", "depth": {"low": 1, "high": 9}}
    with pytest.raises(SpecError, match="unheard_of"):
        follow(Insight(read_material(write_study([trial(0, 0.5)], model=own))), [])
