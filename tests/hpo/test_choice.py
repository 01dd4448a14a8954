import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hpo.choice import (
    FamilyChoice,
    Machine,
    MeasuredWay,
    ProbeRecord,
    best_way,
    chosen_lines,
    keep,
    kept,
    lacks_bf16,
    name_of,
    trainings_per_gpu,
    two_threads,
    with_kept,
    worth_compiling,
)
from hpo.errors import UsageError
from hpo.layout import StudyFolder
from hpo.spec import StudySpec

MakeSpec = Callable[..., StudySpec]
WAYS = [("32-true", None), ("bf16-mixed", None), ("32-true", "contiguous")]
MACHINE = Machine(cpu_features=["avx512_bf16"], device="cpu", torch="2.13.0")


def measured(times: Sequence[float], losses: Sequence[float | None] = ()) -> list[MeasuredWay]:
    """Return what the steps of the ways showed."""
    told = losses or [1.0] * len(times)
    return [
        MeasuredWay(precision=way[0], layout=way[1], step_ms=ms, loss=loss, first_s=0.1)
        for way, ms, loss in zip(WAYS, times, told, strict=False)
    ]


@pytest.mark.parametrize(
    ("default", "largest", "chosen"),
    [
        ([10, 8, 12], [50, 25, 60], "bf16-mixed"),
        ([10, 10.2, 12], [50, 25, 60], "bf16-mixed"),  # not slower on the default
        ([10, 10.4, 12], [50, 25, 60], "32-true"),  # slower there
        ([10, 5, 12], [50, 46, 60], "32-true"),  # not clearly faster where it matters
        ([10, 10, 9], [50, 40, 30], "32-true, contiguous"),  # the fastest of several
        ([10, 9, 9], [50, 31, 30], "bf16-mixed"),  # its layout is not clearly the better one
        ([10, 9, 11], [50, 40, 30], "bf16-mixed"),  # the next that is not slower on the default
    ],
)
def test_a_way_is_taken_that_is_clearly_faster_on_the_largest_and_not_slower_on_the_default(
    default: list[float], largest: list[float], chosen: str
) -> None:
    way, _ = best_way(measured(default), measured(largest))
    assert name_of(way) == chosen


@pytest.mark.parametrize(
    ("losses", "chosen"),
    [
        ([1.0, 1.019], "bf16-mixed"),
        ([1.0, 1.03], "32-true"),
        ([0.001, 0.004], "bf16-mixed"),  # next to nothing
        ([1.0, None], "32-true"),  # no finite number
        ([None, 1.0], "32-true"),
    ],
)
@pytest.mark.parametrize("where", ["default", "largest"])
def test_a_way_that_learns_otherwise_is_not_taken(
    losses: list[float | None], chosen: str, where: str
) -> None:
    default = measured([10, 8], losses if where == "default" else ())
    largest = measured([50, 25], losses if where == "largest" else ())
    way, why = best_way(default, largest)
    assert name_of(way) == chosen
    assert ("loss" in why) is (chosen == "32-true")


def test_two_threads_must_be_clearly_faster() -> None:
    assert not two_threads(10.0, 10.5)
    assert two_threads(10.0, 11.5)


def test_a_network_is_compiled_where_whole_trainings_gain_by_it() -> None:
    plain, fast = measured([100, 50])
    compiled = fast.model_copy(update={"first_s": 40.0})
    assert not worth_compiling(plain, compiled, n_steps=600, gain=1.1)
    assert worth_compiling(plain, compiled, n_steps=6000, gain=1.1)
    other = compiled.model_copy(update={"loss": 2.0})
    assert not worth_compiling(plain, other, n_steps=6000, gain=1.1)


def choice(**chosen: object) -> FamilyChoice:
    """Return a choice that was measured."""
    return FamilyChoice(chosen=chosen, why="2.0× faster per step than 32-true", speedup=2.0)


