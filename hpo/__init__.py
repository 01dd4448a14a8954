"""Which configs to try, which to stop, which to keep.

The nouns of the package, and the decorators with which a plugin registers its own code. Nothing
here imports torch, Lightning or Optuna before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo.api import Study
    from hpo.best import BestConfig
    from hpo.errors import HpoError
    from hpo.records import TrialRecord
    from hpo.space import SearchSpace
    from hpo.spec import StudySpec, load_study
    from hpo.study import run_study
    from hpo.trials import trials_frame
    from hpo.verify.verify import verify_best
    from lightning_modules.config import RunConfig
    from lightning_modules.data.arrays import give_arrays
    from lightning_modules.data.raw import RawData
    from lightning_modules.plugins import data_module, family, lightning_module, metric, source

_HOMES = {
    "BestConfig": "hpo.best",
    "HpoError": "hpo.errors",
    "RawData": "lightning_modules.data.raw",
    "RunConfig": "lightning_modules.config",
    "SearchSpace": "hpo.space",
    "Study": "hpo.api",
    "StudySpec": "hpo.spec",
    "TrialRecord": "hpo.records",
    "data_module": "lightning_modules.plugins",
    "family": "lightning_modules.plugins",
    "give_arrays": "lightning_modules.data.arrays",
    "lightning_module": "lightning_modules.plugins",
    "load_study": "hpo.spec",
    "metric": "lightning_modules.plugins",
    "run_study": "hpo.study",
    "source": "lightning_modules.plugins",
    "trials_frame": "hpo.trials",
    "verify_best": "hpo.verify.verify",
}

__all__ = [
    "BestConfig",
    "HpoError",
    "RawData",
    "RunConfig",
    "SearchSpace",
    "Study",
    "StudySpec",
    "TrialRecord",
    "data_module",
    "family",
    "give_arrays",
    "lightning_module",
    "load_study",
    "metric",
    "run_study",
    "source",
    "trials_frame",
    "verify_best",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hpo' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
