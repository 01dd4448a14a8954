import pytest

from hpo.insight.audit import audit, pooled


def study(trial, n: int = 20, audited: dict[int, float] | None = None, name: str = "a"):
    records = [trial(i, 0.5 + i / 100, study=name) for i in range(n)]
    for number, value in (audited or {}).items():
        records.append(trial(number, value, audit=1, study=name))
    records.append(trial(99, 0.3, state="pruned", epochs=2.0, study=name))
    curves = {r.number: {1: (r.value or 0.0) - 0.1, 2: r.value or 0.0} for r in records}
    return audit(records, "maximize", curves)


def test_without_an_audited_trial_it_says_that_it_does_not_know(trial) -> None:
    found = study(trial)
    assert (found.rate, found.span.low, found.span.high) == (None, 0.0, 1.0)
    assert "is not known" in found.sentence
    assert "search.audit" in found.sentence


def test_a_trial_that_would_have_been_among_the_best_tenth_is_a_false_prune(trial) -> None:
    found = study(trial, audited={50: 0.9, 51: 0.5, 52: 0.51})
    assert {one.trial: one.wrong for one in found.audited} == {50: True, 51: False, 52: False}
    assert found.rate == pytest.approx(1 / 3)
    assert found.regret == pytest.approx(0.9 - 0.69)
    assert "that few say little" in found.sentence


def test_the_interval_admits_how_few_there_are(trial) -> None:
    found = study(trial, audited={50: 0.4, 51: 0.4, 52: 0.4})
    assert found.wrong == 0
    assert found.span.high == pytest.approx(0.7076, abs=1e-4)  # 1 - 0.025 ** (1 / 3)


def test_pooling_adds_what_was_counted(trial) -> None:
    both = pooled(
        [study(trial, audited={50: 0.9}, name="a"), study(trial, audited={50: 0.4}, name="b")]
    )
    assert (both.studies, len(both.audited), both.wrong, both.n_pruned) == (2, 2, 1, 2)
    assert both.saved_epochs == 16.0


def test_epochs_saved_are_those_that_pruned_trials_did_not_run(trial) -> None:
    found = study(trial, n=4)
    assert found.saved_epochs == 8.0
    assert found.saved == pytest.approx(8 / 50)


def test_the_values_when_pruned_are_correlated_with_the_final_ones(trial) -> None:
    assert study(trial).correlation == pytest.approx(1.0)
    assert study(trial, n=2).correlation is None


def test_where_many_are_equally_good_none_of_them_is_missed(trial) -> None:
    records = [trial(n, 1.0) for n in range(20)] + [trial(30, 1.0, audit=1)]
    assert audit(records, "maximize", {}).wrong == 0
