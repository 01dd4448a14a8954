import io
import json
import re
from typing import Any

import pytest

from hpo.study import run_study
from hpo.tracking.events import EventsObserver


@pytest.fixture
def events(finished) -> list[dict[str, Any]]:
    return [json.loads(line) for line in finished.events.splitlines()]


def test_every_event_is_one_line_with_time_name_and_study(events) -> None:
    for event in events:
        assert list(event)[:3] == ["t", "event", "study"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["t"])
        assert event["study"] == "tiny"


def test_a_study_begins_and_ends_once(events) -> None:
    names = [event["event"] for event in events]
    assert (names[0], names[-1]) == ("study_started", "study_finished")
    assert names.count("study_started") == names.count("study_finished") == 1
    assert (events[-1]["why"], events[-1]["new"]) == ("budget", 7)


def test_every_trial_starts_reports_and_finishes(events, finished) -> None:
    for record in finished.records:
        own = [event["event"] for event in events if event.get("trial") == record.number]
        epochs = record.run.validations if record.run else 0
        assert own[0] == "trial_started"
        assert own.count("epoch") == epochs
        assert own[epochs + 1] == "trial_finished"


def test_finished_trials_tell_what_their_records_hold(events, finished) -> None:
    ends = [event for event in events if event["event"] == "trial_finished"]
    assert [(end["state"], end["reason"], end["value"]) for end in ends] == [
        (record.state, record.reason, record.value) for record in finished.records
    ]


def test_the_pruner_s_word_is_true_or_false(events) -> None:
    words = {json.dumps(event["prune"]) for event in events if event["event"] == "epoch"}
    assert words == {"true", "false"}


def test_the_last_best_is_the_best_trial(events, finished) -> None:
    last = [event for event in events if event["event"] == "best_changed"][-1]
    assert last["trial"] == events[-1]["best"] == finished.outcome.best.study["trial"]
    assert last["value"] == finished.outcome.best.metric["value"]


def test_a_trial_given_back_is_an_event() -> None:
    stream = io.StringIO()
    EventsObserver(stream).trial_given_back(3)
    assert json.loads(stream.getvalue())["event"] == "trial_given_back"


def test_events_are_strict_json() -> None:
    observer = EventsObserver(io.StringIO())
    with pytest.raises(ValueError, match=r"not JSON compliant"):
        observer._write("epoch", objective=float("nan"))


def test_a_finished_study_that_is_run_again_begins_and_ends_without_a_trial(
    finished, copied
) -> None:
    stream = io.StringIO()
    run_study(finished.spec, copied.path.parent, observers=[EventsObserver(stream)])
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["event"] for one in told] == ["study_started", "study_finished"]
    assert (told[1]["why"], told[1]["new"]) == ("budget", 0)
    assert told[1]["best"] == finished.outcome.end.best.number
