from pathlib import Path

import pytest

from hpo.errors import UsageError
from hpo.layout import StudyFolder
from hpo.steering.requests import Enqueue, SetBudget, Stop, read_request, send, waiting_requests


def test_requests_are_read_as_they_were_sent_oldest_first(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    asks = [Enqueue(params={"a.b": 0.1, "c": None, "d": True}), Stop(), SetBudget(time="2h")]
    files = [send(folder, ask, to="somebody") for ask in asks]
    found = waiting_requests(folder)
    assert list(found) == [file.stem for file in files]
    assert [request.ask for request in found.values()] == asks


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (SetBudget(trials=4), "5 trials have ended or run; give 5 or more"),
        (SetBudget(trials=5, epochs=9), "9.5 epochs are used; give more"),
        (SetBudget(time="1m"), "61s are used; give more"),
        (SetBudget(trials=5, epochs=10, time="62s"), None),
    ],
)
def test_a_budget_is_not_set_below_what_is_used(ask: SetBudget, told: str | None) -> None:
    assert ask.below(trials=5, epochs=9.5, time_s=61.0) == told


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 50_000,
        "[]",
        "NaN",
        '{"schema": "hpo.request/1", "asked_utc": "", "to": null, "ask": {"kind": "halt"}}',
        '{"schema": "hpo.request/1", "asked_utc": "", "to": null, '
        '"ask": {"kind": "end_trial", "trial": "0"}}',
        '{"schema": "hpo.request/2", "asked_utc": "", "to": null, "ask": {"kind": "stop"}}',
    ],
)
def test_a_file_that_is_no_request_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError, match=r"requests/x\.json: is no request"):
        read_request(tmp_path / "x.json")
