"""What docs/tracking.md says of columns, numbers and loggers is so."""

import re
from pathlib import Path
from xml.etree import ElementTree

from hpo.loggers import PACKAGES
from hpo.pictures import MOST_CLASSES, MOST_TARGETS
from hpo.records import attributes_of, curve_rows
from lightning_modules.last_rows import MOST_ROWS
from lightning_modules.result import RunResult

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "tracking.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return GUIDE[GUIDE.index(f"## {title}") :].split("\n## ")[0]


def named(text: str) -> set[str]:
    """Return the names in the first column of a table."""
    cells = re.findall(r"^\| (`.*?) \|", text, re.M)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_column_of_a_curve_is_explained(finished) -> None:
    record = finished.of("complete")
    columns = set(curve_rows(finished.folder.trial(record.number))[0])
    fixed = {"validation", "epoch", "step", "seconds", "objective"}
    told = named(section("At every validation"))
    assert told - {"--logger"} <= columns
    assert columns - fixed - told == {"val/f1"}
    assert all(f"`{name}`" in section("At every validation") for name in fixed)


def test_every_cost_and_every_axis_is_there(finished) -> None:
    told = named(section("At its end"))
    assert told <= RunResult.model_fields.keys()
    costs = {"flops", "latency", "train_seconds", "samples_per_second", "null_because"}
    assert costs <= told
    axes = re.findall(r"`(\w+)`", section("At its end").split("attributes of the trial")[1])
    shown = attributes_of(finished.of("complete"))
    assert [name for name in axes if not isinstance(shown[name], int | float)] == []


def test_bounds_and_loggers_are_those_of_the_code() -> None:
    assert f"{MOST_ROWS:,} at most" in GUIDE
    assert f"more than {MOST_CLASSES} classes" in " ".join(GUIDE.split())
    assert (MOST_TARGETS, "first four" in " ".join(GUIDE.split())) == (4, True)
    assert named(section("Other loggers")) - {"--logger"} == set(PACKAGES)
    project = (ROOT / "pyproject.toml").read_text()
    for name in filter(None, PACKAGES.values()):
        assert re.search(rf"^{name} = \[", project, re.M)
        assert f"hpo[{name}]" in GUIDE


def test_the_picture_is_one_of_ours() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "pictures" / "curve.svg")
    texts = [one.text for one in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "Did training go well?"
