import itertools
from typing import Any

import optuna
import pytest
import pytorch_lightning as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.files import Document, parse_document
from hpo.grammar.nodes import Choices, OneOf, Range, Scalar
from hpo.space import SearchSpace
from lightning_modules import plugins
from lightning_modules.families import FAMILIES
from lightning_modules.optim import OPTIMIZERS, SCHEDULES

BASE: dict[str, Any] = {
    "task": {"kind": "multiclass"},
    "data": {"source": "digits"},
    "model": {"family": "mlp"},
}
MIXED: dict[str, Any] = {
    "model": {
        "one_of": {
            "mlp": {
                "layers": {
                    "length": {"low": 1, "high": 3},
                    "each": {"low": 8, "high": 64, "log": True},
                },
                "activation": {"choices": ["relu", "tanh"]},
            },
            "cnn": {"width": {"low": 4, "high": 16, "step": 4}, "norm": "none"},
        }
    },
    "optimizer": {
        "one_of": {
            "adamw": {"lr": {"low": 1e-5, "high": 1e-1, "log": True}},
            "sgd": {"momentum": {"low": 0.0, "high": 0.9, "step": 0.1}},
        }
    },
    "trainer": {"max_epochs": 2, "batch_size": {"choices": [32, 64]}},
}


def space_of(**sections: Any) -> SearchSpace:
    return SearchSpace(Document(name="study", values={**BASE, **sections}))


def problems_of(**sections: Any) -> list[str]:
    return [str(problem) for problem in space_of(**sections).problems]


@pytest.fixture(scope="module")
def mixed() -> SearchSpace:
    space = space_of(**MIXED)
    assert space.problems == []
    return space


@pytest.fixture(autouse=True)
def quiet_optuna() -> Any:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def test_parameter_names_are_the_dotted_paths(mixed: SearchSpace) -> None:
    assert [leaf.name for leaf in mixed.parameters()] == [
        "model",
        "model.mlp.layers.length",
        "model.mlp.layers.0",
        "model.mlp.layers.1",
        "model.mlp.layers.2",
        "model.mlp.activation",
        "model.cnn.width",
        "optimizer",
        "optimizer.adamw.lr",
        "optimizer.sgd.momentum",
        "trainer.batch_size",
    ]


def test_a_parameter_knows_the_branch_that_it_belongs_to(mixed: SearchSpace) -> None:
    branches = {leaf.name: leaf.branch for leaf in mixed.parameters()}
    assert branches["model"] == ()
    assert branches["model.cnn.width"] == (("model", "cnn"),)
    assert branches["optimizer.sgd.momentum"] == (("optimizer", "sgd"),)


def test_a_fixed_section_gives_no_branch_to_the_name() -> None:
    space = space_of(model={"family": "mlp", "width": {"low": 1, "high": 4}})
    assert [leaf.name for leaf in space.parameters()] == ["model.width"]


def _allowed(leaf: Range | Choices | OneOf, value: Any) -> bool:
    if isinstance(leaf, Range):
        return leaf.low <= value <= leaf.high and isinstance(value, int if leaf.whole else float)
    return value in (leaf.choices if isinstance(leaf, Choices) else leaf.branches)


def test_an_optuna_trial_samples_exactly_the_parameters_of_its_branch(mixed: SearchSpace) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    leaves = {leaf.name: leaf for leaf in mixed.parameters()}
    families = set()
    for _ in range(30):
        trial = study.ask()
        config = mixed.sample(trial, seed=trial.number)
        families.add(config.family)
        assert config.seed == trial.number
        for name, value in trial.params.items():
            assert _allowed(leaves[name].node, value)
            assert all(trial.params[union] == chosen for union, chosen in leaves[name].branch)
        length = trial.params.get("model.mlp.layers.length", 0)
        entries = [name for name in trial.params if name.startswith("model.mlp.layers.")]
        assert len(entries) == length + (1 if length else 0)
    assert families == {"mlp", "cnn"}


def test_the_params_of_a_trial_resolve_to_its_config(mixed: SearchSpace) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(10):
        trial = study.ask()
        config = mixed.sample(trial, seed=5)
        assert mixed.resolve(trial.params, seed=5) == config


