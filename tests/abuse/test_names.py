"""Row A3 of the abuse matrix: no name becomes a path; every file stays under the results."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hpo
from hpo.errors import SpecError
from hpo.files import dump_yaml
from hpo.spec import load_study
from hpo.study import StudyOutcome, run_study

Call = Callable[..., Any]
NAMES = [
    "..",
    "../up",
    "../../up",
    "a/b",
    "/tmp/absolute",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\n",
    "a" * 600,
    "\u202etxt.exe",  # right to left
    "CON",
    "con",
    "",
    " ",
    ".",
    ".hidden",
    "\u0430dam",  # a Cyrillic a
    "sm\u043eke",  # a Cyrillic o
    "smoke\u200b",  # a space without width
    "\uff0e\uff0e",  # wide dots
    "storage.sqlite",
    "-rf",
    "a\udcff",  # a byte that is no UTF-8
]
RULE = "cannot name a folder; 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter"


def below(root: Path) -> set[str]:
    """Return everything under a folder; links are named, not followed."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder of a folder of which nothing may change."""
    here = tmp_path / "deep" / "er" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.delenv("HPO_RESULTS", raising=False)
    (here / "file.yaml").write_text(load_study("smoke").text())
    return tmp_path


def half(name: str) -> bool:
    """Return whether a name holds half a character, which no file can hold."""
    return any("\ud800" <= letter <= "\udfff" for letter in name)


def refused(said: Any, *, where: str) -> None:
    told = [line for line in said.err.splitlines() if line != "loading torch…"]
    assert (said.code, said.out) == (2, "")
    assert len(told) == 1, said.err
    assert told[0].startswith(where)
    assert RULE in told[0]
    assert len(told[0]) < 350, "a long name is not said back whole, and twice"


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a3_a_name_that_could_be_a_path_is_refused_in_each_way_to_give_it(
    cli: Call, outside: Path, name: str
) -> None:
    before = below(outside)
    if half(name):
        assert cli("run", "smoke", "--name", name).code == 2
        assert below(outside) == before
        return
    refused(cli("run", "smoke", "--name", name), where="--set name=")
    quoted = json.dumps(name)
    refused(cli("run", "smoke", "--set", f"name={quoted}"), where="--set name=")
    refused(cli("check", "smoke", "--set", f"name={quoted}"), where="--set name=")
    assert below(outside) == before
    file = Path("hostile.yaml")
    file.write_text(dump_yaml({**load_study("smoke").values(), "name": name}))
    refused(cli("run", file), where="hostile.yaml:1: name: ")
    file.unlink()
    with pytest.raises(SpecError, match="cannot name a folder"):
        hpo.Study(name, space={**load_study("smoke").space.values})
    assert below(outside) == before


@pytest.mark.parametrize("name", ["2024", "007", "no", "null", "1e3", "true"])
def test_a3_a_name_is_text_whatever_it_looks_like(cli: Call, outside: Path, name: str) -> None:
    said = cli("run", "smoke", "--name", name, "--trials", 1, "--workers", 0, "--quiet")
    assert (said.code, said.out) == (0, f"results/{name}/best_config.json\n")


@pytest.mark.parametrize("name", ["..", "../up", "a/b", "con", "a\nb", "a" * 600], ids=ascii)
def test_a3_init_drafts_no_study_of_such_a_name(cli: Call, outside: Path, name: str) -> None:
    Path("t.csv").write_text("a,y\n" + "".join(f"{n % 7},{n % 2}\n" for n in range(40)))
    before = below(outside)
    said = cli("init", "t.csv", "--name", name)
    assert (said.code, said.out) == (2, "")
    assert RULE in said.err
    assert below(outside) == before


@pytest.mark.parametrize("name", [*NAMES[1:5], ".."], ids=ascii)
@pytest.mark.parametrize("verb", ["best", "show", "evaluate"])
def test_a3_a_verb_that_reads_finds_no_study_by_such_a_name_and_makes_nothing(
    cli: Call, outside: Path, name: str, verb: str
) -> None:
    before = below(outside)
    said = cli(verb, name, *(["0"] if verb == "show" else []))
    assert (said.code, said.out) == (2, "")
    assert "no study " in said.err
    assert below(outside) == before


