import os
from pathlib import Path

import pytest

from hpo.dashboard.summaries import Summaries, gains, summarize
from hpo.layout import StudyFolder


def test_a_summary_says_what_the_records_say(finished) -> None:
    summary, records = summarize(finished.folder), finished.records
    states = [record.state for record in records]
    assert summary.counts == {s: states.count(s) for s in ("complete", "pruned", "failed")}
    assert summary.metric == "accuracy"
    assert summary.direction == "maximize"
    assert summary.value == finished.outcome.best.metric["value"]
    assert summary.default == records[0].value
    assert summary.seconds == pytest.approx(sum(r.seconds for r in records), abs=0.01)
    assert summary.epochs == sum(record.epochs_spent for record in records)
    assert (summary.running, summary.most_trials) == (False, 7)
    assert sorted(row.number for row in summary.rows) == list(range(7))
    by_number = {row.number: row for row in summary.rows}
    assert by_number[0].params.keys() == records[0].params.keys()


def test_a_summary_reads_no_record_of_a_trial(finished, copied: StudyFolder) -> None:
    for trial in copied.trial_folders():
        (trial / "result.json").write_text("{")
    assert summarize(copied).rows == summarize(finished.folder).rows


def test_a_summary_is_kept_until_a_table_changes(copied: StudyFolder) -> None:
    summaries = Summaries(copied.path.parent)
    first = summaries.of(copied)
    assert summaries.all() == [first]
    assert summaries.of(copied) is first
    os.utime(copied.leaderboard, ns=(1, 1))
    assert summaries.of(copied) is not first


def test_the_best_so_far_changes_where_it_got_better() -> None:
    assert gains([], "maximize") == []


def test_a_study_without_trials_and_one_with_a_damaged_table_have_a_summary(
    copied: StudyFolder, tmp_path: Path
) -> None:
    empty = StudyFolder(tmp_path / "empty")
    empty.path.mkdir()
    empty.study_file.write_text("name: empty\n")
    summary = summarize(empty)
    assert (summary.rows, summary.value, summary.gains()) == ([], None, [])
    copied.leaderboard.write_text("rank,trial\n1\n")
    assert summarize(copied).damaged == ["leaderboard.csv: is damaged; hpo doctor --repair"]
    assert summarize(copied).value is not None


def test_the_studies_that_changed_last_come_first(copied: StudyFolder) -> None:
    other = StudyFolder(copied.path.parent / "other")
    other.path.mkdir()
    other.study_file.write_text("name: other\n")
    summaries = Summaries(copied.path.parent)
    assert [one.name for one in summaries.all()] == ["other", "tiny"]
    os.utime(other.study_file, ns=(1, 1))
    assert [one.name for one in summaries.all()] == ["tiny", "other"]
    assert summaries.find("../results/tiny") is None