def test_the_sampled_value_stands_at_its_path() -> None:
    space = space_of(**MIXED)
    params: dict[str, Scalar] = {
        "model": "mlp",
        "model.mlp.layers.length": 2,
        "model.mlp.layers.0": 8,
        "model.mlp.layers.1": 16,
        "model.mlp.activation": "tanh",
        "optimizer": "sgd",
        "optimizer.sgd.momentum": 0.5,
        "trainer.batch_size": 32,
    }
    config = space.resolve(params, seed=7).plain()
    assert config["model"]["layers"] == [8, 16]
    assert config["model"]["activation"] == "tanh"
    assert config["optimizer"]["name"] == "sgd"
    assert config["optimizer"]["momentum"] == 0.5
    assert (config["trainer"]["batch_size"], config["seed"]) == (32, 7)


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_a_random_config_is_a_function_of_its_seed(seed: int) -> None:
    space = space_of(**MIXED)
    assert space.random(seed) == space.random(seed)


@given(st.data())
@settings(max_examples=30)
def test_every_point_of_the_unit_cube_is_a_config(data: st.DataObject) -> None:
    space = space_of(**MIXED)
    shares = st.floats(0, 1, exclude_max=True)
    units = {leaf.name: data.draw(shares) for leaf in space.parameters()}
    params = space.at(units)
    assert space.resolve(params).family == params["model"]
    assert space.at(units) == params


@pytest.mark.parametrize(
    ("family", "optimizer", "schedule"),
    [
        *((family, "adamw", "cosine") for family in FAMILIES),
        *(("mlp", optimizer, "constant") for optimizer in OPTIMIZERS),
        *(("mlp", "sgd", schedule) for schedule in SCHEDULES),
    ],
)
def test_any_family_optimizer_and_schedule_make_a_space(
    family: str, optimizer: str, schedule: str
) -> None:
    space = space_of(
        model={"one_of": {family: {"dropout": {"low": 0.0, "high": 0.5}}}},
        optimizer={"one_of": {optimizer: {"lr": {"low": 1e-5, "high": 1.0, "log": True}}}},
        schedule={"name": schedule},
    )
    assert space.problems == []
    default = space.defaults()[0]
    reference = OPTIMIZERS[optimizer].config().model_dump()["lr"]
    assert default.params[f"optimizer.{optimizer}.lr"] == reference
    dropout = FAMILIES[family].config().model_dump()["dropout"]
    assert default.params[f"model.{family}.dropout"] == dropout
    assert space.resolve(default.params).schedule == SCHEDULES[schedule].config()


def test_every_family_has_its_default_in_the_order_of_the_file(mixed: SearchSpace) -> None:
    families = [default.params["model"] for default in mixed.defaults()]
    assert families == ["mlp", "cnn"]
    assert [mixed.resolve(d.params).family for d in mixed.defaults()] == families


def test_the_default_of_an_open_space_is_the_default_config() -> None:
    space = space_of(
        model={"family": "mlp", "width": {"low": 1, "high": 256}, "n_layers": {"low": 0, "high": 4}}
    )
    [default] = space.defaults()
    assert default.notes == []
    assert space.resolve(default.params) == space_of().resolve({})


def test_a_setting_that_is_off_by_default_is_off_in_the_default_config() -> None:
    prepare = {"indicator": {"choices": [True, False]}, "clip": {"low": 0.01, "high": 0.1}}
    data = {"source": "csv", "path": "t.csv", "target": "y", "prepare": prepare}
    space = space_of(data=data)
    assert space.problems == []
    assert space.defaults()[0].params["data.prepare.indicator"] is False


def test_a_default_outside_its_range_is_clipped_with_a_note() -> None:
    space = space_of(model={"family": "mlp", "width": {"low": 8, "high": 64}})
    [default] = space.defaults()
    assert default.params == {"model.width": 64}
    assert default.notes == ["model.width: default 128 lies outside; 64 instead"]


def test_the_default_optimizer_gives_way_to_the_first_branch_with_its_own_defaults() -> None:
    lr = {"lr": {"low": 1e-4, "high": 1.0, "log": True}}
    [default] = space_of(optimizer={"one_of": {"sgd": lr, "adam": lr}}).defaults()
    assert default.params == {"optimizer": "sgd", "optimizer.sgd.lr": 0.05}
    assert default.notes == ["optimizer: default 'adamw' is no choice; 'sgd' instead"]


def test_an_optuna_trial_takes_every_default_as_it_is(mixed: SearchSpace) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for default in mixed.defaults():
        study.enqueue_trial(default.params)
        trial = study.ask()
        mixed.sample(trial)
        assert trial.params == default.params


