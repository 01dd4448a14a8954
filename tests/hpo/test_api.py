from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

import hpo
from hpo.errors import SpecError, StudyError, UsageError
from hpo.seeds import read_seeds
from lightning_modules.data.arrays import GIVEN
from lightning_modules.registry import NameTakenError

MLP: dict[str, Any] = {
    "task": {"kind": "binary"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 8}},
    "trainer": {"max_epochs": 1, "batch_size": 16},
    "budget": {"trials": 2},
    "search": {"sampler": "random"},
}
ROWS = np.random.default_rng(0).normal(size=(80, 3)).astype("float32")
LABELS = (ROWS[:, 0] > 0).astype("int64")


@pytest.fixture(autouse=True)
def _own_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GIVEN, "_entries", {})


def test_a_mapping_is_run_and_run_again_means_resume(tmp_path: Path) -> None:
    space = {**MLP, "task": {"kind": "multiclass"}, "data": {"source": "iris"}}
    study = hpo.Study("one", space=space, results=tmp_path)
    best = study.run()
    assert best.study["trials"]["complete"] + best.study["trials"]["pruned"] == 2
    assert study.folder.path == tmp_path / "one"
    assert study.run() == best


def test_its_best_weights_are_measured(tmp_path: Path) -> None:
    space = {**MLP, "task": {"kind": "multiclass"}, "data": {"source": "iris"}}
    study = hpo.Study("one", space=space, results=tmp_path)
    with pytest.raises(StudyError, match="no trial is complete"):
        study.evaluate()
    best = study.run()
    assert study.evaluate().value == best.metric["value"]
    assert study.evaluate(test=True).opened == 1


def test_fresh_seeds_tell_of_arrays_too_whether_the_best_was_luck(tmp_path: Path) -> None:
    study = hpo.Study("own", space=MLP, data=(ROWS, LABELS), results=tmp_path)
    study.run()
    record = study.evaluate(seeds=2, top=2, test=True)
    assert record == read_seeds(study.folder)
    assert all(run.test is not None for config in record.configs for run in config.runs)
    with pytest.raises(UsageError, match="top: goes with fresh seeds"):
        study.evaluate(top=2)  # type: ignore[call-overload]


@pytest.mark.parametrize("source", ["smoke", "file"])
def test_a_file_or_a_shipped_name_is_a_space(tmp_path: Path, source: str) -> None:
    if source == "file":
        source = str(tmp_path / "mine.yaml")
        Path(source).write_text(hpo.load_study("smoke").text())
    assert hpo.Study(space=source).spec.name == "smoke"
    assert hpo.Study(space=Path(source)).folder.path == Path("results/smoke")


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy, list])
def test_arrays_tensors_and_lists_are_data(tmp_path: Path, kind: Any) -> None:
    study = hpo.Study("own", space=MLP, data=(kind(ROWS), kind(LABELS)), results=tmp_path)
    best = study.run()
    assert best.data["source"] == "arrays"
    assert sum(best.data["n"].values()) == 80


def test_settings_of_the_data_go_beside_arrays(tmp_path: Path) -> None:
    space = {**MLP, "data": {"validation": 0.5, "test": None}}
    study = hpo.Study("own", space=space, data=(ROWS, LABELS), results=tmp_path)
    assert study.run().data["n"] == {"train": 40, "validation": 40, "test": 0}


def test_other_data_under_the_same_name_are_refused(tmp_path: Path) -> None:
    hpo.Study("own", space=MLP, data=(ROWS, LABELS), results=tmp_path)
    with pytest.raises(NameTakenError, match=r"arrays 'own' are other data already"):
        hpo.Study("own", space=MLP, data=(ROWS, 1 - LABELS), results=tmp_path)


@pytest.mark.parametrize("data", [ROWS, (ROWS, LABELS, LABELS), 3])
def test_data_that_are_no_pair_are_refused(data: Any) -> None:
    with pytest.raises(UsageError, match=r"^data: is no pair; give a LightningDataModule class"):
        hpo.Study("own", space=MLP, data=data)


@pytest.mark.parametrize("given", [{"data": (ROWS, LABELS)}, {"module": int}])
def test_a_file_takes_no_module_and_no_data_beside_it(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"^space: is a file; give a mapping beside module or"):
        hpo.Study("own", space="smoke", **given)


def test_every_mistake_of_a_space_is_named() -> None:
    with pytest.raises(SpecError) as caught:
        hpo.Study("x", space={**MLP, "data": {"source": "irsi"}, "budgte": 1})
    assert len(caught.value.problems) == 2


def test_a_study_without_a_complete_trial_is_an_error(tmp_path: Path) -> None:
    space = {
        **MLP,
        "task": {"kind": "multiclass"},
        "data": {"source": "iris"},
        "optimizer": {"name": "sgd", "lr": 1e30},
    }
    with pytest.raises(StudyError, match=r"^bad: no trial is complete \(0 failed, 1 failed\)"):
        hpo.Study("bad", space=space, results=tmp_path).run()


def test_observers_are_told(tmp_path: Path) -> None:
    import io

    from hpo.tracking.events import EventsObserver

    stream = io.StringIO()
    hpo.Study(space="smoke", results=tmp_path).run(observers=(EventsObserver(stream),))
    assert stream.getvalue().count('"trial_finished"') == 3


@pytest.mark.usefixtures("registries")
def test_what_lives_in_this_process_alone_cannot_go_to_children(tmp_path: Path) -> None:
    class Net(pl.LightningModule): ...

    arrays = hpo.Study("own", space=MLP, data=(ROWS, LABELS), results=tmp_path)
    with pytest.raises(UsageError, match="data: arrays are in this process alone; use workers=0"):
        arrays.run(workers=1)
    space = {
        "data": {"source": "iris"},
        "task": {"kind": "multiclass"},
        "budget": {"trials": 2},
        "trainer": {"max_epochs": {"choices": [1, 2]}},
        "objective": {"metric": "x", "direction": "maximize"},
    }
    own = hpo.Study("net", space=space, module=Net, results=tmp_path)
    with pytest.raises(UsageError, match="workers: Net is defined in the program itself, which no"):
        own.run(workers=1)
    assert list(tmp_path.iterdir()) == []
