from collections.abc import Callable, Sequence

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from hpo import space
from hpo.errors import SpecError
from hpo.proposals import FAILED, Misfit, Proposal, Proposals
from hpo.search import SAMPLERS
from hpo.spec import StudySpec

MakeSpec = Callable[..., StudySpec]

SPACE = {
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 16, "step": 4}},
    "optimizer": {"name": "adamw", "lr": {"choices": [0.001, 0.01, 0.1]}},
}
BRANCHES = {
    "data": {"source": "digits"},
    "model": {"one_of": {"mlp": {"width": {"low": 4, "high": 16}}, "cnn": {}}},
    "optimizer": {"one_of": {"sgd": {"momentum": {"low": 0.0, "high": 0.9}}, "adamw": {}}},
}


def objective(proposal: Proposal) -> float | None:
    """Stand in for a training: a value of the parameters alone; None for some that fail."""
    width = proposal.trial.params["model.width"]
    lr = proposal.trial.params["optimizer.lr"]
    return None if (width, lr) == (8, 0.1) else 1.0 - abs(lr - 0.01) * 5 - width / 100


class Simulation:
    """A study of which only the proposals are real; ``stored`` is what a storage would hold."""

    def __init__(self, spec: StudySpec, stored: Sequence[FrozenTrial] = ()) -> None:
        self.stored = list(stored)
        self.proposals = Proposals(spec, direction="maximize", past=self.stored, most_validations=3)

    def trial(self) -> Proposal:
        proposal = self.proposals.ask()
        assert isinstance(proposal, Proposal)
        value = objective(proposal)
        frozen = proposal.trial
        pruned = False
        for validation in (1, 2, 3) if value is not None else ():
            report = value * validation / 3
            frozen.intermediate_values[validation] = report
            pruned = self.proposals.report(proposal.number, validation=validation, value=report)
            if pruned:
                value = report
                break
        state = "failed" if value is None else "pruned" if pruned else "complete"
        self.proposals.tell(proposal.number, state, value)
        stored = {"failed": TrialState.FAIL, "pruned": TrialState.PRUNED}
        frozen.state = stored.get(state, TrialState.COMPLETE)
        frozen.value = value
        self.stored.append(frozen)
        return proposal

    def run(self, n_trials: int) -> list[tuple[int, dict[str, object], TrialState]]:
        for _ in range(n_trials):
            self.trial()
        return [(trial.number, trial.params, trial.state) for trial in self.stored]


def settings(sampler: str, pruner: str = "median") -> dict[str, object]:
    short = {"n_startup_trials": 3} if sampler in ("tpe", "gp") else {}
    by_name = {"median": {"name": "median", "n_startup_trials": 1, "n_min_trials": 1}}
    return {
        "sampler": {"name": sampler, **short},
        "pruner": by_name.get(pruner, {"name": pruner}),
    }


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_study_that_was_interrupted_anywhere_proposes_and_prunes_as_if_it_was_not(
    make_spec: MakeSpec, sampler: str, pruner: str
) -> None:
    spec = make_spec(**SPACE, search=settings(sampler, pruner))
    straight = Simulation(spec).run(8)
    assert {state for _, _, state in straight} >= {TrialState.COMPLETE, TrialState.PRUNED}
    for stop in (5,) if sampler == "gp" else range(1, 8):  # a Gaussian process takes its time
        first = Simulation(spec)
        first.run(stop)
        assert Simulation(spec, first.stored).run(8 - stop) == straight


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_another_seed_proposes_other_trials_and_the_same_default(
    make_spec: MakeSpec, sampler: str
) -> None:
    a = Simulation(make_spec(search={**settings(sampler), "seed": 0}, **SPACE)).run(5)
    b = Simulation(make_spec(search={**settings(sampler), "seed": 1}, **SPACE)).run(5)
    if sampler == "grid":
        assert [params for _, params, _ in a] == [params for _, params, _ in b]
    else:
        assert a[0][1] == b[0][1]
        assert [params for _, params, _ in a[1:]] != [params for _, params, _ in b[1:]]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_trial_0_is_the_default_config(make_spec: MakeSpec, sampler: str) -> None:
    spec = make_spec(search=settings(sampler))
    proposal = Simulation(spec).proposals.ask()
    assert proposal.trial.params == {"model.width": 16, "optimizer.lr": 0.001}
    assert proposal.notes[0] == "default"
    assert any("model.width: default" in note for note in proposal.notes[1:])


