import json

import pytest

from hpo.errors import UsageError
from hpo.evaluate import evaluate_study
from hpo.evaluations import read_evaluation, read_openings


@pytest.mark.parametrize("test", [False, True])
def test_an_evaluation_reads_back_from_its_file(copied, test: bool) -> None:
    done = evaluate_study(copied, test=test)
    file = copied.evaluated("test" if test else "validation")
    assert read_evaluation(file) == done
    assert json.loads(file.read_text()) == done.plain()
    assert done.plain()["schema"] == "hpo.evaluation/1"


def test_no_file_is_no_opening(tmp_path) -> None:
    assert read_openings(tmp_path / "test.json") == []
    with pytest.raises(UsageError, match=r"test\.json: no such file; hpo evaluate STUDY writes it"):
        read_evaluation(tmp_path / "test.json")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", r"is damaged \(Expecting"),
        ("[]", r"is no hpo\.evaluation/1"),
        ('{"schema": "hpo.trial/1"}', r"is no hpo\.evaluation/1"),
        ('{"schema": "hpo.evaluation/1"}', r"is damaged \(metrics: "),
        (b"\xff\xfe", r"is damaged \("),
    ],
)
def test_a_damaged_log_of_openings_is_refused_before_the_split_is_opened(
    copied, text: str | bytes, told: str
) -> None:
    copied.evaluation.mkdir()
    file = copied.evaluated("test")
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    before, best = file.read_bytes(), copied.best_config.read_bytes()
    with pytest.raises(UsageError, match=rf"test\.json: {told}.*; move it away: the count of"):
        evaluate_study(copied, test=True)
    assert (file.read_bytes(), copied.best_config.read_bytes()) == (before, best)
    assert len(list(copied.evaluation.iterdir())) == 1


def test_a_file_without_its_head_is_damaged(copied) -> None:
    evaluate_study(copied, test=False)
    file = copied.evaluated("validation")
    values = json.loads(file.read_text())
    del values["trial"]
    file.write_text(json.dumps(values))
    with pytest.raises(UsageError, match=r"is damaged \(trial: Field required\)"):
        read_evaluation(file)
