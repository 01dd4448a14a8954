"""Records of fresh seeds, made of values alone."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from hpo.reseed.judging import judged
from hpo.seeds import SeededConfig, SeedRun, SeedsRecord

Judged = Callable[..., SeedsRecord]


def seeded(
    trial: int,
    values: Sequence[float | None],
    *,
    search: float | None,
    default: bool = False,
    ready: bool = True,
) -> SeededConfig:
    runs = [
        SeedRun(
            seed=seed,
            value=value,
            test=None,
            failed=None if value is not None else "nan: the loss is not finite",
            folder=f"evaluation/seeds/{trial:04d}-{seed}",
            checkpoint_sha256=None if value is None else "1" * 64,
        )
        for seed, value in enumerate(values)
    ]
    return SeededConfig(
        trial=trial,
        is_default=default,
        config_sha256="0" * 64,
        search_value=search,
        ready=ready,
        runs=runs,
    )


@pytest.fixture(scope="session")
def judge_values() -> Judged:
    """Return a function from values by trial, the default being trial 0, to their record."""

    def make(
        values: Mapping[int, Sequence[float | None]],
        *,
        direction: str = "maximize",
        search: float = 0.95,
        unready: Sequence[int] = (),
    ) -> SeedsRecord:
        configs = [
            seeded(trial, found, search=search, default=trial == 0, ready=trial not in unready)
            for trial, found in values.items()
        ]
        return judged(
            configs,
            study="tiny",
            objective=("accuracy", direction),
            seeds=range(len(next(iter(values.values())))),
            as_of_utc="2026-11-21T00:00:00Z",
        )

    return make
