"""Samplers and pruners by name: from their configs to Optuna's objects."""

import warnings
from collections.abc import Sequence
from functools import cache

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from hpo.halving import Halving
from hpo.search import (
    AshaConfig,
    GpConfig,
    HyperbandConfig,
    MedianConfig,
    PercentileConfig,
    TpeConfig,
)
from hpo.tpe.history import History
from lightning_modules.settings import Settings

CHECKED_OPTUNA = "5.0.0"
"""The version whose inner functions ours stand in for; the tests compare the two, bit for bit."""


def make_sampler(config: Settings, *, seed: int, history: History | None = None) -> BaseSampler:
    """Return the sampler of ``config``.

    Grid and quasi-random points are given (`hpo.proposals`), and need only a filler.

    Args:
        config: of the sampler.
        seed: of its random numbers.
        history: what the samplers of one study before this one have read of its trials.
    """
    with warnings.catch_warnings():
        # group=True is what makes TPE model branches jointly; it is marked experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match config:
            case TpeConfig():
                if knows_optuna():
                    # Late: it needs what other versions may not have.
                    from hpo.tpe.sampler import QuickTpe

                    return QuickTpe(
                        n_startup_trials=config.n_startup_trials,
                        n_ei_candidates=config.n_ei_candidates,
                        seed=seed,
                        history=history or History(),
                    )
                return optuna.samplers.TPESampler(
                    multivariate=True,
                    group=True,
                    n_startup_trials=config.n_startup_trials,
                    n_ei_candidates=config.n_ei_candidates,
                    seed=seed,
                )
            case GpConfig():
                return optuna.samplers.GPSampler(
                    n_startup_trials=config.n_startup_trials, seed=seed
                )
    return optuna.samplers.RandomSampler(seed=seed)


@cache
def knows_optuna() -> bool:
    """Return whether Optuna is of the version that ours were checked against; say so if not."""
    known = optuna.__version__ == CHECKED_OPTUNA
    if not known:
        what = "its own sampler is used: the same proposals, slower with many trials"
        warnings.warn(f"optuna {optuna.__version__} is not {CHECKED_OPTUNA}: {what}", stacklevel=2)
    return known


def sobol_point(names: Sequence[str], *, number: int, seed: int) -> dict[str, float]:
    """Return point ``number`` of the scrambled Sobol sequence over the parameters ``names``.

    Sobol, 1967; scrambling by Owen, 1995.
    """
    from scipy.stats import qmc

    engine = qmc.Sobol(len(names), scramble=True, rng=seed)
    if number:  # forward by 0 is an error of SciPy's
        engine.fast_forward(number)
    return dict(zip(names, engine.random(1)[0].tolist(), strict=True))


def make_pruner(config: Settings, *, most_validations: int) -> BasePruner:
    """Return the pruner of ``config``; resources are counted in validations."""
    match config:
        case HyperbandConfig():
            return Halving(
                min_resource=min(config.min_resource, most_validations),
                max_resource=most_validations,
                reduction_factor=config.reduction_factor,
            )
        case AshaConfig():
            return Halving(
                min_resource=config.min_resource, reduction_factor=config.reduction_factor
            )
        case MedianConfig():
            return optuna.pruners.MedianPruner(
                n_startup_trials=config.n_startup_trials,
                n_warmup_steps=config.n_warmup_validations,
                n_min_trials=config.n_min_trials,
            )
        case PercentileConfig():
            return optuna.pruners.PercentilePruner(
                config.percentile,
                n_startup_trials=config.n_startup_trials,
                n_warmup_steps=config.n_warmup_validations,
                n_min_trials=config.n_min_trials,
            )
    return optuna.pruners.NopPruner()
