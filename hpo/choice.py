"""What was chosen for a study by measuring: precision, layout, threads; and why. No torch."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hpo.environment import cpu_features
from hpo.errors import UsageError
from hpo.files import write_json
from hpo.layout import StudyFolder
from hpo.records import now_utc, read_record
from hpo.spec import StudySpec
from lightning_modules.settings import Settings

OPEN = ("precision", "layout", "compile")
"""The settings of `trainer` that are chosen for each family where a study file names none."""
CLEARLY = 1.10
"""How much faster a way must be on the most expensive config."""
NOT_SLOWER = 0.97
"""How fast it must be at least on the default config."""
SAME_LOSS = 0.02
"""How far its loss after the steps may be from that of 32-true: this share of it, or `NEARLY`."""
NEARLY = 0.005
FILLED, MARGIN, CONTEXT_BYTES = 0.8, 1.5, 700_000_000
"""How much of a GPU trainings may fill, each with what its steps took and a margin, its process's
own context and the rows that it keeps there."""
_log = logging.getLogger(__name__)
_RECORD = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class MeasuredWay(BaseModel):
    """The steps of a config in one precision and layout."""

    model_config = _RECORD

    precision: str
    layout: str | None
    """None is the network's own."""
    compile: bool = False
    step_ms: float
    loss: float | None
    """After the steps; None if it is no finite number."""
    first_s: float
    """Seconds of the first step, in which a network is compiled."""


class FamilyChoice(BaseModel):
    """What was chosen for a family."""

    model_config = _RECORD

    chosen: dict[str, Any]
    """Settings of `trainer`, which all its trials have."""
    why: str
    speedup: float | None = None
    """How much faster a step of the most expensive config is than in 32-true."""
    default: list[MeasuredWay] = []
    """The default config, in those ways that are clearly faster on the most expensive one."""
    largest: list[MeasuredWay] = []
    """The most expensive config in each way; empty where nothing was measured."""
    rows: int | None = None
    """How many rows of a batch of the most expensive config were used; None is all."""
    ones: float | None = None
    """Its steps a second: one training for each core, of one thread."""
    twos: float | None = None
    """Of half as many trainings, of two threads."""
    gpu_bytes: int | None = None
    """What its steps took of a GPU at most."""


class Machine(BaseModel):
    """Where it was measured."""

    model_config = _RECORD

    cpu_features: list[str] | None
    device: str
    torch: str
    gpu_bytes: int | None = None
    """The memory of a GPU."""


class ProbeRecord(BaseModel):
    """``probe.json``: what was measured before a study's first trial. It holds for all of them."""

    model_config = _RECORD

    schema_name: Literal["hpo.probe/1"] = Field("hpo.probe/1", alias="schema")
    families: dict[str, FamilyChoice]
    machine: Machine
    measured_utc: str

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """What all trials of a family have in `trainer`, by the name of the family."""
        return {family: choice.chosen for family, choice in self.families.items()}


class FamilyOrder(Settings):
    """Measure a family."""

    default: dict[str, Any]
    """Its default config."""
    corners: list[dict[str, Any]]
    """Configs among which is the most expensive."""
    open: list[str]
    """Which settings may be chosen: of `OPEN`, and ``threads``."""
    trials: int | None
    """How many trials the study has at most."""
    seconds: float | None
    """How long all its trainings take at most."""
    cores: int = 1


def best_way(
    default: Sequence[MeasuredWay], largest: Sequence[MeasuredWay]
) -> tuple[MeasuredWay, str]:
    """Return which way is taken, and why; first of all comes the plain one.

    One is taken that is clearly faster on the most expensive config, which decides how long a study
    takes; not slower on the default config, on which those alone need be measured; and learns as
    the plain one does. Of several, the fastest on the most expensive config.

    >>> ways = [dict(precision=p, layout=None, loss=1.0, first_s=0) for p in ("32-true", "bf16")]
    >>> def measured(*times): return [MeasuredWay(**w, step_ms=t) for w, t in zip(ways, times)]
    >>> best_way(measured(10, 10), measured(50, 25))[0].precision
    'bf16'
    >>> best_way(measured(10, 11), measured(50, 25))
    (MeasuredWay(precision='32-true'...), 'bf16 is 0.91× as fast on the default config')
    """
    plain, refused = largest[0], ""
    on_small = {(one.precision, one.layout): one for one in default}

    def hurdle(way: MeasuredWay) -> float:
        """Another layout than the network's own must be clearly faster than that, too."""
        return way.step_ms * (1 if way.layout == plain.layout else CLEARLY)

    for way in sorted(largest[1:], key=hurdle):
        gain = plain.step_ms / way.step_ms
        if gain < CLEARLY:
            continue
        small = on_small[way.precision, way.layout]
        on_default = default[0].step_ms / small.step_ms
        if on_default < NOT_SLOWER:
            refused = (
                refused or f"{name_of(way)} is {on_default:.2f}× as fast on the default config"
            )
        elif not (_learns_alike(way, plain) and _learns_alike(small, default[0])):
            refused = refused or f"the loss of {name_of(way)} is another"
        else:
            return way, f"{gain:.1f}× faster per step than {plain.precision}"
    return plain, refused or f"nothing is clearly faster than {plain.precision}"


