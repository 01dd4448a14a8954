import json
from pathlib import Path

import pytest

from hpo.compare.checks import blocked, find_differences, same_trials
from hpo.compare.sides import read_sides
from hpo.errors import StudyError, UsageError
from hpo.layout import StudyFolder


def differing(*folders: StudyFolder) -> dict[str, str]:
    return {one.what: one.level for one in find_differences(read_sides(folders))}


def test_studies_of_one_file_may_be_compared(make_study) -> None:
    assert differing(make_study("a"), make_study("b", (0.5, 0.6, 0.7))) == {}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"data": {"sha256": "9" * 64}}, {"data": "blocks"}),
        ({"data": {"split_sha256": "9" * 64}}, {"split": "blocks"}),
        ({"overrides": ["objective.metric=f1"]}, {"metric": "blocks"}),
        (
            {"overrides": ["objective.metric=log_loss"]},
            {"metric": "blocks", "direction": "blocks"},
        ),
        ({"overrides": ["data.folds=3"]}, {"folds": "blocks", "epochs per trial": "warns"}),
        ({"overrides": ["trainer.max_epochs=5"]}, {"epochs per trial": "warns"}),
        (
            {"overrides": ["trainer.validate_every=0.5"]},
            {"epochs per validation": "warns"},
        ),
        ({"plugins": {"x/own.py": "5" * 64}}, {"own code": "warns"}),
        ({"data": {"preparation_sha256": "9" * 64}}, {"preparation": "notes"}),
        (
            {"overrides": ["constraints.n_parameters.max=1000"]},
            {"constraints": "notes"},
        ),
        # What is split by hand shows in the hash of the split; where the data lay does not count.
        ({"overrides": ["data.validation=0.3"]}, {}),
    ],
)
def test_each_difference_is_named_with_what_it_forbids(make_study, changes, found) -> None:
    a, b = make_study("a"), make_study("b", **changes)
    assert differing(a, b) == differing(b, a) == found


def test_what_forbids_a_verdict_comes_first_and_every_study_has_its_value(make_study) -> None:
    b = make_study("b", data={"sha256": "9" * 64, "preparation_sha256": "8" * 64})
    first, second = find_differences(read_sides([make_study("a"), b]))
    assert (first.what, second.what) == ("data", "preparation")
    assert first.values == {"a": "iris 222222222222…", "b": "iris 999999999999…"}
    assert first.says == "the values are of other data: which study is better cannot be said"


def test_one_plugin_in_two_places_is_the_same_code(make_study) -> None:
    a = make_study("a", plugins={"/home/x/own.py": "5" * 64})
    assert differing(a, make_study("b", plugins={"own.py": "5" * 64})) == {}


def test_data_without_a_fingerprint_may_be_other_data(make_study) -> None:
    data = {"sha256": None, "split_sha256": None}
    a, b = make_study("a", data=data), make_study("b", data=data)
    assert differing(a, b) == {"data and split": "warns"}
    other = make_study("c", data=data, overrides=["data.validation=0.3"])
    assert differing(a, other) == {"data.validation": "blocks", "data and split": "warns"}


def test_a_study_that_was_changed_along_the_way_says_so(make_study) -> None:
    a, b = make_study("a"), make_study("b")
    changed = json.loads(b.fingerprint.read_text()) | {"changes": [{"utc": "", "what": ["lr"]}]}
    b.fingerprint.write_text(json.dumps(changed))
    assert differing(a, b) == {"settings throughout": "warns"}


def test_a_study_that_runs_says_so(make_study) -> None:
    a, b = make_study("a"), make_study("b")
    with b.owned():
        assert differing(a, b) == {"state": "notes"}


def test_copies_of_one_study_share_their_trials(make_study) -> None:
    a, b, c = make_study("a"), make_study("b", (0.8, 0.9, 0.95)), make_study("c")
    made = json.loads(b.fingerprint.read_text())
    b.fingerprint.write_text(json.dumps({**made, "uuid": "a"}))
    first, copy, other = read_sides([a, b, c])
    assert same_trials(first, copy) == 2
    assert same_trials(first, other) is None


def test_studies_of_one_name_are_told_apart_by_their_folders(make_study, tmp_path: Path) -> None:
    a = make_study("a")
    moved = tmp_path / "elsewhere" / "a"
    moved.parent.mkdir()
    a.path.rename(moved)
    sides = read_sides([make_study("a"), StudyFolder(moved)])
    assert [side.label for side in sides] == ["results/a", "elsewhere/a"]


def test_one_study_is_not_compared_with_itself(make_study) -> None:
    a = make_study("a")
    with pytest.raises(UsageError, match="compare: a is named twice; name another study"):
        read_sides([a, StudyFolder(a.path / ".." / "a")])
    with pytest.raises(UsageError, match="needs two studies or more; hpo list shows them"):
        read_sides([a])


def test_a_study_without_a_trial_is_not_compared(make_study) -> None:
    with pytest.raises(StudyError, match=r"b: no trial has ended yet; hpo run .*b/study.yaml"):
        read_sides([make_study("a"), make_study("b", ())])


def test_the_same_data_under_another_name_are_the_same(make_study) -> None:
    a, b = make_study("a"), make_study("b")
    for file in b.path.glob("trials/*/result.json"):
        file.write_text(file.read_text().replace('"source": "iris"', '"source": "moons"'))
    assert differing(a, b) == {}
    c = make_study("c", data={"sha256": "9" * 64})
    found = find_differences(read_sides([a, b, c]))
    assert [one.values["b"] for one in found] == ["moons 222222222222…"]
    assert blocked(found, "a", "b") == []
    assert blocked(found, "b", "c") == found
