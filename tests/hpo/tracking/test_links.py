import re
from collections.abc import Callable
from urllib.parse import parse_qs

from hpo.records import TrialRecord
from hpo.tracking.links import top_runs

MakeRecord = Callable[..., TrialRecord]


def test_a_link_shows_the_best_runs_of_one_study_alone(make_record: MakeRecord) -> None:
    records = [make_record(number, value=number / 20) for number in range(15)]
    link = top_runs(records, "maximize", study="a.b (1)")
    query, fragment = link.removeprefix("?").split("#")
    found = parse_qs(query)
    (pattern,) = found["runFilter"]
    assert (found["tagFilter"], fragment) == (["val"], "timeseries")
    assert not set(query) & set(" ()|^")
    shown = [n for n in range(15) if re.search(pattern, f"a.b (1)/t{n:04d}-mlp-adamw")]
    assert shown == list(range(5, 15))
    assert not re.search(pattern, "aXb (1)/t0014-mlp")
    assert not re.search(pattern, "a.b (1)/t00140-mlp")
    least = top_runs(records, "minimize", most=2)
    assert re.search(parse_qs(least[1:].split("#")[0])["runFilter"][0], "t0000-mlp")


def test_trials_that_rank_nowhere_are_not_linked(make_record: MakeRecord) -> None:
    records = [make_record(0, value=None), make_record(1, state="pruned")]
    assert "runFilter" not in top_runs(records, "maximize")
