from collections.abc import Callable
from typing import Any

import pytest
import torch

import hpo.measuring
from hpo.child import prepared_data
from hpo.choice import OPEN, FamilyChoice, FamilyOrder
from hpo.measuring import measure_family
from hpo.preflight import try_families
from hpo.protocol import ProbeEnd, ProbeOrder
from hpo.spec import StudySpec
from hpo.workers import InProcess
from lightning_modules.config import RunConfig
from lightning_modules.program import has_bf16_units
from lightning_modules.ways import MOST_ROUNDS, Way, measure_threads, measure_ways, pace_of

MakeSpec = Callable[..., StudySpec]
CNN = {"family": "cnn", "n_layers": 2, "width": {"low": 8, "high": 48}}
CPU = torch.device("cpu")


def order_of(config: RunConfig, **changes: Any) -> FamilyOrder:
    """Return the order to measure a family whose configs all are the same."""
    given: dict[str, Any] = {"trials": None, "seconds": None, "corners": [], "open": list(OPEN)}
    return FamilyOrder.model_validate({"default": config.plain(), **given, **changes})


def measured(config: RunConfig, **changes: Any) -> FamilyChoice:
    """Measure a family."""
    return measure_family(order_of(config, **changes), prepared_data(config))


@pytest.fixture
def long_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no step and no study be too short."""
    monkeypatch.setattr(hpo.measuring, "LEAST_STEP_S", 0.0)
    monkeypatch.setattr(hpo.measuring, "LEAST_STUDY_S", 0.0)


def a_cnn(make_spec: MakeSpec) -> RunConfig:
    """Return the default of a small convolutional network on digits."""
    spec = make_spec(data={"source": "digits"}, model=CNN)
    return spec.space.resolve(spec.space.defaults()[0].params)


def test_short_steps_are_left_as_they_are(make_spec: MakeSpec) -> None:
    config = make_spec().space.random(0)
    choice = measured(config)
    assert choice.chosen == {"precision": "32-true"}
    assert choice.why.endswith("nothing to gain")
    assert choice.speedup is None


def test_a_short_study_is_left_as_it_is(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hpo.measuring, "LEAST_STEP_S", 0.0)
    config = a_cnn(make_spec)
    for limit in ({"trials": 2}, {"seconds": 3.0}):
        choice = measured(config, **limit)
        assert choice.why.startswith("the study trains for about")
        assert choice.largest == []


def test_every_way_makes_the_same_steps_of_default_and_largest(
    make_spec: MakeSpec, long_steps: None
) -> None:
    spec = make_spec(data={"source": "digits"}, model=CNN)
    config = a_cnn(make_spec)
    corners = [corner.plain() for corner in spec.space.corners()]
    choice = measured(config, corners=corners)
    ways = {("32-true", None), ("32-true", "contiguous")}
    if has_bf16_units(CPU):
        ways |= {("bf16-mixed", None), ("bf16-mixed", "contiguous")}
    assert {(one.precision, one.layout) for one in choice.largest} == ways
    assert {(one.precision, one.layout) for one in choice.default} <= ways
    for found in filter(None, (choice.default, choice.largest)):
        assert (found[0].precision, found[0].layout) == ("32-true", None)
        losses = [one.loss for one in found]
        assert losses == pytest.approx([losses[0]] * len(found), rel=0.02)
    assert choice.chosen["precision"] in ("32-true", "bf16-mixed")


def test_the_largest_network_is_measured_at_the_defaults_learning_rate(
    make_spec: MakeSpec, long_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[RunConfig] = []

    def remember(config: RunConfig, *given: Any, **named: Any) -> Any:
        tried.append(config)
        return measure_ways(config, *given, **named)

    monkeypatch.setattr(hpo.measuring, "measure_ways", remember)
    spec = make_spec(
        data={"source": "digits"},
        model=CNN,
        optimizer={"name": "sgd", "lr": {"low": 1e-3, "high": 1e3, "log": True}},
    )
    config = spec.space.resolve(spec.space.defaults()[0].params)
    measured(config, corners=[corner.plain() for corner in spec.space.corners()])
    assert tried[0].model.model_dump()["width"] == 48
    assert {one.optimizer for one in tried} == {config.optimizer}


def test_what_is_decided_is_not_tried(make_spec: MakeSpec, long_steps: None) -> None:
    choice = measured(a_cnn(make_spec), open=["layout"])
    assert {one.precision for one in choice.largest} == {"32-true"}
    assert "precision" not in choice.chosen


def test_a_cpu_without_units_for_bf16_is_not_asked_for_it(
    make_spec: MakeSpec, long_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hpo.measuring, "has_bf16_units", lambda device: False)
    choice = measured(a_cnn(make_spec), open=["precision"])
    assert choice.why == "nothing else can be computed here"
    assert choice.chosen == {"precision": "32-true"}


def test_what_cannot_be_measured_is_left_as_it_is(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **named: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(hpo.measuring, "pace_of", fail)
    choice = measured(a_cnn(make_spec))
    assert choice.chosen == {"precision": "32-true"}
    assert choice.why == "cannot be measured: MemoryError: no room"


def test_measuring_leaves_generator_and_threads_as_they_were(
    make_spec: MakeSpec, long_steps: None
) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    measured(a_cnn(make_spec))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_the_steps_of_a_way_are_the_same_each_time(make_spec: MakeSpec) -> None:
    config = a_cnn(make_spec)
    ways = [Way(precision="32-true"), Way(precision="32-true")]
    one, other = measure_ways(
        config, prepared_data(config), ways, device=CPU, rows=None, seconds=0.0
    )
    assert one.loss == other.loss
    assert MOST_ROUNDS > 3


def test_a_step_that_takes_long_is_measured_on_a_part_of_its_rows(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning_modules.ways.LONGEST_STEP_S", 0.0)
    config = a_cnn(make_spec)
    pace = pace_of(config, prepared_data(config), Way(precision="32-true"), device=CPU)
    assert pace.rows == 16
    assert pace.n_batches > 1


def test_sharing_of_cores_is_counted_in_steps(make_spec: MakeSpec) -> None:
    config = a_cnn(make_spec)
    data, way = prepared_data(config), Way(precision="32-true")
    before = torch.get_num_threads()
    shared = measure_threads(config, data, way, rows=None, cores=2, seconds=0.1)
    assert shared.cores == 2
    assert min(shared.ones, shared.twos) > 0
    assert torch.get_num_threads() == before


def test_a_study_that_is_to_repeat_itself_measures_nothing(make_spec: MakeSpec) -> None:
    spec = make_spec("search.reproducible=true")
    assert try_families(spec, InProcess(), choose=OPEN).choices == {}


def test_a_study_that_names_everything_measures_nothing(make_spec: MakeSpec) -> None:
    given = ["trainer.precision=32-true", "trainer.layout=contiguous", "trainer.compile=false"]
    spec = make_spec(*given, data={"source": "digits"}, model=CNN)
    assert try_families(spec, InProcess(), choose=OPEN).choices == {}
    assert set(try_families(make_spec(), InProcess(), choose=OPEN).choices) == {"mlp"}


@pytest.mark.parametrize(
    ("ones", "twos", "threads"),
    [(10.0, 12.0, 2), (10.0, 10.5, None), (None, None, None)],
)
def test_threads_are_those_of_more_steps_for_all_families(
    make_spec: MakeSpec, ones: float | None, twos: float | None, threads: int | None
) -> None:
    class Told(InProcess):
        """Tells what a machine would show."""

        def probe(self, order: ProbeOrder) -> ProbeEnd:
            end = super().probe(order)
            told = [one.model_copy(update={"ones": ones, "twos": twos}) for one in end.choices]
            return end.model_copy(update={"choices": told})

    found = try_families(make_spec(), Told(), choose=("threads",)).choices
    assert {one.chosen.get("threads") for one in found.values()} == {threads}


def test_threads_that_are_named_are_not_chosen(make_spec: MakeSpec) -> None:
    spec = make_spec("trainer.threads=1")
    assert try_families(spec, InProcess(), choose=("threads",)).choices == {}
