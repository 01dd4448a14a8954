import sys
from collections.abc import Callable

import pytest

from hpo.errors import UsageError
from hpo.preflight import try_families
from hpo.spec import StudySpec
from hpo.workers import InProcess

MakeSpec = Callable[..., StudySpec]


def test_every_family_trains_a_batch(make_spec: MakeSpec) -> None:
    spec = make_spec(
        data={"source": "digits"},
        model={"one_of": {"mlp": {"width": {"low": 4, "high": 8}}, "cnn": {}}},
    )
    preflight = try_families(spec, InProcess())
    assert [one.config.family for one in preflight.tried] == ["mlp", "cnn"]
    assert all(one.n_parameters > 0 and one.epoch_s > 0 for one in preflight.tried)
    assert {key: len(value or "") for key, value in preflight.data.items()} == {
        "data_sha256": 64,
        "split_sha256": 64,
    }


def test_a_family_that_cannot_take_the_data_is_named_before_anything_is_made(
    make_spec: MakeSpec,
) -> None:
    spec = make_spec(model={"family": "cnn", "width": {"low": 4, "high": 8}})
    with pytest.raises(UsageError, match="cnn"):
        try_families(spec, InProcess())


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        (
            {"data": {"source": "digits", "prepare": {"impute": {"choices": ["mean", "median"]}}}},
            "study: data.prepare.impute: images have no missing values; remove it",
        ),
        (
            {"data": {"source": "iris", "augment": {"erase": {"low": 0.0, "high": 0.5}}}},
            "study: data.augment.erase: is for images, but the data are features; remove it",
        ),
        (
            {
                "task": {"kind": "forecasting", "window": {"choices": [4, 70]}, "horizon": 2},
                "data": {"source": "seasonal", "n_rows": 100},
            },
            "study: data: 100 steps leave 60 for training; task.window and task.horizon need 72; "
            "lower them, or change data.validation and data.test",
        ),
        (
            {"trainer": {"precision": {"choices": ["32-true", "16-mixed"]}, "accelerator": "cpu"}},
            "study: trainer.precision: 16-mixed needs a GPU; use bf16-mixed or 32-true",
        ),
    ],
)
def test_a_searched_setting_that_cannot_work_here_is_named_before_anything_is_made(
    make_spec: MakeSpec, sections: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        try_families(make_spec(**sections), InProcess())
    assert str(caught.value) == told


def test_a_searched_optimizer_whose_package_is_missing_is_named_before_anything_is_made(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    spec = make_spec(optimizer={"one_of": {"adamw": {}, "lion": {}}})
    text = r"optimizer.name: lion needs pytorch_optimizer; pip install 'hpo\[optim\]'$"
    with pytest.raises(UsageError, match=text):
        try_families(spec, InProcess())
