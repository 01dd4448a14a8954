"""P5: what proposing, reporting and ending a trial cost with many trials behind them.

Ours (`hpo.proposals`) beside Optuna's TPESampler and HyperbandPruner on a study in memory; the same
spaces and the same past. They take turns; CPU milliseconds, so that what else runs counts less.
"""

import random
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import optuna
from optuna.pruners import HyperbandPruner
from optuna.samplers import RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from benchmarks.speed.options import Options
from benchmarks.speed.ratios import pairwise, spread
from benchmarks.speed.table import Table, verdict
from hpo.proposals import Proposals
from hpo.space import SearchSpace
from hpo.spec import StudySpec, find_study_file, load_study

STUDIES = ("quickstart", "mlp")
PASTS = (50, 1000, 5000)
COHORT_PAST = 1000
COHORT = 32
EPOCHS = 20
ROUNDS = 5
MOST = 2.0
COLUMNS = (
    "study",
    "trials",
    "ask: stock",
    "ask: ours",
    "stock / ours",
    "report: stock",
    "report: ours",
    "tell: stock",
    "tell: ours",
    f"{COHORT} asks: ours",
)


@dataclass(kw_only=True)
class Costs:
    """CPU milliseconds of one rival, round by round."""

    ask: list[float] = field(default_factory=list)
    report: list[float] = field(default_factory=list)
    tell: list[float] = field(default_factory=list)


def measure(options: Options) -> Table:
    """Return what each costs ours and stock, and what a cohort of proposals costs ours."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rounds = options.take(options.rounds, ROUNDS, quick=2)
    rows, cohorts = [], []
    for study in STUDIES:
        spec = load_study(find_study_file(study))
        for n_trials in (20, 60) if options.quick else PASTS:
            stock, ours, cohort = compared(spec, n_trials, rounds)
            rows.append(_row(study, n_trials, stock, ours, cohort))
            if n_trials == COHORT_PAST:
                cohorts.append(cohort / statistics.median(stock.ask))
    came = max(cohorts, default=None)
    return Table(
        goal="P5",
        title="a proposal, a report and the end of a trial, CPU milliseconds",
        command="python -m benchmarks.speed p5" + options.said,
        columns=COLUMNS,
        rows=tuple(rows),
        verdicts=(
            verdict(
                f"{COHORT} proposals after {COHORT_PAST:,} trials ≤ {MOST:g}× one stock ask",
                "–" if came is None else f"{came:.1f}×",
                None if came is None else came <= MOST,
            ),
        ),
        notes=(
            "The proposals are equal, bit for bit (tests/hpo/tpe); ours include the check of the"
            " whole config.",
            f"Medians of {rounds} rounds; stock / ours is the median ratio, and the range."
            f" A report is one of {EPOCHS} of a trial that goes to its end.",
            f"The {COHORT} proposals are asked one after the other, all running: each knows those"
            " before it.",
        ),
    )


def compared(spec: StudySpec, n_trials: int, rounds: int) -> tuple[Costs, Costs, float]:
    """Return what stock and ours cost after ``n_trials``, and what a cohort costs ours."""
    past = past_of(spec.space, n_trials)
    proposals = Proposals(spec, direction="maximize", past=past, most_validations=EPOCHS)
    study = _stock(proposals._shared.get_trials())  # with the rungs that each trial reached
    stock, ours = Costs(), Costs()
    for round_ in range(rounds + 1):
        for is_ours in (False, True) if round_ % 2 else (True, False):
            if is_ours:
                _our_trial(proposals, ours)
            else:
                _stock_trial(study, spec.space, stock, seed=round_)
    for costs in (stock, ours):  # the first round loads what is loaded late
        costs.ask, costs.report, costs.tell = costs.ask[1:], costs.report[1:], costs.tell[1:]
    cohort = _ms(lambda: [proposals.ask() for _ in range(COHORT)])
    return stock, ours, cohort


def past_of(space: SearchSpace, n_trials: int) -> list[FrozenTrial]:
    """Return random trials that ended in all the ways that trials end."""
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=n_trials))
    chance, past = random.Random(n_trials), []
    for number in range(n_trials):
        trial = study.ask()
        space.decide(trial, seed=0)
        value = chance.random()
        last = chance.choice([1, 3, 9, EPOCHS])
        state = TrialState.COMPLETE if last == EPOCHS else TrialState.PRUNED
        frozen = create_trial(
            state=state,
            params=trial.params,
            distributions=trial.distributions,
            value=value if last == EPOCHS else None,
            intermediate_values={epoch: value * epoch / EPOCHS for epoch in range(1, last + 1)},
        )
        frozen.number = number
        past.append(frozen)
        study.tell(trial, 0.0)
    return past


def _stock(past: list[FrozenTrial]) -> Study:
    pruner = HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=3)
    study = optuna.create_study(study_name="study", direction="maximize", pruner=pruner)
    study.add_trials(past)
    return study


def _stock_trial(study: Study, space: SearchSpace, costs: Costs, *, seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.sampler = TPESampler(multivariate=True, group=True, seed=seed)
    began = time.process_time()
    trial = study.ask()
    space.decide(trial, seed=0)
    asked = time.process_time()
    for epoch in range(1, EPOCHS + 1):
        trial.report(0.9 + epoch / 1000, epoch)
        trial.should_prune()
    reported = time.process_time()
    study.tell(trial, 0.9)
    _note(costs, began, asked, reported)


def _our_trial(proposals: Proposals, costs: Costs) -> None:
    began = time.process_time()
    proposal = proposals.ask()
    asked = time.process_time()
    for epoch in range(1, EPOCHS + 1):
        proposals.report(proposal.number, validation=epoch, value=0.9 + epoch / 1000)
    reported = time.process_time()
    proposals.tell(proposal.number, "complete", 0.9)
    _note(costs, began, asked, reported)


def _note(costs: Costs, began: float, asked: float, reported: float) -> None:
    costs.ask.append(1000 * (asked - began))
    costs.report.append(1000 * (reported - asked) / EPOCHS)
    costs.tell.append(1000 * (time.process_time() - reported))


def _ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return 1000 * (time.process_time() - began)


def _row(study: str, n_trials: int, stock: Costs, ours: Costs, cohort: float) -> tuple[str, ...]:
    pairs = [(stock.report, ours.report), (stock.tell, ours.tell)]
    cells = [f"{statistics.median(each):.2f}" for pair in pairs for each in pair]
    asks = [f"{statistics.median(each):.1f}" for each in (stock.ask, ours.ask)]
    ratio = spread(pairwise(stock.ask, ours.ask))
    return (study, f"{n_trials:,}", *asks, ratio, *cells, f"{cohort:.0f}")