def test_what_was_chosen_is_read_back(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    assert kept(folder) is None
    families = {"mlp": choice(precision="bf16-mixed")}
    keep(folder, families, MACHINE)
    record = kept(folder)
    assert record is not None
    assert record.families == families
    assert json.loads(folder.probe.read_text())["schema"] == "hpo.probe/1"


def test_a_study_that_chooses_nothing_keeps_nothing_of_an_earlier_call(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    keep(folder, {"mlp": choice(precision="bf16-mixed")}, MACHINE)
    keep(folder, {}, None)
    assert not folder.probe.exists()


def test_a_damaged_choice_is_no_other_choice(tmp_path: Path, make_spec: MakeSpec) -> None:
    folder = StudyFolder(tmp_path)
    folder.probe.write_text("{")
    with pytest.raises(UsageError, match=r"restore it: config\.json of any trial"):
        with_kept(make_spec(), folder)


def test_what_a_study_file_names_is_not_chosen(tmp_path: Path, make_spec: MakeSpec) -> None:
    folder = StudyFolder(tmp_path)
    keep(folder, {"mlp": choice(precision="bf16-mixed", threads=2)}, MACHINE)
    searched = {"max_epochs": 2, "precision": {"choices": ["32-true", "bf16-mixed"]}}
    for spec, precisions in (
        (make_spec(), {"bf16-mixed"}),
        (make_spec("trainer.precision=32-true"), {"32-true"}),
        (make_spec(trainer=searched), {"32-true", "bf16-mixed"}),
    ):
        space = with_kept(spec, folder).space
        configs = [space.random(seed) for seed in range(20)]
        assert {config.trainer.precision for config in configs} == precisions
        assert {config.trainer.threads for config in configs} == {2}
        assert spec.space.sha256() == space.sha256()


def test_each_family_has_its_own_choice(tmp_path: Path, make_spec: MakeSpec) -> None:
    folder = StudyFolder(tmp_path)
    keep(folder, {"cnn": choice(precision="bf16-mixed", layout="contiguous")}, MACHINE)
    families = {"one_of": {"mlp": {"width": {"low": 4, "high": 8}}, "cnn": {}}}
    space = with_kept(make_spec(model=families, data={"source": "digits"}), folder).space
    found = {
        config.family: (config.trainer.precision, config.trainer.layout)
        for config in [*space.corners(), *(space.resolve(one.params) for one in space.defaults())]
    }
    assert found == {"mlp": ("32-true", None), "cnn": ("bf16-mixed", "contiguous")}


def test_a_line_says_what_was_chosen_and_what_it_gains(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    assert chosen_lines(folder) == []
    plain = FamilyChoice(chosen={"precision": "32-true"}, why="a step takes 0.4 ms")
    families = {"cnn": choice(precision="bf16-mixed", layout="contiguous"), "mlp": plain}
    keep(folder, families, MACHINE)
    line = "cnn: bf16-mixed, contiguous: 2.0× faster per step than 32-true"
    assert chosen_lines(folder) == [line]


@pytest.mark.parametrize(
    ("precision", "device", "lacks"),
    [("bf16-mixed", "cpu", True), ("32-true", "cpu", False), ("bf16-mixed", "H100", False)],
)
def test_a_cpu_that_only_emulates_what_was_chosen_is_known(
    monkeypatch: pytest.MonkeyPatch, precision: str, device: str, lacks: bool
) -> None:
    monkeypatch.setattr("hpo.choice.cpu_features", lambda: ["avx2"])
    record = ProbeRecord.model_validate(
        {
            "schema": "hpo.probe/1",
            "families": {"mlp": choice(precision=precision)},
            "machine": {**MACHINE.model_dump(), "device": device},
            "measured_utc": "2026-11-22T00:00:00Z",
        }
    )
    assert lacks_bf16(record) is lacks


@pytest.mark.parametrize(
    ("taken", "memory", "fitting"),
    [
        ([1_000_000_000], 80_000_000_000, 29),
        ([1_000_000_000, 20_000_000_000], 80_000_000_000, 2),
        ([70_000_000_000], 80_000_000_000, 1),
        ([1_000_000_000, None], 80_000_000_000, 1),
        ([1_000_000_000], None, 1),
    ],
)
def test_trainings_share_a_gpu_by_what_the_largest_of_all_families_takes(
    tmp_path: Path, taken: list[int | None], memory: int | None, fitting: int
) -> None:
    folder = StudyFolder(tmp_path)
    assert trainings_per_gpu(kept(folder)) == 1
    families = {
        str(i): choice().model_copy(update={"gpu_bytes": size}) for i, size in enumerate(taken)
    }
    keep(folder, families, MACHINE.model_copy(update={"gpu_bytes": memory}))
    assert trainings_per_gpu(kept(folder)) == fitting
