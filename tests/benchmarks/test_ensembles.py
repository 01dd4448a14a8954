"""The benchmark of ensembles counts what is handed on, and not what was left out."""

from benchmarks import ensembles
from benchmarks.ensembles import CASES, Outcome, measure
from hpo.spec import find_study_file, load_study


def test_a_split_without_an_ensemble_hands_on_the_single_best(monkeypatch) -> None:
    def outcomes(case: object, split: int, **settings: object) -> dict[str, Outcome]:
        gain = (-0.2, 0.1)[split]
        used = split == 1
        one = Outcome(ensemble=0.9 + gain, single=0.9, gain=gain, used=used, ahead=0.5)
        return {"mean": one}

    monkeypatch.setattr(ensembles, "outcomes_of", outcomes)
    table = measure(["digits"], splits=2, trials=3, workers=0, said="")
    (row,) = table.rows
    assert row[-2:] == ("1 of 2", "+0.0500")
    assert row[4].startswith("-0.0500 [")
    assert table.verdicts[0].endswith("came to +0.0500; reached: yes")


def test_every_case_is_a_study_that_can_be_read() -> None:
    for case in CASES.values():
        assert load_study(find_study_file(case.study), case.overrides).space.parameters()
