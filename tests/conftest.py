"""One finished study for all tests of what users touch, and the command line without a process."""

import io
import re
import runpy
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from hpo.layout import StudyFolder
from hpo.records import TrialRecord, read_trials
from hpo.spec import StudySpec, load_study
from hpo.study import StudyOutcome, run_study
from hpo.terminal import live
from hpo.terminal.lines import LinesObserver
from hpo.terminal.live import LiveObserver
from hpo.tracking.events import EventsObserver
from lightning_modules import plugins
from lightning_modules.data.config import SOURCES
from lightning_modules.families import FAMILIES
from lightning_modules.task import METRICS
from tests.programs import HPO, ROOT, Programs, Said
from tests.programs import programs as programs_started

TINY = {
    "name": "tiny",
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 32, "log": True}},
    "optimizer": {
        "one_of": {
            "adamw": {"lr": {"low": 1e-3, "high": 1e-1, "log": True}},
            "sgd": {"lr": {"choices": [1e30, 1e31]}},  # diverges: a failed trial
        }
    },
    "trainer": {"max_epochs": 3, "batch_size": 32},
    "budget": {"trials": 7},
    "search": {
        "sampler": "random",
        "pruner": {"name": "median", "n_startup_trials": 2, "n_min_trials": 1},
        "seed": 3,
    },
}


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A study that ran to its end, and all that was said of it."""

    results: Path
    spec: StudySpec
    outcome: StudyOutcome
    lines: list[str]
    events: str
    screen: str
    """What a terminal of 80 by 24 received."""

    @property
    def folder(self) -> StudyFolder:
        return self.outcome.folder

    @property
    def records(self) -> list[TrialRecord]:
        return read_trials(self.folder)

    def of(self, state: str) -> TrialRecord:
        """Return the first trial of that state."""
        return next(record for record in self.records if record.state == state)


Command = Callable[..., Said]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A study on iris with complete, pruned and failed trials; look, do not touch."""
    results = tmp_path_factory.mktemp("finished") / "results"
    spec = load_study(TINY)
    lines: list[str] = []
    events, screen = io.StringIO(), io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=24)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "REDRAW_S", 0.0)
        outcome = run_study(
            spec,
            results,
            observers=[LinesObserver(lines.append), EventsObserver(events), LiveObserver(console)],
        )
    assert {record.state for record in read_trials(outcome.folder)} == {
        "complete",
        "pruned",
        "failed",
    }
    return Finished(
        results=results,
        spec=spec,
        outcome=outcome,
        lines=lines,
        events=events.getvalue(),
        screen=screen.getvalue(),
    )


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> StudyFolder:
    """A copy of the finished study, for tests that change it."""
    shutil.copytree(finished.results, tmp_path / "results")
    return StudyFolder(tmp_path / "results" / finished.spec.name)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs ``hpo`` with its arguments in this process."""
    from hpo.cli import main

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["hpo", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else int(code is not None), said.out, said.err)

    return run


@pytest.fixture
def program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Return a function that runs a program of the examples as ``python FILE …`` does."""
    before = set(sys.modules)

    def run(file: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [file, *arguments])
        monkeypatch.syspath_prepend(Path(file).parent.resolve())
        capsys.readouterr()
        runpy.run_path(file, run_name="__main__")
        return capsys.readouterr().out

    yield run
    own = {path.stem for path in (ROOT / "examples").glob("*/*.py")}
    for name in (set(sys.modules) - before) & own:
        del sys.modules[name]


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    """Processes of their own that need not load anything again."""
    with programs_started() as started:
        yield started


@pytest.fixture(scope="session")
def cli_process(programs: Programs) -> Command:
    """Return a function that runs ``hpo`` as a process of its own in a folder."""
    code = f"import warnings; warnings.simplefilter('ignore', FutureWarning); {HPO}"

    def run(*arguments: object, folder: Path) -> Said:
        with programs.start(*arguments, folder=folder, code=code) as process:
            return Said(process.wait(), process.out, process.err)

    return run


@pytest.fixture
def registries() -> Iterator[None]:
    """Let a test register what it wants; nothing of it outlives the test."""
    with _forgetting():
        yield


@pytest.fixture(scope="module")
def module_registries() -> Iterator[None]:
    """Let the tests of a file share what a fixture registers; nothing of it outlives the file."""
    with _forgetting():
        yield


@contextmanager
def _forgetting() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for registry in (FAMILIES, SOURCES, METRICS):
            patch.setattr(registry, "_entries", dict(registry._entries))
        patch.setattr(plugins, "_loaded", dict(plugins._loaded))
        patch.setattr(plugins, "_registered_classes", list(plugins._registered_classes))
        modules = set(sys.modules)
        yield
    for name in set(sys.modules) - modules:
        if name.startswith("hpo_plugin_"):
            del sys.modules[name]


@pytest.fixture
def visible() -> Callable[[str], list[str]]:
    """Return a function from what a terminal received to the lines without control sequences."""

    def lines(text: str) -> list[str]:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n").split("\n")

    return lines
