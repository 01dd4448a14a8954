"""P5's program: both rivals have the same trials behind them."""

from optuna.trial import TrialState

from benchmarks.speed.ask import COLUMNS, EPOCHS, _stock, measure, past_of
from benchmarks.speed.options import Options
from hpo.proposals import Proposals
from hpo.spec import find_study_file, load_study


def test_the_past_has_trials_that_ended_in_every_way_and_reached_rungs() -> None:
    spec = load_study(find_study_file("quickstart"))
    past = past_of(spec.space, 40)
    proposals = Proposals(spec, direction="maximize", past=past, most_validations=EPOCHS)
    trials = _stock(proposals._shared.get_trials()).get_trials()
    assert [trial.params for trial in trials] == [trial.params for trial in past]
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert sum("completed_rung_0" in trial.system_attrs for trial in trials) > 20


def test_a_quick_run_fills_the_table() -> None:
    table = measure(Options(quick=True, rounds=1))
    assert len(table.rows) == 4
    assert table.columns == COLUMNS
    assert "reached: not measured" in table.verdicts[0]