def test_every_familys_default_comes_first(make_spec: MakeSpec) -> None:
    proposals = Simulation(make_spec(**BRANCHES)).proposals
    first = [proposals.ask() for _ in range(3)]
    assert [proposal.config.family for proposal in first[:2]] == ["mlp", "cnn"]
    assert [proposal.notes[:1] for proposal in first] == [("default",), ("default",), ()]


def test_a_config_and_its_trial_say_the_same(make_spec: MakeSpec) -> None:
    proposal = Simulation(make_spec()).proposals.ask()
    plain = proposal.config.plain()
    assert plain["model"]["width"] == proposal.trial.params["model.width"]
    assert plain["optimizer"]["lr"] == proposal.trial.params["optimizer.lr"]
    assert proposal.trial.state == TrialState.RUNNING


def test_every_trial_has_its_own_seed_from_study_and_number_alone(make_spec: MakeSpec) -> None:
    a, b = (Simulation(make_spec(search={"seed": seed})).proposals for seed in (0, 1))
    assert [a.ask().config.seed for _ in range(3)] == [a.seed(number) for number in range(3)]
    seeds = [proposals.seed(number) for proposals in (a, b) for number in range(50)]
    assert len(set(seeds)) == 100


def test_a_trial_that_was_given_back_is_proposed_again_as_it_was(make_spec: MakeSpec) -> None:
    proposals = Simulation(make_spec()).proposals
    first = proposals.ask()
    again = proposals.again(0)
    assert (again.number, again.config, again.notes) == (first.number, first.config, first.notes)
    assert again.trial.params == first.trial.params


def test_a_waiting_trial_of_an_earlier_call_is_proposed_again_as_it_was(
    make_spec: MakeSpec,
) -> None:
    spec = make_spec()
    first = Simulation(spec)
    first.run(1)
    begun = first.proposals.ask()
    begun.trial.state = TrialState.WAITING
    begun.trial.intermediate_values = {1: 0.5}
    later = Simulation(spec, [*first.stored, begun.trial]).proposals
    again = later.again(1)
    assert again.config == begun.config
    assert later.report(1, validation=1, value=0.5) is False
    later.tell(1, "complete", 0.5)
    assert later.ask().number == 2


def test_a_report_that_is_made_again_counts_once(make_spec: MakeSpec) -> None:
    proposals = Simulation(make_spec()).proposals
    proposals.ask()
    proposals.report(0, validation=1, value=0.5)
    assert proposals.report(0, validation=1, value=0.9) is False
    assert proposals.again(0).trial.intermediate_values == {1: 0.5}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_sampler_sees_a_failed_trial_as_infeasible(make_spec: MakeSpec, sampler: str) -> None:
    proposals = Simulation(make_spec(search=settings(sampler))).proposals
    for state, value in (("complete", 0.5), ("failed", None)):
        proposals.tell(proposals.ask().number, state, value)
    good, bad = proposals._shared.get_trials()
    assert (good.constraints, bad.constraints) == ({FAILED: 0.0}, {FAILED: 1.0})
    assert (bad.state, bad.value) == (TrialState.PRUNED, None)


def test_tpe_turns_away_from_where_trials_fail(make_spec: MakeSpec) -> None:
    def share(failing: bool) -> float:
        spec = make_spec(search={"sampler": {"name": "tpe", "n_startup_trials": 5}})
        proposals = Simulation(spec).proposals
        high = []
        for _ in range(40):
            proposal = proposals.ask()
            lr = proposal.trial.params["optimizer.lr"]
            high.append(lr > 0.01)
            fails = failing and lr > 0.01
            proposals.tell(
                proposal.number, "failed" if fails else "complete", None if fails else 0.5
            )
        return sum(high[10:]) / 30

    assert share(failing=True) < share(failing=False)


def test_a_gaussian_process_learns_of_a_failure_as_the_worst_value_so_far(
    make_spec: MakeSpec,
) -> None:
    proposals = Simulation(make_spec(search=settings("gp"))).proposals
    for state, value in (
        ("failed", None),
        ("complete", 0.5),
        ("complete", 0.25),
        ("failed", None),
    ):
        proposals.tell(proposals.ask().number, state, value)
    trials = proposals._shared.get_trials()
    assert [trial.value for trial in trials] == [None, 0.5, 0.25, 0.25]
    assert trials[0].state == TrialState.PRUNED


def test_the_view_prunes_as_the_pruner_says(make_spec: MakeSpec) -> None:
    proposals = Simulation(make_spec(search=settings("random"))).proposals
    proposals.ask()
    assert not proposals.report(0, validation=1, value=0.9)
    proposals.tell(0, "complete", 0.9)
    proposals.ask()
    assert proposals.report(1, validation=1, value=0.1)


