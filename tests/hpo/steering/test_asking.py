import threading
import time
from typing import Any

import pytest

from hpo.layout import StudyFolder
from hpo.spec import load_study
from hpo.steering import asking
from hpo.steering.requests import read_request
from hpo.study import run_study


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["stop", "tiny"], "tiny: does not run; nothing to stop\n"),
        (["stop", "tiny", 3], "tiny: does not run; nothing to stop\n"),
        (
            ["budget", "tiny", "--trials", 30, "--epochs", 9],
            "tiny: does not run; hpo run FILE --trials 30 --set budget.epochs=9 goes on with that "
            "budget\n",
        ),
        (["budget", "tiny"], "hpo budget: no limit is given; --trials, --time or --epochs\n"),
        (["budget", "tiny", "--time", "soon"], "--time: 'soon' is no duration; write 90s, 10m or"),
        (["enqueue", "tiny"], "hpo enqueue: no values are given; --set optimizer.lr=1e-3\n"),
    ],
)
def test_what_cannot_be_asked_exits_2_and_asks_nothing(
    cli: Any, finished: Any, arguments: list[object], told: str
) -> None:
    said = cli(*arguments, "--results", finished.results)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(told)
    assert not finished.folder.requests.exists()


def test_a_budget_below_what_is_used_exits_2(cli: Any, copied: StudyFolder) -> None:
    with copied.owned():
        said = cli("budget", "tiny", "--trials", 3, "--results", copied.path.parent)
    assert said.code == 2
    assert said.err == "tiny: --trials 3: 7 trials have ended or run; give 7 or more\n"
    assert not copied.requests.exists()


def test_values_wait_for_a_study_that_does_not_run_and_the_budget_is_named(
    cli: Any, copied: StudyFolder
) -> None:
    said = cli("enqueue", "tiny", "--set", "model.width=5", "--results", copied.path.parent)
    assert (said.code, said.out) == (0, "enqueued: model.width=5\n")
    assert said.err == (
        "the budget has no room for 1 of what is enqueued; hpo run FILE --trials N\n"
    )
    spec = load_study(copied.study_file, ["budget.trials=8"])
    record = run_study(spec, copied.path.parent).end.records[-1]
    assert (record.params["model.width"], record.notes) == (5, ["enqueued"])


def test_a_command_that_does_not_wait_leaves_its_request_to_the_supervisor_that_runs(
    cli: Any, copied: StudyFolder
) -> None:
    with copied.owned():
        said = cli("stop", "tiny", "--no-wait", "--results", copied.path.parent)
        owner = copied.owner()
    assert (said.code, said.out) == (0, "tiny was asked to stop; 7 of 7 trials have ended\n")
    (file,) = copied.requests.iterdir()
    assert owner is not None
    assert read_request(file).to == owner.token


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["stop", "tiny"], "has not stopped within 0 s; it was asked to; hpo status tiny\n"),
        (["stop", "tiny", 7], "trial 7 has not ended within 0 s; it ends at its next validation"),
        (["budget", "tiny", "--trials", 9], "did not answer within 0 s; hpo status tiny\n"),
    ],
)
def test_a_study_that_does_not_do_what_it_is_asked_exits_5(
    cli: Any,
    copied: StudyFolder,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[object],
    told: str,
) -> None:
    monkeypatch.setattr(asking, "WAIT_S", 0.0)
    with copied.owned():
        copied.trial(7).mkdir()
        copied.proposal(7).write_text('{"schema": "hpo.proposal/1", "params": {}}')
        said = cli(*arguments, "--results", copied.path.parent)
    assert (said.code, said.out) == (5, "")
    assert said.err.startswith(f"tiny: {told}")


def test_a_budget_that_the_supervisor_drops_exits_4(cli: Any, copied: StudyFolder) -> None:
    def drop() -> None:
        while not (files := list(copied.requests.glob("[!.]*"))):
            time.sleep(0.01)  # polls for an event; nothing is timed
        files[0].unlink()

    dropper = threading.Thread(target=drop)
    with copied.owned():
        dropper.start()
        said = cli("budget", "tiny", "--trials", 9, "--results", copied.path.parent)
        dropper.join()
    assert (said.code, said.out) == (4, "")
    assert said.err == "tiny: did not take the budget; it says why where it runs\n"


def test_a_folder_that_takes_no_requests_exits_5(cli: Any, copied: StudyFolder) -> None:
    copied.requests.write_text("a file")
    said = cli("enqueue", "tiny", "--set", "model.width=5", "--results", copied.path.parent)
    assert (said.code, said.out) == (5, "")
    assert said.err.endswith("requests: File exists; ask as the user who runs the study\n")