def test_the_grid_enumerates_a_conditional_space_exactly() -> None:
    space = space_of(
        model={
            "one_of": {
                "mlp": {
                    "layers": {"length": {"low": 0, "high": 2}, "each": {"choices": [8, 16]}},
                },
                "cnn": {"width": {"low": 4, "high": 8, "step": 2}},
            }
        },
        trainer={"batch_size": {"choices": [32, None]}},
    )
    layers = [list(entry) for n in range(3) for entry in itertools.product([8, 16], repeat=n)]
    expected = [
        {
            "model": "mlp",
            "model.mlp.layers.length": len(sizes),
            **{f"model.mlp.layers.{i}": size for i, size in enumerate(sizes)},
            "trainer.batch_size": batch,
        }
        for sizes in layers
        for batch in (32, None)
    ] + [
        {"model": "cnn", "model.cnn.width": width, "trainer.batch_size": batch}
        for width in (4, 6, 8)
        for batch in (32, None)
    ]
    assert space.grid() == expected


def test_the_grid_of_a_fixed_length_list_is_the_product_of_its_entries() -> None:
    space = space_of(model={"family": "mlp", "layers": {"length": 2, "each": {"choices": [1, 2]}}})
    assert [list(point.values()) for point in space.grid()] == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_every_grid_point_is_accepted_by_optuna_as_it_is() -> None:
    space = space_of(
        model={"family": "mlp", "dropout": {"low": 0.1, "high": 0.3, "step": 0.1}},
        optimizer={"one_of": {"sgd": {}, "adam": None}},
    )
    study = optuna.create_study()
    for point in space.grid():
        study.enqueue_trial(point)
        trial = study.ask()
        space.sample(trial)
        assert trial.params == point
    assert [point["model.dropout"] for point in space.grid()][::2] == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    "leaf", [{"low": 1, "high": 4, "log": True}, {"low": 1, "high": 10**6, "log": True}]
)
def test_a_logarithmic_range_has_no_grid(leaf: dict[str, Any]) -> None:
    space = space_of(model={"family": "mlp", "width": leaf})
    with pytest.raises(ValueError, match=r"model.width: a grid needs choices or a step"):
        space.grid()


def test_a_grid_of_too_many_points_is_refused_without_making_them() -> None:
    space = space_of(model={"family": "mlp", "width": {"low": 1, "high": 10**12}})
    with pytest.raises(ValueError, match="the grid has more than 100,000 points"):
        space.grid()


def test_the_corners_show_every_bound_and_every_choice(mixed: SearchSpace) -> None:
    configs = [config.plain() for config in mixed.corners()]
    mlps = [config["model"] for config in configs if config["model"]["family"] == "mlp"]
    cnns = [config["model"] for config in configs if config["model"]["family"] == "cnn"]
    assert {len(model["layers"]) for model in mlps} == {1, 3}
    assert {size for model in mlps for size in model["layers"]} == {8, 64}
    assert {model["activation"] for model in mlps} == {"relu", "tanh"}
    assert {model["width"] for model in cnns} == {4, 16}
    assert {config["optimizer"]["name"] for config in configs} == {"adamw", "sgd"}
    assert {config["trainer"]["batch_size"] for config in configs} == {32, 64}


def test_every_bound_and_choice_is_checked_against_its_field() -> None:
    found = problems_of(
        model={"family": "mlp", "width": {"low": 0, "high": 4}, "dropout": {"low": 0, "high": 1}},
        optimizer={"one_of": {"sgd": {"lr": {"choices": [0.1, -1.0, "a"]}}}},
    )
    assert sorted(found) == [
        "study: model.dropout: 1.0 does not fit; it should be less than 1",
        "study: model.width: 0 does not fit; it should be greater than or equal to 1",
        "study: optimizer.sgd.lr: 'a' does not fit; it should be a valid number",
        "study: optimizer.sgd.lr: -1.0 does not fit; it should be greater than 0",
    ]


def test_each_entry_of_a_list_is_checked() -> None:
    layers = {"length": {"low": 0, "high": 2}, "each": {"choices": [1, 2, 0]}}
    assert problems_of(model={"family": "mlp", "layers": layers}) == [
        f"study: model.layers.{i}: 0 does not fit; it should be greater than or equal to 1"
        for i in range(2)
    ]


def test_the_greatest_length_of_a_list_is_checked() -> None:
    layers = {"length": {"low": 0, "high": 70}, "each": 8}
    [problem] = problems_of(model={"family": "mlp", "layers": layers})
    assert problem.startswith("study: model.layers: ")
    assert "at most 64 items" in problem