def test_a_familys_default_runs_to_its_end_whatever_the_pruner_says(make_spec: MakeSpec) -> None:
    search = {"pruner": {"name": "asha", "min_resource": 1, "reduction_factor": 2}}
    proposals = Simulation(make_spec(**BRANCHES, search=search)).proposals
    for number, value in enumerate((0.9, 0.1, 0.1)):
        proposals.ask()
        assert proposals.report(number, validation=1, value=value) is (number == 2)
        proposals.tell(number, "complete", value)


def test_a_grid_has_an_end_and_every_point_once(make_spec: MakeSpec) -> None:
    simulation = Simulation(make_spec(**SPACE, search=settings("grid", "none")))
    assert simulation.proposals.limit == 12
    points = [tuple(params.values()) for _, params, _ in simulation.run(12)]
    assert sorted(points) == sorted((w, lr) for w in (4, 8, 12, 16) for lr in (0.001, 0.01, 0.1))


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_other_samplers_have_no_end(make_spec: MakeSpec, sampler: str) -> None:
    assert Simulation(make_spec(search=settings(sampler))).proposals.limit is None


def test_a_conditional_space_asks_only_for_what_its_branch_has(make_spec: MakeSpec) -> None:
    proposals = Simulation(make_spec(**BRANCHES)).proposals
    for _ in range(12):
        params = proposals.ask().trial.params
        assert ("model.mlp.width" in params) == (params["model"] == "mlp")
        assert ("optimizer.sgd.momentum" in params) == (params["optimizer"] == "sgd")


def test_no_two_studies_share_a_view(make_spec: MakeSpec) -> None:
    a, b = Simulation(make_spec()).proposals, Simulation(make_spec()).proposals
    a.ask()
    assert b.ask().number == 0
    assert isinstance(a._shared, optuna.Study)


def test_sampled_settings_that_exclude_each_other_are_named(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "MIXTURES", 0)  # as if the check before had not met them
    trainer = {"max_epochs": {"low": 3, "high": 9}, "validate_every": {"choices": [1, 8]}}
    search = settings("random", "none")
    proposals = Simulation(make_spec(trainer=trainer, search=search)).proposals
    proposed = [proposals.ask() for _ in range(30)]
    whats = {one.what.partition(" (")[0] for one in proposed if isinstance(one, Misfit)}
    assert all("trainer: validate_every: must be between" in what for what in whats)
    assert whats


def test_the_trials_that_the_file_gives_come_right_after_the_defaults(make_spec: MakeSpec) -> None:
    first = [{"model.width": 12, "optimizer.lr": 0.1}, {"optimizer.lr": 0.01}]
    search = {"sampler": "tpe", "pruner": "none", "first": first}
    spec = make_spec(**SPACE, search=search)
    simulation = Simulation(spec)
    trials = [simulation.trial() for _ in range(4)]
    assert trials[0].notes == ("default", *trials[0].notes[1:])
    assert trials[1].trial.params == first[0]
    assert trials[2].trial.params["optimizer.lr"] == 0.01
    assert [trial.notes for trial in trials[1:]] == [("first",), ("first",), ()]


def test_the_trials_that_the_file_gives_are_checked_against_the_space(make_spec: MakeSpec) -> None:
    wrong = [{"model.width": 99}, {"no.such": 1}]
    search = {"sampler": "tpe", "pruner": "none", "first": wrong}
    with pytest.raises(SpecError) as caught:
        make_spec(**SPACE, search=search)
    lines = str(caught.value).splitlines()
    assert "search.first.0: model.width: 99 lies outside; give a number from 4 to 16" in lines[0]
    assert "search.first.1: no.such: is no parameter of the study" in lines[1]


def test_a_grid_takes_no_other_points_first(make_spec: MakeSpec) -> None:
    search = {"sampler": "grid", "pruner": "none", "first": [{"model.width": 8}]}
    with pytest.raises(SpecError, match="a grid or a sequence has its own points"):
        make_spec(**SPACE, search=search)


def test_what_is_done_to_the_trial_of_a_proposal_does_not_reach_the_study(
    make_spec: MakeSpec,
) -> None:
    proposals = Simulation(make_spec()).proposals
    trial = proposals.ask().trial
    params = dict(trial.params)
    for held in (trial.params, trial.distributions, trial.system_attrs, trial.user_attrs):
        held.clear()
    trial.intermediate_values[1] = 0.1
    proposals.report(0, validation=1, value=0.5)
    again = proposals.again(0).trial
    assert (again.params, again.intermediate_values) == (params, {1: 0.5})
    assert again.distributions.keys() == params.keys()
