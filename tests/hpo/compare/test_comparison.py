import json

import pytest

from hpo.compare import compare
from hpo.compare.answers import may_words, next_commands


def only(*folders, **options):
    (verdict,) = compare(folders, **options).verdicts
    return verdict


def test_a_better_study_is_named_with_interval_and_p(make_study, reseed) -> None:
    a = make_study("a", n_parameters=310, latency_ms=0.02)
    b = make_study("b", n_parameters=100, latency_ms=0.02)
    reseed(a, [0.91, 0.92, 0.93, 0.92, 0.91])
    reseed(b, [0.81, 0.83, 0.82, 0.82, 0.81])
    verdict = only(a, b)
    assert (verdict.outcome, verdict.better) == ("better", "a")
    assert verdict.sentence == (
        "a – b = +0.1000 [+0.0912, +0.1088] over 5 paired seeds, p < 0.0001: a is better; "
        "b is 3.1× smaller"
    )
    assert verdict.proof == []
    assert only(b, a).better == "a"


def test_less_is_better_where_the_metric_says_so(make_study, reseed) -> None:
    low = {"overrides": ["objective.metric=log_loss"]}
    a, b = make_study("a", (0.3, 0.2), **low), make_study("b", (0.3, 0.2), **low)
    reseed(a, [0.21, 0.22, 0.23])
    reseed(b, [0.31, 0.33, 0.32])
    assert only(a, b).better == "a"


def test_what_cannot_be_told_apart_says_what_is_ruled_out_and_what_would_show_it(
    make_study, reseed
) -> None:
    a, b = make_study("a"), make_study("b")
    reseed(a, [0.91, 0.95, 0.93])
    reseed(b, [0.92, 0.93, 0.92])
    verdict = only(a, b)
    assert (verdict.outcome, verdict.better) == ("not distinguishable", None)
    assert "over 3 paired seeds, p = 0.5" in verdict.sentence
    assert verdict.sentence.endswith(": not distinguishable")
    assert verdict.remarks[0].startswith("a difference of more than 0.045 is ruled out; ")
    assert [command.split()[1] for command in verdict.proof] == ["evaluate", "evaluate"]


def test_a_copy_evaluated_on_other_seeds_is_not_distinguishable(make_study, reseed) -> None:
    a, b = make_study("a"), make_study("b")
    made = json.loads(b.fingerprint.read_text())
    b.fingerprint.write_text(json.dumps({**made, "uuid": "a"}))
    reseed(a, [0.91, 0.92, 0.93])
    reseed(b, [0.92, 0.93, 0.90], first=500)
    done = compare([a, b])
    assert done.copies == ["a and b are copies of one study: their trials are the same"]
    assert done.verdicts[0].outcome == "not distinguishable"
    assert "over 3 seeds each, not the same ones" in done.verdicts[0].sentence
    reseed(b, [0.91, 0.92, 0.93])
    assert only(a, b).sentence == "a and b: the same values, nothing tells them apart"


def test_one_seed_each_is_no_proof_and_the_command_for_it_is_named(make_study, reseed) -> None:
    a, b = make_study("a", (0.8, 0.85)), make_study("b", (0.8, 0.95))
    verdict = only(a, b)
    assert (verdict.outcome, verdict.better) == ("unknown", None)
    assert verdict.sentence == "a – b = -0.1000, one seed each: cannot be told"
    assert "whether the configs differ cannot be said" in verdict.remarks[0]
    assert verdict.remarks[1].startswith("rows: on 200 others it may be anything in [-0.1")
    assert verdict.proof == [f"hpo evaluate {f.path} --seeds 5" for f in (a, b)]
    reseed(b, [0.9] * 5)
    assert only(a, b).proof == [f"hpo evaluate {a.path} --seeds 5"]


def test_other_data_leave_no_verdict(make_study, reseed) -> None:
    a, b = make_study("a"), make_study("b", data={"sha256": "9" * 64})
    for folder in (a, b):
        reseed(folder, [0.9, 0.91, 0.92])
    done = compare([a, b])
    (verdict,) = done.verdicts
    assert (verdict.outcome, verdict.proof) == ("not comparable", ())
    assert verdict.sentence == (
        "a and b have not the same data: the values are of other data: which study is better "
        "cannot be said"
    )
    assert not done.comparable
    assert done.fronts == {}
    assert may_words(done) == "a and b may not be compared in their values"


def test_of_three_studies_the_two_that_match_are_compared(make_study, reseed) -> None:
    a, b, c = make_study("a"), make_study("b"), make_study("c", data={"sha256": "9" * 64})
    for shift, folder in enumerate((a, b, c)):
        reseed(folder, [0.7 + shift / 10, 0.71 + shift / 10, 0.72 + shift / 10 + 0.01 * shift])
    outcomes = {(one.a, one.b): one.outcome for one in compare([a, b, c]).verdicts}
    assert outcomes == {
        ("a", "b"): "better",
        ("a", "c"): "not comparable",
        ("b", "c"): "not comparable",
    }