def test_a_problem_stands_at_its_line_in_the_file() -> None:
    text = """\
task: {kind: multiclass}
data: {source: digits}
model:
  one_of:
    mlp:
      widht: {low: 1, high: 2}
      width: {low: 4, high: 1}
    cnm: {}
optimizer: {name: adamw, lr: 0}
trainer:
  max_epoch: 3
"""
    space = SearchSpace(parse_document(text, "a.yaml"))
    assert sorted(map(str, space.problems)) == [
        "a.yaml:11: trainer.max_epoch: unknown key; did you mean 'max_epochs'?",
        "a.yaml:6: model.mlp.widht: unknown key; did you mean 'width'?",
        "a.yaml:7: model.mlp.width: low 4 > high 1; swap them",
        "a.yaml:8: model.cnm: no family 'cnm'; did you mean 'cnn'?",
        "a.yaml:9: optimizer.lr: 0 does not fit; it should be greater than 0",
    ]


def test_a_wrong_family_is_the_only_complaint_about_its_model() -> None:
    [problem] = problems_of(model={"family": "mpl", "width": {"low": 1, "high": 2}})
    assert problem.startswith("study: model.family: no family 'mpl'; did you mean 'mlp'?")
    assert problems_of(model={"one_of": {"mpl": {}}}) == [
        "study: model.mpl: no family 'mpl'; did you mean 'mlp'?"
    ]


def test_a_missing_section_is_named() -> None:
    space = SearchSpace(Document(name="study", values={}))
    assert [str(problem) for problem in space.problems] == [
        "study: data: is missing; this setting has no default",
        "study: model: is missing; this setting has no default",
    ]


def test_a_name_is_found_at_its_line_below_one_of() -> None:
    text = """\
task: {kind: multiclass}
data: {source: digits}
model: {family: mlp}
optimizer:
  one_of:
    sgd:
      lr: {low: 1, high: 2}
"""
    space = SearchSpace(parse_document(text, "a.yaml"))
    assert space.where("optimizer.sgd.lr") == "a.yaml:7: optimizer.sgd.lr"
    assert space.where("optimizer") == "a.yaml:4: optimizer"


def test_the_hash_depends_on_the_space_and_not_on_the_order_of_its_keys() -> None:
    one = space_of(model={"family": "mlp", "width": {"low": 1, "high": 2}})
    same = space_of(model={"width": {"high": 2, "low": 1}, "family": "mlp"})
    other = space_of(model={"family": "mlp", "width": {"low": 1, "high": 3}})
    assert one.sha256() == same.sha256() != other.sha256()


def test_settings_of_the_study_are_no_part_of_the_space() -> None:
    document = Document(name="study", values={**BASE, "name": "a", "budget": {"trials": 1}})
    assert SearchSpace(document).sha256() == space_of().sha256()


def test_searched_settings_that_exclude_each_other_are_named_before_anything_runs() -> None:
    text = """
task: {kind: multiclass}
data: {source: iris}
model: {family: mlp}
trainer: {max_epochs: {low: 3, high: 20}, validate_every: {choices: [1, 5]}}
"""
    problems = SearchSpace(parse_document(text, "study.yaml")).problems
    assert [str(problem) for problem in problems] == [
        "study.yaml:5: trainer.validate_every: must be between 1 and max_epochs, "
        "or nothing is ever measured"
    ]


class Own(pl.LightningModule):
    """A user's module of one argument, and of others that it hands on."""

    def __init__(self, width: int = 8, **others: int) -> None:
        super().__init__()


@pytest.mark.parametrize("argument", ["widht", "depth"])
def test_a_searched_argument_that_a_module_of_the_user_does_not_take_is_an_error(
    argument: str, registries: None
) -> None:
    plugins.lightning_module("Own")(Own)
    objective = {"metric": "acc", "direction": "maximize"}
    sections: dict[str, Any] = {"data": {"source": "iris"}, "objective": objective}
    model = {"family": "Own", "width": {"low": 4, "high": 8}}
    assert problems_of(model=model, **sections) == []
    wrong = problems_of(model={**model, argument: {"choices": [1, 2]}}, **sections)
    assert wrong == [f"study: model.{argument}: unknown key; did you mean 'width'?"]


def test_an_average_of_weights_is_searched_with_its_settings() -> None:
    space = space_of(
        trainer={
            "accumulate": {"choices": [1, 2]},
            "averaging": {"one_of": {"none": {}, "ema": {"decay": {"low": 0.9, "high": 0.99}}}},
        }
    )
    assert space.problems == []
    [default] = space.defaults()
    assert default.params == {"trainer.accumulate": 1, "trainer.averaging": "none"}
    chosen = {
        "trainer.accumulate": 2,
        "trainer.averaging": "ema",
        "trainer.averaging.ema.decay": 0.95,
    }
    trainer = space.resolve(chosen).plain()["trainer"]
    assert (trainer["accumulate"], trainer["averaging"]) == (2, {"name": "ema", "decay": 0.95})