def test_a3_results_behind_a_link_work_and_every_file_stays_under_them(
    cli: Call, outside: Path
) -> None:
    real = outside / "real"
    real.mkdir()
    Path("linked").symlink_to(real)
    before = below(outside)
    first = cli("run", "smoke", "--results", "linked", "--workers", 0, "--quiet")
    assert (first.code, first.out) == (0, "linked/smoke/best_config.json\n")
    new = below(outside) - before
    assert {path for path in new if not path.startswith("real/")} == set()
    assert {"real/smoke", "real/storage.sqlite", "real/smoke/best_config.json"} <= new
    for command in (("run", "smoke", "--workers", 0, "--quiet"), ("list",), ("best", "smoke")):
        said = cli(*command, "--results", "linked")
        assert said.code == 0
    assert cli("evaluate", "smoke", "--test", "--results", "linked").code == 0
    assert Path("linked").is_symlink()


# Names that are not the study's: of families, arguments, choices, logged metrics.


HOSTILE = """
import pytorch_lightning as pl
import torch
from torch import nn


class Net(pl.LightningModule):
    def __init__(self, kind: str = "../../../kind", lr: float = 0.1):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Linear(4, 3)

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        right = (self.net(batch[0]).argmax(1) == batch[1]).float().mean()
        self.log("val_acc", right)
        self.log("../../../logged", right)
        self.log("/tmp/logged", right)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)
"""


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    "metric", ["val_acc", "../../../logged", "/tmp/logged"], ids=["plain", "up", "absolute"]
)
def test_a3_choices_and_metrics_that_look_like_paths_are_text(
    cli: Call, outside: Path, metric: str
) -> None:
    Path("plugin.py").write_text(HOSTILE)
    study = {
        "name": "plain",
        "task": {"kind": "multiclass"},
        "data": {"source": "iris"},
        "model": {"family": "Net", "kind": {"choices": ["../../../kind", "/tmp/kind", "a\nb"]}},
        "trainer": {"max_epochs": 1, "accelerator": "cpu"},
        "objective": {"metric": metric, "direction": "maximize"},
        "budget": {"trials": 3},
        "search": {"sampler": "grid", "pruner": "none"},
    }
    Path("s.yaml").write_text(dump_yaml(study))
    before = below(outside)
    said = cli("run", "s.yaml", "--plugin", "plugin.py", "--workers", 0, "--quiet")
    assert said.code == 0, said.err
    new = {path for path in below(outside) - before if "__pycache__" not in path}
    root = "deep/er/here/results"
    assert {path for path in new if path != root and not path.startswith(f"{root}/")} == set()
    names = {Path(path).name for path in new}
    assert not {"kind", "logged"} & names
    assert not Path("/tmp/kind").exists()
    assert not Path("/tmp/logged").exists()


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    "name",
    ["../../../../../../family", "/tmp/hpo-family", "a/b", "x" * 300, "..", "a\nb"],
    ids=ascii,
)
def test_a3_a_family_of_any_name_leaves_all_files_under_the_results(
    outside: Path, name: str
) -> None:
    import torch

    @hpo.family(name)
    def build(input_shape: tuple[int, ...], n_outputs: int, *, width: int = 4) -> torch.nn.Module:
        return torch.nn.Linear(input_shape[0], n_outputs)

    study = {
        "name": "plain",
        "task": {"kind": "multiclass"},
        "data": {"source": "iris"},
        "model": {"family": name, "width": {"low": 2, "high": 4}},
        "trainer": {"max_epochs": 1, "accelerator": "cpu"},
        "budget": {"trials": 1},
        "search": {"sampler": "random", "pruner": "none"},
    }
    before = below(outside)
    outcome = run_study(load_study(study), Path("results"))
    new = below(outside) - before
    root = "deep/er/here/results"
    assert {path for path in new if path != root and not path.startswith(f"{root}/")} == set()
    assert {Path(path).parent.name for path in new if "tfevents" in path} == {
        "tb",
        place_of_trial_0(outcome),
    }
    assert not Path("/tmp/hpo-family").exists()


def place_of_trial_0(outcome: StudyOutcome) -> str:
    """Return the name of TensorBoard's folder of the only trial."""
    (place,) = [path.name for path in outcome.folder.tensorboard.iterdir() if path.is_dir()]
    assert place.startswith("t0000-")
    return place
