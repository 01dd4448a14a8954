"""A pytest fixture that smoke-tests a study file or plugin in seconds.

In ``conftest.py``::

    pytest_plugins = ["hpo.testing"]

and in a test::

    def test_our_study_runs(smoke_study):
        best = smoke_study("our_study.yaml", plugin="our_module.py")
        assert best.metric["value"] > 0.2
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from hpo.best import BestConfig
from hpo.errors import StudyError
from hpo.spec import load_study
from hpo.study import run_study
from lightning_modules.plugins import load_plugin


@pytest.fixture
def smoke_study(tmp_path: Path) -> Callable[..., BestConfig]:
    """Return a function that runs a study for a few short trials and returns its best config.

    ``smoke_study(source, *overrides, plugin=None, trials=2, epochs=1)``; ``source`` is a path,
    the name of a shipped study, or a mapping; ``overrides`` are ``path=value``.
    """

    def run(
        source: str | Path | dict[str, object],
        *overrides: str,
        plugin: str | Path | None = None,
        trials: int = 2,
        epochs: int = 1,
    ) -> BestConfig:
        if plugin is not None:
            load_plugin(str(plugin))
        short = (f"budget={{trials: {trials}}}", f"trainer.max_epochs={epochs}", *overrides)
        spec = load_study(source, short, name="smoke")
        outcome = run_study(spec, tmp_path / "results")
        if outcome.best is None:
            raise StudyError(spec.name, "no trial is complete", "see its records")
        return outcome.best

    return run