def test_p_says_how_many_tests_it_was_held_against(make_study, reseed) -> None:
    folders = [make_study(name) for name in "abc"]
    for shift, folder in enumerate(folders):
        reseed(folder, [0.7 + shift / 10, 0.72 + shift / 20, 0.71 + shift / 12])
    done = compare(folders)
    assert all("(of 3 tests, Holm)" in verdict.sentence for verdict in done.verdicts)
    assert [one.study for one in done.ranked()] == ["c", "b", "a"]


def test_the_test_split_is_a_verdict_of_its_own(make_study, reseed) -> None:
    a, b = make_study("a"), make_study("b")
    reseed(a, [0.91, 0.92, 0.93], test=[0.61, 0.62, 0.63])
    reseed(b, [0.81, 0.83, 0.84], test=[0.71, 0.73, 0.72])
    done = compare([a, b])
    (validation,), (test,) = done.verdicts, done.others
    assert (validation.split, validation.better) == ("validation", "a")
    assert (test.split, test.better) == ("test", "b")
    assert [one.better for one in compare([a, b], on="test").worse("a")] == ["b"]
    assert compare([a, b]).worse("a") == []


def test_the_test_split_has_no_values_before_it_was_opened(make_study, reseed) -> None:
    a, b = make_study("a"), make_study("b")
    reseed(a, [0.91, 0.92, 0.93], test=[0.61, 0.62, 0.63])
    reseed(b, [0.81, 0.83, 0.84])
    assert compare([a, b]).others == []
    verdict = only(a, b, on="test")
    assert (verdict.outcome, verdict.sentence) == ("unknown", "b: no value on the test split yet")
    assert verdict.proof == [f"hpo evaluate {b.path} --seeds 5 --test"]


def test_failed_old_and_chosen_seeds_are_said(make_study, reseed) -> None:
    a, b = make_study("a", (0.8, 0.85, 0.9)), make_study("b")
    reseed(a, [0.9, None, 0.91, 0.92], candidates=4)
    reseed(b, [0.9, 0.92, 0.91, 0.92], trial=0)
    remarks = " ".join(only(a, b).remarks)
    assert "a failed with 1 of 4 seeds, which are left out" in remarks
    assert "the seeds of b are of trial 0; its search has found trial 1 since" in remarks
    assert "these seeds chose the config of a among 4" in remarks


def test_a_study_without_a_complete_trial_has_no_value(make_study) -> None:
    verdict = only(make_study("a"), make_study("b", (None,)))
    assert (verdict.outcome, verdict.sentence) == ("unknown", "b: no value yet")
    assert verdict.proof == []


def test_rows_may_turn_around_what_seeds_tell(make_study, reseed) -> None:
    a, b = make_study("a"), make_study("b")
    reseed(a, [0.911, 0.912, 0.913])
    reseed(b, [0.901, 0.9023, 0.903])
    verdict = only(a, b)
    assert verdict.better == "a"
    assert verdict.remarks[-1].endswith("so others may turn it around (95 %, at most)")
    reseed(b, [0.501, 0.5023, 0.503])
    assert "turn it around" not in only(a, b).remarks[-1]


def test_next_commands_name_a_study_once_with_the_most_seeds(make_study, reseed) -> None:
    folders = [make_study(name) for name in "abc"]
    for folder, values in zip(folders, ([0.91, 0.95], [0.92, 0.93], [0.90, 0.99]), strict=True):
        reseed(folder, values)
    commands = next_commands(compare(folders).verdicts)
    assert len(commands) == len({command.split()[2] for command in commands}) == 3


def test_everything_is_plain_json_and_nothing_says_where_home_is(make_study, tmp_path) -> None:
    a, b = make_study("a"), make_study("b", (0.8, None))
    plain = compare([a, b], at="epochs").plain()
    text = json.dumps(plain, allow_nan=False)
    assert json.loads(text) == plain
    assert plain["budget"] == {"at": "epochs", "amount": 2.0}
    assert plain["leaderboard"][0]["study"] == "a"


@pytest.mark.parametrize("n", [2, 3])
def test_a_comparison_reads_and_writes_nothing(make_study, n) -> None:
    folders = [make_study(f"s{i}") for i in range(n)]
    before = {path: path.stat().st_mtime_ns for f in folders for path in f.path.rglob("*")}
    compare(folders)
    assert before == {path: path.stat().st_mtime_ns for f in folders for path in f.path.rglob("*")}