def worth_compiling(
    plain: MeasuredWay, compiled: MeasuredWay, *, n_steps: int, gain: float
) -> bool:
    """Return whether a training of ``n_steps`` is so much shorter, its compiling included."""
    before = n_steps * plain.step_ms / 1000
    after = n_steps * compiled.step_ms / 1000 + compiled.first_s
    return _learns_alike(compiled, plain) and before >= gain * after


def two_threads(ones: float, twos: float) -> bool:
    """Return whether half as many trainings of two threads each make clearly more steps."""
    return twos >= CLEARLY * ones


def trainings_per_gpu(record: ProbeRecord | None) -> int:
    """Return how many trainings fit on a GPU together; one where that was not measured."""
    if record is None or record.machine.gpu_bytes is None:
        return 1
    needed = [one.gpu_bytes for one in record.families.values()]
    if not needed or None in needed:
        return 1
    most = max(one for one in needed if one is not None)
    return max(int(FILLED * record.machine.gpu_bytes // (MARGIN * most + CONTEXT_BYTES)), 1)


def name_of(way: MeasuredWay) -> str:
    """Return a way in words."""
    parts = [way.precision, way.layout, "compiled" if way.compile else None]
    return ", ".join(part for part in parts if part)


def _learns_alike(way: MeasuredWay, plain: MeasuredWay) -> bool:
    if way.loss is None or plain.loss is None:
        return False
    return math.isclose(way.loss, plain.loss, rel_tol=SAME_LOSS, abs_tol=NEARLY)


def keep(
    folder: StudyFolder, families: Mapping[str, FamilyChoice], machine: Machine | None
) -> None:
    """Write what was chosen into the folder of a study that is made; nothing if nothing was."""
    if machine is None:
        folder.probe.unlink(missing_ok=True)  # of a call that was killed before there was a study
        return
    record = ProbeRecord(families=dict(families), machine=machine, measured_utc=now_utc())
    write_json(folder.probe, record.model_dump(mode="json", by_alias=True))


def kept(folder: StudyFolder) -> ProbeRecord | None:
    """Return what was chosen for a study; None where nothing was, as in older ones.

    Raises:
        UsageError: if the file is damaged.
    """
    if not folder.probe.is_file():
        return None
    try:
        return read_record(folder.probe, ProbeRecord)
    except UsageError as error:
        hint = "restore it: config.json of any trial has the same precision and layout"
        raise UsageError(error.where, error.what, hint) from None


def with_kept(spec: StudySpec, folder: StudyFolder) -> StudySpec:
    """Return a study with what was chosen for it when its folder was made.

    That holds on another machine too: trials of one study compare.

    Raises:
        UsageError: if what was kept is damaged.
    """
    record = kept(folder)
    if record is None or spec.space.imported is not None:
        return spec
    if lacks_bf16(record):
        _log.warning("bf16-mixed was chosen on another CPU; this one has no instructions for it")
    return replace(spec, space=spec.space.with_chosen(record.settings))


def chosen_lines(folder: StudyFolder) -> list[str]:
    """Return what was chosen for a study, a line for each family that is not computed plainly."""
    record = kept(folder)
    lines = []
    for family, choice in record.families.items() if record is not None else ():
        names = [str(choice.chosen.get("precision") or ""), str(choice.chosen.get("layout") or "")]
        names += ["compiled"] * bool(choice.chosen.get("compile"))
        names += [f"{n} threads a trial" for n in [choice.chosen.get("threads")] if n]
        if choice.speedup is None and not choice.chosen.get("threads"):
            continue
        shown = ", ".join(name for name in names if name)
        lines.append(f"{family}: {shown}: {choice.why}")
    return lines


def lacks_bf16(record: ProbeRecord, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether a choice of bf16 on a CPU is kept on one without instructions for it."""
    chosen = any(one.get("precision") == "bf16-mixed" for one in record.settings.values())
    if not chosen or record.machine.device != "cpu" or not cpuinfo.is_file():
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"} & set(cpu_features() or [])
