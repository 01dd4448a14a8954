"""What is found out later is written into the file as it is by then, or not at all."""

import json
import threading

import pytest

from hpo.best import BestConfig
from hpo.errors import UsageError
from hpo.layout import StudyFolder, locked_folder
from hpo.records import read_record
from hpo.revise import revise_best


def best_of(folder: StudyFolder) -> BestConfig:
    return read_record(folder.best_config, BestConfig)


def test_values_are_set_by_their_paths_and_reasons_follow(copied: StudyFolder) -> None:
    before = best_of(copied)
    changes = {"test": {"opened": 1, "value": None}, "study.chosen_because": "fresh seeds"}
    reasons = {"test.value": "it is infinite", "metric.seeds": "every run failed"}
    assert revise_best(copied.best_config, of=before, changes=changes, reasons=reasons)
    after = best_of(copied)
    assert (after.test["opened"], after.study["chosen_because"]) == (1, "fresh seeds")
    assert after.null_because == {**before.null_because, **reasons}
    seeds = {"values": [0.5, 0.7], "mean": 0.6, "sd": 0.1, "ci95": [0.0, 1.2], "seeds": [1, 2]}
    revise_best(copied.best_config, of=after, changes={"metric.seeds": seeds}, reasons={})
    assert best_of(copied).metric["seeds"] == seeds
    assert "metric.seeds" not in best_of(copied).null_because


def test_a_null_without_a_reason_is_a_bug_of_ours_and_nothing_is_written(
    copied: StudyFolder,
) -> None:
    before = copied.best_config.read_bytes()
    changes = {"training.stopped_by": None}
    with pytest.raises(TypeError, match=r"no reason why training\.stopped_by is null"):
        revise_best(copied.best_config, of=best_of(copied), changes=changes, reasons={})
    assert copied.best_config.read_bytes() == before


def test_what_another_wrote_meanwhile_stays(copied: StudyFolder) -> None:
    looked_at = best_of(copied)
    plain = json.loads(copied.best_config.read_text())
    plain["study"]["trials"]["complete"] += 1  # the study went on
    copied.best_config.write_text(json.dumps(plain))
    revise_best(copied.best_config, of=looked_at, changes={"summary": "new"}, reasons={})
    assert best_of(copied).study["trials"] == plain["study"]["trials"]
    assert best_of(copied).summary == "new"


def test_it_waits_for_whoever_writes_the_file(copied: StudyFolder) -> None:
    looked_at = best_of(copied)
    revising = threading.Thread(
        target=revise_best,
        args=(copied.best_config,),
        kwargs={"of": looked_at, "changes": {"summary": "new"}, "reasons": {}},
    )
    with locked_folder(copied.path):
        revising.start()
        revising.join(0.2)
        assert revising.is_alive()
        assert best_of(copied).summary == looked_at.summary
    revising.join(10)
    assert best_of(copied).summary == "new"


def test_a_file_that_is_gone_is_the_users_to_explain(copied: StudyFolder) -> None:
    looked_at = best_of(copied)
    copied.best_config.unlink()
    with pytest.raises(UsageError, match="no such file"):
        revise_best(copied.best_config, of=looked_at, changes={}, reasons={})
