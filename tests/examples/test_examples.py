"""Every command of examples/README.md does what it says, with few rows, trials and epochs."""

import re
import shlex
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
README = EXAMPLES / "README.md"
SHORT_STUDY = ["--trials", "2", "--workers", "0", "--plain", "--set", "trainer.max_epochs=1"]
SHORT = {
    "segmentation/study.yaml": [*SHORT_STUDY, "--set", "data.n_train=16"],
    "text_generation/study.yaml": [*SHORT_STUDY, "--set", "data.n_lines=250"],
    "anomalies/study.yaml": [*SHORT_STUDY, "--set", "data.n_train=200"],
    "audio/make.py": ["--files", "12"],
    "data/make.py visitors": ["--rows", "320"],
    "data/make.py signs": ["--rows", "16"],
    "data/make.py": ["--rows", "120"],
    "fine_tuning/compare.py": ["--trials", "2", "--epochs", "1"],
    "text_generation/sample.py": ["--characters", "20"],
    "hpo run": SHORT_STUDY,
}
NEEDS = {"audio": "soundfile", "Parquet": "pyarrow"}


def sections() -> dict[str, list[str]]:
    """Return the commands of each section, by its heading."""
    found = {}
    for section in README.read_text(encoding="utf-8").split("\n## ")[1:]:
        blocks = re.findall(r"^```console\n(.*?)^```", section, re.M | re.S)
        lines = [line for block in blocks for line in block.splitlines()]
        found[section.splitlines()[0]] = [line[2:] for line in lines if line.startswith("$ ")]
    return {heading: commands for heading, commands in found.items() if commands}


def shortened(command: str) -> list[str]:
    """Return the words of a command that takes less time."""
    more = next((more for part, more in SHORT.items() if part in command), [])
    return [*shlex.split(re.sub(r" --images \S+", "", command)), *more]


@pytest.mark.slow
@pytest.mark.parametrize("heading", sections())
@pytest.mark.usefixtures("registries")
def test_the_commands_of_an_example_succeed(
    heading: str, cli, program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for word, module in NEEDS.items():
        if word in heading:
            pytest.importorskip(module)
    (tmp_path / "examples").symlink_to(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    for command in sections()[heading]:
        verb, *words = shortened(command)
        if verb == "python":
            assert program(*words).strip()
            continue
        said = cli(*words)
        assert (verb, said.code) == ("hpo", 0), f"{command}\n{said.err}"
        assert "Traceback" not in said.err
        assert "failed:" not in said.err


def test_the_readme_has_a_section_for_every_file() -> None:
    text = README.read_text(encoding="utf-8")
    files = [*EXAMPLES.glob("*/*.py"), *EXAMPLES.glob("*/*.yaml")]
    assert len(files) > 12
    assert [str(file) for file in files if f"{file.relative_to(EXAMPLES)}" not in text] == []


def test_the_commands_in_the_files_are_those_of_the_readme() -> None:
    known = [command for commands in sections().values() for command in commands]
    for file in [*EXAMPLES.glob("*/*.py"), *EXAMPLES.glob("*/*.yaml")]:
        head = file.read_text(encoding="utf-8").split("\nimport ")[0].split("\nname: ")[0]
        for line in re.findall(r"^(?:# )?((?:hpo|python) \S.*?)(?:  .*)?$", head, re.M):
            assert line in known, f"{file}: {line}"


def test_the_same_seed_makes_the_same_data(program, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    kinds = {kind: ".csv" for kind in ("rentals", "diabetes", "weather", "reviews", "visitors")}
    kinds |= {"patients": ".parquet", "digits": ".npy", "strokes": ".npz", "signs": ""}
    for run in ("one", "two"):
        for kind, suffix in kinds.items():
            to = tmp_path / run / f"{kind}{suffix}"
            program(str(EXAMPLES / "data" / "make.py"), kind, str(to), "--rows", "30")
    first, second = (sorted((tmp_path / run).rglob("*.*")) for run in ("one", "two"))
    assert len(first) == 8 + 3 * 30
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
