import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpo.errors import SpecError, UsageError
from hpo.given import check_given
from hpo.layout import StudyFolder
from hpo.spec import StudySpec
from hpo.steering.wishes import parse_wish, refusal

MakeSpec = Callable[..., StudySpec]
WIDTHS = {"low": 8, "high": 32, "step": 8}
LISTS = {
    "model": {"family": "mlp", "layers": {"length": {"low": 1, "high": 3}, "each": WIDTHS}},
    "optimizer": {"one_of": {"adamw": {"lr": {"choices": [0.1, 1]}}, "sgd": {}}},
}


def test_values_become_those_of_the_space_with_the_branches_that_follow(
    make_spec: MakeSpec,
) -> None:
    space = make_spec(**LISTS).space
    given = ["optimizer.adamw.lr=1.0", "model.layers.length=2", "model.layers.1=16.0"]
    found = parse_wish(space, given)
    assert found == {
        "model.layers.length": 2,
        "model.layers.1": 16,
        "optimizer": "adamw",
        "optimizer.adamw.lr": 1,
    }
    assert type(found["model.layers.1"]) is int


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"optimizer.lr": 0.1}, "optimizer.lr: is no parameter of the study; did you mean '"),
        ({"optimizer": "sgd", "optimizer.adamw.lr": 1}, "exists only where optimizer is adamw"),
        ({"optimizer.adamw.lr": 0.2}, "0.2 is no choice; one of: 0.1, 1"),
        ({"optimizer.adamw.lr": True}, "True is no choice"),
        ({"model.layers.length": 4}, "4 lies outside; give a number from 1 to 3"),
        ({"model.layers.length": 1.5}, "1.5 is no whole number"),
        ({"model.layers.length": "2"}, "'2' is no number"),
        ({"model.layers.length": float("inf")}, "inf lies outside"),
        ({"model.layers.length": float("nan")}, "nan lies outside"),
        ({"model.layers.length": 10**400}, "… lies outside"),
        ({"optimizer": {"one_of": {}}}, "{'one_of': {}} is no choice"),
        ({"model.layers.length": True}, "True is no number"),
        ({"model.layers.0": 16}, "long enough; give model.layers.length too"),
        ({"model.layers.length": 1, "model.layers.1": 16}, "model.layers.length is more than 1"),
        ({"model.layers.length": 1, "model.layers.0": 9}, "9 is no step; the nearest is 8"),
    ],
)
def test_values_that_do_not_fit_are_named(
    make_spec: MakeSpec, given: dict[str, object], told: str
) -> None:
    with pytest.raises(SpecError) as caught:
        check_given(make_spec(**LISTS).space, given)
    assert told in str(caught.value)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ({"sampler": "grid"}, "a grid has its own points"),
        ({"sampler": "qmc"}, "next point of a sequence"),
        ({"sampler": "random", "reproducible": True}, "search.reproducible: the seed"),
    ],
)
def test_a_study_that_follows_a_sequence_takes_no_values(
    make_spec: MakeSpec, tmp_path: Path, cli: Any, search: dict[str, object], told: str
) -> None:
    lr = {"name": "adamw", "lr": {"choices": [0.1, 0.2]}}
    spec = make_spec(search=search, optimizer=lr)
    assert refusal(spec.search) is not None
    folder = StudyFolder(tmp_path / "tiny")
    folder.path.mkdir()
    folder.study_file.write_text(spec.text())
    said = cli("enqueue", "tiny", "--set", "optimizer.lr=0.1", "--results", tmp_path)
    assert said.code == 2
    assert told in said.err
    assert not folder.requests.exists()


@pytest.mark.parametrize("text", ["model.width", "=5", "model.width={"])
def test_what_is_no_setting_is_refused(make_spec: MakeSpec, text: str) -> None:
    with pytest.raises(UsageError, match=f"--set {re.escape(text)}: "):
        parse_wish(make_spec().space, [text])
