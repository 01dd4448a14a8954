import itertools

import numpy as np
import pytest
import torch

from hpo.errors import UsageError
from hpo.export.contents import manifest_of, pack
from hpo.export.export import Form, opened
from hpo.export.specs import blank
from hpo.ship.combined import Method
from hpo.ship.feeds import feeds_of
from hpo.ship.manifest import Statistics
from lightning_modules.data.config import PrepareConfig
from lightning_modules.families import FAMILIES
from lightning_modules.packaged.packaged import Packaged
from lightning_modules.task import TASKS
from tests.contracts.exported import (
    Case,
    ensemble_of,
    exported,
    first,
    new_rows,
    run_of,
    source_of,
)

BOTH = {"bidirectional": True, "pooling": "attention"}
EVERY_COLUMN = {"indicator": True, "clip": 0.05, "rare": 0.2, "scale": "quantile"}
CASES = [
    Case(family="mlp", rows="table", task="binary", prepare=EVERY_COLUMN),
    Case(
        family="resnet_mlp",
        rows="table",
        task="regression",
        prepare={"scale": "minmax", "pca": 4, "target": "log"},
    ),
    Case(
        family="ft_transformer",
        rows="table",
        task="multilabel",
        prepare={"scale": "robust", "impute": "median"},
        model={"embedding": {"name": "piecewise_linear"}},
    ),
    Case(
        family="tabm",
        rows="table",
        task="regression",
        several=True,
        prepare={"scale": "none", "impute": "most_frequent"},
        model={"embedding": {"name": "periodic"}},
    ),
    Case(family="cnn", rows="image", task="multiclass"),
    Case(family="resnet", rows="image", task="regression", prepare={"scale": "minmax"}),
    Case(family="vit", rows="image", task="multilabel", prepare={"scale": "none"}),
    Case(family="rnn", rows="ragged", task="regression", prepare={"difference": 1}, model=BOTH),
    Case(
        family="lstm",
        rows="window",
        task="forecasting",
        prepare={"target": "log", "indicator": True},
        settings={"level": "last"},
    ),
    Case(family="gru", rows="text", task="binary", prepare={"tokens": "characters"}, model=BOTH),
    Case(
        family="tcn",
        rows="sequence",
        task="multiclass",
        prepare={"difference": 2, "length": 5, "scale": "robust"},
    ),
    Case(family="transformer", rows="ragged", task="multilabel", prepare={"length": 12}),
    Case(
        family="text_cnn",
        rows="text",
        task="multiclass",
        prepare={"vocabulary": 3, "lowercase": False, "length": 6},
    ),
]
TRACED = [
    Case(family="tabm", rows="table", task="multiclass"),
    Case(family="mlp", rows="window", task="forecasting", settings={"level": "mean"}),
    Case(family="transformer", rows="text", task="regression", model={"pooling": "first"}),
]
KINDS = {"table": "features", "image": "image", "sequence": "sequence", "text": "text"}
"""The kind of input that rows become."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_onnx_file_predicts_as_its_checkpoint_does(case: Case) -> None:
    _keeps_to(case, "onnx")


@pytest.mark.parametrize("case", TRACED, ids=str)
def test_a_pt2_file_predicts_as_its_checkpoint_does(case: Case) -> None:
    _keeps_to(case, "pt2")


def _keeps_to(case: Case, form: Form) -> None:
    run, raw = run_of(case), new_rows(case.rows)
    content, manifest = exported(source_of(run), raw, form)
    file = opened(content, form)
    for n_rows in (60, 1, 7):
        some = first(raw, n_rows, case.rows)
        expected, found = run.outputs(some), file.outputs(some)
        assert found.shape == expected.shape
        assert found.dtype == np.float32
        assert found.shape[1:] == tuple(manifest.outputs[0].shape)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert file.manifest == manifest  # type: ignore[attr-defined]
    assert file.answers == run.answers
    assert file.inputs == run.inputs


@pytest.mark.parametrize("method", ["greedy", "vote"])
def test_an_ensemble_is_one_file_in_which_each_member_prepares_the_rows_itself(
    method: Method,
) -> None:
    rare = Case(family="mlp", rows="table", task="multiclass", prepare=EVERY_COLUMN)
    plain = Case(family="resnet_mlp", rows="table", task="multiclass", prepare={"pca": 3})
    source = ensemble_of([run_of(rare), run_of(plain)], method)
    raw = new_rows("table")
    content, manifest = exported(source, raw, "onnx" if method == "greedy" else "pt2")
    file = opened(content, "onnx" if method == "greedy" else "pt2")
    np.testing.assert_allclose(file.outputs(raw), source.predictor.outputs(raw), atol=1e-5)
    assert sorted(manifest.vocabularies[0]) == ["Köln", "Ulm", "東京"]  # each knows some
    assert [member["trial"] for member in manifest.members] == [0, 1]
    assert f"answer as one: {method}." in manifest.notes[-1 if method == "greedy" else -2]


def test_an_ensemble_of_texts_cut_differently_is_no_one_file() -> None:
    runs = [
        run_of(Case(family="text_cnn", rows="text", task="binary", prepare={"vocabulary": n}))
        for n in (2, 4)
    ]
    with pytest.raises(UsageError, match=r"trial 1 cuts rows otherwise .*takes ensemble\.json"):
        pack(ensemble_of(runs, "mean"))


def test_every_family_task_and_setting_is_exported_once() -> None:
    assert {case.family for case in CASES} == {k for k, v in FAMILIES.items() if not v.whole}
    assert {case.task for case in CASES} == set(TASKS)
    assert {case.rows for case in CASES} == {*KINDS, "ragged", "window"}
    settings = {name for case in CASES for name in case.prepare}
    assert settings == set(PrepareConfig.model_fields)
    for name, values in (
        ("scale", {"standard", "robust", "quantile", "minmax", "none"}),
        ("impute", {"mean", "median", "most_frequent"}),
    ):
        assert {case.prepare.get(name, _default(name)) for case in CASES} == values


def _default(name: str) -> object:
    return PrepareConfig.model_fields[name].default


def _product() -> list[Case]:
    """Return every family on all rows and tasks that it takes."""
    found = []
    for family, entry in FAMILIES.items():
        rows = [one for one, kind in KINDS.items() if kind in entry.takes and not entry.whole]
        rows += ["ragged"] if "sequence" in rows else []
        found += [
            Case(family=family, rows=one, task=task)
            for one, task in itertools.product(rows, TASKS)
            if task != "forecasting"
        ]
        if "sequence" in rows:
            found.append(Case(family=family, rows="window", task="forecasting"))
    return found


@pytest.mark.parametrize("family", [name for name, one in FAMILIES.items() if not one.whole])
def test_a_packaged_network_predicts_as_its_run_on_all_that_it_takes(family: str) -> None:
    for case in _product():
        if case.family != family:
            continue
        run, raw = run_of(case), first(new_rows(case.rows), 5, case.rows)
        source = source_of(run)
        packed = pack(source)
        nothing = Statistics(n_rows=0, inputs=[], predictions=[])
        told = manifest_of(source, packed, scores=[], statistics=nothing, form="pt2")
        given = {name: torch.from_numpy(values) for name, values in feeds_of(told, raw).items()}
        with torch.inference_mode():
            found = Packaged(run.fitted, run.module)(given).numpy()
        np.testing.assert_allclose(found, run.outputs(raw), rtol=1e-6, atol=1e-6, err_msg=str(case))
        blanks = blank(packed.specs, 5)
        assert {k: (v.dtype, v.shape) for k, v in blanks.items()} == {
            k: (v.dtype, v.shape) for k, v in given.items()
        }
